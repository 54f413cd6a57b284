# SPDX-License-Identifier: Apache-2.0
"""Values in words."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from appliance.model.messages import Rollback, Software
from appliance.model.reading import Reading, Supply
from contract.samples import EXAMPLES
from fleet.store import Box
from fleet.web import words

NOW = 1_795_262_400.0


def _supply(**changes: object) -> Supply:
    example = EXAMPLES["reading"]
    assert isinstance(example, Reading)
    return msgspec.structs.replace(example.supplies[0], **changes)


@pytest.mark.parametrize(
    ("changes", "level", "short"),
    [
        ({}, "64\u202f%", "64\u202f%"),
        ({"basis": "coarse"}, "about 64\u202f%", "≈64\u202f%"),
        ({"percent": None, "basis": "some"}, "some left", "some"),
        ({"percent": None, "basis": "some", "class_": "receptacleThatIsFilled"}, "some space", "some"),
        ({"percent": None, "basis": "unknown"}, "not told", "–"),
        ({"percent": 0}, "0\u202f%", "0\u202f%"),
    ],
)
def test_levels_claim_no_more_than_the_printer(changes: dict[str, object], level: str, short: str) -> None:
    supply = _supply(**changes)
    assert words.level(supply) == level
    assert words.short_level(supply) == short
    assert ("<rect" in words.bar(supply)) == (supply.percent is not None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (-1, "no limit"), (-2, "–"), (-3, "some"), (-7, "–"), (0, "0"), (12345, "12\u202f345")],
)
def test_amounts(value: int | None, text: str) -> None:
    assert words.amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-1, "–"),
        (0, "0\u202fB"),
        (1536, "1.5\u202fKiB"),
        (536870912, "512\u202fMiB"),
        (2**60, "1048576\u202fTiB"),
    ],
)
def test_octets(value: int | None, text: str) -> None:
    assert words.octets(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (61, "1 min ago"),
        (3_700, "1 h ago"),
        (86_500, "1 day ago"),
        (9e6, "104 days ago"),
        (-999, "in the future"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    from appliance.model.clock import rfc3339

    assert words.ago(rfc3339(NOW - seconds), NOW) == text


def test_keywords() -> None:
    assert words.keyword("serviceRequested") == "Service requested"
    assert words.keyword("light_cyan") == "Light cyan"
    assert words.keyword(None) == ""
    assert words.meter_name("total.full_color") == "Total, full color"
    assert words.short_name(_supply(type="wasteToner", color="black")) == "Waste toner"
    assert words.short_name(_supply()) == "Cyan"


@pytest.mark.parametrize(
    ("online", "heard", "every", "word"),
    [
        (True, 10, None, "Online"),
        (True, 1_000, None, "Silent"),
        (True, 1_000, 300.0, "Silent"),
        (True, 10_000, 3_600.0, "Online"),
        (True, 11_000, 3_600.0, "Silent"),
        (False, 10, 300.0, "Offline"),
        (None, 10, None, "Not announced"),
        (True, None, None, "Silent"),
    ],
)
def test_boxes_are_judged_by_what_was_heard(
    online: bool | None, heard: float | None, every: float | None, word: str
) -> None:
    from appliance.model.clock import rfc3339

    box = Box(
        box="PL-1",
        first_heard="",
        last_heard=None if heard is None else rfc3339(NOW - heard),
        online=online,
        online_since=None,
        version=None,
        heartbeat=None,
        heartbeat_heard=None,
        heartbeat_every=every,
        duplicates=0,
        refused=0,
        printers=0,
        missing=0,
    )
    assert words.box_mark(box, NOW).word == word


def test_events_say_what_people_need() -> None:
    supply = {"supply": "1.2", "type": "toner", "color": "cyan", "percent": 8, "serial": None}
    assert _plain("supply.low", **supply, description="Cyan Toner") == "Supply low: Cyan Toner, percent 8"
    assert _plain("supply.low", **supply, description=None) == "Supply low: Toner, Cyan, percent 8"
    assert _plain("status.problem", error="noToner") == "Status problem: No toner"
    assert _plain("alert.raised", index=3, code=8, code_name="jam", time="x") == "Alert raised: Jam"
    assert _plain("meter.went-back") == "Meter went back"
    assert "&lt;b&gt;" in words.event_text("<b>", {"error": "<b>"})


def _plain(event: str, **fields: object) -> str:
    return re.sub(r"<[^>]+>", "", str(words.event_text(event, fields)))


def test_a_chart_needs_two_points_and_survives_a_meter_that_stands_still() -> None:
    assert words.chart([(NOW, 5)], "Total") == ""
    assert "<polyline" in words.chart([(NOW, 5), (NOW, 5)], "Total")
    many = words.chart([(NOW + n, n) for n in range(5_000)], "<b>")
    assert many.count(",") < 1_500
    assert "&lt;b&gt;" in many


@pytest.mark.parametrize(
    ("changes", "tone", "word"),
    [
        ({}, "ok", "Up and running"),
        ({"operation": "installing", "percent": 40}, "off", "Installing, 40 %"),
        ({"operation": "restart-due"}, "off", "Installed, restart due"),
        ({"error": "bundle-broken: x"}, "note", "Last update failed"),
        ({"error": "bundle-broken: x", "operation": "trial"}, "off", "On trial"),
    ],
)
def test_updates_are_judged(changes: dict[str, Any], tone: str, word: str) -> None:
    mark = words.software_mark(Software(version="1.4.0", **changes))
    assert (mark.tone, mark.word) == (tone, word)


def test_an_update_that_did_not_stay_is_seen_first() -> None:
    back = Rollback(version="1.5.0", kept="1.4.0", cause="gate-page", sentence="", time="")
    mark = words.software_mark(Software(version="1.4.0", error="x: y", rollback=back))
    assert (mark.tone, mark.word) == ("bad", "Version 1.5.0 did not stay")
