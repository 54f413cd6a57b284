# SPDX-License-Identifier: Apache-2.0
"""What one printer answered, looked up by object: scalars, columns and rows."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from appliance.collector.read import text
from appliance.collector.wire.value import MISSING, Varbind
from appliance.model.reading import Note

Index = tuple[int, ...]

MOST_ROWS = 200
"""No printer has more alerts, trays or supplies; an agent that claims so fills no disk."""


_DIGITS = re.compile(rb"[ \0]*(-?[0-9]{1,19})[ \0]*")


class Values:
    """Varbinds by OID. A value that is not of the type asked for counts as absent and leaves a Note: one bad
    octet costs one field. `charset` is the MIBenum of the printer's texts."""

    def __init__(self, varbinds: Iterable[Varbind], charset: int | None = None) -> None:
        self._by_oid = {v.oid: v for v in varbinds if v.tag not in MISSING}
        self._sorted: list[str] | None = None
        self.charset = charset
        self.notes: list[Note] = []

    def __contains__(self, oid: str) -> bool:
        return oid in self._by_oid

    def get(self, oid: str) -> Varbind | None:
        return self._by_oid.get(oid)

    def integer(self, oid: str) -> int | None:
        """The number at `oid`. Digits in an OCTET STRING count as a number: some agents answer so."""
        found = self._by_oid.get(oid)
        if found is None:
            return None
        value = found.value
        if isinstance(value, int):
            return value
        if isinstance(value, bytes) and (found_digits := _DIGITS.fullmatch(value)):
            return int(found_digits[1])
        self.note("bad-value", f"{oid} is not a number")
        return None

    def octets(self, oid: str) -> bytes | None:
        found = self._by_oid.get(oid)
        if found is None:
            return None
        if isinstance(found.value, bytes):
            return found.value
        self.note("bad-value", f"{oid} holds no octets")
        return None

    def text(self, oid: str) -> str | None:
        """Decoded text; None where absent or empty."""
        found = self._by_oid.get(oid)
        if found is None:
            return None
        if isinstance(found.value, bytes):
            decoded, sure = text.decode(found.value, self.charset)
            if not sure:
                self.note("charset", f"{oid} is in an unnamed character set; shown as Latin-1")
            return decoded or None
        if isinstance(found.value, int):
            return str(found.value)
        self.note("bad-value", f"{oid} is not text")
        return None

    def oid(self, oid: str) -> str | None:
        found = self._by_oid.get(oid)
        return found.value or None if found is not None and isinstance(found.value, str) else None

    def under(self, root: str) -> Iterator[tuple[Index, str]]:
        """(rest of the OID, OID) of everything below `root`, in MIB order."""
        if self._sorted is None:
            self._sorted = sorted(self._by_oid)
        prefix = root + "."
        found = []
        for oid in self._sorted[bisect_left(self._sorted, prefix) :]:
            if not oid.startswith(prefix):
                break
            found.append((tuple(map(int, oid[len(prefix) :].split("."))), oid))
        found.sort()
        yield from found

    def indices(self, entry: str) -> list[Index]:
        """Indices of the rows below a table's entry (every column contributes), in order; MOST_ROWS at the most."""
        found = sorted({rest[1:] for rest, _ in self.under(entry) if len(rest) > 1})
        if len(found) > MOST_ROWS:
            self.note("table-cut", f"{entry} has {len(found)} rows; the first {MOST_ROWS} are shown")
        return found[:MOST_ROWS]

    def note(self, code: str, sentence: str) -> None:
        if len(self.notes) < 32:
            self.notes.append(Note(code, sentence))


class Row:
    """One row of a table: columns of `entry` at `index`."""

    def __init__(self, values: Values, entry: str, index: Index) -> None:
        self._values, self._entry, self.index = values, entry, index
        self._rest = ".".join(map(str, index))

    def oid(self, column: int) -> str:
        return f"{self._entry}.{column}.{self._rest}"

    def integer(self, column: int) -> int | None:
        return self._values.integer(self.oid(column))

    def text(self, column: int) -> str | None:
        return self._values.text(self.oid(column))

    def octets(self, column: int) -> bytes | None:
        return self._values.octets(self.oid(column))

    def keyword(self, column: int, keywords: dict[int, str]) -> str | None:
        number = self.integer(column)
        return None if number is None else keywords.get(number, "unknown")

    @property
    def name(self) -> str:
        return self._rest
