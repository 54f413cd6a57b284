# SPDX-License-Identifier: Apache-2.0
"""Files on a FAT16 or FAT32 file system inside an image file or a card, without mounting it.

Small and our own, because a dealer's Windows or Mac has neither mtools nor a way to mount a partition of an image
file, and the library there is for it (pyfatfs) stands on PyFilesystem, which wants the pkg_resources that
setuptools no longer has. It knows what we need: folders, long names, whole files written and removed. Both copies of
the table are kept the same; data is written before the table, the table before the name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from appliance.model.errors import CardError

SECTOR = 512
MOST = 1024 * 1024
"""Octets of a file that is read; ours are small."""

_FOLDER, _VOLUME, _LONG, _ARCHIVE = 0x10, 0x08, 0x0F, 0x20
# Nothing is gained by telling when a card was written; 1 January 2026 (46 years after 1980), as in the image.
_DATE = 46 << 9 | 1 << 5 | 1


class Entry(msgspec.Struct, frozen=True):
    """A name in a folder. `slots`: octet offsets of its directory entries, long ones first."""

    name: str
    folder: bool
    cluster: int
    size: int
    slots: list[int]


def _unreadable(why: str) -> CardError:
    return CardError(
        f"The firmware partition cannot be read: {why}",
        hint="Check it with fsck.vfat, or write the image anew",
        code="card-unreadable",
    )


class Fat:
    """The file system at octet `at` of `file`."""

    def __init__(self, file: BinaryIO, at: int) -> None:
        self._file, self._at = file, at
        boot = self._read(0, SECTOR)
        sector, per_cluster, reserved, tables, roots, small = struct.unpack_from("<HBHBHH", boot, 11)
        (per_table, total) = struct.unpack_from("<H", boot, 22)[0], struct.unpack_from("<I", boot, 32)[0]
        per_table = per_table or struct.unpack_from("<I", boot, 36)[0]
        if boot[510:] != b"\x55\xaa" or sector != SECTOR or per_cluster not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise _unreadable("it is no FAT file system")
        if tables not in (1, 2) or not reserved or not per_table:
            raise _unreadable("its boot sector is damaged")
        self._root_at = (reserved + tables * per_table) * SECTOR
        self._data_at: int = self._root_at + roots * 32
        self._cluster: int = per_cluster * SECTOR
        count = ((small or total) * SECTOR - self._data_at) // self._cluster
        if not 4_085 <= count < 0x0FFFFFF0:
            raise _unreadable("it is FAT12, or damaged")
        self._wide = count >= 65_525
        self._last: int = count + 1
        self._root_size = roots * 32
        self._root = struct.unpack_from("<I", boot, 44)[0] if self._wide else 0
        self._tables = [(reserved + n * per_table) * SECTOR for n in range(tables)]
        self._info = struct.unpack_from("<H", boot, 48)[0] * SECTOR if self._wide else 0
        kind, form = (4, "I") if self._wide else (2, "H")
        if (count + 2) * kind > per_table * SECTOR:
            raise _unreadable("its table is too short")
        raw = self._read(self._tables[0], (count + 2) * kind)
        self._table: list[int] = list(struct.unpack(f"<{count + 2}{form}", raw))

    # -- what others see

    def entries(self, path: str = "") -> list[Entry]:
        """Of a folder; none where there is no such folder."""
        found = self._find(path) if path else Entry("", True, self._root, 0, [])
        return list(self._listed(found.cluster)) if found and found.folder else []

    def exists(self, path: str) -> bool:
        return self._find(path) is not None

    def read(self, path: str) -> bytes | None:
        """The file's octets; None where there is no such file."""
        found = self._find(path)
        if found is None or found.folder:
            return None
        if found.size > MOST:
            raise _unreadable(f"{path} is larger than {MOST} octets")
        data = b"".join(self._read(self._where(c), self._cluster) for c in self._chain(found.cluster))
        if len(data) < found.size:
            raise _unreadable(f"{path} is cut off")
        return data[: found.size]

    def write(self, path: str, data: bytes) -> None:
        """The file with this content; folders on the way are made."""
        folder, _, name = path.rpartition("/")
        parent = self._folder(folder)
        self.remove(path)
        self._add(parent, name, self._store(data), len(data), _ARCHIVE)

    def remove(self, path: str) -> None:
        """The file overwritten and its name gone; nothing where there is none."""
        found = self._find(path)
        if found is None:
            return
        if found.folder:
            for entry in self.entries(path):
                if entry.name not in (".", ".."):
                    self.remove(f"{path}/{entry.name}")
        chain = self._chain(found.cluster)
        for slot in found.slots:
            self._write(slot, b"\xe5")
        for cluster in chain:
            self._write(self._where(cluster), bytes(self._cluster))
        self._set(dict.fromkeys(chain, 0))

    # -- folders

    def _find(self, path: str) -> Entry | None:
        found = Entry("", True, self._root, 0, [])
        for part in path.split("/"):
            if not found.folder:
                return None
            inside = {e.name.lower(): e for e in self._listed(found.cluster)}
            if part.lower() not in inside:
                return None
            found = inside[part.lower()]
        return found

    def _folder(self, path: str) -> int:
        """Its first cluster; made where it is missing."""
        if not path:
            return self._root
        found = self._find(path)
        if found is not None:
            if not found.folder:
                raise _unreadable(f"{path} is a file")
            return found.cluster
        above, _, name = path.rpartition("/")
        parent = self._folder(above)
        cluster = self._store(bytes(self._cluster))
        # The root is called 0 even where it has a cluster.
        up = 0 if parent == self._root else parent
        dots = self._short(b".          ", cluster, 0, _FOLDER) + self._short(b"..         ", up, 0, _FOLDER)
        self._write(self._where(cluster), dots)
        self._add(parent, name, cluster, 0, _FOLDER)
        return cluster

    def _slots(self, cluster: int) -> Iterator[int]:
        """Octet offsets of a folder's entries."""
        if cluster == 0 and not self._wide:
            yield from range(self._root_at, self._root_at + self._root_size, 32)
        else:
            for part in self._chain(cluster):
                yield from range(self._where(part), self._where(part) + self._cluster, 32)

    def _listed(self, folder: int) -> Iterator[Entry]:
        long: list[tuple[int, bytes]] = []
        for slot in self._slots(folder):
            raw = self._read(slot, 32)
            if raw[0] == 0:
                return
            if raw[0] == 0xE5:
                long = []
            elif raw[11] == _LONG:
                long.append((slot, raw[1:11] + raw[14:26] + raw[28:32]))
            else:
                if not raw[11] & _VOLUME:
                    high, low, size = *struct.unpack_from("<H", raw, 20), *struct.unpack_from("<HI", raw, 26)
                    name = b"".join(part for _, part in reversed(long)).decode("utf-16-le", "replace")
                    yield Entry(
                        name.partition("\0")[0] or _shown(raw),
                        bool(raw[11] & _FOLDER),
                        (high << 16 | low) if self._wide else low,
                        size,
                        [*(s for s, _ in long), slot],
                    )
                long = []

    def _add(self, folder: int, name: str, cluster: int, size: int, kind: int) -> None:
        taken = {self._read(e.slots[-1], 11) for e in self._listed(folder)}
        short = _short_name(name, taken)
        parts = [self._short(short, cluster, size, kind)]
        check = 0
        for octet in short:
            check = ((check >> 1) + ((check & 1) << 7) + octet) & 0xFF
        units = (name + "\0").encode("utf-16-le") if len(name) % 13 else name.encode("utf-16-le")
        pieces = [units[i : i + 26].ljust(26, b"\xff") for i in range(0, len(units), 26)]
        for number, piece in enumerate(pieces, 1):
            order = number | (0x40 if number == len(pieces) else 0)
            head = (
                bytes((order,)) + piece[:10] + bytes((_LONG, 0, check)) + piece[10:22] + b"\0\0" + piece[22:]
            )
            parts.insert(0, head)
        free = self._room(folder, len(parts))
        # From the last to the first: without all of it there is no name.
        for slot, part in reversed(list(zip(free, parts, strict=True))):
            self._write(slot, part)

    def _room(self, folder: int, wanted: int) -> list[int]:
        run: list[int] = []
        for slot in self._slots(folder):
            run = [*run, slot] if self._read(slot, 1) in (b"\0", b"\xe5") else []
            if len(run) == wanted:
                return run
        if folder == 0:
            raise CardError("The firmware partition's root folder is full", code="card-full")
        last = self._chain(folder)[-1]
        self._set({last: self._store(bytes(self._cluster))})
        return self._room(folder, wanted)

    def _short(self, name: bytes, cluster: int, size: int, kind: int) -> bytes:
        high = cluster >> 16 if self._wide else 0
        return name + struct.pack(
            "<BBBHHHHHHHI", kind, 0, 0, 0, _DATE, _DATE, high, 0, _DATE, cluster & 0xFFFF, size
        )

    # -- clusters

    def _chain(self, first: int) -> list[int]:
        chain: list[int] = []
        seen: set[int] = set()
        end = 0x0FFFFFF8 if self._wide else 0xFFF8
        while first and first < end:
            if first > self._last or first < 2 or first in seen:
                raise _unreadable("a chain of clusters is damaged")
            seen.add(first)
            chain.append(first)
            first = self._table[first] & (0x0FFFFFFF if self._wide else 0xFFFF)
        return chain

    def _store(self, data: bytes) -> int:
        """The first cluster of a new chain that holds it; 0 for nothing."""
        count = -(-len(data) // self._cluster)
        mask = 0x0FFFFFFF if self._wide else 0xFFFF
        free: list[int] = [c for c in range(2, self._last + 1) if not self._table[c] & mask][:count]
        if len(free) < count:
            raise CardError(
                "The firmware partition is full", hint="Remove what does not belong on it", code="card-full"
            )
        for number, cluster in enumerate(free):
            part = data[number * self._cluster : (number + 1) * self._cluster]
            self._write(self._where(cluster), part.ljust(self._cluster, b"\0"))
        end = 0x0FFFFFFF if self._wide else 0xFFFF
        self._set(dict(zip(free, [*free[1:], end], strict=True)) if free else {})
        return free[0] if free else 0

    def _set(self, links: dict[int, int]) -> None:
        size, form = (4, "<I") if self._wide else (2, "<H")
        for cluster, link in links.items():
            self._table[cluster] = (self._table[cluster] & 0xF0000000 | link) if self._wide else link
            for table in self._tables:
                self._write(table + cluster * size, struct.pack(form, self._table[cluster]))
        if self._info and links:
            # The count of free clusters is a hint; "unknown" is always right (FAT specification, FSInfo).
            self._write(self._info + 488, b"\xff" * 8)

    def _where(self, cluster: int) -> int:
        return self._data_at + (cluster - 2) * self._cluster

    def _read(self, at: int, size: int) -> bytes:
        # Raw devices of Windows and macOS take whole sectors only.
        start = (self._at + at) // SECTOR * SECTOR
        skip = self._at + at - start
        self._file.seek(start)
        data = self._file.read(-(-(skip + size) // SECTOR) * SECTOR)[skip : skip + size]
        if len(data) < size:
            raise _unreadable("it ends too early")
        return data

    def _write(self, at: int, data: bytes) -> None:
        start = (self._at + at) // SECTOR * SECTOR
        skip = self._at + at - start
        if skip or len(data) % SECTOR:
            whole = bytearray(self._read(start - self._at, -(-(skip + len(data)) // SECTOR) * SECTOR))
            whole[skip : skip + len(data)] = data
            data = bytes(whole)
        self._file.seek(start)
        self._file.write(data)


def _shown(raw: bytes) -> str:
    """A name without a long one; bits 3 and 4 of octet 12 say lower case (Windows NT)."""
    base, ending = raw[:8].decode("cp437").rstrip(), raw[8:11].decode("cp437").rstrip()
    base = base.lower() if raw[12] & 8 else base
    ending = ending.lower() if raw[12] & 16 else ending
    return f"{base}.{ending}" if ending else base


def _short_name(name: str, taken: set[bytes]) -> bytes:
    """BOX~1.TOM: what a system without long names would see."""
    base, _, ending = name.upper().rpartition(".") if "." in name[1:] else (name.upper(), "", "")
    plain = "".join(c for c in base if c.isascii() and c.isalnum())
    for number in range(1, 1000):
        tail = f"~{number}"
        short = (plain[: 8 - len(tail)] + tail).ljust(8) + "".join(
            c for c in ending if c.isascii() and c.isalnum()
        )[:3].ljust(3)
        if short.encode("ascii", "replace") not in taken:
            return short.encode("ascii", "replace")
    raise CardError(f"There are too many names like {name} on the firmware partition", code="card-full")
