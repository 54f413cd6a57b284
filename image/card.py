# SPDX-License-Identifier: Apache-2.0
"""A Platen image in a file, or the card it was written to: finding its firmware partition and opening that."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from appliance.model.errors import CardError
from image import layout
from image.fat import SECTOR, Fat

_PACKED = {b"\x28\xb5\x2f\xfd": "zstd -d", b"\xfd7zX": "xz -d", b"\x1f\x8b": "gunzip", b"PK\x03\x04": "unzip"}
_MOST_ENTRIES = 256


@contextlib.contextmanager
def opened(path: Path, *, write: bool) -> Iterator[Fat]:
    """The firmware partition of the image or card. Everything written is on the disk when the block ends. CardError
    for what is not ours, is in use, or cannot be reached; nothing is written to it then."""
    try:
        with _opened(path, write) as file:
            yield Fat(file, firmware(file))
            file.flush()
            if write:
                os.fsync(file.fileno())
    except OSError as e:
        raise _unreachable(path, e) from None


@contextlib.contextmanager
def _opened(path: Path, write: bool) -> Iterator[BinaryIO]:
    flags = (os.O_RDWR if write else os.O_RDONLY) | getattr(os, "O_BINARY", 0)
    device = not str(path).startswith("\\\\") and stat.S_ISBLK(path.stat().st_mode)
    if device and write and sys.platform == "linux":
        # On Linux O_EXCL means here: not while it, or a partition of it, is mounted (open(2)).
        flags |= os.O_EXCL
    with open(os.open(path, flags), "r+b" if write else "rb", buffering=0) as file:
        yield file  # a RawIOBase reads and writes as much as it is asked to on files and disks


def _unreachable(path: Path, error: OSError) -> CardError:
    if error.errno == errno.EBUSY:
        return CardError(
            f"{path} is in use",
            hint="Unmount all of its partitions ('umount' or 'Eject'), then try again",
            code="card-in-use",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return CardError(
            f"{path} may not be opened by you", hint="Cards take root: try 'sudo'", code="card-refused"
        )
    return CardError(
        f"{path} cannot be read or written: {error.strerror or error}",
        hint="Check the path and the card",
        code="card-unreadable",
    )


def firmware(file: BinaryIO) -> int:
    """Octets before the firmware partition, by the GPT (UEFI 2.10, 5.3)."""
    file.seek(0)
    head = file.read(2 * SECTOR)
    for magic, command in _PACKED.items():
        if head.startswith(magic):
            raise CardError(
                "The image is compressed", hint=f"Unpack it first: {command}", code="image-packed"
            )
    header = head[SECTOR:]
    if len(head) < 2 * SECTOR or header[:8] != b"EFI PART":
        raise CardError("This has no GPT, so it is no Platen image")
    size, crc = struct.unpack_from("<I", header, 12)[0], struct.unpack_from("<I", header, 16)[0]
    at, count, length, entries_crc = struct.unpack_from("<QIII", header, 72)
    if not 92 <= size <= SECTOR or zlib.crc32(header[:16] + bytes(4) + header[20:size]) != crc:
        raise CardError("The partition table is damaged", hint="Write the image anew", code="card-unreadable")
    if not (0 < count <= _MOST_ENTRIES and length in (128, 256)):
        raise CardError("The partition table is damaged", hint="Write the image anew", code="card-unreadable")
    file.seek(at * SECTOR)
    table = file.read(-(-count * length // SECTOR) * SECTOR)[: count * length]
    if zlib.crc32(table) != entries_crc:
        raise CardError("The partition table is damaged", hint="Write the image anew", code="card-unreadable")
    found: dict[str, int] = {}
    for number in range(count):
        entry = table[number * length : (number + 1) * length]
        if any(entry[:16]):
            name = entry[56:128].decode("utf-16-le", "replace").partition("\0")[0]
            found.setdefault(name, struct.unpack_from("<Q", entry, 32)[0] * SECTOR)
    missing = [n for n in layout.BY_NAME if n not in found]
    if missing:
        raise CardError(f"This is no Platen image: it has no partition {missing[0]}")
    return found["firmware"]
