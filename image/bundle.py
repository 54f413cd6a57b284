# SPDX-License-Identifier: Apache-2.0
"""A signed update in RAUC's verity format, with block hashes so that a box fetches only what it does not have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from image import layout
from image.run import run

MANIFEST = """\
[update]
compatible={compatible}
version={version}

[bundle]
format=verity

[image.boot]
filename=boot.vfat
adaptive=block-hash-index

[image.rootfs]
filename=root.img
adaptive=block-hash-index

[meta.platen]
floor={floor}
"""


def write(
    to: Path,
    boot: Path,
    root: Path,
    version: str,
    keys: Path,
    *,
    floor: str = "0.0.0",
    signer: str = "root-1-signer",
    compatible: str = layout.COMPATIBLE,
) -> None:
    """`floor` is the lowest version that a box which confirmed this one will ever install again."""
    work = root.parent / "bundle"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for source, name in ((boot, "boot.vfat"), (root, "root.img")):
        os.link(source, work / name)
    manifest = MANIFEST.format(compatible=compatible, version=version, floor=floor)
    (work / "manifest.raucm").write_text(manifest)
    to.unlink(missing_ok=True)
    # Small blocks: an adaptive download fetches whole ones.
    pack = "-comp zstd -Xcompression-level 15 -b 64K"
    run(
        "rauc", "bundle", f"--mksquashfs-args={pack}", f"--cert={keys / signer}.crt", f"--key={keys / signer}.key",
        work, to,
    )  # fmt: skip
    shutil.rmtree(work)
