# SPDX-License-Identifier: Apache-2.0
"""What may be installed, which floor follows, when the box restarts, and what the gate demands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.host.rauc import Bundle, Image
from appliance.host.systemd1 import Unit
from appliance.model.errors import PlatenError, UpdateError
from appliance.model.settings import SETTINGS
from appliance.update import gate, policy, version
from appliance.update.gate import Sight
from appliance.update.look import UNITS
from appliance.update.state import CAUSES, Before

NUMBERS = st.integers(0, 30)
VERSIONS = st.builds(
    lambda a, b, c, pre: f"{a}.{b}.{c}{pre}",
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.sampled_from(["", "", "-1", "-rc.1", "-rc.2", "-alpha", "+deb13"]),
)
BOX = policy.Box(
    compatible="platen-rpi-arm64",
    version="1.4.0",
    floor="1.2.0",
    slot_sizes={"rootfs": 1_000, "boot": 100},
)
GOOD = Bundle(
    compatible="platen-rpi-arm64",
    version="1.5.0",
    format="verity",
    images=[Image(slot_class="rootfs", size=1_000), Image(slot_class="boot", size=99)],
)
DEFAULTS = {s.key: s.default for s in SETTINGS.values()}


def refusal(*, downgrade: bool = False, again: bool = False, box: policy.Box = BOX, **changes: Any) -> str:
    bundle = Bundle(**{f: changes.get(f, getattr(GOOD, f)) for f in GOOD.__struct_fields__})
    try:
        policy.judge(bundle, box, downgrade=downgrade, again=again)
    except PlatenError as error:
        return error.code
    return ""


def test_order_of_versions() -> None:
    rising = ["nonsense", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11",
              "1.0.0-rc.1", "1.0", "1.0.1", "1.2", "1.10.0", "2"]  # fmt: skip
    assert sorted(rising[6:] + rising[:6], key=version.key) == rising
    assert not version.older("1.0.0+a", "1.0.0+b")
    assert not version.older("1", "1.0.0")
    for text in ("", "v1.0", "1.0.0.0", "1.0-", "01." + "9" * 20, "1.0 ", "1.0\n"):
        assert not version.valid(text), text


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_one(a: str, b: str, c: str) -> None:
    assert not (version.older(a, b) and version.older(b, a))
    if version.older(a, b) and version.older(b, c):
        assert version.older(a, c)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"compatible": "platen-pc-amd64"}, "bundle-foreign"),
        ({"format": "plain"}, "bundle-format"),
        ({"format": "crypt"}, "bundle-format"),
        ({"version": "1.1.9"}, "bundle-too-old"),
        ({"version": "1.1.9", "downgrade": True}, "bundle-too-old"),
        ({"version": "1.2.0-rc.1", "downgrade": True}, "bundle-too-old"),
        ({"version": "1.3.0"}, "bundle-downgrade"),
        ({"version": "1.3.0", "again": True}, "bundle-downgrade"),
        ({"version": "1.3.0", "downgrade": True}, ""),
        ({"version": "1.4.0"}, "already-there"),
        ({"version": "1.4.0", "again": True}, ""),
        ({"version": "latest"}, "bundle-broken"),
        ({"images": [Image(slot_class="rootfs", size=1_001)]}, "bundle-too-large"),
        ({"images": [Image(slot_class="appfs", size=1)]}, "bundle-foreign"),
    ],
)
def test_what_may_be_installed(changes: dict[str, Any], code: str) -> None:
    assert refusal(**changes) == code


@given(VERSIONS, st.none() | VERSIONS, st.booleans(), st.booleans())
def test_nothing_below_the_floor_is_ever_taken(
    candidate: str, floor: str | None, downgrade: bool, again: bool
) -> None:
    box = policy.Box(compatible=BOX.compatible, version="1.4.0", floor=floor, slot_sizes=BOX.slot_sizes)
    taken = refusal(version=candidate, downgrade=downgrade, again=again, box=box) == ""
    if floor is not None and version.older(candidate, floor):
        assert not taken
    if version.older(candidate, "1.4.0") and not downgrade:
        assert not taken


@given(st.lists(st.tuples(VERSIONS, st.none() | VERSIONS | st.just("bad"))))
def test_the_floor_never_falls_and_never_locks_out_its_own_version(
    history: list[tuple[str, str | None]],
) -> None:
    floor: str | None = None
    for confirmed, declared in history:
        after = policy.raised(floor, confirmed, declared)
        if floor is not None:
            assert after is not None
            assert not version.older(after, floor)
        if after != floor:
            assert after is not None
            assert not version.older(confirmed, after)
        floor = after


def test_a_sudden_floor_is_cut_to_the_version_that_declares_it() -> None:
    assert policy.raised("1.0.0", "1.5.0", "9.0.0") == "1.5.0"
    assert policy.raised("1.0.0", "1.5.0", "1.2.0") == "1.2.0"
    assert policy.raised("1.3.0", "1.5.0", "1.2.0") == "1.3.0"
    assert policy.raised("1.3.0", "1.5.0", None) == "1.3.0"


@pytest.mark.parametrize(
    ("source", "setting", "value", "deed"),
    [
        ("dealer", "update.mode", "automatic", "install"),
        ("dealer", "update.mode", "notify", "notify"),
        ("dealer", "update.mode", "off", "nothing"),
        ("usb", "update.usb", "notify", "notify"),
        ("usb", "update.usb", "automatic", "install"),
        ("usb", "update.usb", "off", "nothing"),
        ("page", "update.mode", "off", "install"),
        ("command", "update.usb", "off", "install"),
    ],
)
def test_what_becomes_of_an_offer(source: Any, setting: str, value: str, deed: str) -> None:
    assert policy.deed(source, {**DEFAULTS, setting: value}) == deed


def test_a_stick_alone_never_installs_anything() -> None:
    assert policy.deed("usb", DEFAULTS) == "notify"
    assert policy.deed("dealer", DEFAULTS) == "install"


@pytest.mark.parametrize(
    ("facts", "settings", "due"),
    [
        ({"hour": 3}, {}, True),
        ({"hour": 0}, {}, False),
        ({"hour": 5}, {}, False),
        ({"hour": 14}, {}, False),
        ({"hour": 3, "clock": "unsynchronised"}, {}, False),
        ({"hour": 14, "waited_s": 86_400.0, "clock": "unsynchronised"}, {}, True),
        ({"hour": 14, "asked": True}, {}, True),
        ({"hour": 14}, {"update.restart": "now"}, True),
        ({"hour": 23}, {"update.night_from": 22, "update.night_to": 4}, True),
        ({"hour": 3}, {"update.night_from": 22, "update.night_to": 4}, True),
        ({"hour": 4}, {"update.night_from": 22, "update.night_to": 4}, False),
        ({"hour": 9}, {"update.night_from": 9, "update.night_to": 9}, True),
    ],
)
def test_when_the_box_restarts(facts: dict[str, Any], settings: dict[str, Any], due: bool) -> None:
    usual = {"asked": False, "clock": "synchronised", "waited_s": 60.0}
    assert policy.restart_due({**DEFAULTS, **settings}, **{**usual, **facts}) is due


@given(st.integers(0, 2**41), st.integers(0, 2**41))
def test_a_file_is_refused_before_it_fills_the_disk(size: int, free: int) -> None:
    if size > policy.MOST_BUNDLE or size + policy.RESERVE > free:
        with pytest.raises(UpdateError) as refused:
            policy.room(size, free)
        assert refused.value.code == ("bundle-too-large" if size > policy.MOST_BUNDLE else "no-room")
    else:
        policy.room(size, free)
        assert free - size >= policy.RESERVE


# -- the gate

NOW = 1_000.0


def units(**changes: Any) -> list[Unit]:
    found = [
        Unit(name=n, active="active", sub="running" if n.endswith("service") else "listening", since=900.0)
        for n in UNITS
    ]
    if changes:
        found[0] = Unit(**{"name": UNITS[0], "active": "active", "sub": "running", "since": 900.0, **changes})
    return found


def sight(**changes: Any) -> Sight:
    well = {"now": NOW, "units": units(), "page": True, "database": True, "printers": 12, "portal": True}
    return Sight(**{**well, **changes})


BEFORE = Before(printers=12, portal=True)


@pytest.mark.parametrize(
    ("seen", "before", "cause"),
    [
        (sight(), BEFORE, None),
        (sight(units=[]), BEFORE, "gate-services"),
        (sight(units=units(active="failed", sub="failed")), BEFORE, "gate-services"),
        (sight(units=units(active="missing", sub="")), BEFORE, "gate-services"),
        (sight(units=units(since=NOW - 5)), BEFORE, "gate-services"),
        (sight(units=units(active="activating", sub="auto-restart")), BEFORE, "gate-services"),
        (sight(page=False), BEFORE, "gate-page"),
        (sight(database=False, page=False), BEFORE, "gate-database"),
        (sight(printers=6), BEFORE, None),
        (sight(printers=5), BEFORE, "gate-printers"),
        (sight(printers=0), Before(printers=1), "gate-printers"),
        (sight(printers=0), Before(printers=0), None),
        (sight(printers=0), Before(), None),
        (sight(printers=None), Before(printers=0), "gate-printers"),
        (sight(portal=False), BEFORE, "gate-portal"),
        (sight(portal=False), Before(printers=12, portal=False), None),
    ],
)
def test_what_the_gate_demands(seen: Sight, before: Before, cause: str | None) -> None:
    early = gate.decide(seen, before, elapsed_s=gate.DEADLINE_S - 1)
    late = gate.decide(seen, before, elapsed_s=gate.DEADLINE_S)
    assert early.word == ("good" if cause is None else "wait")
    assert late.word == ("good" if cause is None else "bad")
    assert late.cause == cause
    assert cause is None or cause in CAUSES


def test_a_service_that_keeps_restarting_never_passes() -> None:
    for at in range(0, 300, 3):
        seen = sight(now=NOW + at, units=units(since=NOW + at - at % 12))
        assert gate.decide(seen, BEFORE, elapsed_s=at).word != "good"
