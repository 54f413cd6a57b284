# SPDX-License-Identifier: Apache-2.0
"""Walking without GETBULK: several GETNEXTs in one packet, each in a span of the tree of its own.

A span holds what lies beyond `low` and before `high`. Where steps go from column to column of a table, the rest of
the span is cut at the columns that probably follow, and all are walked at once. A wrong guess costs a varbind, never
an object: the spans always cover the whole tree that was asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from appliance.collector.wire.ber import MOST_ARCS
from appliance.collector.wire.value import MISSING, Varbind, oid_key

AHEAD = 12
"""Columns that are guessed to follow."""
MOST_SPANS = 64
MOST_FAILS = 4
"""Places tried in a column behind an object that cannot be read, before the column is left."""

FAR = 0x7FFF_FFFF
"""An index behind all rows, in an arc that agents with signed arithmetic can read."""

MOST_ARC = 0xFFFF_FFFF

Key = tuple[int, ...]


@dataclass(slots=True)
class Span:
    """Objects after `low` and before `high`. `last` is the newest found in it, `fails` how often it failed since."""

    low: Key
    high: Key
    last: Key | None = None
    fails: int = 0

    @property
    def cursor(self) -> str:
        """The OID to ask the successor of."""
        return ".".join(map(str, self.low))


def after(root: Key) -> Key:
    """The first OID behind everything under `root`."""
    while root and root[-1] >= MOST_ARC:
        root = root[:-1]
    return (*root[:-1], root[-1] + 1) if root else (3,)


class Spans:
    """What is still to be walked, and what was found."""

    def __init__(self, regions: list[tuple[Key, Key]]) -> None:
        """`regions`: (low, high), sorted, apart from each other."""
        self._spans = [Span(low, high) for low, high in regions if low < high]
        self.found: dict[Key, Varbind] = {}

    def next(self, most: int) -> list[Span]:
        """Up to `most` spans to ask next, the earliest first; none when all is done."""
        return self._spans[:most]

    def answer(self, span: Span, asked: Key, varbind: Varbind) -> bool:
        """Take the answer to `asked`, the low end of `span` when it was sent. False where the agent runs backwards
        or in circles; the span then goes on behind that place."""
        if varbind.tag in MISSING:
            self.finish(span)
            return True
        key = oid_key(varbind.oid)
        if key <= asked:
            self.fail(span)
            return False
        if key < span.high:
            self._found(span, key, varbind)
        else:
            # Nothing lies between, so every span that ends before it is done, and it is the first of its own.
            first = self._index(span)
            if first is None:
                return True
            last = bisect_right(self._spans, key, key=lambda s: s.high)
            del self._spans[first:last]
            if first < len(self._spans) and self._spans[first].low < key:
                self._found(self._spans[first], key, varbind)
        return True

    def fail(self, span: Span) -> None:
        """The agent cannot say what follows `span.low`: ask for what follows its first child, then go on a row
        further, then a column, then a table."""
        span.fails += 1
        low = span.low
        if span.fails == 1 and len(low) < MOST_ARCS:
            span.low = (*low, 0)
            return
        low = low if 2 < span.fails <= MOST_FAILS else low[:-1]
        if not low or after(low) >= span.high:
            self.finish(span)
        else:
            span.low = after(low)

    def _found(self, span: Span, key: Key, varbind: Varbind) -> None:
        if key <= span.low:
            return  # another span's answer had it already
        self.found[key] = varbind
        previous, span.low, span.last, span.fails = span.last, key, key, 0
        if previous is None or len(previous) != len(key) or len(self._spans) > MOST_SPANS - AHEAD:
            return
        at = next(i for i, (a, b) in enumerate(zip(previous, key, strict=True)) if a != b)
        if at < len(key) - 1 and key[at] == previous[at] + 1:
            self._cut(span, key[:at], key[at])

    def _cut(self, span: Span, table: Key, column: int) -> None:
        index = self._index(span)
        ahead = range(column + 1, min(column + AHEAD, MOST_ARC) + 1)
        edges = [e for c in ahead if (e := (*table, c)) < span.high]
        if index is None or not edges:
            return
        # Each starts at the far end of the column before its own, or an object named by the edge alone would be lost.
        behind = [
            Span((*edge[:-1], edge[-1] - 1, FAR), high)
            for edge, high in zip(edges, [*edges[1:], span.high], strict=True)
        ]
        span.high = edges[0]
        self._spans[index + 1 : index + 1] = behind

    def _index(self, span: Span) -> int | None:
        return next((i for i, s in enumerate(self._spans) if s is span), None)

    def finish(self, span: Span) -> None:
        """Nothing more lies in `span`."""
        self._spans = [s for s in self._spans if s is not span]
