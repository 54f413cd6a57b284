# SPDX-License-Identifier: Apache-2.0
"""Any order of arrival ends in the state that the right order would have made."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.model.clock import Stamp
from appliance.model.messages import Record
from appliance.model.reading import SECTIONS, Change, Meter, PrinterFacts, Reading, Status, apply
from fleet.latest import Latest, advance

_VALUES = {
    "printer": st.builds(PrinterFacts, serial=st.sampled_from("ABC")),
    "status": st.builds(Status, printer=st.sampled_from(["idle", "printing", "other"])),
    "meters": st.builds(
        lambda v: [Meter(name="total", value=v, unit="impressions", source="x")], st.integers(0, 99)
    ),
}


def _time(number: int) -> str:
    return f"2026-11-21T08:{number:02}:00.000Z"


@st.composite
def _histories(draw: st.DrawFn) -> list[Record]:
    records = []
    for number in range(draw(st.integers(1, 8))):
        stamp = Stamp(time=_time(number), clock="synchronised", boot_id="b", mono=float(number))
        sections = draw(st.sets(st.sampled_from(sorted(_VALUES))))
        values = {name: draw(_VALUES[name]) for name in sorted(sections)}
        times = {name: _time(number) for name in draw(st.sets(st.sampled_from(SECTIONS))) | sections}
        common = {
            "time": _time(number),
            "clock": "synchronised",
            "address": f"10.0.0.{number}",
            "times": times,
        }
        if number == 0 or draw(st.integers(0, 4)) == 0:
            values.setdefault("printer", PrinterFacts())
            records.append(
                Record(printer="p", stamp=stamp, full=Reading(**common, **values, profile=f"v{number}"))
            )
        else:
            records.append(Record(printer="p", stamp=stamp, change=Change(**common, **values)))
    return records


def _in_order(records: list[Record]) -> Reading:
    reading = None
    for record in records:
        reading = record.full or apply(reading, record.change)
    return reading


@given(_histories(), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(records: list[Record], chance: random.Random) -> None:
    arrivals = list(enumerate(records)) + chance.choices(list(enumerate(records)), k=3)
    chance.shuffle(arrivals)
    latest: Latest | None = None
    for number, record in arrivals:
        latest = advance(latest, record, (1, number, 0))
    assert latest is not None
    assert latest.reading == _in_order(records)


def test_a_change_that_comes_before_its_full_reading_is_kept() -> None:
    stamp = Stamp(time=_time(1), clock="synchronised", boot_id="b", mono=1)
    change = Change(
        time=_time(1), clock="synchronised", address="10.0.0.1", status=Status(printer="printing")
    )
    latest = advance(None, Record(printer="p", stamp=stamp, change=change), (1, 2, 0))
    assert latest.reading.status.printer == "printing"
    full = Reading(time=_time(0), clock="synchronised", address="10.0.0.9", printer=PrinterFacts(serial="S"))
    latest = advance(latest, Record(printer="p", stamp=stamp, full=full), (1, 1, 0))
    assert latest.reading.printer.serial == "S"
    assert latest.reading.status.printer == "printing"
    assert latest.reading.address == "10.0.0.1"


def test_a_new_stream_is_later_than_every_number_of_the_old_one() -> None:
    stamp = Stamp(time=_time(1), clock="synchronised", boot_id="b", mono=1)

    def record(word: str) -> Record:
        change = Change(time=_time(1), clock="synchronised", address="x", status=Status(printer=word))
        return Record(printer="p", stamp=stamp, change=change)

    latest = advance(None, record("printing"), (1, 900, 0))
    latest = advance(latest, record("idle"), (2, 1, 0))
    latest = advance(latest, record("warmup"), (1, 901, 0))
    assert latest.reading.status.printer == "idle"
