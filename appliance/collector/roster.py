# SPDX-License-Identifier: Apache-2.0
"""The printers the box knows, in memory, and what a visit changes about them. Everything that changes goes to the
writer at once; nothing here waits for a disk or a network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from appliance.collector.judge.events import bad_states, events
from appliance.collector.judge.identity import Match, evidence, match
from appliance.collector.read.plan import Plan
from appliance.collector.schedule import SILENT_AFTER
from appliance.collector.visit import Visit
from appliance.collector.writer import Happened, Writer
from appliance.host import clock
from appliance.model.clock import Stamp
from appliance.model.errors import PlatenError
from appliance.model.messages import Severity
from appliance.model.reading import Reading, SupplyState, merge
from appliance.store.printers import Printer, new_id

EXCHANGED = "exchanged"
"""`last_error` of a printer at whose address another one was found."""

Fields = dict[str, str | int | float | bool | None]


class Known(msgspec.Struct):
    """One printer: its row, its last reading with every section, how to read it, what a person should settle, and
    the bad states of its supplies that were said (judge.events)."""

    row: Printer
    reading: Reading | None = None
    plan: Plan | None = None
    question: str | None = None
    bad: dict[str, SupplyState] = {}

    @property
    def displaced(self) -> bool:
        """Another printer has its address; where it went is unknown."""
        return self.row.last_error == EXCHANGED

    @property
    def title(self) -> str:
        """What a person calls it."""
        row = self.row
        return (
            row.name or " ".join(t for t in (row.vendor, row.model) if t) or f"The printer at {row.address}"
        )


class Roster:
    """All of them, by id."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._known: dict[str, Known] = {}

    def load(self, rows: Iterable[Printer], readings: Mapping[str, Reading]) -> None:
        for row in rows:
            plan = None if row.plan is None else _plan(row.plan)
            reading = readings.get(row.id)
            bad = bad_states(reading, {}) if reading is not None else {}
            self._known[row.id] = Known(row, reading, plan, bad=bad)

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def get(self, printer: str) -> Known | None:
        return self._known.get(printer)

    def at(self, address: str) -> Known | None:
        """The printer that is read at this address."""
        found = (k for k in self._known.values() if k.row.address == address and not k.displaced)
        return next(found, None)

    def recognise(self, reading: Reading, address: str) -> Match:
        """Which of the known printers this is, by its evidence. One that shows neither serial nor network card is
        told by its address and model."""
        found = evidence(reading)
        matched = match(found, {k.row.id: k.row.evidence for k in self._known.values()})
        holder = self.at(address)
        if holder is None or matched != Match(None, None) or any(e.kind in ("serial", "mac") for e in found):
            return matched
        same = {(e.kind, e.value) for e in found} <= set(holder.row.evidence)
        return Match(holder.row.id, None) if same else matched

    def found(self, visit: Visit, stamp: Stamp, *, conflict: str | None = None, **facts: object) -> Known:
        """A printer that nobody knew. `facts` are fields of its row: address, port, snmp_version, community_index."""
        row = Printer(id=new_id(), first_seen=stamp.time, **facts)  # type: ignore[arg-type]
        known = self._known[row.id] = Known(row, question=conflict)
        facts_found: Fields = {
            "address": row.address,
            "vendor": visit.reading.printer.vendor,
            "model": visit.reading.printer.model,
            "serial": visit.reading.printer.serial,
        }
        self._say(stamp, "printer.found", "info", row.id, facts_found)
        if conflict:
            self._say(
                stamp, "printer.conflict", "warning", row.id, {"address": row.address, "sentence": conflict}
            )
        self.answered(known, visit, stamp)
        return known

    def answered(self, known: Known, visit: Visit, stamp: Stamp, **facts: object) -> None:
        """It was read. `facts` are fields of its row that the visit found out."""
        old, new = known.reading, visit.reading
        if old is not None:
            new = merge(old, new)
        for code, severity, fields in events(old, new, known.bad):
            self._say(stamp, code, severity, known.row.id, fields)
        known.bad = bad_states(new, known.bad)
        if known.row.state == "silent":
            self._say(stamp, "printer.answers", "info", known.row.id, {"address": known.row.address})
        printer = new.printer
        row = msgspec.structs.replace(
            known.row,
            vendor=printer.vendor,
            model=printer.model,
            serial=printer.serial,
            mac=printer.mac,
            hostname=printer.hostname,
            profile=new.profile,
            state="paused" if known.row.state == "paused" else "active",
            last_seen=new.time,
            last_tried=new.time,
            last_error=None,
            last_error_text=None,
            failures=0,
            evidence=_evidence(known.row.evidence, new)
            if "printer" in visit.reading.times
            else known.row.evidence,
            **facts,
        )
        if known.plan is not visit.plan or row.plan is None:
            known.plan = visit.plan
            row = msgspec.structs.replace(row, plan=visit.plan.encode())
        known.row, known.reading = row, new
        self._writer.printer(row)
        self._writer.reading(row.id, stamp, new)
        if "printer" in visit.reading.times:
            self._writer.raw(row.id, new.time, visit.raw)

    def moved(self, known: Known, visit: Visit, stamp: Stamp, *, address: str, **facts: object) -> None:
        """It was found, and read, at another address than before."""
        fields: Fields = {"from": known.row.address, "to": address}
        self._say(stamp, "printer.moved", "info", known.row.id, fields)
        known.row = msgspec.structs.replace(known.row, address=address)
        self.answered(known, visit, stamp, **facts)

    def learned(self, known: Known, quirks: Collection[str]) -> None:
        """What its agent cannot take was found out by a visit that brought nothing else."""
        if known.plan is None or sorted(quirks) == known.plan.quirks:
            return
        known.plan = msgspec.structs.replace(known.plan, quirks=sorted(quirks))
        known.row = msgspec.structs.replace(known.row, plan=known.plan.encode())
        self._writer.printer(known.row)

    def failed(self, known: Known, error: PlatenError, stamp: Stamp, failures: int) -> None:
        """It could not be read, for the `failures`-th time in a row. Said once when it falls silent."""
        silent = failures >= SILENT_AFTER and known.row.state == "active"
        known.row = msgspec.structs.replace(
            known.row,
            last_tried=stamp.time,
            last_error=error.code,
            last_error_text=error.sentence,
            failures=failures,
            state="silent" if silent else known.row.state,
        )
        if silent:
            self._say(
                stamp,
                "printer.silent",
                "warning",
                known.row.id,
                {"address": known.row.address, "code": error.code, "sentence": error.sentence},
            )
        self._writer.printer(known.row)

    def displaced(self, known: Known, stamp: Stamp) -> None:
        """Another printer is at its address."""
        if known.displaced:
            return
        self._say(stamp, "printer.exchanged", "warning", known.row.id, {"address": known.row.address})
        known.row = msgspec.structs.replace(
            known.row,
            state="paused" if known.row.state == "paused" else "silent",
            last_tried=stamp.time,
            last_error=EXCHANGED,
            last_error_text=f"Another printer is at {known.row.address} now",
            failures=max(known.row.failures, SILENT_AFTER),
        )
        self._writer.printer(known.row)

    def change(self, known: Known, **fields: object) -> None:
        """What a person decided: name, location, state."""
        known.row = msgspec.structs.replace(known.row, **fields)
        self._writer.printer(known.row)

    def _say(self, stamp: Stamp, code: str, severity: Severity, printer: str, fields: Fields) -> None:
        self._writer.event(Happened(stamp, code, severity, printer, fields))


def stamp_of(visit: Visit) -> Stamp:
    """The moment of its reading, on this boot's clock."""
    return msgspec.structs.replace(clock.now(), time=visit.reading.time, clock=visit.reading.clock)


def _evidence(old: Sequence[tuple[str, str]], reading: Reading) -> list[tuple[str, str]]:
    """What speaks for it now; a kind of evidence that this reading lacks is kept from before."""
    new = [(e.kind, e.value) for e in evidence(reading)]
    kinds = {kind for kind, _ in new}
    return sorted({*new, *((k, v) for k, v in old if k not in kinds)})


def _plan(data: bytes) -> Plan | None:
    """None where another release wrote it in a way this one cannot read: then the printer is walked again."""
    try:
        return Plan.decode(data)
    except ValueError:
        return None
