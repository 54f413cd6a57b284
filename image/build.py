# SPDX-License-Identifier: Apache-2.0
"""The whole image, step by step. Each slow step is kept in the cache under a name made from what went into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.model.errors import BaseDrift, UsageError
from image import base, blockmap, bundle, cache, disk, keys, packages, python, sbom, slots, tree
from image.progress import note, step, taken
from image.run import run

HERE = Path(__file__).parent
STRIP = {"arm64": "aarch64-linux-gnu-strip"}
"""By architecture there is a recipe for: the program that strips its libraries."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`cache` survives, `to` is what the job is for. `epoch`: seconds since 1970 that every file in the image bears.
    `card` and `update` say which of the two is made. `overlay`: a folder that is laid over the root, for tests."""

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
    card: bool = True
    update: bool = True
    overlay: Path | None = None


class Built(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where it lies, and how large it is in octets. `seconds` by step."""

    version: str
    root: int
    boot: int
    files: dict[str, str]
    sizes: dict[str, int]
    seconds: dict[str, float]


def no_recipe(architecture: str) -> UsageError:
    return UsageError(
        f"There is no recipe for {architecture}",
        hint=f"There is one for {', '.join(STRIP)}. Another needs its kernel, a boot loader that reads the "
        "environment sector, a list of kernel modules, and a RAUC compatible of its own",
    )


def prepared_base(options: Options) -> Path:
    """The Debian part, from the cache or made anew."""
    want = packages.wanted()
    if not packages.LOCK.exists():
        raise UsageError("There is no base.lock", hint="Make one with 'platen-image lock'")
    locked = packages.read_lock(packages.LOCK.read_text())
    names = ("packages.toml", "base.py", "kernel.py", "packages.py", "python.py", "boot/modules.txt")
    sources = [HERE / name for name in names]

    def make(to: Path) -> None:
        debs = options.cache / "debs"
        apt = packages.Apt(options.cache / f"apt-{options.architecture}", options.architecture, want)
        with step(f"fetching {len(locked)} packages ({sum(p.size for p in locked) // 1_000_000} MB)"):
            chosen = _fetched(apt, locked, debs, want, strict=options.strict)
        base.build(chosen, debs, want, to)
        (to / "packages.lock").write_text(packages.write_lock(chosen))

    name = cache.key([packages.LOCK, *sources], "strict" if options.strict else "")
    return cache.kept(options.cache, f"base-{options.architecture}", name, make)


def prepared_site(options: Options) -> Path:
    """The Python packages as they go into the image."""

    def make(to: Path) -> None:
        with step("stripping and compiling Python packages"):
            python.prepared(options.site, to, STRIP[options.architecture])

    name = cache.key([HERE / "python.py"], options.site.name)
    return cache.kept(options.cache, f"site-{options.architecture}", name, make)


def prepared_initrd(options: Options, debian: Path) -> Path:
    """It depends on the base alone, and takes long to compress."""
    sources = [HERE / n for n in ("initrd.py", "kernel.py", "slots.py")] + sorted((HERE / "boot").iterdir())

    def make(to: Path) -> None:
        with step("making the initrd"):
            to.mkdir()
            slots.compressed_initrd(debian / "root", to / "initrd")

    name = cache.key(sources, debian.name)
    return cache.kept(options.cache, f"initrd-{options.architecture}", name, make) / "initrd"


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
    except BaseDrift:
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
    if options.architecture not in STRIP:
        raise no_recipe(options.architecture)
    taken.clear()
    os.umask(0o022)  # whoever builds
    options.to.mkdir(parents=True, exist_ok=True)
    signing = options.keys or options.cache / "keys"
    with cache.locked(options.cache / "keys.lock"):
        keys.make(signing)
    debian = prepared_base(options)
    name = f"platen-{options.version}-{options.architecture}"
    made: list[Path] = []
    with cache.workspace(options.cache) as work:
        documents = parts_lists(options, debian)
        slot = slot_images(options, debian, signing, documents, work)
        for document, text in documents.items():
            made.append(options.to / f"{name}.{document}")
            made[-1].write_text(text)
        if options.card:
            made += _card(options, debian, slot, work, options.to / f"{name}.img")
        if options.update:
            made.append(options.to / f"{name}.raucb")
            with step("signing the bundle"):
                more = {"floor": options.floor, "signer": options.signer}
                bundle.write(made[-1], slot["boot"], slot["root"], options.version, signing, **more)
        with step("hashing"):
            files = {p.name: _sha256(p) for p in made}
        built = Built(
            version=options.version,
            root=slot["root"].stat().st_size,
            boot=sum(p.stat().st_size for p in (work / "boot").iterdir()),
            files=files,
            sizes={p.name: p.stat().st_size for p in made},
            seconds=dict(taken),
        )
    (options.to / f"{name}.sha256").write_text("".join(f"{h}  {f}\n" for f, h in files.items()))
    return built


def parts_lists(options: Options, debian: Path) -> dict[str, str]:
    """SBOM in both formats, and the licences, by file name."""
    with step("listing parts and licences"):
        chosen = packages.read_lock((debian / "packages.lock").read_text())
        control = json.loads((debian / "control.json").read_text())
        parts = [
            sbom.own(options.version),
            *sbom.debian(chosen, control, debian / "doc", packages.wanted().boot_packages),
            *sbom.python(options.site, tree.ROOT / "uv.lock"),
        ]
        contents = sbom.Contents(options.version, options.architecture, options.epoch, parts)
        texts = sbom.texts(
            chosen, debian / "doc", debian / "common-licenses", options.site, tree.ROOT / "LICENSE"
        )
        return {"spdx.json": sbom.spdx(contents), "cdx.json": sbom.cyclonedx(contents), "licences.txt": texts}


def slot_images(
    options: Options, debian: Path, signing: Path, documents: dict[str, str], work: Path
) -> dict[str, Path]:
    """`boot` and `root` images of one version."""
    at = work / "tree"
    # In the image they need no version in their names.
    named = {n if n == "licences.txt" else f"sbom.{n}": text for n, text in documents.items()}
    tree.build(
        debian,
        prepared_site(options),
        signing,
        named,
        options.version,
        options.epoch,
        at,
        floor=options.floor,
    )
    if options.overlay is not None:
        shutil.copytree(options.overlay, at, symlinks=True, dirs_exist_ok=True)
    with step("making the root and its hash tree"):
        verity = slots.root_image(at, work / "root.img", options.version, options.epoch)
    ramdisk = prepared_initrd(options, debian)
    with step("making the boot slot"):
        slots.boot_image(debian / "kernel/Image.gz", ramdisk, verity, work / "boot.vfat", options.epoch)
    return {"boot": work / "boot.vfat", "root": work / "root.img"}


def _card(options: Options, debian: Path, slot: dict[str, Path], work: Path, image: Path) -> list[Path]:
    """The card's image, its block map, and the image compressed."""
    with step("writing the card's image"):
        template = (tree.ROOT / "appliance/provision/platen.toml").read_text()
        ramdisk = prepared_initrd(options, debian)
        files = disk.firmware_files(debian, debian / "kernel/Image.gz", ramdisk, template, work / "firmware")
        extents = disk.write(image, files, slot["boot"], slot["root"], options.version, options.epoch)
        (map_ := image.with_suffix(".bmap")).write_text(blockmap.text(image, extents))
    packed = image.with_suffix(".img.zst")
    with step("compressing the image"):
        run("zstd", "-q", "-f", "-10", "-T0", "--long=27", image, "-o", packed)
    return [image, map_, packed]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
