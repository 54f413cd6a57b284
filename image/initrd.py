# SPDX-License-Identifier: Apache-2.0
"""Our own initrd: busybox, dmsetup, fw_setenv, a few modules and one script. The same on every board."""

from __future__ import annotations

import lzma
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from image import kernel
from image.run import run

_BOOT = Path(__file__).parent / "boot"
_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]")
_INTERPRETER = re.compile(r"program interpreter: ([^\]]+)\]")


class Archive:
    """A cpio archive in the "newc" format (kernel: initramfs buffer format), sorted and without times."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes, tuple[int, int]]] = {}

    def __contains__(self, path: str) -> bool:
        return path.strip("/") in self._entries

    def add(self, path: str, data: bytes, mode: int = 0o644, device: tuple[int, int] = (0, 0)) -> None:
        """A file (or whatever `mode` says) and the directories above it."""
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._entries:
            self.add(parent, b"", stat.S_IFDIR | 0o755)
        if not stat.S_IFMT(mode):
            mode |= stat.S_IFREG
        self._entries[path] = (mode, data, device)

    def packed(self) -> bytes:
        out = bytearray()
        for inode, path in enumerate(sorted(self._entries), 1):
            mode, data, device = self._entries[path]
            out += _entry(inode, path, mode, data, device)
        out += _entry(0, "TRAILER!!!", 0, b"", (0, 0))
        return bytes(out)


def _entry(inode: int, path: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def build(root: Path) -> bytes:
    """The initrd for the kernel in the tree `root`, not yet compressed."""
    archive = Archive()
    for name in ("lib", "sbin"):
        archive.add(name, f"usr/{name}".encode() if name == "lib" else b"bin", stat.S_IFLNK | 0o777)
    for program, to in (("busybox", "bin/busybox"), ("dmsetup", "bin/dmsetup"), ("fw_setenv", "bin/fw_setenv")):
        _program(archive, root, program, to)
    _modules(archive, root)
    for name, to, mode in (
        ("init.sh", "init", 0o755),
        ("rescue.sh", "rescue/rescue.sh", 0o644),
        ("lease", "rescue/lease", 0o755),
        ("rescue.html", "rescue/www/index.html", 0o644),
        ("again", "rescue/www/cgi-bin/again", 0o755),
    ):
        archive.add(to, (_BOOT / name).read_bytes(), mode)
    archive.add("etc/mtab", b"../proc/mounts", stat.S_IFLNK | 0o777)
    archive.add("dev/console", b"", stat.S_IFCHR | 0o600, (5, 1))
    return archive.packed()


def _program(archive: Archive, root: Path, name: str, to: str) -> None:
    """A program of the tree with the libraries it is linked against."""
    found = next(p for d in ("usr/bin", "usr/sbin") if (p := root / d / name).exists())
    archive.add(to, _inside(root, found).read_bytes(), 0o755)
    todo = list(_linked(found, root))
    while todo:
        library = todo.pop()
        if library not in archive:
            path = _inside(root, root / library)
            archive.add(library, path.read_bytes(), 0o755)
            todo += _linked(path, root)


def _linked(path: Path, root: Path) -> Iterable[str]:
    text = run("readelf", "-d", "-l", path)
    folder = next((root / "usr/lib").glob("*-linux-gnu")).relative_to(root)
    for name in _NEEDED.findall(text):
        yield f"{folder}/{name}"
    for interpreter in _INTERPRETER.findall(text):
        yield "usr" + interpreter


def _inside(root: Path, path: Path) -> Path:
    """`path` with its links followed as they will be once `root` is /."""
    while path.is_symlink():
        target = path.readlink()
        path = root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
    return path


def _modules(archive: Archive, root: Path) -> None:
    version = kernel.release(root)
    at = root / "usr/lib/modules" / version
    depends = kernel.dependencies((at / "modules.dep").read_text())
    keep = kernel.patterns((_BOOT / "initrd-modules.txt").read_text())
    kept = kernel.closure(keep, depends)
    folder = f"usr/lib/modules/{version}"
    for module in kept:
        # Unpacked: busybox opens no .xz, and the archive is compressed as a whole.
        archive.add(f"{folder}/{module.removesuffix('.xz')}", lzma.decompress((at / module).read_bytes()))
    lines = [f"{m}: {' '.join(depends[m])}".rstrip() for m in sorted(kept)]
    archive.add(f"{folder}/modules.dep", ("\n".join(lines).replace(".ko.xz", ".ko") + "\n").encode())
    names = {_name(m) for m in kept}
    aliases = (at / "modules.alias").read_text().splitlines()
    archive.add(
        f"{folder}/modules.alias",
        "".join(a + "\n" for a in aliases if a.split()[-1].replace("-", "_") in names).encode(),
    )


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")
