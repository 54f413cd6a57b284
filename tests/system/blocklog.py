# SPDX-License-Identifier: Apache-2.0
"""What a machine wrote to its disk, in order: the log of QEMU's `blklogwrites`, and the card as it was after each part
of it.

The format is that of Linux' dm-log-writes: a sector with magic, version, number of entries and sector size; then, for
each write, a sector with its place, length and flags, followed by what was written (nothing after a discard).
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

SECTOR = 512
MAGIC, VERSION = 0x6A736677736872, 1
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
_KNOWN = FLUSH | FUA | DISCARD | MARK
_SUPER, _ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
_PIECE = 1024 * 1024


class BadLog(Exception):
    """It is no such log."""


class Entry(msgspec.Struct, frozen=True):
    """One request. `sector` and `count` in sectors of 512 octets; `at` is where its data lies in the log."""

    sector: int
    count: int
    flags: int
    at: int

    @property
    def barrier(self) -> bool:
        """What was written before it is on the medium once it is done."""
        return bool(self.flags & FLUSH)

    @property
    def writes(self) -> bool:
        return self.count > 0 and not self.flags & (DISCARD | MARK)

    @property
    def end(self) -> int:
        return self.sector + self.count


def read(path: Path) -> list[Entry]:
    """Every whole entry. The first sector may know of fewer than there are, because QEMU writes it only now and then;
    a last one that QEMU was killed over is left out. BadLog where it is something else."""
    size = path.stat().st_size
    found: list[Entry] = []
    with path.open("rb") as file:
        head = file.read(SECTOR)
        if len(head) < SECTOR:
            raise BadLog(f"{path.name} has no first sector")
        magic, version, told, sector = _SUPER.unpack_from(head)
        if (magic, version) != (MAGIC, VERSION):
            raise BadLog(f"{path.name} is no log of writes")
        if sector != SECTOR:
            raise BadLog(f"{path.name} has sectors of {sector} octets")
        at = SECTOR
        while at + SECTOR <= size:
            file.seek(at)
            place, count, flags, _ = _ENTRY.unpack(file.read(_ENTRY.size))
            if not count and not flags:
                break  # room that was made and not used
            if flags & ~_KNOWN:
                raise BadLog(f"{path.name} is damaged at {at}")
            at += SECTOR
            length = 0 if flags & DISCARD else count * SECTOR
            if at + length > size:
                break
            found.append(Entry(place, count, flags, at))
            at += length
    if len(found) < told:
        raise BadLog(f"{path.name} tells of {told} writes and holds {len(found)}")
    return found


def write(path: Path, entries: Sequence[tuple[int, int, bytes]]) -> None:
    """A log of `(sector, flags, data)`, for tests."""
    with path.open("wb") as file:
        file.write(_SUPER.pack(MAGIC, VERSION, len(entries), SECTOR).ljust(SECTOR, b"\0"))
        for sector, flags, data in entries:
            assert len(data) % SECTOR == 0
            file.write(_ENTRY.pack(sector, len(data) // SECTOR, flags, 0).ljust(SECTOR, b"\0"))
            file.write(data)


class Replay:
    """The card after the first `done` entries of a log. It goes forwards; `card` is a copy that this may write to."""

    def __init__(self, log: Path, card: Path) -> None:
        self.entries = read(log)
        self.done = 0
        self._log = os.open(log, os.O_RDONLY)
        self.card = os.open(card, os.O_RDWR)

    def close(self) -> None:
        os.close(self._log)
        os.close(self.card)

    def to(self, number: int) -> list[Entry]:
        """Applies entries until `number` are; those that were applied."""
        assert self.done <= number <= len(self.entries)
        fresh = self.entries[self.done : number]
        for entry in fresh:
            self.apply(entry, self.card, 0)
        self.done = number
        return fresh

    def data(self, entry: Entry, number: int) -> bytes:
        """One sector of what an entry wrote."""
        return os.pread(self._log, SECTOR, entry.at + number * SECTOR)

    def apply(self, entry: Entry, to: int, base: int, first: int = 0, count: int | None = None) -> None:
        """Writes an entry, or `count` sectors of it from its `first` on, into the file `to`, of which octet 0 is
        octet `base` of the card. A discard leaves the old data: the medium may do so, and so does QEMU."""
        if not entry.writes:
            return
        count = entry.count - first if count is None else count
        at, place, left = entry.at + first * SECTOR, (entry.sector + first) * SECTOR - base, count * SECTOR
        while left:
            data = os.pread(self._log, min(_PIECE, left), at)
            assert data
            # What is zeros in both stays a hole.
            if data.strip(b"\0") or not _hole(to, place, len(data)):
                os.pwrite(to, data, place)
            at, place, left = at + len(data), place + len(data), left - len(data)


def same(one: Path, other: Path) -> bool:
    """Whether two cards hold the same octets; where neither has any, nothing is read."""
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        for at in range(0, one.stat().st_size, _PIECE):
            if _hole(a.fileno(), at, _PIECE) and _hole(b.fileno(), at, _PIECE):
                continue
            if os.pread(a.fileno(), _PIECE, at) != os.pread(b.fileno(), _PIECE, at):
                return False
    return True


def _hole(file: int, at: int, length: int) -> bool:
    try:
        return os.lseek(file, at, os.SEEK_DATA) >= at + length
    except OSError:  # ENXIO: nothing but a hole follows
        return True


def in_flight(entries: Sequence[Entry], number: int) -> list[Entry]:
    """Of the first `number` entries, those writes that no flush has brought onto the medium for certain."""
    pending: list[Entry] = []
    for entry in reversed(entries[:number]):
        if entry.writes and not entry.flags & FUA:
            pending.append(entry)
        if entry.barrier:  # what a flush carries itself comes after it
            break
    return pending[::-1]


def losses(pending: Sequence[Entry], chance: random.Random, most: int) -> Iterator[set[Entry]]:
    """At most `most` different sets of writes that a volatile cache could lose: each alone, everything, any."""
    if not pending:
        return
    seen: set[frozenset[Entry]] = set()
    candidates = [{e} for e in chance.sample(list(pending), min(len(pending), max(most // 2, 1)))]
    candidates.append(set(pending))
    candidates += [{e for e in pending if chance.random() < 0.5} for _ in range(most)]
    for lost in candidates:
        if len(seen) == most:
            return
        if lost and frozenset(lost) not in seen:
            seen.add(frozenset(lost))
            yield lost
