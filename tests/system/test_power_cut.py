# SPDX-License-Identifier: Apache-2.0
"""The plug is pulled: offline at every write of each step that changes the box's state, and for real at seeded times.
docs/reliability.md says what is judged and what that proves."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.system import measure
from tests.system.box import INSTALL_S, ROLLBACK_S, Box, State
from tests.system.bundles import Bundles, build, following
from tests.system.judge import Result
from tests.system.lab import TREE
from tests.system.recording import Recording
from tests.system.visitor import PASSWORD, Visitor

SEEDS = TREE / "tests/system/seeds.txt"
KILLS = 20
SWITCH_S = 260
"""The dead man's switch of a trial looks after 230 s."""

SETTINGS = {
    "discovery": {"discovery.rate": "30", "discovery.every_h": "12"},
    "poll": {"poll.status_s": "600", "poll.full_s": "80000", "poll.at_once": "4"},
}


def save_settings(box: Box) -> None:
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    for group, values in SETTINGS.items():
        visitor.post("/settings", "/settings", group=group, **values)


def ask_for_reset(box: Box) -> None:
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    visitor.restart("/settings/factory-reset", "/settings/factory-reset", password=PASSWORD)


def settle(box: Box) -> None:
    """What services still write by themselves belongs to the step before."""
    box.run("sync")
    time.sleep(5)


def good(result: Result) -> Result:
    for step in result.steps:
        states = ", ".join(f"{n} {what}" for what, n in sorted(step.states.items()))
        measure.show(f"{step.name}: {sum(step.writes.values())} writes; states judged: {states or 'none'}")
        if step.checks:
            measure.show(f"  the data partition's journal was enough, or more was needed: {step.checks}")
    measure.show(f"{result.entries} entries, {result.flushes} flushes; environment: {result.environments}")
    assert result.bad == [], "\n".join(f"{b.prefix} {b.where}: {b.why} {b.lost}" for b in result.bad[:20])
    # U-Boot writes the sector; the kernel the page around it, whose rest is always zeros.
    assert set(result.environment) <= {"1", "8"}
    return result


@pytest.fixture
def recording(new_box: Box, request: pytest.FixtureRequest) -> Iterator[Recording]:
    found = Recording(new_box, request.node.name)
    try:
        yield found
    finally:
        found.give_back()
        new_box.flash()


@pytest.mark.timeout(1800)
def test_first_boot_settings_and_factory_reset(recording: Recording) -> None:
    box = recording.box
    recording.begin("first boot")
    box.wait_ready()
    assert box.run("cat /run/platen-data").strip() == "card"
    box_id = box.run("cat /data/platen/identity/box-id").strip()
    settle(box)
    recording.step("settings")
    save_settings(box)
    settle(box)
    recording.step("factory reset")
    ask_for_reset(box)
    box.wait_other_boot()
    box.wait_ready()
    assert box.run("cat /data/platen/identity/box-id").strip() == box_id
    assert 'name="code"' in Visitor(box.address()).get("/setup")
    settle(box)
    recording.end()
    result = good(recording.judged(sample=40, losses=1))
    assert {"env", "table", "firmware", "data"} <= result.steps[0].writes.keys()
    assert result.facts["box-id"] == box_id


@pytest.fixture(scope="module")
def life(new_box: Box, bundles: Bundles) -> Iterator[tuple[Recording, Result]]:
    """Everything that changes the box's state, once, recorded and judged at each write."""
    recording, box = Recording(new_box, "life"), new_box
    try:
        recording.begin("first boot")
        box.wait_ready()
        settle(box)
        recording.step("settings")
        save_settings(box)
        settle(box)
        recording.step("install")
        box.begin_install(box.serve(build(following(bundles.version))))
        box.until(lambda: box.agent_gone(), 2 * INSTALL_S, "it does not restart", 0.5)
        recording.step("confirm")
        box.wait_other_boot()
        box.wait_ready()
        box.wait_committed()
        settle(box)
        trial = box.boot_id()
        before = box.slot()
        box.until(lambda: float(box.run("cat /proc/uptime").split()[0]) > SWITCH_S, SWITCH_S + 60, "no time")
        assert box.boot_id() == trial, "a confirmed slot was restarted"
        recording.step("install what does not boot")
        box.begin_install(box.serve(bundles.unbootable(following(box.version()))))
        box.until(lambda: box.agent_gone(), 2 * INSTALL_S, "it does not restart", 0.5)
        recording.step("rollback")
        box.wait_other_boot(ROLLBACK_S)
        box.wait_ready()
        box.until(lambda: box.slot() == before and box.status()["last_rollback"], 60, "no reason is given")
        settle(box)
        recording.step("factory reset")
        ask_for_reset(box)
        box.wait_other_boot()
        box.wait_ready()
        settle(box)
        recording.end()
        yield recording, recording.judged(losses=2)
    finally:
        recording.give_back()
        box.flash()


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_every_write_of_every_step(life: tuple[Recording, Result]) -> None:
    good(life[1])


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_one_of_each_class_boots(life: tuple[Recording, Result]) -> None:
    recording, result = life
    box = recording.box
    for kind in result.classes:
        box.transition(State.OFF)
        recording.card(kind.example, box.disk)
        box.boot()
        began = time.monotonic()
        comes_back(box)
        measure.show(
            f"after {kind.example} writes ({kind.name}): slot {box.slot()}, {time.monotonic() - began:.0f} s"
        )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_torn_partition_table_boots(life: tuple[Recording, Result]) -> None:
    recording, result = life
    box = recording.box
    box.transition(State.OFF)
    recording.card(result.entries, box.disk)
    with box.disk.open("r+b") as file:
        file.seek(2 * 512)  # its entries; the header before them has their checksum
        file.write(bytes(512))
    box.boot()
    comes_back(box)


def comes_back(box: Box) -> None:
    """Until the box is ready on a slot that stays, with all it has to have."""
    box.wait_ready(BOOT_TO_STAY_S)
    box.until(lambda: stays(box), BOOT_TO_STAY_S, "no slot stays", 5)
    assert box.run("cat /run/platen-data").strip() in ("card", "new")
    assert box.run("systemctl --failed --quiet --no-legend --no-pager").strip() == ""
    assert "password" in Visitor(box.address()).get("/")


BOOT_TO_STAY_S = 2 * ROLLBACK_S


def stays(box: Box) -> bool:
    with contextlib.suppress(TimeoutError, AssertionError):
        left = dict(line.split("=", 1) for line in box.run("fw_printenv").splitlines() if "=" in line)
        return left[f"BOOT_{box.slot().upper()}_LEFT"] == "9"
    return False


class Kill(msgspec.Struct, frozen=True):
    """One pulled plug, all of it from its seed: in which step, and when in it (0 to 1)."""

    seed: int
    step: str
    part: float

    @classmethod
    def of(cls, seed: int, steps: list[str]) -> Kill:
        chance = random.Random(seed)
        return cls(seed, chance.choice(steps), chance.random())


STEPS = {
    "first boot": 150.0, "settings": 12.0, "install": 120.0, "confirm": 200.0, "rollback": 240.0,
    "factory reset": 150.0,
}  # fmt: skip
"""How long each may take, in seconds; the plug is pulled somewhere in it."""


def known_seeds() -> list[int]:
    lines = SEEDS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def note(kill: Kill, result: str) -> None:
    """In the ledger, whatever becomes of the run."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=TREE, capture_output=True, text=True, check=False
    ).stdout.strip()
    with SEEDS.open("a") as file:
        when = f"{kill.part * STEPS[kill.step]:.1f}"
        file.write(f"{kill.seed} {commit or '-'} {kill.step.replace(' ', '-')} {when} {result}\n")


def pull(kill: Kill, recording: Recording, bundle: Path) -> None:
    """From the card as it was when the step began, the step for a part of its time, and then no more power."""
    box = recording.box
    box.transition(State.OFF)
    recording.card(recording.first(kill.step), box.disk)
    box.boot()
    if kill.step in ("settings", "install", "factory reset"):
        box.wait_ready()
    end = time.monotonic() + kill.part * STEPS[kill.step]
    if kill.step == "settings":
        while time.monotonic() < end:
            save_settings(box)
    elif kill.step == "install":
        box.begin_install(box.serve(bundle))
    elif kill.step == "factory reset":
        ask_for_reset(box)
    time.sleep(max(end - time.monotonic(), 0))
    box.cut_power()


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
def test_seeded_kills(life: tuple[Recording, Result], bundles: Bundles) -> None:
    recording, _ = life
    box = recording.box
    bundle = build(following(bundles.version))
    first = max(known_seeds(), default=0) + 1
    failed = []
    for seed in range(first, first + KILLS):
        kill = Kill.of(seed, list(STEPS))
        try:
            pull(kill, recording, bundle)
            box.boot()
            comes_back(box)
        except (AssertionError, TimeoutError) as error:
            failed.append(f"{kill}: {error}")
            note(kill, "bad")
        else:
            note(kill, f"good slot={box.slot()}")
    measure.show(f"{KILLS} plugs pulled, {len(failed)} bad; {len(known_seeds())} so far")
    assert not failed, "\n".join(failed)
