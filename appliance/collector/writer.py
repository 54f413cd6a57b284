# SPDX-License-Identifier: Apache-2.0
"""What waits in memory to be written, and the one transaction that writes it.

A reading, the outbox row that reports it, the event it caused and the printer's row are committed together: whenever
the process dies, either all of them are there or none. Readings are kept whole until then and compared with what is
on disk at the moment of writing, so a full or busy disk costs moments in between at worst, never what was stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

import msgspec

from appliance.model.clock import Stamp
from appliance.model.errors import StoreError
from appliance.model.messages import Record, Severity
from appliance.model.reading import Reading, difference
from appliance.store import events, outbox, printers, readings
from appliance.store.database import Connection, transaction
from appliance.store.printers import Printer
from appliance.store.worker import Worker

MOST_READINGS = 2_000
MOST_EVENTS = 2_000
"""What is kept while the disk refuses; beyond it, moments between a printer's first and last are left out."""

log = logging.getLogger(__name__)


class Taken(msgspec.Struct, frozen=True):
    """A whole reading (already merged on the one before)."""

    printer: str
    stamp: Stamp
    reading: Reading


class Happened(msgspec.Struct, frozen=True):
    """An event, for the box's own list and for the dealer."""

    stamp: Stamp
    code: str
    severity: Severity
    printer: str | None
    fields: dict[str, str | int | float | bool | None]


class Batch(msgspec.Struct):
    """What one transaction writes."""

    printers: dict[str, Printer] = {}
    readings: list[Taken] = []
    events: list[Happened] = []
    raw: dict[str, tuple[str, Sequence[tuple[str, int, object]]]] = {}

    def __bool__(self) -> bool:
        return bool(self.printers or self.readings or self.events or self.raw)


class Told(msgspec.Struct):
    """What the disk and the dealer know of a printer: the last reading written, and the last one reported."""

    stored: Reading
    reported: Reading
    reported_at: float


class Writer:
    """Collects news and writes it when `commit` is called. One instance per database; it is the only one that
    writes printers, readings, raw values and events."""

    def __init__(self, worker: Worker, box: str) -> None:
        self.confirm_s = 3600.0
        """An unchanged printer is reported to the dealer again only after so long."""
        self.left_out = 0
        """Readings that found no room while the disk refused."""
        self.hurry = asyncio.Event()
        """Set where something waits that should not wait for `store.commit_s`."""
        self._worker, self._box = worker, box
        self._told: dict[str, Told] = {}
        self._waiting = Batch()
        self._lock = asyncio.Lock()

    def __len__(self) -> int:
        """How many readings and events wait."""
        return len(self._waiting.readings) + len(self._waiting.events)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def load(self) -> dict[str, Reading]:
        """The last reading of every printer, from disk."""
        latest = await self._worker.run(readings.all_latest)
        self._told = {p: Told(r, r, float("-inf")) for p, r in latest.items()}
        return latest

    def printer(self, row: Printer) -> None:
        self._waiting.printers[row.id] = row

    def reading(self, printer: str, stamp: Stamp, reading: Reading) -> None:
        self._waiting.readings.append(Taken(printer, stamp, reading))
        if len(self._waiting.readings) > MOST_READINGS:
            kept = _thinned(self._waiting.readings)
            self.left_out += len(self._waiting.readings) - len(kept)
            self._waiting.readings = kept

    def event(self, happened: Happened) -> None:
        self._waiting.events.append(happened)
        if happened.severity != "info":
            self.hurry.set()
        if len(self._waiting.events) > MOST_EVENTS:
            # What is only for information goes first.
            dispensable = next((i for i, e in enumerate(self._waiting.events) if e.severity == "info"), 0)
            del self._waiting.events[dispensable]

    def raw(self, printer: str, time: str, varbinds: Sequence[tuple[str, int, object]]) -> None:
        self._waiting.raw[printer] = (time, varbinds)

    async def commit(self) -> None:
        """Write what waits. StoreError leaves it waiting. Not undone by cancellation: the transaction then still
        runs to its end and is accounted for."""
        await asyncio.shield(asyncio.ensure_future(self._commit()))

    async def _commit(self) -> None:
        async with self._lock:
            batch, self._waiting = self._waiting, Batch()
            if not batch:
                return
            try:
                await self._write(batch)
            except StoreError:
                self._put_back(batch)
                raise
            except Exception:
                # One thing that cannot be written must not hold up everything behind it for ever.
                log.exception("a batch was refused; writing it piece by piece")
                await self._write_pieces(batch)
            self.left_out = 0

    async def _write(self, batch: Batch) -> None:
        told = {t.printer: self._told[t.printer] for t in batch.readings if t.printer in self._told}
        self._told.update(await self._worker.run(_write, self._box, batch, told, self.confirm_s))

    async def _write_pieces(self, batch: Batch) -> None:
        pieces = list(_pieces(batch))
        for n, piece in enumerate(pieces):
            try:
                await self._write(piece)
            except StoreError:
                for rest in reversed(pieces[n:]):
                    self._put_back(rest)
                raise
            except Exception:
                log.exception("left out: %s", _names(piece))

    def _put_back(self, batch: Batch) -> None:
        newer = self._waiting
        self._waiting = Batch(
            printers={**batch.printers, **newer.printers},
            readings=batch.readings + newer.readings,
            events=batch.events + newer.events,
            raw={**batch.raw, **newer.raw},
        )


def _write(
    db: Connection, box: str, batch: Batch, told: dict[str, Told], confirm_s: float
) -> dict[str, Told]:
    """All of the batch or nothing; what is known of its printers afterwards."""
    told = dict(told)
    records = []
    with transaction(db):
        for row in batch.printers.values():
            printers.save(db, row)
        for taken in batch.readings:
            record, told[taken.printer] = _write_reading(db, taken, told.get(taken.printer), confirm_s)
            if record is not None:
                records.append(record)
        for printer, (time, varbinds) in batch.raw.items():
            readings.save_raw(db, printer, time, varbinds)
        if records:
            outbox.add_readings(db, box, records)
        for e in batch.events:
            events.add(db, e.stamp, e.code, e.severity, e.printer, e.fields)
            outbox.add_event(db, box, e.stamp, e.code, e.severity, e.printer, e.fields)
    return told


def _write_reading(
    db: Connection, taken: Taken, known: Told | None, confirm_s: float
) -> tuple[Record | None, Told]:
    """What the dealer is to hear, and what is known then. Nothing new is only reported now and then."""
    printer, stamp, reading = taken.printer, taken.stamp, taken.reading
    if known is None or readings.full_due(db, printer, stamp):
        readings.save_full(db, printer, stamp, reading)
        record = Record(printer=printer, stamp=stamp, full=reading)
        return record, Told(reading, reading, stamp.mono)
    change = difference(known.stored, reading)
    if change.sections:
        readings.save_change(db, printer, stamp, change)
    else:
        readings.confirm(db, printer, change.times)
        if 0 <= stamp.mono - known.reported_at < confirm_s:
            return None, Told(reading, known.reported, known.reported_at)
    # Measured from what was last reported, so that moments which were only confirmed meanwhile are not lost.
    record = Record(printer=printer, stamp=stamp, change=difference(known.reported, reading))
    return record, Told(reading, reading, stamp.mono)


def _thinned(taken: Sequence[Taken]) -> list[Taken]:
    """Every second one, and each printer's last."""
    last = {t.printer: i for i, t in enumerate(taken)}
    return [t for i, t in enumerate(taken) if i % 2 == 0 or last[t.printer] == i]


def _pieces(batch: Batch) -> Iterable[Batch]:
    """The same, one printer's news at a time, so that what belongs together stays together."""
    ids = dict.fromkeys(
        [
            *batch.printers,
            *(t.printer for t in batch.readings),
            *batch.raw,
            *(e.printer for e in batch.events),
        ]
    )
    for id in ids:
        yield Batch(
            printers={p: row for p, row in batch.printers.items() if p == id},
            readings=[t for t in batch.readings if t.printer == id],
            events=[e for e in batch.events if e.printer == id],
            raw={p: r for p, r in batch.raw.items() if p == id},
        )


def _names(batch: Batch) -> str:
    return ", ".join(
        [
            *(f"reading of {t.printer} at {t.stamp.time}" for t in batch.readings),
            *(e.code for e in batch.events),
        ]
    )
