# SPDX-License-Identifier: Apache-2.0
"""What waits in memory, against the real store."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from appliance.collector import writer as writer_module
from appliance.collector.writer import Happened, Writer
from appliance.model.clock import Stamp, rfc3339
from appliance.model.errors import DiskFull, StoreError
from appliance.model.messages import EVENT, Event, Readings, Record
from appliance.model.reading import Meter, PrinterFacts, Reading, apply
from appliance.store import outbox, printers, readings
from appliance.store.printers import Printer
from appliance.store.worker import Worker

START = 1_800_000_000.0


def stamp(n: float) -> Stamp:
    return Stamp(time=rfc3339(START + n), clock="synchronised", boot_id="b", mono=1_000.0 + n)


def reading(n: float, pages: int) -> Reading:
    at = rfc3339(START + n)
    return Reading(
        time=at,
        clock="synchronised",
        address="127.0.0.1",
        printer=PrinterFacts(vendor="HP", model="M507", serial="X1"),
        meters=[Meter(name="total", value=pages, unit="impressions", source="test")],
        times={"printer": rfc3339(START), "meters": at, "status": at},
        uptime_ticks=int(n * 100),
    )


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path / "platen.db")
    yield worker
    await worker.close()


def sent(db: sqlite3.Connection) -> list[Record | Event]:
    out: list[Record | Event] = []
    for row in outbox.waiting(db, limit=10_000):
        body = zstandard.ZstdDecompressor().decompress(row.body, 1 << 24) if row.encoding else row.body
        if row.schema == EVENT:
            out.append(msgspec.json.decode(body, type=Event))
        else:
            out += msgspec.json.decode(body, type=Readings).records
    return out


async def test_what_belongs_together_is_written_together(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    assert await writer.load() == {}
    writer.printer(Printer(id="p", address="127.0.0.1"))
    writer.reading("p", stamp(0), reading(0, 10))
    writer.event(Happened(stamp(0), "printer.found", "info", "p", {"address": "127.0.0.1"}))
    writer.raw("p", "t", [("1.3.6.1", 2, 5)])
    assert len(writer) == 2
    await writer.commit()
    assert not writer
    first, event = await worker.run(sent)
    assert isinstance(first, Record)
    assert first.full == await worker.run(readings.latest, "p") == reading(0, 10)
    assert isinstance(event, Event)
    assert event.code == "printer.found"
    assert await worker.run(readings.raw, "p") == ("t", [("1.3.6.1", 2, 5)])


async def test_a_warning_does_not_wait_with_the_rest(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    writer.reading("p", stamp(0), reading(0, 10))
    writer.event(Happened(stamp(0), "printer.answers", "info", "p", {}))
    assert not writer.hurry.is_set()
    writer.event(Happened(stamp(0), "printer.silent", "warning", "p", {}))
    assert writer.hurry.is_set()


async def test_the_dealer_can_follow_from_record_to_record(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    pages = [10, 11, 11, 11, 12, 12, 12, 13]
    for n, count in enumerate(pages):
        writer.reading("p", stamp(n * 900), reading(n * 900, count))
        if n % 3 == 0:
            await writer.commit()
    await writer.commit()
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    # Full first, then every change, and nothing new is said again only after an hour.
    assert [r.full is not None for r in records] == [True] + [False] * (len(records) - 1)
    followed = records[0].full
    assert followed is not None
    for record in records[1:]:
        assert record.change is not None
        followed = apply(followed, record.change)
    assert followed == reading(7 * 900, 13)
    assert [c.meters[0].value for r in records if (c := r.change) and c.meters] == [11, 12, 13]
    assert await worker.run(readings.latest, "p") == reading(7 * 900, 13)


async def test_an_unchanged_printer_is_confirmed_once_an_hour(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    for n in range(0, 4 * 3_600 + 1, 900):
        writer.reading("p", stamp(n), reading(n, 10))
    await writer.commit()
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    assert [r.stamp.mono - 1_000.0 for r in records] == [0, 3_600, 7_200, 10_800, 14_400]
    assert records[-1].change is not None
    assert records[-1].change.sections == ()
    latest = await worker.run(readings.latest, "p")
    assert latest is not None
    assert latest.times["meters"] == rfc3339(START + 4 * 3_600)


async def test_one_full_reading_a_day(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    for n in range(0, 3 * 86_400 + 1, 3_600):
        writer.reading("p", stamp(n), reading(n, n))
        await writer.commit()
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    assert sum(r.full is not None for r in records) == 4
    assert len(records) == 73


async def test_a_restart_goes_on_where_it_was(worker: Worker) -> None:
    first = Writer(worker, "PL-TEST")
    first.printer(Printer(id="p", address="127.0.0.1"))
    first.reading("p", stamp(0), reading(0, 10))
    await first.commit()
    second = Writer(worker, "PL-TEST")
    assert (await second.load())["p"] == reading(0, 10)
    second.reading("p", stamp(60), reading(60, 12))
    await second.commit()
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    assert records[1].change is not None
    assert records[1].change.sections == ("meters",)


async def test_a_full_disk_loses_nothing_stored(worker: Worker, tmp_path: Path) -> None:
    """The newest state is written when there is room again, and no moment twice."""
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    writer.reading("p", stamp(0), reading(0, 10))
    await writer.commit()
    before = await worker.run(sent)
    # max_page_count is SQLite's own full disk: SQLITE_FULL, as ENOSPC makes it.
    pages = await worker.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await worker.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    refused = 0
    for n in range(1, 400):
        writer.raw("p", f"t{n}", [(f"1.3.6.1.{i * n}", 4, bytes([i * n % 251]) * 40) for i in range(200)])
        writer.reading("p", stamp(n), reading(n, 10 + n))
        try:
            await writer.commit()
        except DiskFull:
            refused += 1
    assert refused > 100
    assert writer
    kept = await worker.run(sent)
    assert kept[: len(before)] == before
    await worker.run(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
    await writer.commit()
    assert not writer
    followed: Reading | None = None
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    for record in records:
        followed = record.full or (apply(followed, record.change) if followed and record.change else None)
    assert followed == reading(399, 409)
    assert len({r.stamp.mono for r in records}) == len(records), "no moment twice"


async def test_memory_stays_bounded(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise DiskFull("There is no space left")

    monkeypatch.setattr(writer_module, "MOST_READINGS", 50)
    monkeypatch.setattr(writer_module, "MOST_EVENTS", 20)
    writer = Writer(worker, "PL-TEST")
    for p in ("a", "b"):
        writer.printer(Printer(id=p, address="127.0.0.1"))
    with monkeypatch.context() as patch:
        patch.setattr(worker, "run", refuse)
        for n in range(400):
            writer.reading("a", stamp(n), reading(n, n))
            if n % 10 == 0:
                writer.reading("b", stamp(n), reading(n, n))
            severity = "critical" if n % 40 == 0 else "info"
            writer.event(Happened(stamp(n), f"e{n}", severity, "a", {}))
            if n % 20 == 0:
                with pytest.raises(StoreError):
                    await writer.commit()
        assert len(writer) <= 50 + 20 + 2
        assert writer.left_out > 300
    await writer.commit()
    latest = await worker.run(readings.all_latest)
    assert latest["a"] == reading(399, 399)
    assert latest["b"] == reading(390, 390)
    events = [e for e in await worker.run(sent) if isinstance(e, Event)]
    assert sum(e.severity == "critical" for e in events) == 10


async def test_what_cannot_be_written_does_not_block_the_rest(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="good", address="127.0.0.1"))
    writer.reading("unheard-of", stamp(0), reading(0, 1))
    writer.reading("good", stamp(0), reading(0, 2))
    await writer.commit()
    assert not writer
    assert set(await worker.run(readings.all_latest)) == {"good"}
    assert [r.printer for r in await worker.run(sent) if isinstance(r, Record)] == ["good"]


async def test_a_cancelled_commit_is_still_accounted_for(worker: Worker) -> None:
    writer = Writer(worker, "PL-TEST")
    writer.printer(Printer(id="p", address="127.0.0.1"))
    for n in range(20):
        writer.reading("p", stamp(n), reading(n, n))
        task = asyncio.create_task(writer.commit())
        await asyncio.sleep(0.0005 * (n % 4))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await writer.commit()
    records = [r for r in await worker.run(sent) if isinstance(r, Record)]
    assert [r.stamp for r in records] == [stamp(n) for n in range(20)]
    assert [p.id for p in await worker.run(printers.all_printers)] == ["p"]
