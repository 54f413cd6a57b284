# SPDX-License-Identifier: Apache-2.0
"""An update on a box whose power goes at any moment, as often as it likes, ends the same way.

The world here is the boot loader's environment, one key at a time as fw_setenv writes it, the slots, and our journal on
a real disk. RAUC's and U-Boot's steps are modelled after RAUC 1.13's src/bootloaders/uboot.c and our boot script;
tests/system plays the same with the real ones in QEMU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.host import uboot
from appliance.update import state
from appliance.update.journal import Journal
from appliance.update.state import Attempt, Before, Boot, State

BEFORE_IT, OLD, NEW = "0.9.0", "1.0.0", "1.1.0"
FLOOR = "1.0.5"
CAUSE = "gate-printers"


class PowerCut(Exception):
    pass


class World:
    """`cuts`: after how many writes the power goes, one after the other; then never again."""

    def __init__(self, folder: Path, kind: str, cuts: list[int]) -> None:
        self.environment = {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "9", "BOOT_B_LEFT": "9", "BOOT_SEEN": "0"}
        self.content = {"A": OLD, "B": BEFORE_IT}
        self.kind = kind
        self.journal = Journal(folder)
        self.cuts = iter(cuts)
        self.left: int | None = next(self.cuts, None)
        self.boots = 0
        self.writes = 0
        self.now = State()

    def wrote(self) -> None:
        """Every write ends here, before the next can begin."""
        self.writes += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = next(self.cuts, None)
                raise PowerCut

    def set(self, key: str, value: str) -> None:
        self.wrote()
        self.environment[key] = value

    def note(self, step: Callable[[State], State]) -> State:
        self.wrote()
        return self.journal.change(step)

    # RAUC

    def mark_bad(self, slot: str) -> None:
        self.set("BOOT_ORDER", " ".join(s for s in self.environment["BOOT_ORDER"].split() if s != slot))
        self.set(f"BOOT_{slot}_LEFT", "0")

    def install(self) -> None:
        self.mark_bad("B")
        for part in ("", NEW):  # first half written, then whole
            self.wrote()
            self.content["B"] = part
        self.set("BOOT_B_LEFT", "3")
        self.set("BOOT_ORDER", "B A")

    # U-Boot

    def boot(self) -> str | None:
        """The slot that comes up, or None: the try is spent and the box starts over."""
        for slot in self.environment["BOOT_ORDER"].split():
            left = int(self.environment[f"BOOT_{slot}_LEFT"], 16)
            if left == 0:
                continue
            if left < uboot.COMMITTED:
                self.set(f"BOOT_{slot}_LEFT", f"{left - 1:x}")
                if self.kind == "does not boot":
                    return None
            assert self.content[slot] in (OLD, NEW), "an unfinished slot is never started"
            return slot
        raise AssertionError("no slot is left to start")

    # the box

    def facts(self, slot: str) -> Boot:
        environment = uboot.parse("\n".join(f"{k}={v}" for k, v in self.environment.items()))
        # U-Boot decides this before it counts down, and tells it on the command line.
        trial = environment.left[slot] < uboot.COMMITTED
        return Boot(
            slot=slot,
            trial=trial,
            version=self.content[slot],
            boot_id=f"boot-{self.boots}",
            environment=environment,
            time="2026-11-21T08:00:00Z",
        )

    def gate(self, slot: str) -> bool:
        """keeper.Keeper.run's order of writes. False: it restarts."""
        boot = self.facts(slot)
        step: list[str] = []

        def arrive(old: State) -> State:
            new, word = state.arrived(old, boot)
            step.append(word)
            return new

        self.note(arrive)
        if step[-1] == "gate" and self.kind == "hangs":
            return False  # the watchdog restarts the box; nothing was noted
        if step[-1] == "gate" and self.kind == "good":
            self.set(f"BOOT_{slot}_LEFT", "9")
            self.note(lambda s: state.confirmed(s, boot))
        elif step[-1] == "gate":
            self.note(lambda s: state.refused(s, CAUSE))
            self.mark_bad(slot)
            return False
        elif step[-1] == "refuse":
            self.mark_bad("B")
            if slot == "B":
                return False
            after = self.facts(slot)
            self.note(lambda s: state.arrived(s, after)[0])
        return True

    def update(self, cancel: bool) -> bool:
        """service.Update's order of writes; True: it restarts."""
        boot = self.facts("A")
        attempt = Attempt(
            version=NEW, origin_version=OLD, slot="B", origin="A", stage="began", started=boot.time,
            boot_id=boot.boot_id, floor=FLOOR, before=Before(printers=3),
        )  # fmt: skip
        self.note(lambda s: state.begin(s, attempt))
        self.install()
        if cancel:
            self.note(lambda s: state.refused(s, "cancelled"))
            self.mark_bad("B")
            self.note(lambda s: state.failed(s, "install-cancelled", "", boot.time))
            return False
        self.note(lambda s: state.installed(s, Before(printers=3)))
        return True

    def live(self, cancel: bool = False) -> State:
        """Until it rests, with the update asked for once."""
        asked = False
        while self.boots < 60:
            self.boots += 1
            try:
                slot = self.boot()
                if slot is None or not self.gate(slot):
                    continue
                if not asked:
                    asked = True
                    if self.update(cancel):
                        continue
                if self.journal.read().attempt is None or self.environment["BOOT_ORDER"].split()[0] == slot:
                    return self.journal.read()
            except PowerCut:
                continue
        raise AssertionError("it never rests")


def check(world: World, end: State) -> str:
    """What must hold wherever it ends; the end in a word."""
    assert end.attempt is None
    running = world.boot()
    assert running is not None
    left = {s: world.environment[f"BOOT_{s}_LEFT"] for s in "AB"}
    assert left["A"] == "9", "the slot that was good never loses its tries"
    if running == "B":
        assert left["B"] == "9"
        assert end.floor == FLOOR
        assert end.last is not None
        assert end.last.result == "confirmed"
        assert end.rollback is None
        return "new"
    assert end.floor is None
    if world.content["B"] != BEFORE_IT:
        assert left["B"] == "0" or "B" not in world.environment["BOOT_ORDER"].split()
    if end.rollback is not None:
        assert end.rollback.version == NEW
        assert end.rollback.kept == OLD
        return f"old, {end.rollback.cause}"
    assert end.last is None or end.last.result in ("failed", "cancelled")
    return "old"


WHOLE = {
    "good": "new",
    "bad": f"old, {CAUSE}",
    "does not boot": "old, did-not-start",
    "hangs": "old, cut-short",
}


def outcomes(folder: Path, kind: str, cuts: list[int], cancel: bool = False) -> tuple[str, World]:
    folder.mkdir()
    world = World(folder, kind, cuts)
    return check(world, world.live(cancel)), world


@pytest.mark.parametrize("kind", WHOLE)
def test_without_a_cut(tmp_path: Path, kind: str) -> None:
    assert outcomes(tmp_path / "w", kind, [])[0] == WHOLE[kind]


def writes_until_activated() -> int:
    return 1 + 1 + 2 + 2 + 2  # arrival, begin, marked bad, content, tries and order


@pytest.mark.parametrize("kind", WHOLE)
def test_one_cut_at_every_write_ends_the_same(tmp_path: Path, kind: str) -> None:
    total = outcomes(tmp_path / "whole", kind, [])[1].writes
    for cut in range(total):
        end, _ = outcomes(tmp_path / str(cut), kind, [cut])
        if cut == 0:
            assert end == WHOLE[kind], "nothing had begun; it begins afterwards"
        elif cut < writes_until_activated():
            assert end == "old", cut  # it is not there, and nobody claims that it was
        elif kind == "good":
            assert end == "new", cut
        else:
            # A try that the cut spent may be the last one; that it did not stay is never lost.
            assert end.startswith("old, "), (cut, end)


def test_a_cut_while_it_takes_back_keeps_the_cause(tmp_path: Path) -> None:
    """From the first noted cause on, every cut ends with that cause."""
    kind = "bad"
    total = outcomes(tmp_path / "whole", kind, [])[1].writes
    noted = writes_until_activated() + 1 + 1 + 1 + 1  # installed, a try, arrival, the cause
    for cut in range(noted, total):
        assert outcomes(tmp_path / str(cut), kind, [cut])[0] == WHOLE[kind]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 25), max_size=6), st.booleans())
def test_any_number_of_cuts_ends_well(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cuts: list[int], cancel: bool
) -> None:
    end, world = outcomes(tmp_path_factory.mktemp("w") / "w", kind, cuts, cancel)
    if cancel:
        assert end != "new" or kind == "good"
    assert end in ("old", "new") or end.removeprefix("old, ") in state.CAUSES
    assert world.boots < 60


def test_a_cancelled_one_is_never_confirmed_once_that_is_noted(tmp_path: Path) -> None:
    total = outcomes(tmp_path / "whole", "good", [], cancel=True)[1].writes
    for cut in range(writes_until_activated() + 1, total):
        end, world = outcomes(tmp_path / str(cut), "good", [cut], cancel=True)
        assert end == "old", cut
        last = world.journal.read().last
        assert last is not None
        assert last.result == "cancelled"


# -- the file itself


class Torn(OSError):
    pass


def _prefixes(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, step: Callable[[State], State]
) -> Iterator[int]:
    """Runs `step` with the n-th call of the operating system failing, for every n until none fails."""
    import os

    real = {name: getattr(os, name) for name in ("write", "fsync", "rename")}
    for at in itertools.count():
        count = itertools.count()

        def failing(name: str, at: int = at, count: Iterator[int] = count) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                if next(count) == at:
                    if name == "write":
                        real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    raise Torn(5, "cut")
                return real[name](*arguments)

            return call

        for name in real:
            monkeypatch.setattr(os, name, failing(name))
        try:
            journal.change(step)
            done = True
        except Exception:
            done = False
        for name, function in real.items():
            monkeypatch.setattr(os, name, function)
        yield at
        if done:
            return


def test_the_file_is_the_old_or_the_new_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    old = journal.change(lambda s: msgspec.structs.replace(s, floor="1.0.0"))
    new = msgspec.structs.replace(old, floor="2.0.0", seen="x" * 300)
    steps = 0
    for at in _prefixes(monkeypatch, journal, lambda s: new):
        steps = at
        found = journal.read()
        assert found in (old, new)
        if at < 2:
            assert found == old, "nothing counts before the rename"
        journal.change(lambda s: old)
    assert steps >= 4
    assert journal.read() == old


def test_a_file_of_nonsense_is_kept_and_nothing_is_lost_but_itself(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b'{"format": 1, "attempt": 7}')
    assert Journal(tmp_path).read() == State()
    assert (tmp_path / "state.damaged").read_bytes().startswith(b'{"format"')
    assert Journal(tmp_path).change(lambda s: msgspec.structs.replace(s, floor="1.0")).floor == "1.0"
