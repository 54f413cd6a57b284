# SPDX-License-Identifier: Apache-2.0
"""The whole image, step by step. Each slow step is kept in the cache under a name made from what went into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.model.errors import UsageError
from image import base, bundle, disk, keys, packages, slots, tree
from image.progress import note, step

HERE = Path(__file__).parent
ARCHITECTURES = ("arm64",)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`cache` survives, `to` is what the job is for. `epoch`: seconds since 1970 that every file in the image bears."""

    cache: Path
    to: Path
    site: Path
    epoch: int
    version: str = __version__
    architecture: str = "arm64"
    keys: Path | None = None
    signer: str = "root-1-signer"
    floor: str = "0.0.0"
    strict: bool = False
    overlay: Path | None = None


class Built(msgspec.Struct, frozen=True):
    """Where it lies, and how large it is in octets."""

    image: str
    bundle: str
    root: int
    boot: int
    compressed: int
    files: dict[str, str]


def prepared_base(options: Options) -> Path:
    """The Debian part, from the cache or made anew."""
    want = packages.wanted()
    if not packages.LOCK.exists():
        raise UsageError("There is no base.lock", hint="Make one with 'platen-image lock'")
    locked = packages.read_lock(packages.LOCK.read_text())
    sources = [HERE / n for n in ("packages.toml", "base.py", "kernel.py", "packages.py", "boot/modules.txt")]
    at = options.cache / f"base-{options.architecture}-{_key([packages.LOCK, *sources])}"
    if (at / ".complete").exists():
        os.utime(at)
        return at
    for old in options.cache.glob(f"base-{options.architecture}-*.new"):
        shutil.rmtree(old)
    debs = options.cache / "debs"
    apt = packages.Apt(options.cache / f"apt-{options.architecture}", options.architecture, want)
    with step(f"fetching {len(locked)} packages ({sum(p.size for p in locked) // 1_000_000} MB)"):
        chosen = _fetched(apt, locked, debs, want, strict=options.strict)
    new = at.with_suffix(".new")
    base.build(chosen, debs, want, new)
    (new / "packages.lock").write_text(packages.write_lock(chosen))
    (new / ".complete").touch()
    if at.exists():
        shutil.rmtree(at)
    new.rename(at)
    return at


def _fetched(
    apt: packages.Apt, locked: list[packages.Package], debs: Path, want: packages.Wanted, *, strict: bool
) -> list[packages.Package]:
    """The locked packages; where the mirror has dropped some, the present ones, with what differs said aloud."""
    try:
        apt.fetch([], debs)
        if any(not (debs / p.file).exists() for p in locked):
            apt.update()
        apt.fetch(locked, debs)
        return locked
    except packages.Drift:
        if strict:
            raise
    current = apt.resolve(want.packages + want.boot_packages)
    note("base.lock is older than the mirror. This image takes:")
    for line in packages.drift(locked, current):
        note(f"  {line}")
    note("'platen-image lock' makes that the locked state.")
    apt.fetch(current, debs)
    return current


def build(options: Options) -> Built:
    """Image, bundle, hashes, block map and parts lists into `options.to`."""
    work = options.cache / f"work-{options.architecture}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    options.to.mkdir(parents=True, exist_ok=True)
    signing = options.keys or options.cache / "keys"
    keys.make(signing)
    try:
        debian = prepared_base(options)
        made = slot(options, debian, signing, work)
        name = f"platen-{options.version}-{options.architecture}"
        image = options.to / f"{name}.img"
        update = options.to / f"{name}.raucb"
        with step("writing the card's image"):
            ramdisk = (work / "boot/initrd").read_bytes()
            template = (tree.ROOT / "appliance/provision/platen.toml").read_text()
            files = disk.firmware_files(debian, debian / "kernel/Image.gz", ramdisk, template, work / "firmware")
            disk.write(image, files, made["boot"], made["root"], options.version, options.epoch)
        with step("signing the bundle"):
            bundle.write(update, made["boot"], made["root"], options.version, signing, floor=options.floor, signer=options.signer)
        with step("compressing the image"):
            packed = image.with_suffix(".img.zst")
            subprocess.run(["zstd", "-q", "-f", "-10", "-T0", "--long=27", image, "-o", packed], check=True)
        built = Built(
            image=str(image),
            bundle=str(update),
            root=made["root"].stat().st_size,
            boot=sum(p.stat().st_size for p in (work / "boot").iterdir()),
            compressed=packed.stat().st_size,
            files={p.name: _sha256(p) for p in (image, packed, update)},
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (options.to / f"{name}.sha256").write_text("".join(f"{h}  {f}\n" for f, h in built.files.items()))
    return built


def slot(options: Options, debian: Path, signing: Path, work: Path) -> dict[str, Path]:
    """`boot` and `root` images of one version."""
    at = work / "tree"
    tree.build(debian, options.site, signing, options.version, options.epoch, at)
    if options.overlay is not None:
        shutil.copytree(options.overlay, at, symlinks=True, dirs_exist_ok=True)
    with step("making the root and its hash tree"):
        verity = slots.root_image(at, work / "root.img", options.version, options.epoch)
    with step("making the initrd and the boot slot"):
        kernel = debian / "kernel/Image.gz"
        slots.boot_image(kernel, slots.compressed_initrd(at), verity, work / "boot.vfat", options.epoch)
    return {"boot": work / "boot.vfat", "root": work / "root.img"}


def _key(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """For the moment."""
    import sys

    options = Options(
        cache=Path(os.environ["PLATEN_CACHE"]),
        to=Path("build/image"),
        site=Path(os.environ["PLATEN_SITE"]),
        epoch=int(os.environ["SOURCE_DATE_EPOCH"]),
        version=sys.argv[1] if len(sys.argv) > 1 else __version__,
    )
    print(json.dumps(msgspec.to_builtins(build(options)), indent=2))


if __name__ == "__main__":
    main()
