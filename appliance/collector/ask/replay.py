# SPDX-License-Identifier: Apache-2.0
"""Asks a recording instead of the network."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from appliance.collector.wire.value import MISSING, NO_SUCH_INSTANCE, Varbind, oid_key, under
from appliance.model.reading import Traffic


class ReplayAsker:
    """Implements Asker (ask.asker). Nothing is sent, and `traffic` says so."""

    def __init__(self, varbinds: Iterable[Varbind], *, address: str) -> None:
        self.address = address
        self.quirks: set[str] = set()
        self._by_oid = {v.oid: v for v in varbinds}
        self._ordered = sorted((oid_key(v.oid), v) for v in self._by_oid.values() if v.tag not in MISSING)

    @property
    def traffic(self) -> Traffic:
        return Traffic()

    async def get(self, oids: Sequence[str], *, sizes: Sequence[int] = ()) -> list[Varbind]:
        return [self._by_oid.get(o) or Varbind(o, NO_SUCH_INSTANCE, None) for o in oids]

    async def walk(self, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
        found: list[Varbind] = []
        for root in roots:
            at = bisect_left(self._ordered, (oid_key(root),))
            while at < len(self._ordered) and under(self._ordered[at][1].oid, root) and len(found) < most:
                found.append(self._ordered[at][1])
                at += 1
        return found

    async def close(self) -> None:
        return
