# SPDX-License-Identifier: Apache-2.0
"""The kernel: its modules pruned to those that this hardware can need, its image and device trees set aside."""

from __future__ import annotations

import fnmatch
import gzip
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from appliance.model.errors import PlatenError
from image.run import run

BOARDS = (
    "bcm2837-rpi-3-a-plus", "bcm2837-rpi-3-b", "bcm2837-rpi-3-b-plus", "bcm2837-rpi-cm3-io3", "bcm2837-rpi-zero-2-w",
    "bcm2711-rpi-4-b", "bcm2711-rpi-400", "bcm2711-rpi-cm4-io", "bcm2712-rpi-5-b", "bcm2712-d-rpi-5-b",
)  # fmt: skip
"""Device trees that are kept, where the kernel has them."""


def patterns(text: str) -> list[str]:
    """Lines of a list of shell patterns, without comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def dependencies(text: str) -> dict[str, list[str]]:
    """modules.dep: path -> paths it needs (modules.dep(5))."""
    return {m: needs.split() for m, _, needs in (line.partition(":") for line in text.splitlines()) if m}


def closure(keep: Iterable[str], depends: Mapping[str, list[str]]) -> set[str]:
    """Modules that match the patterns `keep` (below kernel/, with or without compression), and what they need."""
    wanted = [f"kernel/{k}" for k in keep]
    todo = [m for m in depends if any(fnmatch.fnmatchcase(m.removesuffix(".xz"), k) for k in wanted)]
    found: set[str] = set()
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += depends[module]
    return found


def release(root: Path) -> str:
    """The one kernel release in the tree, as `uname -r` says it."""
    found = [p.name for p in (root / "usr/lib/modules").iterdir() if p.is_dir()]
    if len(found) != 1:
        raise PlatenError(f"There are {len(found)} kernels in the base", hint="One is wanted", code="bad-base")
    return found[0]


def take(root: Path, to: Path, keep: str) -> None:
    """Moves the kernel and its device trees out of `root` into `to`, and prunes the modules left in `root`."""
    to.mkdir(parents=True)
    version = release(root)
    image = (root / f"boot/vmlinuz-{version}").read_bytes()
    # U-Boot's booti takes a gzip'ed Image; a third of the octets come off the card.
    (to / "Image.gz").write_bytes(image if image[:2] == b"\x1f\x8b" else gzip.compress(image, 9, mtime=0))
    trees = root / f"usr/lib/linux-image-{version}"
    (to / "dtb").mkdir()
    for board in BOARDS:
        for tree in trees.rglob(f"{board}.dtb"):
            shutil.copy(tree, to / "dtb")
    shutil.rmtree(trees)
    modules = root / "usr/lib/modules" / version
    run("depmod", "-b", root, version)
    kept = closure(patterns(keep), dependencies((modules / "modules.dep").read_text()))
    for path in sorted(modules.rglob("*"), reverse=True):
        name = path.relative_to(modules).as_posix()
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name.startswith("kernel/") and name not in kept:
            path.unlink()
    for link in ("build", "source"):
        (modules / link).unlink(missing_ok=True)
    run("depmod", "-b", root, version)
