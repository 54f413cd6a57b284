# SPDX-License-Identifier: Apache-2.0
"""What goes into a slot: the read-only root with its hash tree, and the boot FAT that knows the tree's root hash."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import uuid
from pathlib import Path

import msgspec

from appliance.model.errors import PlatenError
from image import initrd, layout
from image.run import run

BLOCK = 4096
_STEP = 8 * layout.MIB
_TIME = 1_767_225_600  # 2026-01-01
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


def filesystem(tree: Path, to: Path, epoch: int) -> None:
    """The tree as ext4 that is only ever read: of the formats measured it keeps the most blocks of a version where the
    next one has them too (docs/decisions/0011). For the same reason nothing in its tables tells the version: the UUID
    and all times are the same for all, and there are no checksums of metadata, which dm-verity makes needless."""
    paths = [p.lstat() for p in tree.rglob("*")]
    used = sum(-(-(p.st_size if stat.S_ISREG(p.st_mode) else 1) // BLOCK) * BLOCK for p in paths)
    inodes = (len(paths) // 2048 + 2) * 2048
    # In large steps: block groups and inode tables stay where they are from version to version.
    size = -(-(used + inodes * 256 + used // 64 + 2 * layout.MIB) // _STEP) * _STEP
    to.unlink(missing_ok=True)
    off = ",".join(
        f"^{name}" for name in ("has_journal", "resize_inode", "metadata_csum", "uninit_bg", "orphan_file")
    )
    same = {"SOURCE_DATE_EPOCH": str(_TIME), "E2FSPROGS_FAKE_TIME": str(_TIME)}
    run(
        "mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-m", "0", "-I", "256", "-N", str(inodes), "-O", off,
        "-U", stable_uuid("root"), "-E", f"hash_seed={stable_uuid('hash')},root_owner=0:0,nodiscard",
        "-d", tree, to, f"{size // 1024}k", env=same,
    )  # fmt: skip
    # systemd takes the time of this file for the least that a clock can say.
    if (tree / "usr/lib/clock-epoch").exists():
        run("debugfs", "-w", "-R", f"set_inode_field /usr/lib/clock-epoch mtime @{epoch}", to, env=same)


def root_image(tree: Path, to: Path, version: str, epoch: int) -> Verity:
    """The tree as a read-only file system with its dm-verity tree behind it."""
    filesystem(tree, to, epoch)
    size = -(-to.stat().st_size // BLOCK) * BLOCK
    os.truncate(to, size)
    # The same for all versions: what did not change has the same hashes, and is not fetched again.
    salt = hashlib.sha256(b"platen").hexdigest()
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


def boot_image(kernel: Path, ramdisk: Path, verity: Verity, to: Path, epoch: int) -> None:
    """The slot's FAT: kernel, initrd, and the line that binds them to one root."""
    work = to.parent / "boot"
    work.mkdir(exist_ok=True)
    (work / "slot.env").write_text(f"verity={verity.argument}\n")
    shutil.copyfile(ramdisk, work / "initrd")
    shutil.copyfile(kernel, work / "Image.gz")
    # The largest first: they stay where they are when what follows changes.
    files = [work / name for name in ("Image.gz", "initrd", "slot.env")]
    # No larger than it must be: a bundle's index lists free blocks too.
    least = max(
        sum(p.stat().st_size for p in files) + 2 * layout.MIB, 16 * layout.MIB
    )  # FAT16 wants 4085 clusters
    size = -(-least // (4 * layout.MIB)) * 4 * layout.MIB
    most = layout.BY_NAME["boot_a"].size
    if size > most:
        raise PlatenError(
            f"The boot slot takes {size // layout.MIB} MiB, there are {most // layout.MIB}",
            hint="Leave modules out of the initrd",
            code="boot-too-large",
        )
    fat(to, size, "BOOT", epoch, files)


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


def compressed_initrd(root: Path, to: Path) -> None:
    """The initrd for the kernel of the tree `root`."""
    raw = to.with_name("initrd.cpio")
    raw.write_bytes(initrd.build(root))
    run("zstd", "-q", "-f", "-19", "--no-check", raw, "-o", to)
    raw.unlink()
