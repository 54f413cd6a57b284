# SPDX-License-Identifier: Apache-2.0
"""A disk image as the builder makes it, as far as personalising it goes: GPT, and an empty FAT16 with `platen/`."""

from __future__ import annotations

import struct
import uuid
import zlib
from pathlib import Path

from image.fat import Fat
from image.layout import BY_NAME

SECTOR = 512
START = 2048
SECTORS = 96 * 2048
"""Of the firmware partition."""


def gpt(names: tuple[str, ...] = tuple(BY_NAME)) -> bytes:
    """The first 34 sectors."""
    table = b""
    for number, name in enumerate(names):
        first = START if name == "firmware" else START + SECTORS + number * 2048
        last = first + (SECTORS if name == "firmware" else 2048) - 1
        kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
        own = uuid.uuid5(uuid.NAMESPACE_DNS, name).bytes_le
        table += kind + own + struct.pack("<QQQ", first, last, 0) + name.encode("utf-16-le").ljust(72, b"\0")
    table = table.ljust(128 * 128, b"\0")
    size = START + SECTORS + 20 * 2048
    head = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, 0, 0, 1, size - 1, 34, size - 34)
    head += bytes(16) + struct.pack("<QIII", 2, 128, 128, zlib.crc32(table))
    head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
    return (bytes(510) + b"\x55\xaa" + head.ljust(SECTOR, b"\0") + table).ljust(34 * SECTOR, b"\0")


def fat16(sectors: int = SECTORS, per_cluster: int = 4) -> bytes:
    """Boot sector, tables and root folder; what follows is zero."""
    reserved, roots = 4, 512
    per_table = -(-(sectors // per_cluster + 2) * 2 // SECTOR)
    boot = b"\xeb\x3c\x90platen  " + struct.pack(
        "<HBHBHHBHHHI", SECTOR, per_cluster, reserved, 2, roots, 0, 0xF8, per_table, 63, 255, 0
    )
    boot += struct.pack("<IBBBI11s8s", sectors, 0x80, 0, 0x29, 1, b"FIRMWARE   ", b"FAT16   ")
    table = struct.pack("<HH", 0xFFF8, 0xFFFF).ljust(per_table * SECTOR, b"\0")
    return (
        boot.ljust(510, b"\0") + b"\x55\xaa" + bytes((reserved - 1) * SECTOR) + table * 2 + bytes(roots * 32)
    )


def make(path: Path, names: tuple[str, ...] = tuple(BY_NAME)) -> Path:
    with path.open("w+b") as file:
        file.write(gpt(names))
        file.seek(START * SECTOR)
        file.write(fat16())
        file.truncate((START + SECTORS + 20 * 2048) * SECTOR)
        Fat(file, START * SECTOR).write("platen/README.txt", b"Here go the dealer's files.\r\n")
    return path


def fat(path: Path) -> Fat:
    """To be read by a test while nothing writes."""
    return Fat(path.open("rb"), START * SECTOR)
