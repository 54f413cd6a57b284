# SPDX-License-Identifier: Apache-2.0
"""What was read comes back whole: in full, by its changes, over any course of days."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.model.errors import DatabaseDamaged, Fault
from appliance.model.reading import Reading, difference, merge
from appliance.store import readings
from appliance.store.database import open_database, transaction

from .conftest import add_printer, full, moment, stamp, status_poll

DAY = 86_400


def keep(db: sqlite3.Connection, printer: str, at: float, new: Reading) -> Reading:
    """As the collector does it."""
    old = readings.latest(db, printer)
    if old is None or readings.full_due(db, printer, stamp(at)):
        whole = new if old is None else merge(old, new)
        readings.save_full(db, printer, stamp(at), whole)
        return whole
    whole = merge(old, new)
    change = difference(old, whole)
    if change.sections:
        readings.save_change(db, printer, stamp(at), change)
    else:
        readings.confirm(db, printer, change.times)
    return whole


def test_nothing_was_read_yet(db: sqlite3.Connection, printer: str) -> None:
    assert readings.latest(db, printer) is None
    assert readings.all_latest(db) == {}
    assert list(readings.history(db, printer, moment(0), moment(9))) == []
    assert readings.meter_series(db, printer, "total", moment(0)) == []
    assert readings.raw(db, printer) is None
    assert readings.full_due(db, printer, stamp(0))


def test_a_printer_that_is_not_there(db: sqlite3.Connection) -> None:
    assert readings.latest(db, "nobody") is None
    assert readings.meter_series(db, "nobody", "total", moment(0)) == []
    with pytest.raises(Fault):
        readings.save_full(db, "nobody", stamp(0), full(0))


def test_full_comes_back_as_it_was(db: sqlite3.Connection, printer: str) -> None:
    readings.save_full(db, printer, stamp(0), full(0))
    assert readings.latest(db, printer) == full(0)
    assert readings.all_latest(db) == {printer: full(0)}


def test_changes_and_confirmations_add_up(db: sqlite3.Connection, printer: str) -> None:
    keep(db, printer, 0, full(0, 100))
    keep(db, printer, 900, status_poll(900, 100))
    keep(db, printer, 1800, status_poll(1800, 107))
    keep(db, printer, 2700, status_poll(2700, 107))
    found = readings.latest(db, printer)
    assert found is not None
    assert found.meters[0].value == 107
    assert found.time == moment(2700)
    assert found.times["meters"] == moment(2700)
    assert found.times["inputs"] == moment(0)
    assert [r.time for r in readings.history(db, printer, moment(0), moment(DAY))] == [
        moment(0),
        moment(1800),
    ]
    assert db.execute("SELECT count(*) FROM reading").fetchone() == (2,)


def test_a_confirmation_never_outlives_a_later_row(db: sqlite3.Connection, printer: str) -> None:
    """The clock was set back by an hour between the two."""
    keep(db, printer, 0, full(0, 100))
    keep(db, printer, 7200, status_poll(7200, 100))
    keep(db, printer, 3600, status_poll(3600, 105))
    found = readings.latest(db, printer)
    assert found is not None
    assert found.times["meters"] == moment(3600)


def test_a_change_needs_a_full_reading_first(db: sqlite3.Connection, printer: str) -> None:
    with pytest.raises(Fault, match="no full reading"):
        readings.save_change(db, printer, stamp(0), difference(full(0), full(0, 7)))


def test_full_is_due_once_a_day_of_elapsed_time(db: sqlite3.Connection, printer: str) -> None:
    readings.save_full(db, printer, stamp(1000), full(1000))
    assert not readings.full_due(db, printer, stamp(1000 + DAY - 1))
    assert readings.full_due(db, printer, stamp(1000 + DAY))
    jumped = msgspec.structs.replace(stamp(1060), time=moment(400 * DAY))
    assert not readings.full_due(db, printer, jumped)
    assert readings.full_due(db, printer, stamp(1000 + DAY + 5, boot="another"))
    assert not readings.full_due(db, printer, stamp(1000 + 3600, boot="another"))
    assert readings.full_due(db, printer, stamp(500, boot="another"))


def test_series_have_the_changes_and_the_last_look(db: sqlite3.Connection, printer: str) -> None:
    for at, total, percent in (
        (0, 100, 80),
        (900, 100, 80),
        (1800, 107, 80),
        (2700, 107, 79),
        (3600, 107, None),
    ):
        keep(db, printer, at, full(at, total, percent) if not at else status_poll(at, total, percent=percent))
    keep(db, printer, 4500, status_poll(4500, 107, percent=None))
    assert readings.meter_series(db, printer, "total", moment(0)) == [
        (moment(0), 100),
        (moment(1800), 107),
        (moment(4500), 107),
    ]
    assert readings.meter_series(db, printer, "scan", moment(0)) == []
    assert readings.supply_series(db, printer, "1.1", moment(0)) == [
        (moment(0), 80),
        (moment(2700), 79),
        (moment(3600), None),
        (moment(4500), None),
    ]
    assert readings.meter_series(db, printer, "total", moment(1000))[0] == (moment(1800), 107)


def test_two_printers_do_not_mix(db: sqlite3.Connection) -> None:
    a, b = add_printer(db, 1), add_printer(db, 2)
    for at in range(0, 9000, 900):
        keep(db, a, at, full(at, at))
        keep(db, b, at, full(at, 5 * at))
    found = readings.all_latest(db)
    assert (found[a].meters[0].value, found[b].meters[0].value) == (8100, 40500)


def test_raw_values_keep_their_types(db: sqlite3.Connection, printer: str) -> None:
    varbinds = [("1.3.6.1.2.1.1.3.0", 0x43, 2**32 - 1), ("1.3.6.1.2.1.2.2.1.6.1", 4, b"\0\xff\x10"), ("1.3.9", 6, "1.3.6"), ("1.4", 0x80, None), ("1.5", 0x46, 2**64 - 1)]  # fmt: skip  # noqa: E501
    readings.save_raw(db, printer, moment(0), varbinds[:1])
    readings.save_raw(db, printer, moment(1), varbinds)
    assert readings.raw(db, printer) == (moment(1), varbinds)


def test_prune_keeps_what_is_needed(db: sqlite3.Connection, printer: str) -> None:
    for day in range(6):
        for poll in range(3):
            at = day * DAY + poll * 900
            keep(db, printer, at, full(at, day * 10 + poll))
    before = list(readings.history(db, printer, moment(3 * DAY), moment(9 * DAY)))
    assert readings.prune(db, moment(3 * DAY + 100)) == 9
    assert list(readings.history(db, printer, moment(3 * DAY), moment(9 * DAY))) == before
    assert readings.prune(db, moment(900 * DAY)) == 6
    found = readings.latest(db, printer)
    assert found is not None
    assert found.meters[0].value == 52


def test_a_flipped_bit_in_a_body_is_noticed(db: sqlite3.Connection, printer: str) -> None:
    readings.save_full(db, printer, stamp(0), full(0))
    (body,) = db.execute("SELECT body FROM reading").fetchone()
    for at in range(len(body)):
        broken = bytearray(body)
        broken[at] ^= 0x10
        db.execute("UPDATE reading SET body = ?", (bytes(broken),))
        try:
            found = readings.latest(db, printer)
        except DatabaseDamaged:
            continue
        assert found == full(0)


POLLS = st.lists(
    st.tuples(
        st.sampled_from(["full", "status"]),
        st.integers(0, 3),
        st.sampled_from([80, 79, None]),
        st.booleans(),
        st.sampled_from([60, 900, 40_000, 90_000]),
    ),
    min_size=1,
    max_size=25,
)


@given(POLLS)
@settings(max_examples=60, deadline=None)
def test_any_course_of_polls_is_told_back(course: list[tuple[str, int, int | None, bool, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(Path(folder) / "platen.db")
        printer = add_printer(db)
        at, total, kept = 0, 0, []
        with transaction(db):
            for kind, more, percent, printing, passed in course:
                at, total = at + passed, total + more
                new = (
                    full(at, total, percent)
                    if kind == "full"
                    else status_poll(at, total, percent=percent, printing=printing)
                )
                kept.append(keep(db, printer, at, new))
        found = readings.latest(db, printer)
        assert found is not None
        assert _told(found) == _told(kept[-1])
        told = {r.time: _content(r) for r in readings.history(db, printer, moment(0), moment(at))}
        by_time = {r.time: _content(r) for r in kept}
        assert told.items() <= by_time.items()
        # What history leaves out is what said nothing new.
        previous = None
        for r in kept:
            if r.time not in told:
                assert _content(r) == previous
            previous = _content(r)
        db.close()


def _content(reading: Reading) -> Reading:
    """Without what a confirmation does not keep."""
    return msgspec.structs.replace(reading, time="", times={}, uptime_ticks=None)


def _told(reading: Reading) -> Reading:
    return msgspec.structs.replace(reading, uptime_ticks=None)
