# SPDX-License-Identifier: Apache-2.0
"""Whatever a printer sends, a reading comes out, and one bad value costs one field."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.collector.read.decode import decode
from appliance.collector.read.profile import Profiles, load_profiles
from appliance.collector.wire import snmprec
from appliance.collector.wire.value import Varbind
from appliance.model.reading import SECTIONS, Reading

WALKS = sorted((Path(__file__).parents[2] / "printers").glob("*/walk.snmprec"))


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def reading(varbinds: list[Varbind], profiles: Profiles, name: str = "kyocera", **more: object) -> Reading:
    return decode(
        varbinds, profiles.get(name), address="x", time="2026-11-21T12:00:00Z", clock="synchronised", **more
    )  # type: ignore[arg-type]


def load(name: str) -> list[Varbind]:
    return snmprec.load(next(p for p in WALKS if p.parent.name == name).read_text())


def test_only_the_sections_asked_for(profiles: Profiles) -> None:
    varbinds = load("kyocera-taskalfa-3554ci")
    found = reading(varbinds, profiles, sections=("supplies", "status"))
    assert list(found.times) == ["status", "supplies"]
    assert found.supplies
    assert not found.meters
    assert found.printer.serial is None


def test_one_bad_value_costs_one_field(profiles: Profiles) -> None:
    varbinds = load("kyocera-taskalfa-3554ci")
    whole = reading(varbinds, profiles)
    level = "1.3.6.1.2.1.43.11.1.1.9.1.1"
    broken = [Varbind(v.oid, 4, b"\xff\xfe") if v.oid == level else v for v in varbinds]
    found = reading(broken, profiles)
    assert [n.code for n in found.notes] == ["bad-value"]
    assert found.supplies[0].level is None
    assert found.supplies[0].description == whole.supplies[0].description
    for section in SECTIONS:
        if section != "supplies":
            assert getattr(found, section) == getattr(whole, section)


@pytest.mark.parametrize("walk", WALKS, ids=lambda p: p.parent.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_mutated_recordings_never_raise(walk: Path, profiles: Profiles, data: st.DataObject) -> None:
    varbinds = snmprec.load(walk.read_text())
    at = data.draw(st.lists(st.integers(0, len(varbinds) - 1), max_size=40))
    value = st.one_of(
        st.integers(-(2**31), 2**64 - 1), st.binary(max_size=60), st.just("1.3.6.1.4.1.1"), st.just("")
    )
    for i in at:
        varbinds[i] = Varbind(
            varbinds[i].oid, data.draw(st.sampled_from([2, 4, 6, 64, 65, 67])), data.draw(value)
        )
    for name in (*list(profiles.by_name), "generic"):
        if walk.parent.name.split("-")[0] in (name.split("-")[0], "bench") or name in ("generic", "brother"):
            msgspec.json.encode(reading(varbinds, profiles, name))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["1.3.6.1.2.1.43.11.1.1", "1.3.6.1.2.1.43.18.1.1", "1.3.6.1.2.1.25.3.2.1", "1.3.6.1.2.1"]
            ),
            st.lists(st.integers(0, 2**32 - 1), max_size=5),
            st.one_of(st.none(), st.integers(-9, 2**40), st.binary(max_size=9)),
        ),
        max_size=40,
    )
)
def test_rows_of_any_shape_never_raise(rows: list[tuple[str, list[int], int | bytes | None]]) -> None:
    varbinds = [
        Varbind(".".join([root, *map(str, rest)]), 5 if v is None else 2, v) for root, rest, v in rows
    ]
    reading(varbinds, Profiles({}, []), "generic")
