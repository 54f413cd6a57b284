# SPDX-License-Identifier: Apache-2.0
"""The laws of merge, difference and apply, and the JSON form."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.clock import rfc3339, unix
from appliance.model.reading import (
    SCHEMA,
    SECTIONS,
    Change,
    Cover,
    Meter,
    PrinterFacts,
    Reading,
    Status,
    Supply,
    Traffic,
    apply,
    difference,
    merge,
)

TIMES = st.integers(0, 4).map(lambda s: rfc3339(1_795_651_200 + 60 * s))
SMALL = st.sampled_from(["a", "b", None])
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "printer": st.builds(
        PrinterFacts, vendor=SMALL, serial=SMALL, color=st.sampled_from([True, False, None])
    ),
    "status": st.builds(
        Status, printer=SMALL, errors=st.lists(st.sampled_from(["jammed", "noPaper"]), max_size=2)
    ),
    "meters": st.lists(
        st.builds(
            Meter,
            name=st.just("total"),
            value=st.integers(0, 3),
            unit=st.just("sheets"),
            source=st.just("1.3"),
        ),
        max_size=2,
    ),
    "supplies": st.lists(
        st.builds(
            Supply,
            index=st.just("1.1"),
            class_=st.just("supplyThatIsConsumed"),
            type=st.just("toner"),
            percent=st.none() | st.integers(0, 2),
        ),
        max_size=1,
    ),
    "covers": st.lists(st.builds(Cover, index=st.just("1.1"), status=SMALL), max_size=2),
}


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """One that read some sections; the others have their defaults, as decode leaves them."""
    read = draw(st.sets(st.sampled_from(SECTIONS)))
    time = draw(TIMES)
    parts = {name: draw(PARTS[name]) for name in sorted(read & PARTS.keys())}
    return Reading(
        time=time,
        clock=draw(st.sampled_from(["synchronised", "unsynchronised"])),
        address=draw(st.sampled_from(["192.0.2.1", "192.0.2.2"])),
        times=dict.fromkeys(sorted(read), time),
        uptime_ticks=draw(st.none() | st.integers(0, 9)),
        traffic=Traffic(packets_sent=draw(st.integers(0, 3))),
        **{"printer": PrinterFacts(), **parts},
    )


def aside(reading: Reading, of: Reading) -> Reading:
    """Without what a change does not carry."""
    return msgspec.structs.replace(reading, traffic=of.traffic, notes=of.notes, profile=of.profile)


@given(readings(), readings())
def test_apply_undoes_difference(old: Reading, new: Reading) -> None:
    whole = merge(old, new)
    assert apply(old, difference(old, whole)) == aside(whole, of=old)


@given(readings(), readings())
def test_a_difference_survives_the_wire(old: Reading, new: Reading) -> None:
    change = difference(old, merge(old, new))
    data = msgspec.json.encode(change)
    assert msgspec.json.decode(data, type=Change) == change


@given(readings(), readings())
def test_merge_keeps_what_was_not_read(old: Reading, new: Reading) -> None:
    whole = merge(old, new)
    for section in SECTIONS:
        source = new if section in new.times else old
        assert getattr(whole, section) == getattr(source, section)
        assert whole.times.get(section) == source.times.get(section)
    assert (whole.time, whole.address, whole.uptime_ticks) == (new.time, new.address, new.uptime_ticks)


@given(readings(), readings(), readings())
def test_merge_is_associative(a: Reading, b: Reading, c: Reading) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(readings())
def test_merging_with_itself_and_differing_from_itself_is_nothing(reading: Reading) -> None:
    assert merge(reading, reading) == reading
    change = difference(reading, reading)
    assert change.sections == ()
    assert change.times == {}


@given(readings(), readings())
def test_only_sections_that_were_read_can_differ(old: Reading, new: Reading) -> None:
    assert set(difference(old, merge(old, new)).sections) <= set(new.times)


@given(readings())
def test_the_json_form_comes_back(reading: Reading) -> None:
    data = msgspec.json.encode(reading)
    assert msgspec.json.decode(data, type=Reading) == reading
    plain = msgspec.json.decode(data)
    assert plain["schema"] == SCHEMA
    # Unknown is null, and every part is there.
    assert set(SECTIONS) | {"traffic", "time", "clock", "address"} <= plain.keys()
    assert plain["printer"].keys() >= {
        "vendor",
        "model",
        "serial",
        "mac",
        "sys_object_id",
        "firmware",
        "color",
    }
    assert all("class" in s and "class_" not in s for s in plain["supplies"])


def test_a_change_names_an_emptied_section() -> None:
    old = Reading(
        time="t", clock="synchronised", address="a", printer=PrinterFacts(), covers=[Cover(index="1")]
    )
    change = difference(old, msgspec.structs.replace(old, covers=[]))
    assert change.sections == ("covers",)
    assert msgspec.json.decode(msgspec.json.encode(change), type=Change).covers == []


def test_traffic_adds_up() -> None:
    one = Traffic(packets_sent=1, packets_received=2, bytes_sent=3, bytes_received=4)
    assert one + one == Traffic(packets_sent=2, packets_received=4, bytes_sent=6, bytes_received=8)
    assert one + Traffic() == one


@given(st.integers(0, 2**33 * 1000))
def test_moments_keep_their_milliseconds(milliseconds: int) -> None:
    text = rfc3339(milliseconds / 1000)
    assert text.endswith("Z")
    assert len(text) == 24
    assert round(unix(text) * 1000) == milliseconds


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=5))
def test_moments_sort_as_text(moments: list[int]) -> None:
    assert sorted(map(rfc3339, moments)) == [rfc3339(m) for m in sorted(moments)]
