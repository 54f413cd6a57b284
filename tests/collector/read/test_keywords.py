# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.read import keywords


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"\x00", []),
        (b"\x00\x00", []),
        (b"\x80", ["lowPaper"]),
        (b"\x20", ["lowToner"]),
        (b"\x04", ["jammed"]),
        (b"\x01", ["serviceRequested"]),
        (b"\x00\x80", ["inputTrayMissing"]),
        (b"\x0a\x02", ["doorOpen", "offline", "overduePreventMaint"]),
        (b"\xff\xff", list(keywords.DETECTED_ERRORS)),
        (b"", []),
        (b"\x00\x01", []),  # a bit that RFC 2790 does not name
    ],
)
def test_detected_errors_count_from_the_highest_bit(octets: bytes, expected: list[str]) -> None:
    assert keywords.detected_errors(octets) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, ["availableAndIdle"]),
        (4, ["availableAndActive"]),
        (19, ["unavailableBecauseBroken", "criticalAlerts"]),
        (9, ["unavailableAndOnRequest", "nonCriticalAlerts"]),
        (34, ["availableAndStandby", "offLine"]),
        (5, ["unknown"]),
        (None, []),
        (-1, []),
        (999, []),
    ],
)
def test_sub_unit_status_is_a_sum(number: int | None, expected: list[str]) -> None:
    assert keywords.sub_unit_status(number) == expected


def test_numbers_without_a_keyword() -> None:
    assert keywords.name(keywords.PRINTER_STATUS, 3) == "idle"
    assert keywords.name(keywords.PRINTER_STATUS, 77) == "unknown"
    assert keywords.name(keywords.PRINTER_STATUS, None) is None


@given(st.binary(max_size=8))
def test_any_octets_are_some_errors(octets: bytes) -> None:
    found = keywords.detected_errors(octets)
    assert len(found) == len(set(found))
