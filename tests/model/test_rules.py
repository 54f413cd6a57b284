# SPDX-License-Identifier: Apache-2.0
"""Settings, supplies, meters, messages and errors: the small rules everything leans on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import errors, messages, meters
from appliance.model.clock import Stamp
from appliance.model.errors import PlatenError, SettingError
from appliance.model.settings import SETTINGS, check
from appliance.model.supplies import judge

# --- settings


@pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda r: r.key)
def test_every_default_is_allowed(row: Any) -> None:
    assert check(row.key, row.default) == row.default
    assert row.help.endswith(".")


@pytest.mark.parametrize("row", [r for r in SETTINGS.values() if r.type == "int"], ids=lambda r: r.key)
def test_limits_hold_on_both_ends(row: Any) -> None:
    for inside in (row.minimum, row.maximum, str(row.maximum)):
        assert check(row.key, inside) == int(inside)
    for outside in (
        row.minimum - 1,
        row.maximum + 1,
        True,
        1.5,
        None,
        "",
        "ten",
        "1e3",
        "²",
        "٣",
        "--5",
        "9" * 5000,
    ):
        with pytest.raises(SettingError):
            check(row.key, outside)


@given(st.sampled_from(sorted(SETTINGS)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
))  # fmt: skip
def test_any_value_is_taken_or_refused_and_taking_is_idempotent(key: str, value: Any) -> None:
    try:
        taken = check(key, value)
    except SettingError:
        return
    assert check(key, taken) == taken
    assert msgspec.json.decode(msgspec.json.encode(taken)) == taken


def test_lists_as_people_type_them() -> None:
    assert check("discovery.ranges", "10.0.0.1, 10.0.0.2\n\n10.0.0.3") == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert check("discovery.ranges", "") == []
    with pytest.raises(SettingError):
        check("snmp.communities", [str(n) for n in range(9)])
    with pytest.raises(SettingError):
        check("discovery.ranges", ["x" * 256])
    with pytest.raises(SettingError):
        check("discovery.ranges", [""])


def test_words_for_yes_and_no() -> None:
    assert [check("uplink.paused", w) for w in ("yes", "ON", "1", "true", "no", "off", "0", " False ")] == [
        *[True] * 4,
        *[False] * 4,
    ]
    for wrong in ("maybe", 2, None):
        with pytest.raises(SettingError):
            check("uplink.paused", wrong)


def test_choices_and_texts() -> None:
    assert check("page.language", "de") == "de"
    for wrong in ("fr", "", None):
        with pytest.raises(SettingError):
            check("page.language", wrong)
    for wrong in ("a\nb", "x" * 256, 5):
        with pytest.raises(SettingError):
            check("uplink.host", wrong)
    with pytest.raises(SettingError, match="no setting"):
        check("uplink.hots", "x")


def test_a_refusal_never_repeats_a_secret() -> None:
    with pytest.raises(SettingError) as caught:
        check("snmp.communities", ["s3cret" * 50])
    assert "s3cret" not in str(caught.value)


# --- supplies (RFC 3805, prtMarkerSuppliesLevel)


@pytest.mark.parametrize(
    ("class_", "capacity", "level", "more", "expected"),
    [
        ("supplyThatIsConsumed", 100, 55, {}, (55, "ok", "measured")),
        ("supplyThatIsConsumed", 12_000, 6_000, {}, (50, "ok", "measured")),
        ("supplyThatIsConsumed", 100, 10, {}, (10, "low", "measured")),
        ("supplyThatIsConsumed", 100, 11, {}, (11, "ok", "measured")),
        ("supplyThatIsConsumed", 100, 0, {}, (0, "empty", "measured")),
        ("supplyThatIsConsumed", 100_000, 1, {}, (1, "low", "measured")),
        ("supplyThatIsConsumed", 100, 101, {}, (100, "ok", "measured")),
        ("supplyThatIsConsumed", 100, 103, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 100, -3, {}, (None, "ok", "some")),
        ("supplyThatIsConsumed", -2, -3, {}, (None, "ok", "some")),
        ("supplyThatIsConsumed", 100, -2, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 100, -1, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 100, -9, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 100, None, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", -2, 50, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 0, 0, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", None, 5, {}, (None, "unknown", "unknown")),
        ("supplyThatIsConsumed", 100, 50, {"steps": (0, 50, 100)}, (50, "ok", "coarse")),
        ("other", 100, 5, {}, (5, "low", "measured")),
        ("receptacleThatIsFilled", 100, 60, {}, (60, "ok", "measured")),
        ("receptacleThatIsFilled", 100, 5, {}, (5, "unknown", "measured")),
        ("receptacleThatIsFilled", 100, 95, {}, (95, "unknown", "measured")),
        ("receptacleThatIsFilled", 100, 5, {"counts": "remaining"}, (5, "near_full", "measured")),
        ("receptacleThatIsFilled", 100, 0, {"counts": "remaining"}, (0, "full", "measured")),
        ("receptacleThatIsFilled", 100, 95, {"counts": "filled"}, (5, "near_full", "measured")),
        ("receptacleThatIsFilled", 100, 100, {"counts": "filled"}, (0, "full", "measured")),
        ("receptacleThatIsFilled", 100, 0, {"counts": "filled"}, (100, "ok", "measured")),
        ("receptacleThatIsFilled", 100, -3, {}, (None, "ok", "some")),
    ],
)
def test_a_level_says_no_more_than_it_says(
    class_: Any, capacity: Any, level: Any, more: Any, expected: Any
) -> None:
    assert judge(class_, capacity, level, **more) == expected


LEVELS = st.none() | st.integers(-(2**31), 2**31 - 1)


@given(
    st.sampled_from(["supplyThatIsConsumed", "receptacleThatIsFilled", "other"]),
    LEVELS,
    LEVELS,
    st.sampled_from([None, "filled", "remaining"]),
)
def test_a_percentage_only_of_a_real_gauge(class_: Any, capacity: Any, level: Any, counts: Any) -> None:
    percent, state, basis = judge(class_, capacity, level, counts=counts)
    if percent is None:
        assert basis in ("some", "unknown")
        assert state in ("ok", "unknown")
    else:
        assert 0 <= percent <= 100
        assert basis == "measured"
        assert capacity > 0
        assert level >= 0
    if state == "empty":
        assert level == 0
    if counts == "remaining" and class_ == "supplyThatIsConsumed" and level:
        assert percent != 0, "nothing is called empty while something is left"


# --- meters


def test_meter_names() -> None:
    assert {"total", "total.monochrome", "copy.full_color", "scan", "print.large"} <= meters.NAMES
    assert len(meters.NAMES) == 5 + 5 * 6
    ordered = sorted(meters.NAMES, key=meters.order)
    assert ordered[:3] == ["total", "total.monochrome", "total.full_color"]
    assert ordered.index("print") < ordered.index("print.blank") < ordered.index("copy")


# --- messages

STAMP = Stamp(time="2026-11-26T00:00:00.000Z", clock="synchronised", boot_id="b", mono=1.0)
ONE_OF_EACH = [
    messages.Readings(box="PL", stream="s", seq=1, records=[messages.Record(printer="p", stamp=STAMP)]),
    messages.Event(box="PL", stream="s", seq=2, stamp=STAMP, code="printer.found", severity="info"),
    messages.State(box="PL", online=True, stamp=STAMP),
    messages.Heartbeat(
        box="PL", stamp=STAMP, printers=1, answering=1, waiting=0, problems=0, uptime_s=1, disk_free_mb=1
    ),
    messages.Acknowledgement(box="PL", stream="s", seqs=[1], refused={"2": "no"}, time=STAMP.time),
]  # fmt: skip


@pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda m: type(m).__name__)
def test_messages_say_what_they_are_and_come_back(message: Any) -> None:
    data = msgspec.json.encode(message)
    schema = msgspec.json.decode(data)["schema"]
    assert messages.MESSAGES[schema] is type(message)
    assert schema in messages.TOPIC
    assert msgspec.json.decode(data, type=messages.MESSAGES[schema]) == message


def test_every_message_is_listed_once() -> None:
    assert {type(m) for m in ONE_OF_EACH} == set(messages.MESSAGES.values())
    assert messages.TOPIC.keys() == messages.MESSAGES.keys()
    assert len(set(messages.TOPIC.values())) == len(messages.TOPIC)


# --- errors


def tree(root: type[PlatenError]) -> list[type[PlatenError]]:
    return [root, *(c for child in root.__subclasses__() for c in tree(child))]


@pytest.mark.parametrize("kind", tree(PlatenError), ids=lambda c: c.__name__)
def test_every_error_has_a_stable_code_and_status(kind: type[PlatenError]) -> None:
    assert kind.code == kind.code.lower()
    assert " " not in kind.code
    assert kind.exit_status in (1, 2, 70)
    assert kind.__name__ in (errors.__doc__ or "")
    found = kind("Something happened.", hint="Do this.")
    assert str(found) == f"{kind.code}: Something happened. Do this."
    assert str(kind("It broke", hint="")) == f"{kind.code}: It broke."


def test_a_finer_code_belongs_to_the_one_error() -> None:
    assert errors.TargetError("x", code="public-address").code == "public-address"
    assert errors.TargetError("x").code == "bad-target"
