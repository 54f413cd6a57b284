# SPDX-License-Identifier: Apache-2.0
"""What an update costs on the line, by the format of the root slot: `PLATEN_MODULE=benchmarks.slots tools/image`.

A box fetches those 4 KiB blocks of the new images that neither of its slots has (RAUC's block-hash-index). They come
out of the bundle's squashfs in whole compressed blocks, with dm-verity's hashes for what is read, and the index is
fetched first. All of that is counted; HTTP's own headers are not.

The changes are real: 40 of our modules edited, and the packages that Debian's security and updates suites hold today
against the point release before them, with the kernel and without."""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import zstandard

from image import base, build, cache, cli_build, packages, python, slots, tree
from image.progress import note, step
from image.run import run

HASH = 32
MODULES = 40
Make = Callable[[Path, Path], None]


def erofs(*options: str) -> Make:
    def make(at: Path, to: Path) -> None:
        common = ("-T1", f"-U{slots.stable_uuid('bench')}", "-x-1", "-Enoinline_data,force-inode-compact")
        run("mkfs.erofs", "--quiet", *common, *options, to, at)

    return make


def ext4(at: Path, to: Path) -> None:
    used = sum(-(-p.lstat().st_size // 4096) * 4096 + 512 for p in at.rglob("*"))
    env = {"SOURCE_DATE_EPOCH": "1", "E2FSPROGS_FAKE_TIME": "1"}
    fixed = f"hash_seed={slots.stable_uuid('seed')},root_owner=0:0"
    run(
        "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal,^metadata_csum_seed",
        "-U", slots.stable_uuid("bench"), "-E", fixed, "-d", at, to, f"{int(used * 1.04) // 1024}k", env=env,
    )  # fmt: skip


def squashfs(at: Path, to: Path) -> None:
    run(
        "mksquashfs",
        at,
        to,
        "-quiet",
        "-no-progress",
        "-noappend",
        "-comp",
        "zstd",
        env={"SOURCE_DATE_EPOCH": "1"},
    )


FORMATS: dict[str, Make] = {
    "erofs": erofs(),
    "erofs lz4hc": erofs("-zlz4hc", "-C65536"),
    "ext4": ext4,
    "squashfs zstd": squashfs,
}


def with_tree(image: Path) -> None:
    """Appends the dm-verity tree, as every format needs one."""
    size = -(-image.stat().st_size // 4096) * 4096
    os.truncate(image, size)
    run(
        "veritysetup", "format", f"--hash-offset={size}", f"--data-blocks={size // 4096}", f"--salt={'00' * 32}",
        f"--uuid={slots.stable_uuid('bench')}", image, image,
    )  # fmt: skip
    os.truncate(image, -(-image.stat().st_size // 4096) * 4096)


def hashes(*images: Path) -> set[bytes]:
    found = {hashlib.sha256(bytes(4096)).digest()}
    for image in images:
        with image.open("rb") as file:
            while data := file.read(4096):
                found.add(hashlib.sha256(data.ljust(4096, b"\0")).digest())
    return found


class Packed:
    """An image as the bundle's squashfs holds it: in blocks of `size` octets, each compressed or, if that does not
    help, as it is; blocks of zeros take nothing."""

    def __init__(self, image: Path, size: int, level: int) -> None:
        self.image, self.size, self.level = image, size, level
        blocks = -(-image.stat().st_size // size)
        with ThreadPoolExecutor(2) as pool:
            self.octets = list(pool.map(self._one, range(blocks), chunksize=64))

    def _one(self, number: int) -> int:
        with self.image.open("rb") as file:
            file.seek(number * self.size)
            data = file.read(self.size)
        if not data.strip(b"\0"):
            return 0
        return min(len(data), len(zstandard.ZstdCompressor(level=self.level).compress(data)))

    @property
    def index(self) -> int:
        """Octets of the block-hash-index, which does not compress."""
        return -(-self.image.stat().st_size // 4096) * HASH

    @property
    def whole(self) -> int:
        return sum(self.octets) + self.index

    def fetched(self, known: set[bytes]) -> int:
        """Octets that a box with `known` blocks fetches."""
        wanted: set[int] = set()
        with self.image.open("rb") as file:
            at = 0
            while data := file.read(4096):
                if hashlib.sha256(data.ljust(4096, b"\0")).digest() not in known:
                    wanted.add(at // self.size)
                at += len(data)
        # A range is read in whole blocks of the device that the squashfs lies on.
        octets = sum(-(-(self.octets[n] + 2048) // 4096) * 4096 for n in wanted if self.octets[n])
        octets += self.index
        return octets + octets // 128  # one hash of dm-verity for each 4096 octets


def edit(at: Path) -> None:
    """Changes the largest of our modules, in the middle, and compiles them anew."""
    found = sorted((at / tree.LIB / "appliance").rglob("*.py"), key=lambda p: (-p.stat().st_size, p))
    for number, module in enumerate(found[:MODULES]):
        lines = module.read_text().splitlines(keepends=True)
        body = ast.parse("".join(lines)).body
        middle = body[len(body) // 2]
        where = min([middle.lineno, *(d.lineno for d in getattr(middle, "decorator_list", ()))]) - 1
        lines.insert(where, f'_EDITED = "a change of a line or two in this module, the {number}th of them"\n')
        module.write_text("".join(lines))
    python.byte_code(at / tree.LIB / "appliance", f"/{tree.LIB}/appliance")


def bases(options: build.Options) -> tuple[dict[str, Path], list[str]]:
    """The Debian part of today, of the point release before, and of that with today's kernel; and what differs."""
    want = packages.wanted()
    with cache.locked(options.cache / "base-arm64.lock"):
        new = packages.Apt(options.cache / "apt-arm64", "arm64", want)
        note("asking the mirror")
        new.update()
        today = new.resolve(want.packages + want.boot_packages)
        new.fetch(today, options.cache / "debs")
        old = packages.Apt(options.cache / "apt-arm64-release", "arm64", want, suites={want.suite})
        old.update()
        before = old.resolve(want.packages + want.boot_packages)
        old.fetch(before, options.cache / "debs")
    mixed = [p for p in before if not p.name.startswith("linux-")] + [
        p for p in today if p.name.startswith("linux-")
    ]
    made = {}
    sources = [Path(m.__file__ or "") for m in (base, packages, python, slots)]
    for name, chosen in (("today", today), ("before", before), ("before, kernel of today", sorted(mixed))):

        def make(to: Path, chosen: list[packages.Package] = chosen) -> None:
            base.build(chosen, options.cache / "debs", want, to)
            slots.compressed_initrd(to / "root", to / "initrd")

        key = cache.key(sources, packages.write_lock(chosen))
        made[name] = cache.kept(options.cache, "base-arm64-bench", key, make)
    return made, packages.drift(before, today)


def measure(options: build.Options, work: Path, block_sizes: list[int], level: int) -> dict[str, Any]:
    debian, differs = bases(options)
    site = build.prepared_site(options)
    trees: dict[str, Path] = {}
    boots: dict[str, Path] = {}
    for name, of, version in (
        ("release", "today", "0.1.1"),
        ("same base", "today", "0.1.0"),
        ("edited", "today", "0.1.1"),
        ("old base", "before", "0.1.0"),
        ("old base, kernel of today", "before, kernel of today", "0.1.0"),
    ):
        trees[name] = work / f"tree {name}"
        tree.build(
            debian[of], site, options.keys or options.cache / "keys", {}, version, options.epoch, trees[name]
        )
        if name == "edited":
            edit(trees[name])
        verity = slots.Verity(1, 2, hashlib.sha256(name.encode()).hexdigest(), "00" * 32)
        boots[name] = work / f"boot {name}"
        slots.boot_image(
            debian[of] / "kernel/Image.gz", debian[of] / "initrd", verity, boots[name], options.epoch
        )
    cases = {
        "application": ("edited", "same base"),
        "security": ("release", "old base, kernel of today"),
        "security and kernel": ("release", "old base"),
    }
    rows = []
    for format_, make in FORMATS.items():
        roots = {name: work / f"root {name}" for name in trees}
        with step(f"{format_}: making images"):
            for name, at in trees.items():
                roots[name].unlink(missing_ok=True)
                make(at, roots[name])
                with_tree(roots[name])
        for size in block_sizes:
            row: dict[str, Any] = {
                "format": format_,
                "bundle_block": size,
                "root": roots["release"].stat().st_size,
            }
            with step(f"{format_}: measuring with {size // 1024} KiB"):
                kinds = {"root": roots, "boot": boots}
                packed = {
                    (n, k): Packed(kinds[k][n], size, level) for k in kinds for n in ("release", "edited")
                }
                row["bundle"] = packed["release", "root"].whole + packed["release", "boot"].whole
                for case, (new, old) in cases.items():
                    octets = sum(packed[new, k].fetched(hashes(kinds[k][old])) for k in kinds)
                    row[case] = {"octets": octets, "share": round(octets / row["bundle"], 4)}
            rows.append(row)
            note(json.dumps(row))
    return {"name": "slots", "changed_packages": differs, "compression_level": level, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--block", type=int, action="append", metavar="KIB", help="of the bundle (default: 64)"
    )
    parser.add_argument("--level", type=int, default=15, help="of zstd (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=FORMATS, help="formats (default: all)")
    args = parser.parse_args()
    for name in set(FORMATS) - set(args.only or FORMATS):
        del FORMATS[name]
    options = build.Options(**cli_build.environment(), to=Path("build/image"))
    with cache.workspace(options.cache) as work:
        found = measure(options, work, [size * 1024 for size in args.block or [64]], args.level)
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
