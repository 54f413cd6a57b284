# SPDX-License-Identifier: Apache-2.0
"""What stands at the box and what stands at the dealer, and whether the one is the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from appliance.model.errors import StoreError
from appliance.model.reading import SECTIONS
from appliance.store import outbox, printers
from appliance.store.database import open_database as box_database
from appliance.store.worker import Worker
from demo.stage import Stage
from fleet.store import Reader
from fleet.store import open_database as portal_database


class Count(msgspec.Struct, frozen=True):
    """Addresses of printers that were read, on either side; messages that the box still holds, and that the portal
    took."""

    box: frozenset[str]
    portal: frozenset[str]
    waiting: int
    delivered: int


class Tally:
    """Looks into both databases, without writing to either."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._box = Worker(stage.paths.database, write=False)

    async def count(self) -> Count:
        """Now. A database that is not there yet counts as empty."""
        try:
            box, waiting = await self._box.run(_at_box)
        except StoreError:
            box, waiting = frozenset(), 0
        try:
            portal, delivered = await asyncio.to_thread(
                _at_portal, self._stage.portal_database, self._stage.box_id
            )
        except StoreError:
            portal, delivered = frozenset(), 0
        return Count(box, portal, waiting, delivered)

    async def close(self) -> None:
        await self._box.close()


def _at_box(db: Any) -> tuple[frozenset[str], int]:
    read = {p.address for p in printers.all_printers(db) if p.last_seen is not None}
    return frozenset(read), outbox.count(db)[0]


def _at_portal(path: Path, box: str) -> tuple[frozenset[str], int]:
    if not path.exists():
        return frozenset(), 0
    reader = Reader(path)
    try:
        return frozenset(p.latest.reading.address for p in reader.printers(box)), reader.counts()["messages"]
    finally:
        reader.close()


class Difference(msgspec.Struct, frozen=True):
    """Nothing in `missing`, `twice` and `strange`: the portal holds each of the box's `readings` exactly once.
    `gaps` are numbers of the stream that the portal has never seen, `refused` those it could not take."""

    readings: int
    messages: int
    missing: list[str]
    twice: list[str]
    strange: list[str]
    gaps: list[str]
    refused: int

    @property
    def none(self) -> bool:
        return not (self.missing or self.twice or self.strange or self.gaps or self.refused)


def compare(box: Path, portal: Path, name: str) -> Difference:
    """Every record of the portal's database beside every reading of the box's, each by printer, boot and the monotonic
    moment that it was made at; and the numbers of the stream, which must be whole from the first to the last."""
    # The portal first: what the box says meanwhile may be missing there, but nothing can be there that it never said.
    theirs, seqs, refused = _of_portal(portal, name)
    own, given = _of_box(box)
    return Difference(
        readings=own.total(),
        messages=len(seqs),
        missing=sorted((own - theirs).elements()),
        twice=sorted(k for k, n in theirs.items() if n > max(own[k], 1)),
        strange=sorted(k for k in theirs if k not in own),
        gaps=[str(n) for n in range(1, given + 1) if n not in seqs],
        refused=refused,
    )


def _of_portal(path: Path, box: str) -> tuple[Counter[str], set[int], int]:
    db = portal_database(path, write=False)
    try:
        found: Counter[str] = Counter()
        for printer, kind, body in db.execute(
            "SELECT printer, kind, body FROM records JOIN streams s ON s.id = stream_id WHERE s.box = ?",
            (box,),
        ):
            record = msgspec.json.decode(body)
            stamp = record["stamp"]
            # A change of nothing only says that it was read again; the box keeps the moment and no reading.
            if kind == "full" or record["change"].keys() & set(SECTIONS):
                found[f"{printer} {stamp['boot_id']} {stamp['mono']:.3f} {kind}"] += 1
        rows = db.execute(
            "SELECT seq, refused FROM messages JOIN streams s ON s.id = stream_id WHERE s.box = ?", (box,)
        ).fetchall()
        return found, {row["seq"] for row in rows}, sum(row["refused"] is not None for row in rows)
    finally:
        db.close()


def _of_box(path: Path) -> tuple[Counter[str], int]:
    """Its readings, and the highest number it has given to a message."""
    db = box_database(path, write=False)
    try:
        rows = db.execute(
            "SELECT p.id, b.boot_id, r.mono, CASE WHEN r.base = r.n THEN 'full' ELSE 'change' END"
            " FROM reading r JOIN printer p ON p.no = r.printer JOIN boot b ON b.no = r.boot"
        )
        found = Counter(f"{printer} {boot} {mono:.3f} {kind}" for printer, boot, mono, kind in rows)
        (given,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
        return found, given
    finally:
        db.close()


def listed(addresses: Iterable[str], most: int = 8) -> str:
    """Addresses in their order, the first few of them."""
    ordered = sorted(addresses, key=lambda a: tuple(map(int, a.split("."))))
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more
