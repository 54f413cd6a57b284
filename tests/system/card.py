# SPDX-License-Identifier: Apache-2.0
"""What U-Boot, the kernel and the Pi 3's ROM would find at the beginning of a card, by their own rules. Pure."""

from __future__ import annotations

import binascii
import struct
import uuid
from collections.abc import Callable

import msgspec

from image import layout

SECTOR = 512
Read = Callable[[int, int], bytes]
"""Sectors of a card: the first, and how many."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_PROTECTIVE = 0xEE


class Part(msgspec.Struct, frozen=True):
    """One partition; `start` and `end` in sectors, `end` is the first that is not its own."""

    name: str
    start: int
    end: int
    type: str


class Environment(msgspec.Struct, frozen=True):
    """What boot.cmd has after reading it. `whole`: it could be read."""

    order: tuple[str, ...]
    left: dict[str, int]
    seen: int = 0
    whole: bool = True

    @property
    def slots(self) -> list[str]:
        """Those U-Boot may start, the one it starts first."""
        return [s for s in self.order if self.left.get(s, 0) > 0]


def environment(sector: bytes) -> Environment:
    """As boot.cmd reads it, with its defaults where the CRC does not hold or nothing is said."""
    (crc,) = struct.unpack_from("<I", sector)
    values: dict[str, str] = {}
    if crc == binascii.crc32(sector[4 : layout.ENV_SIZE]):
        text = sector[4 : layout.ENV_SIZE].split(b"\0\0")[0].decode("ascii", "replace")
        values = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    if not values.get("BOOT_ORDER", "").strip():
        return Environment(("A", "B"), {"A": layout.COMMITTED, "B": layout.COMMITTED}, whole=False)
    left = {s: _number(values.get(f"BOOT_{s}_LEFT", "")) for s in ("A", "B")}
    return Environment(tuple(values["BOOT_ORDER"].split()), left, _number(values.get("BOOT_SEEN", "")))


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def table(read: Read, sectors: int) -> list[Part] | None:
    """The partitions as U-Boot finds them, and the kernel with `gpt` on its command line: by the first table, or where
    that does not hold, by the copy in the card's last sector. None where neither holds."""
    return _table(read, 1) or _table(read, sectors - 1)


def _table(read: Read, at: int) -> list[Part] | None:
    raw = read(at, 1)
    (magic, _, size, crc, _, mine, _, _, _, _, entries, count, width, sum_) = _HEADER.unpack_from(raw)
    if magic != b"EFI PART" or mine != at or not 92 <= size <= SECTOR or width != 128 or count > 128:
        return None
    if binascii.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        return None
    data = read(entries, -(-count * width // SECTOR))[: count * width]
    if binascii.crc32(data) != sum_:
        return None
    found = []
    for n in range(count):
        entry = data[n * width : (n + 1) * width]
        if entry[:16].strip(b"\0"):
            start, last = struct.unpack_from("<QQ", entry, 32)
            name = entry[56:128].decode("utf-16-le").rstrip("\0")
            found.append(Part(name, start, last + 1, str(uuid.UUID(bytes_le=entry[:16]))))
    return found


def mbr(sector: bytes) -> list[tuple[int, int, int]] | None:
    """Type, first sector and length of each entry of the old table, which the ROM of a Pi 3 reads; None where there is
    none, or none that stands for a GPT."""
    if sector[510:512] != b"\x55\xaa":
        return None
    rows = [struct.unpack_from("<4xB3xII", sector, 446 + 16 * n) for n in range(4)]
    if not any(kind == _PROTECTIVE and start == 1 for kind, start, _ in rows):
        return None
    return [row for row in rows if row[0] not in (0, _PROTECTIVE)]
