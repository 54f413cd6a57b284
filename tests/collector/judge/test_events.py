# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.judge.events import PROBLEMS, bad_states, events
from appliance.model.reading import Alert, Meter, PrinterFacts, Reading, Status, Supply, SupplyState
from appliance.model.supplies import judge

NOW = "2026-11-21T12:00:00Z"


def alert(code: int = 808, **more: Any) -> Alert:
    fields: dict[str, Any] = {
        "index": 1, "code": code, "code_name": "inputMediaSupplyEmpty", "severity": "critical",
        "training": "untrained", "group": "input", "group_index": 2, "location": -1, "description": "Tray 2",
        "ticks": 100, "time": None,
    }  # fmt: skip
    return Alert(**(fields | more))


def supply(
    level: int | None, *, index: str = "1.1", receptacle: bool = False, serial: str | None = None
) -> Supply:
    class_ = "receptacleThatIsFilled" if receptacle else "supplyThatIsConsumed"
    percent, state, basis = judge(class_, 100, level, counts="remaining")  # type: ignore[arg-type]
    return Supply(
        index=index, class_=class_, type="toner", color="black", description="Toner", part_number=None,  # type: ignore[arg-type]
        serial=serial, unit="percent", capacity=100, level=level, percent=percent, state=state, basis=basis,
    )  # fmt: skip


def meter(value: int, **more: Any) -> Meter:
    return Meter(**({"name": "total", "value": value, "unit": "impressions", "source": "1.2.3"} | more))


def reading(**more: Any) -> Reading:
    return Reading(time=NOW, clock="synchronised", address="192.0.2.9", printer=PrinterFacts(), **more)


def codes(old: Reading | None, new: Reading) -> list[tuple[str, str]]:
    return [(code, severity) for code, severity, _ in events(old, new)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [alert()], [("alert.raised", "critical")]),
        ([alert()], [], [("alert.cleared", "info")]),
        ([alert()], [alert()], []),
        ([alert(index=1)], [alert(index=9, ticks=5000)], []),  # the table was numbered anew
        ([alert()], [alert(), alert(index=2)], [("alert.raised", "critical")]),
        ([alert()], [alert(code=8)], [("alert.raised", "critical"), ("alert.cleared", "info")]),
        ([], [alert(severity="warning")], [("alert.raised", "warning")]),
        ([], [alert(severity="warningBinaryChangeEvent")], [("alert.raised", "info")]),
    ],
)
def test_alerts(before: list[Alert], after: list[Alert], expected: list[tuple[str, str]]) -> None:
    assert codes(reading(alerts=before), reading(alerts=after)) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (50, 40, []),
        (12, 10, [("supply.low", "warning")]),
        (10, 9, []),
        (9, 0, [("supply.empty", "critical")]),
        (0, 5, []),
        (5, 100, [("supply.replaced", "info")]),
        (50, 60, []),  # somebody shook it
        (-3, 5, [("supply.low", "warning")]),
        (5, -3, []),
        (None, 5, [("supply.low", "warning")]),
    ],
)
def test_supplies(before: int | None, after: int | None, expected: list[tuple[str, str]]) -> None:
    assert codes(reading(supplies=[supply(before)]), reading(supplies=[supply(after)])) == expected


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((11, 10, 11, 10, 11), ["supply.low"]),  # a gauge that flickers around the threshold
        ((11, 10, 14, 10), ["supply.low"]),
        ((11, 10, 15, 10), ["supply.low", "supply.low"]),
        ((1, 0, 1, 0, 1), ["supply.low", "supply.empty"]),
        ((9, -2, 9), ["supply.low"]),  # it did not know for a moment
        ((9, None, 9), ["supply.low"]),
        ((9, 100, 9), ["supply.low", "supply.replaced", "supply.low"]),
        ((0, 40, 0), ["supply.empty", "supply.replaced", "supply.empty"]),
    ],
)
def test_once_said_it_is_not_said_again_before_it_is_over(
    levels: list[int | None], expected: list[str]
) -> None:
    said: list[str] = []
    standing: dict[str, SupplyState] = {}
    old: Reading | None = None
    for level in levels:
        new = reading(supplies=[supply(level)])
        said += [code for code, _, _ in events(old, new, standing)]
        old, standing = new, bad_states(new, standing)
    assert said == expected


def test_a_replaced_one_that_is_low_at_once() -> None:
    old, new = (reading(supplies=[supply(9, serial=s)]) for s in ("CRUM-1", "CRUM-2"))
    assert codes(old, new) == [("supply.replaced", "info"), ("supply.low", "warning")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (50, 8, [("supply.near_full", "warning")]),
        (8, 0, [("supply.full", "critical")]),
        (0, 100, [("supply.replaced", "info")]),
    ],
)
def test_receptacles(before: int, after: int, expected: list[tuple[str, str]]) -> None:
    old, new = (reading(supplies=[supply(n, receptacle=True)]) for n in (before, after))
    assert codes(old, new) == expected


def test_another_cartridge_by_its_serial() -> None:
    old, new = (reading(supplies=[supply(50, serial=s)]) for s in ("CRUM-1", "CRUM-2"))
    [(code, _, fields)] = events(old, new)
    assert code == "supply.replaced"
    assert (fields["serial"], fields["from"], fields["percent"]) == ("CRUM-2", 50, 50)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (meter(100), meter(101), []),
        (meter(100), meter(100), []),
        (meter(100), meter(99), [("meter.went-back", "warning")]),
        (meter(100), meter(99, unit="sheets"), []),  # not the same counter
        (meter(100), meter(99, source="1.2.4"), []),
        (meter(100), meter(99, name="copy"), []),
    ],
)
def test_a_meter_that_went_back(before: Meter, after: Meter, expected: list[tuple[str, str]]) -> None:
    assert codes(reading(meters=[before]), reading(meters=[after])) == expected


def test_conditions_that_matter() -> None:
    calm, jam = (
        reading(status=Status(errors=["lowPaper"])),
        reading(status=Status(errors=["jammed", "lowToner"])),
    )
    assert codes(calm, jam) == [("status.problem", "critical")]
    assert codes(jam, calm) == [("status.cleared", "info")]


def test_a_first_reading_tells_what_is_wrong_already() -> None:
    first = reading(
        alerts=[alert(), alert(code=1, severity="warning")],
        supplies=[supply(5), supply(50, index="1.2")],
        meters=[meter(5)],
        status=Status(errors=["jammed"]),
    )
    assert codes(None, first) == [
        ("alert.raised", "critical"), ("supply.low", "warning"), ("status.problem", "critical"),
    ]  # fmt: skip


alerts = st.lists(st.builds(alert, st.sampled_from([8, 808, 1104]), index=st.integers(1, 9)), max_size=6)
supplies = st.lists(st.builds(supply, st.one_of(st.none(), st.integers(-3, 100))), max_size=1)
readings = st.builds(
    reading,
    alerts=alerts,
    supplies=supplies,
    meters=st.lists(st.builds(meter, st.integers(0, 2**32)), max_size=1),
    status=st.builds(Status, errors=st.lists(st.sampled_from(sorted(PROBLEMS)), unique=True)),
)


@given(readings, readings)
def test_nothing_happens_to_a_printer_that_stays_as_it_is(a: Reading, b: Reading) -> None:
    assert events(a, msgspec.structs.replace(a, time="2026-11-21T13:00:00Z")) == []
    for code, severity, fields in events(a, b):
        assert "." in code
        assert severity in ("info", "warning", "critical")
        assert all(v is None or isinstance(v, str | int | float | bool) for v in fields.values())


@given(readings, readings)
def test_what_is_raised_one_way_is_cleared_the_other(a: Reading, b: Reading) -> None:
    def count(found: list[tuple[str, str]], *wanted: str) -> int:
        return sum(code in wanted for code, _ in found)

    there, back = codes(a, b), codes(b, a)
    assert count(there, "alert.raised") == count(back, "alert.cleared")
    assert count(there, "status.problem") == count(back, "status.cleared")
