# SPDX-License-Identifier: Apache-2.0
"""A simulated office for tests, and the collector that looks after it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import zstandard

from appliance.collector.roster import Known
from appliance.collector.service import Collector
from appliance.collector.wire import snmprec
from appliance.collector.wire.value import OBJECT_IDENTIFIER, OCTET_STRING, Varbind
from appliance.model.messages import EVENT, Event, Readings, Record
from appliance.model.reading import Reading, apply
from appliance.model.settings import Value
from appliance.simulate.behaviour import Behaviour
from appliance.simulate.mib import Mib
from appliance.simulate.server import Server, Station
from appliance.store import events, outbox, printers, readings, settings
from appliance.store.database import open_database

TESTS = Path(__file__).parent.parent
PRINTERS = sorted(p.parent.name for p in TESTS.glob("printers/*/walk.snmprec"))
OTHERS = sorted(p.parent.name for p in TESTS.glob("other_devices/*/walk.snmprec"))
KYOCERA, HP = "kyocera-taskalfa-3554ci", "hp-laserjet-m507"
BROTHER, LEXMARK = "brother-hl-l6400dw", "lexmark-ms431dn"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
SERIAL = "1.3.6.1.2.1.43.5.1.1.17.1"
MAC = "1.3.6.1.2.1.2.2.1.6.1"
NET_SNMP = "1.3.6.1.4.1.8072.3.2.10"

_numbers = itertools.count()


def recording(name: str, *, serial: str | None = None, object_id: str | None = None) -> Mib:
    """A recording of tests/; with another serial (and network card) or another sysObjectID."""
    folder = "printers" if name in PRINTERS else "other_devices"
    varbinds = snmprec.load((TESTS / folder / name / "walk.snmprec").read_text("utf-8", "surrogateescape"))
    changes: dict[str, Varbind] = {}
    if serial is not None:
        changes[SERIAL] = Varbind(SERIAL, OCTET_STRING, serial.encode())
        changes[MAC] = Varbind(MAC, OCTET_STRING, bytes.fromhex("02") + serial.encode().rjust(5, b"0")[-5:])
    if object_id is not None:
        changes[SYS_OBJECT_ID] = Varbind(SYS_OBJECT_ID, OBJECT_IDENTIFIER, object_id)
    return Mib([changes.get(v.oid, v) for v in varbinds], name=name)


class Office:
    """Devices at 127.x.y.NUMBER, all on one free port. Changing them takes effect at once."""

    def __init__(self) -> None:
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self.prefix = f"127.{80 + worker}.{next(_numbers) % 256}"
        self.port = 0
        self.stations: dict[int, Station] = {}
        self._server: Server | None = None

    def at(self, number: int) -> str:
        return f"{self.prefix}.{number}"

    def stand(
        self,
        number: int,
        name: str,
        *,
        serial: str | None = None,
        object_id: str | None = None,
        **how: object,
    ) -> Station:
        """Put a device there, in place of another one."""
        mib = recording(name, serial=serial, object_id=object_id)
        station = Station(name, ipaddress.ip_address(self.at(number)), mib, Behaviour(**how))  # type: ignore[arg-type]
        self.put(number, station)
        return station

    def put(self, number: int, station: Station | None) -> None:
        """The same device, with its counts, at another place; None: nobody."""
        if station is None:
            self.stations.pop(number, None)
        else:
            station.address = ipaddress.ip_address(self.at(number))
            self.stations[number] = station
        if self._server is not None:
            self._server._by_address = {s.address.packed: s for s in self.stations.values()}

    def down(self, number: int, down: bool = True) -> None:
        station = self.stations[number]
        station.behaviour = msgspec.structs.replace(station.behaviour, down=down)

    def packets(self, number: int) -> int:
        return self.stations[number].counts.packets_received

    def octets(self, number: int) -> int:
        counts = self.stations[number].counts
        return counts.bytes_received + counts.bytes_sent

    def overlaps(self) -> int:
        return sum(s.counts.overlaps for s in self.stations.values())

    async def __aenter__(self) -> Office:
        self._server = Server(self.stations.values(), 0)
        if not self.stations:
            self.stand(250, OTHERS[0], down=True)
            self._server = Server(self.stations.values(), 0)
        self._server.open()
        self.port = self._server.port
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()


def configure(database: Path, office: Office, **more: Value) -> None:
    """Settings for a test: quick, and the devices of this office only, whose silence nobody need wait for.
    `discovery__rate` sets discovery.rate."""
    values: dict[str, Value] = {
        "discovery.ranges": [office.at(n) for n in office.stations],
        "discovery.rate": 2_000,
        "snmp.port": office.port,
        "snmp.timeout_ms": 300,
        "snmp.retries": 1,
        "poll.status_s": 5,
        "store.commit_s": 1,
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    with contextlib.closing(open_database(database)) as db:
        for key, value in values.items():
            settings.put(db, key, value, "you")


@contextlib.asynccontextmanager
async def collecting(folder: Path) -> AsyncIterator[Collector]:
    """The service on the database in `folder`, without a process of its own."""
    collector = Collector(folder / "platen.db", folder / "discovery.json", "PL-TEST-TEST")
    await collector.start()
    running = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await collector.stop()


async def until(condition: Callable[[], object], within_s: float = 20.0, what: str = "") -> None:
    """Wait for it. AssertionError when it does not come."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what or f"not within {within_s} s"
        await asyncio.sleep(0.02)


async def polled(collector: Collector, *known: Known, until_: Callable[[], object] = lambda: True) -> None:
    """Ask these printers, again and again, until each was tried and the condition holds."""
    before = [k.row.last_tried for k in known]

    def asked() -> bool:
        if all(k.row.last_tried != t for k, t in zip(known, before, strict=True)) and until_():
            return True
        for k in known:
            collector.ask_soon(k.row.id)
        return False

    await until(asked, 30.0)


async def discovered(collector: Collector, *, count: int = 1) -> None:
    """Wait for the end of the `count`-th discovery."""

    def ended() -> bool:
        scan = collector.discovery.scan
        return scan is not None and scan.finished is not None and not collector.discovery.running

    await until(ended, 40.0, "the discovery did not end")


async def look(collector: Collector, *targets: str) -> None:
    """One more discovery, to its end."""
    await until(lambda: not collector.discovery.running)
    before = collector.discovery.scan
    collector.discovery.wish(list(targets) or None)
    await until(lambda: collector.discovery.scan is not before)
    await discovered(collector)


def told(database: Path) -> tuple[list[Record], list[Event]]:
    """What waits for the dealer."""
    records: list[Record] = []
    said: list[Event] = []
    with contextlib.closing(open_database(database)) as db:
        for row in outbox.waiting(db, limit=100_000):
            body = zstandard.ZstdDecompressor().decompress(row.body, 1 << 24) if row.encoding else row.body
            if row.schema == EVENT:
                said.append(msgspec.json.decode(body, type=Event))
            else:
                records += msgspec.json.decode(body, type=Readings).records
    return records, said


def codes(database: Path, printer: str | None = None) -> list[str]:
    """Codes of the events of the service itself (alerts and supplies aside), oldest first."""
    with contextlib.closing(open_database(database)) as db:
        found = events.recent(db, 10_000, printer=printer)
    return [e.code for e in reversed(found) if e.code.startswith("printer.")]


def query(database: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        return db.execute(statement).fetchall()


def consistent(database: Path) -> None:
    """Every reading in the store exactly once in the outbox, and the other way round; the chain of changes leads
    to what the store calls the latest."""
    records, said = told(database)
    keys = [(r.printer, r.stamp.time, r.stamp.mono) for r in records]
    assert len(set(keys)) == len(keys), "a reading twice"
    rows = query(database, "SELECT p.id, r.time, r.mono FROM reading r JOIN printer p ON p.no = r.printer")
    # A record that only confirms has no row of its own.
    news = [
        k
        for k, r in zip(keys, records, strict=True)
        if r.full is not None or (r.change and r.change.sections)
    ]
    assert sorted(news) == sorted(rows)  # type: ignore[type-var]
    seqs = [seq for (seq,) in query(database, "SELECT seq FROM outbox ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    followed: dict[str, Reading] = {}
    for record in records:
        if record.full is not None:
            followed[record.printer] = record.full
        else:
            assert record.change is not None
            followed[record.printer] = apply(followed[record.printer], record.change)
    db = open_database(database)
    try:
        assert set(followed) == {p.id for p in printers.all_printers(db)}
        for printer, reading in readings.all_latest(db).items():
            for section in ("status", "meters", "supplies", "alerts", "inputs", "printer"):
                assert getattr(followed[printer], section) == getattr(reading, section), section
    finally:
        db.close()
    found = [e.printer for e in said if e.code == "printer.found"]
    assert sorted(found) == sorted(followed), "found once, and never without a reading"
