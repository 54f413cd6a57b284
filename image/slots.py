# SPDX-License-Identifier: Apache-2.0
"""What goes into a slot: the read-only root with its hash tree, and the boot FAT that knows the tree's root hash."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from pathlib import Path

import msgspec

from appliance.model.errors import PlatenError
from image import initrd, layout
from image.run import run

BLOCK = 4096
_HASH = re.compile(r"Root hash:\s+([0-9a-f]{64})")


class Verity(msgspec.Struct, frozen=True):
    """What dm-verity's table needs; counts are in blocks of 4096 octets."""

    blocks: int
    tree: int
    root_hash: str
    salt: str

    @property
    def argument(self) -> str:
        return f"{self.blocks},{self.tree},{self.root_hash},{self.salt}"


def stable_uuid(*words: str) -> str:
    """The same for the same words: nothing in an image is left to chance."""
    return str(uuid.uuid5(uuid.UUID(layout.EPOCH_UUID), "/".join(words)))


def root_image(tree: Path, to: Path, version: str, epoch: int) -> Verity:
    """The tree as a read-only file system with its dm-verity tree behind it."""
    to.unlink(missing_ok=True)
    run(
        "mkfs.erofs", "--quiet", f"-T{epoch}", f"-U{stable_uuid('root', version)}", "-x-1", "-Enoinline_data,force-inode-compact",
        to, tree,
    )  # fmt: skip
    size = -(-to.stat().st_size // BLOCK) * BLOCK
    os.truncate(to, size)
    salt = hashlib.sha256(f"platen {version}".encode()).hexdigest()
    said = run(
        "veritysetup", "format", f"--hash-offset={size}", f"--data-blocks={size // BLOCK}", f"--salt={salt}",
        f"--uuid={stable_uuid('verity', version)}", to, to,
    )  # fmt: skip
    found = _HASH.search(said)
    assert found is not None, said
    whole = -(-to.stat().st_size // BLOCK) * BLOCK
    os.truncate(to, whole)
    most = layout.BY_NAME["root_a"].size
    if whole > most:
        raise PlatenError(
            f"The root takes {whole // layout.MIB} MiB, its slot holds {most // layout.MIB}",
            hint="Leave something out, or enlarge the slots before the first card is shipped",
            code="root-too-large",
        )
    # The superblock of the tree takes one block; the table wants the block where the hashes begin.
    return Verity(size // BLOCK, size // BLOCK + 1, found[1], salt)


def boot_image(kernel: Path, ramdisk: bytes, verity: Verity, to: Path, epoch: int) -> None:
    """The slot's FAT: kernel, initrd, and the line that binds them to one root."""
    work = to.parent / "boot"
    work.mkdir(exist_ok=True)
    (work / "slot.env").write_text(f"verity={verity.argument}\n")
    (work / "initrd").write_bytes(ramdisk)
    fat(to, layout.BY_NAME["boot_a"].size, "BOOT", epoch, [kernel, work / "initrd", work / "slot.env"])


def fat(to: Path, size: int, label: str, epoch: int, files: list[Path]) -> None:
    """A FAT file system of `size` octets with these files and folders in its root."""
    to.unlink(missing_ok=True)
    with to.open("wb") as file:
        file.truncate(size)
    serial = hashlib.sha256(f"{label} {epoch}".encode()).hexdigest()[:8]
    env = {"SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC"}
    run("mkfs.vfat", "-F32" if size > 64 * layout.MIB else "-F16", "-n", label, "-i", serial, to, env=env)
    for file_ in files:
        for path in [file_, *file_.rglob("*")] if file_.is_dir() else [file_]:
            os.utime(path, (epoch, epoch))
        run("mcopy", "-s", "-m", "-i", to, file_, "::", env=env)


def compressed_initrd(root: Path) -> bytes:
    raw = initrd.build(root)
    work = Path(os.environ.get("TMPDIR", "/tmp")) / f"initrd-{os.getpid()}"
    work.write_bytes(raw)
    try:
        run("zstd", "-q", "-f", "-19", "--no-check", work, "-o", f"{work}.zst")
        return Path(f"{work}.zst").read_bytes()
    finally:
        work.unlink()
        Path(f"{work}.zst").unlink(missing_ok=True)
