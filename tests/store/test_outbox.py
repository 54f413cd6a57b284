# SPDX-License-Identifier: Apache-2.0
"""What waits and what left: numbered once, bounded, and to the octet what was sent."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.messages import (
    COMPRESS_ABOVE,
    EVENT,
    HEARTBEAT,
    MAX_BODY,
    MAX_DECODED,
    READINGS,
    Acknowledgement,
    Event,
    Readings,
    Record,
)
from appliance.model.reading import Storage
from appliance.store import ledger, outbox
from appliance.store.database import open_database, transaction

from .conftest import full, moment, stamp

BOX = "PL-TEST-0001"
DAY = 86_400
START = 1_795_651_200.0


def record(n: int, **more: object) -> Record:
    reading = msgspec.structs.replace(full(n, n), **more)
    return Record(printer=f"p{n}", stamp=stamp(n), full=reading)


def event(db: sqlite3.Connection, n: int = 1) -> int:
    return outbox.add_event(db, BOX, stamp(n), "alert.raised", "warning", f"p{n}", {"code": n})


def ack(db: sqlite3.Connection, *seqs: int, at: float = 60, **more: object) -> int:
    said = Acknowledgement(box=BOX, stream=outbox.stream(db), seqs=list(seqs), time=moment(at))
    return ledger.acknowledge(db, msgspec.structs.replace(said, **more))


def send(db: sqlite3.Connection, at: float = 30) -> list[int]:
    return [
        ledger.sending(db, row, f"v1/t/{BOX}/{row.topic}", "mqtt.example", moment(at))
        for row in outbox.waiting(db)
    ]


def noise(octets: int) -> str:
    return random.Random(octets).randbytes(octets // 2).hex()


def test_rows_are_finished(db: sqlite3.Connection) -> None:
    assert outbox.count(db) == (0, 0, None)
    assert outbox.add_readings(db, BOX, [record(1), record(2)]) == [1]
    assert event(db) == 2
    batch, single = outbox.waiting(db)
    assert (batch.schema, batch.topic, batch.encoding) == (READINGS, "t", "zstd")
    assert (single.schema, single.topic, single.encoding) == (EVENT, "ev", "")
    decoded = msgspec.json.decode(zstandard.decompress(batch.body), type=Readings)
    assert decoded == Readings(box=BOX, stream=outbox.stream(db), seq=1, records=[record(1), record(2)])
    told = msgspec.json.decode(single.body, type=Event)
    assert (told.seq, told.stream, told.code, told.fields) == (
        2,
        outbox.stream(db),
        "alert.raised",
        {"code": 1},
    )
    assert batch.sha256 == hashlib.sha256(batch.body).hexdigest()
    assert outbox.count(db) == (2, len(batch.body) + len(single.body), moment(2))
    assert [r.seq for r in outbox.waiting(db, after=1)] == [2]
    assert [r.seq for r in outbox.waiting(db, limit=1)] == [1]


def test_no_records_no_message(db: sqlite3.Connection) -> None:
    assert outbox.add_readings(db, BOX, []) == []
    assert outbox.count(db)[0] == 0


def test_compressed_only_where_it_pays() -> None:
    def encoding(length: int) -> str:
        message = Event(
            box=BOX, stream="s", seq=1, stamp=stamp(0), code="x", severity="info", fields={"t": "a" * length}
        )
        data, encoding = outbox.finished(message)
        assert len(data) <= max(COMPRESS_ABOVE, 300)
        return encoding

    assert encoding(1) == ""
    assert encoding(1000) == "zstd"


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_many_records_become_as_many_messages_as_they_need(sizes: list[int]) -> None:
    records = [record(n, address=noise(size)) for n, size in enumerate(sizes)]
    batches = outbox._batches(records)
    assert [r for b in batches for r in b] == records
    for batch in batches:
        whole = Readings(box="x" * 20, stream="y" * 16, seq=2**60, records=batch)
        assert len(msgspec.json.encode(whole)) <= MAX_BODY


def test_splitting_gives_numbers_in_order(db: sqlite3.Connection) -> None:
    records = [record(n, address=noise(30_000)) for n in range(5)]
    assert outbox.add_readings(db, BOX, records) == [1, 2, 3]
    rows = outbox.waiting(db)
    assert all(len(r.body) <= MAX_BODY for r in rows)
    told = [msgspec.json.decode(zstandard.decompress(r.body), type=Readings) for r in rows]
    assert [m.seq for m in told] == [1, 2, 3]
    assert [r for m in told for r in m.records] == records


def test_a_long_record_that_compresses_travels_alone(db: sqlite3.Connection) -> None:
    storage = [Storage(index=str(n), type="hrStorageRam", descr="RAM") for n in range(2_000)]
    assert outbox.add_readings(db, BOX, [record(1), record(2, storage=storage), record(3)]) == [1, 2, 3]
    (_, long, _) = outbox.waiting(db)
    told = msgspec.json.decode(zstandard.decompress(long.body), type=Readings)
    assert told.records[0].full is not None
    assert told.records[0].full.storage == storage


@pytest.mark.parametrize("pieces", [2, 30])
def test_a_lying_printer_does_not_block_the_rest(db: sqlite3.Connection, pieces: int) -> None:
    storage = [Storage(index=str(n), descr=noise(90_000 + n)) for n in range(pieces)]
    outbox.add_readings(db, BOX, [record(1, storage=storage)])
    (row,) = outbox.waiting(db)
    assert len(row.body) <= MAX_BODY
    data = zstandard.decompress(row.body)
    assert len(data) <= MAX_DECODED
    told = msgspec.json.decode(data, type=Readings).records[0].full
    assert told is not None
    assert told.storage == []
    assert [n.code for n in told.notes] == ["cut"]
    assert told.meters == full(1, 1).meters


def test_numbers_never_come_back(db: sqlite3.Connection, path: Path) -> None:
    first = [event(db) for _ in range(3)]
    assert ack(db, *first) == 3
    assert outbox.count(db)[0] == 0
    ledger.prune(db, 7, now=START + 900 * DAY)
    again = open_database(path)
    assert event(again) == 4
    again.close()


def test_a_number_that_was_rolled_back_is_given_again(db: sqlite3.Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        _rolled_back(db)
    assert outbox.count(db)[0] == 0
    assert event(db) == 1


def _rolled_back(db: sqlite3.Connection) -> None:
    with transaction(db):
        event(db)
        raise ZeroDivisionError


def test_what_left_is_shown_to_the_octet(db: sqlite3.Connection) -> None:
    outbox.add_readings(db, BOX, [record(1)])
    event(db)
    rows = outbox.waiting(db)
    send(db)
    for entry, row in zip(reversed(ledger.entries(db)), rows, strict=True):
        assert (entry.seq, entry.size, entry.sha256) == (row.seq, len(row.body), row.sha256)
        assert (entry.topic, entry.host, entry.time) == (
            f"v1/t/{BOX}/{row.topic}",
            "mqtt.example",
            moment(30),
        )
        assert entry.acknowledged is None
        assert entry.json is None
        while_waiting = ledger.entry(db, entry.id)
        assert ack(db, row.seq) == 1
        afterwards = ledger.entry(db, entry.id)
        for single in (while_waiting, afterwards):
            assert single is not None
            assert single.sent == row.body
            assert single.json == ledger.decoded(row.body, row.encoding)
            assert msgspec.json.decode(single.json)["seq"] == row.seq
        assert afterwards is not None
        assert afterwards.acknowledged == moment(60)
    assert outbox.count(db)[0] == 0


def test_sent_again_is_one_entry_more_attempts(db: sqlite3.Connection) -> None:
    event(db)
    assert send(db, 10) == send(db, 20) == send(db, 30)
    (entry,) = ledger.entries(db)
    assert (entry.attempts, entry.time) == (3, moment(30))


def test_acknowledging_twice_is_acknowledging_once(db: sqlite3.Connection) -> None:
    event(db)
    send(db)
    assert ack(db, 1) == 1
    assert ack(db, 1, at=90) == 0
    (entry,) = ledger.entries(db)
    assert entry.acknowledged == moment(60)


def test_another_stream_or_unknown_numbers_change_nothing(db: sqlite3.Connection) -> None:
    event(db)
    send(db)
    assert ack(db, 1, stream="somebody else's") == 0
    assert ack(db, 2, 99, -1) == 0
    assert ack(db, refused={"x": "?", "²": "?", "9" * 30: "?"}) == 0
    assert outbox.count(db)[0] == 1


def test_refused_is_shown_and_blocks_nothing(db: sqlite3.Connection) -> None:
    event(db)
    event(db)
    send(db)
    assert ack(db, 2, refused={"1": "no such printer " * 100}) == 2
    done, refused = ledger.entries(db)
    assert done.refused is None
    assert refused.refused is not None
    assert refused.refused.startswith("no such printer")
    assert len(refused.refused) == 500
    assert outbox.count(db)[0] == 0


def test_acknowledged_though_never_noted_is_still_shown(db: sqlite3.Connection) -> None:
    event(db)
    assert ack(db, 1) == 1
    (entry,) = ledger.entries(db)
    single = ledger.entry(db, entry.id)
    assert single is not None
    assert single.json is not None
    assert entry.acknowledged


def test_state_and_heartbeat_are_listed_too(db: sqlite3.Connection) -> None:
    id = ledger.sending_other(
        db, HEARTBEAT, f"v1/t/{BOX}/hb", b'{"schema":"x"}', "", "mqtt.example", moment(1)
    )
    entry = ledger.entry(db, id)
    assert entry is not None
    assert (entry.seq, entry.json, entry.acknowledged) == (None, b'{"schema":"x"}', None)
    assert ledger.entry(db, id + 1) is None


def test_pages_of_the_ledger(db: sqlite3.Connection) -> None:
    ids = [ledger.sending_other(db, HEARTBEAT, "t", b"{}", "", "h", moment(n)) for n in range(7)]
    first = ledger.entries(db, limit=4)
    assert [e.id for e in first] == ids[:2:-1]
    assert [e.id for e in ledger.entries(db, before=first[-1].id, limit=4)] == ids[2::-1]


def test_prune_by_age_spares_what_waits(db: sqlite3.Connection) -> None:
    for n in range(4):
        event(db, n)
    send(db)
    ack(db, 1, 2)
    ledger.sending_other(db, HEARTBEAT, "t", b"{}", "", "h", moment(30))
    assert ledger.prune(db, 7, now=START + 7 * DAY) == 0
    assert ledger.prune(db, 7, now=START + 8 * DAY) == 3
    assert [e.seq for e in ledger.entries(db)] == [4, 3]
    assert outbox.count(db)[0] == 2
    assert ack(db, 3, 4) == 2


def test_prune_by_size_takes_the_oldest(db: sqlite3.Connection) -> None:
    event(db, 0)
    send(db)
    for n in range(10):
        ledger.sending_other(db, HEARTBEAT, "t", b"x" * 100, "", "h", moment(n))
    assert ledger.prune(db, 90, ceiling=1000, now=START) == 0
    assert ledger.prune(db, 90, ceiling=350, now=START) == 7
    assert [e.seq for e in ledger.entries(db)] == [None, None, None, 1]
    assert ledger.prune(db, 90, ceiling=0, now=START) == 3
    assert [e.seq for e in ledger.entries(db)] == [1]
