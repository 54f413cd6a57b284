# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.webui.i18n import Locale, negotiate

BERLIN = ZoneInfo("Europe/Berlin")
NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC


@pytest.mark.parametrize(
    ("language", "number", "size", "percent"),
    [("en", "1,234,567", "12.3 kB", "62%"), ("de", "1.234.567", "12,3\u00a0kB", "62\u00a0%")],
)
def test_numbers(language: str, number: str, size: str, percent: str):
    t = Locale(language)
    assert t.number(1_234_567) == number
    assert t.size(12_345) == size.replace(" ", "\u00a0")
    assert t.percent(62) == percent


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_900, "99.9 kB"),
        (123_456, "123 kB"),
        (5_000_000_000, "5.0 GB"),
    ],
)
def test_sizes(octets: int, text: str):
    assert Locale("en").size(octets) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("seconds", "en", "de"),
    [
        (3, "just now", "gerade eben"),
        (45, "45 seconds ago", "vor 45 Sekunden"),
        (60, "1 minute ago", "vor 1 Minute"),
        (125, "2 minutes ago", "vor 2 Minuten"),
        (47 * 3600, "47 hours ago", "vor 47 Stunden"),
        (3 * 86_400, "3 days ago", "vor 3 Tagen"),
        (-600, "in 10 minutes", "in 10 Minuten"),
    ],
)
def test_ago(seconds: float, en: str, de: str):
    assert Locale("en").ago(NOW - seconds, NOW) == en
    assert Locale("de").ago(NOW - seconds, NOW) == de


def test_a_span_of_days_is_nominative():
    assert Locale("de").duration(3 * 86_400) == "3 Tage"


def test_moments_carry_their_zone():
    assert Locale("en", zone=BERLIN).moment("2026-11-21T13:05:09.000Z") == "21 Nov 2026, 14:05 CET"
    assert (
        Locale("de", zone=BERLIN).moment("2026-07-01T13:05:09.000Z", seconds=True)
        == "01.07.2026, 15:05:09 MESZ"
    )


@pytest.mark.parametrize(
    ("setting", "chosen", "accept", "language"),
    [
        ("auto", None, "de-CH,de;q=0.9,en;q=0.8", "de"),
        ("auto", None, "fr,en;q=0.7,de;q=0.3", "en"),
        ("auto", None, None, "en"),
        ("de", None, "en", "de"),
        ("de", "en", "de", "en"),
        ("auto", "xx", "de;q=nonsense", "en"),
    ],
)
def test_language(setting: str, chosen: str | None, accept: str | None, language: str):
    assert negotiate(setting, chosen, accept) == language


@given(st.text(max_size=400))
def test_any_accept_language_ends_in_a_language(header: str):
    assert negotiate("auto", None, header) in ("en", "de")


@given(st.floats(min_value=0, max_value=1e10))
def test_durations_of_any_length(seconds: float):
    assert Locale("en").duration(seconds)[0].isdigit()


def test_lists():
    assert Locale("en").list(["a"]) == "a"
    assert Locale("en").list(["a", "b", "c"]) == "a, b and c"
    assert Locale("de").list([]) == ""
