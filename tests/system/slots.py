# SPDX-License-Identifier: Apache-2.0
"""Partitions taken out of a card, and whether what they hold boots: judged with dosfstools, mtools and veritysetup."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from image import layout
from tests.system.blocklog import SECTOR, Entry

BLOCK = 4096
_PIECE = 4 * 1024 * 1024
PERSONAL = ("platen/box.toml", "platen/ca.crt", "platen/client.crt", "platen/client.key")
_ENV = {
    **os.environ,
    "LC_ALL": "C",
    "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
    "MTOOLS_SKIP_CHECK": "1",
}


def extract(card: int, to: Path, at: int, length: int) -> None:
    """Octets of a card into a file; holes stay holes."""
    with to.open("wb") as file:
        file.truncate(length)
        place, end = at, at + length
        while place < end:
            try:
                data = os.lseek(card, place, os.SEEK_DATA)
                hole = min(os.lseek(card, data, os.SEEK_HOLE), end)
            except OSError:  # ENXIO: nothing but a hole follows
                break
            place = data
            while place < hole:
                piece = os.pread(card, min(_PIECE, hole - place), place)
                file.seek(place - at)
                file.write(piece)
                place += len(piece)


def copy(source: Path, to: Path) -> None:
    """As extract, of a whole file."""
    with source.open("rb") as file:
        extract(file.fileno(), to, 0, source.stat().st_size)


def files(fat: Path) -> dict[str, str]:
    """Digests of all files of a FAT file system, by their path; nothing where it cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        # One by one: mcopy stops at the first that it cannot read, such as one that is just being removed.
        for name in _run("mdir", "-b", "-i", fat, "::/").stdout.decode(errors="replace").splitlines():
            _run("mcopy", "-s", "-n", "-i", fat, name.rstrip("/"), folder)
        return {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(Path(folder).rglob("*"))
            if p.is_file()
        }


class Verity(msgspec.Struct, frozen=True):
    """slot.env's line: blocks of data, the block that the tree begins at, root hash, salt."""

    blocks: int
    tree: int
    hash: str
    salt: str

    @classmethod
    def of(cls, text: str) -> Verity | None:
        """None where the line is not there or is something else."""
        words = text.strip().removeprefix("verity=").split(",")
        if len(words) != 4 or not words[0].isdigit() or not words[1].isdigit():
            return None
        return cls(int(words[0]), int(words[1]), words[2], words[3])


class Slot:
    """`A` or `B` on the card that is replayed."""

    def __init__(self, card: int, name: str, folder: Path) -> None:
        self.name = name
        self._card, self._folder = card, folder
        self._parts = {kind: layout.BY_NAME[f"{kind}_{name.lower()}"] for kind in ("boot", "root")}
        self._writes = {"boot": 0, "root": 0}
        self._pending = 0
        self._known: str | None = None

    @property
    def touched(self) -> bool:
        return any(self._writes.values())

    def wrote(self, entry: Entry) -> None:
        self._pending += 1
        self._known = None
        for kind, part in self._parts.items():
            if entry.sector * SECTOR < part.start + part.size and entry.end * SECTOR > part.start:
                self._writes[kind] += 1

    def flushed(self) -> None:
        self._pending = 0

    def counts(self) -> tuple[int, int]:
        """Writes to the boot and the root partition so far."""
        return self._writes["boot"], self._writes["root"]

    def trouble(self) -> str:
        """Why it would not come up for certain; "" where it does."""
        if self._pending:
            return f"{self._pending} of its writes may be lost"
        if self._known is None:
            self._known = self._look()
        return self._known

    def _look(self) -> str:
        boot, root = self._folder / "boot", self._folder / "root"
        for kind, path in (("boot", boot), ("root", root)):
            extract(self._card, path, self._parts[kind].start, self._parts[kind].size)
        try:
            check = _run("fsck.vfat", "-n", boot)
            if check.returncode:
                return f"its boot partition is damaged: {check.stdout.decode(errors='replace')[-200:]}"
            verity = Verity.of(_run("mtype", "-i", boot, "::/slot.env").stdout.decode(errors="replace"))
            if verity is None:
                return "it holds no slot.env"
            kernel = _run("mtype", "-i", boot, "::/Image.gz").stdout
            if not kernel or _run("gzip", "-t", input=kernel).returncode:
                return "its kernel cannot be unpacked"
            if not _run("mtype", "-i", boot, "::/initrd").stdout:
                return "it holds no initrd"
            done = _run(
                "veritysetup", "verify", root, root, verity.hash, "--no-superblock", "--hash=sha256",
                f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}", f"--data-blocks={verity.blocks}",
                f"--hash-offset={verity.tree * BLOCK}", f"--salt={verity.salt}",
            )  # fmt: skip
            return "its root does not match its hash tree" if done.returncode else ""
        finally:
            for path in (boot, root):
                path.unlink(missing_ok=True)


def _run(*command: str | Path, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    assert shutil.which(command[0], path=_ENV["PATH"]), f"there is no {command[0]} here"
    return subprocess.run(
        [os.fspath(c) for c in command], input=input, capture_output=True, env=_ENV, check=False
    )
