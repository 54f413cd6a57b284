# SPDX-License-Identifier: Apache-2.0
"""Twice is once, gaps are seen, and what cannot be stored holds up nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.model.errors import DatabaseDamaged, DatabaseNewer, StoreError
from appliance.model.messages import Event, Heartbeat, Readings, State
from appliance.model.reading import Meter
from contract.samples import EXAMPLES
from fleet.receive import Arrival, Refused, Taken
from fleet.store import Reader, Writer

NOW = "2026-11-21T09:00:00.000Z"
BOX = "PL-7K3M-Q9WD"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "fleet.db"


@pytest.fixture
def writer(database: Path) -> Iterator[Writer]:
    made = Writer(database)
    yield made
    made.close()


@pytest.fixture
def reader(writer: Writer, database: Path) -> Iterator[Reader]:
    made = Reader(database)
    yield made
    made.close()


def _taken(message: Any, *, retained: bool = False, received: str = NOW) -> Taken:
    body = msgspec.json.encode(message)
    arrival = Arrival(topic="t", payload=body, properties={}, retained=retained, received=received)
    return Taken(arrival=arrival, box=message.box, message=message)


def _readings(seq: int, *, received: str = NOW, **changes: Any) -> Taken:
    example = EXAMPLES["readings"]
    assert isinstance(example, Readings)
    return _taken(msgspec.structs.replace(example, seq=seq, **changes), received=received)


def test_twice_is_once_and_both_are_answered(writer: Writer, reader: Reader) -> None:
    first = writer.take([_readings(1), _readings(1)], NOW)
    again = writer.take([_readings(1), _readings(2)], NOW)
    assert [a.seqs for a in first] == [[1]]
    assert [a.seqs for a in again] == [[1, 2]]
    counts = reader.counts()
    assert (counts["messages"], counts["records"], counts["duplicates"]) == (2, 4, 2)


def test_one_answer_for_each_box_and_stream(writer: Writer) -> None:
    batch = [_readings(1), _readings(1, stream="other"), _readings(1, box="PL-2")]
    answers = writer.take(batch, NOW)
    assert len({(a.box, a.stream) for a in answers}) == 3


def test_gaps_are_seen_and_closed(writer: Writer, reader: Reader) -> None:
    writer.take([_readings(n) for n in (3, 4, 8, 12)], NOW)
    assert [(g.first, g.last) for g in reader.gaps(BOX)] == [(5, 7), (9, 11)]
    assert reader.boxes()[0].missing == 6
    writer.take([_readings(n) for n in (5, 6, 7, 9, 10, 11)], NOW)
    assert reader.gaps(BOX) == []
    assert reader.boxes()[0].missing == 0


def test_a_late_older_change_never_overwrites_newer(writer: Writer, reader: Reader) -> None:
    example = EXAMPLES["readings"]
    assert isinstance(example, Readings)
    full, change = example.records
    writer.take([_readings(3, records=[change])], NOW)
    writer.take([_readings(2, records=[full])], NOW)
    reading = reader.printers()[0].latest.reading
    assert reading.status.printer == "printing"
    assert reading.printer.serial == "VXA0100001"
    assert [value for _, value in reader.meter(BOX, full.printer, "total")] == [48213, 48219]


def test_what_sqlite_cannot_hold_is_refused_and_holds_up_nothing(writer: Writer, reader: Reader) -> None:
    example = EXAMPLES["readings"]
    assert isinstance(example, Readings)
    full = example.records[0].full
    assert full is not None
    huge = msgspec.structs.replace(full, meters=[Meter(name="total", value=2**64, unit="x", source="x")])
    record = msgspec.structs.replace(example.records[0], full=huge)
    answers = writer.take([_readings(1, records=[record]), _readings(2)], NOW)
    assert answers[0].seqs == [2]
    assert set(answers[0].refused) == {"1"}
    assert reader.counts()["refused"] == 1
    assert "cannot be stored" in reader.refusals(BOX)[0].reason
    # Asked again, it says the same again.
    assert set(writer.take([_readings(1)], NOW)[0].refused) == {"1"}


def test_a_refusal_is_answered_by_number(writer: Writer, reader: Reader) -> None:
    arrival = Arrival(topic=f"v1/acme/{BOX}/t", payload=b"x", properties={}, retained=False, received=NOW)
    refused = Refused(arrival=arrival, box=BOX, reason="broken", stream="s", seq=9)
    nobody = Refused(arrival=arrival, box=None, reason="lost")
    answers = writer.take([refused, nobody], NOW)
    assert [(a.stream, a.refused) for a in answers] == [("s", {"9": "broken"})]
    assert [r.reason for r in reader.refusals()] == ["lost", "broken"]
    assert reader.boxes()[0].refused == 1


def test_the_wills_and_retained_words_are_not_the_boxs_own(writer: Writer, reader: Reader) -> None:
    state, will, beat = EXAMPLES["state"], EXAMPLES["will"], EXAMPLES["heartbeat"]
    assert isinstance(state, State)
    assert isinstance(will, State)
    assert isinstance(beat, Heartbeat)
    writer.take([_taken(state, retained=True)], NOW)
    assert reader.boxes()[0].last_heard is None
    assert reader.boxes()[0].online is True
    writer.take([_taken(beat, received="2026-11-21T09:01:00.000Z")], NOW)
    writer.take([_taken(will, received="2026-11-21T09:09:00.000Z")], NOW)
    box = reader.boxes()[0]
    assert box.last_heard == "2026-11-21T09:01:00.000Z"
    assert (box.online, box.online_since) == (False, "2026-11-21T09:09:00.000Z")
    assert box.heartbeat == beat


def test_what_a_box_says_of_its_software_stays_when_it_goes(writer: Writer, reader: Reader) -> None:
    state, will = EXAMPLES["state"], EXAMPLES["will"]
    assert isinstance(state, State)
    assert state.software is not None
    writer.take([_taken(state), _taken(will)], NOW)
    assert reader.boxes(BOX)[0].software == state.software
    news = msgspec.structs.replace(state.software, operation="installing", percent=40, rollback=None)
    writer.take([_taken(msgspec.structs.replace(state, software=news))], NOW)
    assert reader.boxes(BOX)[0].software == news


def test_events_in_pages(writer: Writer, reader: Reader) -> None:
    example = EXAMPLES["event"]
    assert isinstance(example, Event)
    writer.take([_taken(msgspec.structs.replace(example, seq=n, code=f"a.b{n}")) for n in range(1, 8)], NOW)
    first = reader.events(limit=3)
    assert [e.code for e in first] == ["a.b7", "a.b6", "a.b5"]
    assert [e.code for e in reader.events(before=first[-1].id, limit=3)] == ["a.b4", "a.b3", "a.b2"]
    assert len(reader.events(box="PL-X")) == 0
    assert first[0].fields == example.fields


def test_a_transaction_that_fails_stores_nothing_and_answers_nothing(writer: Writer, database: Path) -> None:
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer._db.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreError):
        writer.take([_readings(1)], NOW)
    other.execute("ROLLBACK")
    other.close()
    assert writer.take([_readings(1)], NOW)[0].seqs == [1]


def test_a_database_that_is_none_or_newer_is_left_alone(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database at all" * 500)
    with pytest.raises(DatabaseDamaged):
        Writer(broken)
    assert broken.read_bytes() == b"no database at all" * 500
    newer = tmp_path / "newer.db"
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(DatabaseNewer):
        Writer(newer)
    with pytest.raises(StoreError):
        Writer(tmp_path / "missing" / "x.db")


def test_opening_again_keeps_everything(writer: Writer, database: Path) -> None:
    writer.take([_readings(1)], NOW)
    again = Writer(database)
    assert again.take([_readings(1)], NOW)[0].seqs == [1]
    again.close()
    found = Reader(database)
    assert found.counts()["messages"] == 1
    found.close()


def _count(database: Path, table: str) -> int:
    db = sqlite3.connect(database)
    try:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        db.close()


def test_what_is_old_goes_and_its_numbers_are_still_known(
    writer: Writer, reader: Reader, database: Path
) -> None:
    old, new, cut = "2025-01-05T09:00:00.000Z", "2026-11-20T09:00:00.000Z", "2026-01-01T00:00:00.000Z"
    writer.take([_readings(seq, received=old) for seq in (1, 2, 3, 5)], old)
    writer.take([_readings(6, received=new)], new)
    before = reader.printers()
    assert reader.boxes()[0].missing == 1
    assert writer.prune(cut) > 0
    assert _count(database, "records") == len(EXAMPLES["readings"].records)  # type: ignore[union-attr]
    assert _count(database, "messages") == 2, "5 stands behind a gap, 6 is new"
    assert reader.boxes()[0].missing == 1
    assert [(g.first, g.last) for g in reader.gaps(BOX)] == [(4, 4)]
    assert reader.printers() == before
    assert [a.seqs for a in writer.take([_readings(2), _readings(5), _readings(4)], NOW)] == [[2, 4, 5]]
    assert reader.boxes()[0].duplicates == 2
    assert _count(database, "records") == 2 * len(EXAMPLES["readings"].records)  # type: ignore[union-attr]
    assert reader.boxes()[0].missing == 0
    writer.prune(cut)
    assert _count(database, "messages") == 3, "4 came now"


def test_of_old_meters_each_day_keeps_its_last(writer: Writer, reader: Reader) -> None:
    example = EXAMPLES["readings"].records[0]  # type: ignore[union-attr]
    moments = [f"2025-01-0{day}T{hour}:00:00.000Z" for day in (5, 6) for hour in ("08", "23")]
    for seq, moment in enumerate(moments, 1):
        full = msgspec.structs.replace(
            example.full, time=moment, meters=[Meter(name="total", value=seq, unit="impressions", source="t")]
        )
        writer.take([_readings(seq, records=[msgspec.structs.replace(example, full=full)])], NOW)
    writer.prune("2026-01-01T00:00:00.000Z")
    assert [value for _, value in reader.meter(BOX, example.printer, "total")] == [2, 4]
