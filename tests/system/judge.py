# SPDX-License-Identifier: Apache-2.0
"""Whether a card is still good, wherever in a log of its writes the power goes.

Judged are the card after each prefix of the log, and, because a card's own cache may lose any of what no flush has
brought onto the medium yet, cards that lack some of those writes: for environment and slots all of them, by what is
certain and what is only possible; for the partition table all too, and with a write torn at each of its sectors; for
the file systems seeded ones. What did not change since the last state is not judged again.

    python3 -m tests.system.judge CARD-BEFORE LOG RESULT [OPTION...]

as root, where Debian 13's e2fsprogs, dosfstools, mtools and cryptsetup are (tools/debian13).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from image import layout
from tests.system import blocklog, card, slots, survivors
from tests.system.blocklog import SECTOR, Entry, Replay

MOST_BAD = 50
RESET = "factory reset"
"""The step after which nothing but the identity has to be there."""

_HEAD = layout.BY_NAME["firmware"].start // SECTOR
_ENV = layout.BY_NAME["env"].start // SECTOR
_WHOLE_SUBSETS = 6
"""Of so many pending writes to the partition table every subset is tried."""


class Bad(msgspec.Struct, frozen=True):
    """A state in which the box would not go on. `lost`: the places of the writes that the card's cache lost."""

    prefix: int
    where: str
    why: str
    lost: list[int] = []


class Step(msgspec.Struct):
    """One of the things that change the box's state: its writes by region, and the states that were judged."""

    name: str
    first: int
    writes: dict[str, int] = {}
    states: dict[str, int] = {}
    checks: dict[str, int] = {}


class Class(msgspec.Struct):
    """States of the slot that does not run, which U-Boot and the box cannot tell from each other. `example` is a
    prefix."""

    name: str
    prefixes: int
    example: int


class Result(msgspec.Struct, kw_only=True):
    entries: int
    flushes: int
    steps: list[Step]
    environment: dict[str, int]
    """How many writes of the environment had how many sectors."""

    environments: list[str]
    """What it held, one after the other."""

    classes: list[Class]
    facts: dict[str, str]
    """Of the data partition at the end."""

    bad: list[Bad]


class Twin:
    """A partition's octets in two files: as they are now, and as they are for certain."""

    def __init__(self, replay: Replay, folder: Path, name: str, start: int, end: int) -> None:
        self.start, self.end = start, end
        self._replay, self._folder, self._name = replay, folder, name
        self.pending: list[Entry] = []
        self._now, self._sure = folder / f"{name}.now", folder / f"{name}.sure"
        for path in (self._now, self._sure):
            slots.extract(replay.card, path, start * SECTOR, (end - start) * SECTOR)

    def wrote(self, entry: Entry) -> None:
        self._put(entry, self._now)
        self.pending.append(entry)

    def flushed(self) -> None:
        for entry in self.pending:
            self._put(entry, self._sure)
        self.pending = []

    def state(self, lost: set[Entry] | None = None) -> Path:
        """A copy that may be spoilt: now, or without some of the pending writes."""
        copy = self._folder / f"{self._name}.state"
        slots.copy(self._now if lost is None else self._sure, copy)
        for entry in self.pending if lost is not None else ():
            if entry not in lost:
                self._put(entry, copy)
        return copy

    def _put(self, entry: Entry, path: Path) -> None:
        # A write may reach beyond the partition only where that was not yet made.
        first = max(self.start - entry.sector, 0)
        count = min(entry.end, self.end) - entry.sector - first
        if count > 0:
            file = os.open(path, os.O_RDWR)
            try:
                self._replay.apply(entry, file, self.start * SECTOR, first, count)
            finally:
                os.close(file)


class Judge:
    """`before`: the card before the log began; it is copied. `sample`: how many states of each file system are judged
    in each step, None for all; `losses`: how many of each with lost writes."""

    def __init__(
        self,
        before: Path,
        log: Path,
        folder: Path,
        *,
        steps: Sequence[tuple[str, int]] = (("all", 0),),
        seed: int = 1,
        sample: int | None = None,
        losses: int = 2,
    ) -> None:
        self._chance = random.Random(seed)
        self._losses = losses
        copy = folder / "card"
        slots.copy(before, copy)
        self._before = os.open(before, os.O_RDONLY)
        self._head: dict[int, bytes] = {}
        self.replay = Replay(log, copy)
        self.sectors = copy.stat().st_size // SECTOR
        self.steps = [Step(name, first, {}, {}, {}) for name, first in steps]
        self.bad: list[Bad] = []
        self._environment: Counter[int] = Counter()
        self._environments: list[str] = []
        self._facts: dict[str, str] = {}
        self._sure_facts: dict[str, str] = {}
        self._data_judged = False
        self._pending_head: list[dict[int, bytes]] = []
        self._table = card.table(self._sectors_with({}), self.sectors)
        assert self._table, "the card had no partition table to begin with"
        self._mbr = card.mbr(self._sectors_with({})(0, 1))
        start, self._tail = self._data_extent()
        self.data = Twin(self.replay, folder, "data", start, self._tail)
        fat = layout.BY_NAME["firmware"]
        self.fat = Twin(
            self.replay, folder, "firmware", fat.start // SECTOR, (fat.start + fat.size) // SECTOR
        )
        self._files = slots.files(self.fat.state())
        self._on_card = set(self._files)
        self.slots = {s: slots.Slot(self.replay.card, s, folder) for s in ("A", "B")}
        self._env_sure = self._read(_ENV, 1)
        self._env_pending: list[bytes] = []
        self._chosen = self._choose(sample)

    # --- what is judged ---

    def _data_extent(self) -> tuple[int, int]:
        """Where the data partition is, or will be once the log is over: the log itself has the table that says so."""
        overlay: dict[int, bytes] = {}
        for entry in self.replay.entries:
            if entry.writes and (entry.sector < _HEAD or entry.end > self.sectors - 40):
                overlay.update(self._content(entry))
        for part in card.table(self._sectors_with(overlay), self.sectors) or []:
            if part.name == "data":
                return part.start, part.end
        return layout.IMAGE_SIZE // SECTOR - 2048, self.sectors - 40

    def _choose(self, sample: int | None) -> set[int]:
        """The prefixes whose file systems are judged."""
        chosen: set[int] = set()
        for step, after in zip(self.steps, [*self.steps[1:], None], strict=True):
            end = after.first if after else len(self.replay.entries)
            for twin in (self.data, self.fat):
                there = [n + 1 for n in range(step.first, end) if _within(self.replay.entries[n], twin)]
                if sample is not None and len(there) > sample:
                    there = [*self._chance.sample(there, sample), there[-1]]
                chosen.update(there)
        return chosen

    def step(self, number: int) -> Step:
        return [s for s in self.steps if s.first < max(number, 1)][-1]

    def run(self, progress: bool = False) -> Result:
        """All of it."""
        states: list[tuple[int, dict[str, tuple[int, int]], str]] = []
        for number in range(1, len(self.replay.entries) + 1):
            (entry,) = self.replay.to(number)
            self._entry(number, entry)
            states.append((number, {s: slot.counts() for s, slot in self.slots.items()}, self._env_said()))
            if progress and number % 100 == 0:
                print(number, len(self.replay.entries), len(self.bad), file=sys.stderr, flush=True)
            if len(self.bad) >= MOST_BAD:
                break
        self.replay.close()
        return Result(
            entries=len(self.replay.entries),
            flushes=sum(e.barrier for e in self.replay.entries),
            steps=self.steps,
            environment={str(k): n for k, n in self._environment.items()},
            environments=self._environments,
            classes=list(_classes(states)),
            facts={k: v for k, v in self._facts.items() if not k.startswith(("setup-code", "setting"))},
            bad=self.bad,
        )

    def _entry(self, number: int, entry: Entry) -> None:
        step = self.step(number)
        if entry.barrier:
            self._flushed()
        if not entry.writes:
            return
        touched = self._touched(entry)
        for name in touched:
            step.writes[name] = step.writes.get(name, 0) + 1
        if "table" in touched:
            self._pending_head.append(self._content(entry))
            self._judge_table(number)
        if "env" in touched:
            self._judge_env(number, entry)
        for name, slot in self.slots.items():
            if touched & {f"boot_{name.lower()}", f"root_{name.lower()}"}:
                slot.wrote(entry)
        if touched & {"env", "boot_a", "root_a", "boot_b", "root_b"}:
            self._judge_choice(number)
        if "firmware" in touched:
            self.fat.wrote(entry)
            if number in self._chosen:
                self._judge_fat(number)
        if "data" in touched:
            self.data.wrote(entry)
            self._data_judged = False
            if number in self._chosen:
                self._judge_data(number)

    def _flushed(self) -> None:
        for content in self._pending_head:
            self._head.update(content)
        self._pending_head = []
        self.data.flushed()
        self.fat.flushed()
        for slot in self.slots.values():
            slot.flushed()
        if self._env_pending:
            self._env_sure, self._env_pending = self._env_pending[-1], []
        if self._data_judged:
            self._sure_facts = self._facts

    def _touched(self, entry: Entry) -> set[str]:
        found = {
            p.name
            for p in layout.PARTITIONS
            if entry.sector * SECTOR < p.start + p.size and entry.end * SECTOR > p.start
        }
        if entry.sector < _HEAD or entry.end > self._tail:
            found.add("table")
        if _within(entry, self.data):
            found.add("data")
        return found

    def _spoilt(self, number: int, where: str, why: str, lost: set[Entry] | None = None) -> None:
        places = sorted(e.sector for e in lost or ())
        self.bad.append(Bad(number, where, why, places[:100]))

    def _counted(self, number: int, what: str) -> None:
        states = self.step(number).states
        states[what] = states.get(what, 0) + 1

    # --- the partition table ---

    def _sectors_with(self, over: dict[int, bytes]) -> card.Read:
        """Reads the table's places of a card: what it was before, what was flushed since, and that over it."""

        def read(at: int, count: int) -> bytes:
            return b"".join(
                over.get(n) or self._head.get(n) or os.pread(self._before, SECTOR, n * SECTOR)
                for n in range(at, at + count)
            )

        return read

    def _content(self, entry: Entry) -> dict[int, bytes]:
        """What it writes to the table's places, by sector."""
        wanted = [
            n for n in range(entry.count) if entry.sector + n < _HEAD or entry.sector + n >= self.sectors - 40
        ]
        return {entry.sector + n: self.replay.data(entry, n) for n in wanted}

    def _judge_table(self, number: int) -> None:
        """Every card that can be left, a write torn at any of its sectors included."""
        for sectors in _combinations(self._pending_head, self._chance):
            self._counted(number, "table")
            read = self._sectors_with(sectors)
            found = card.table(read, self.sectors)
            if (
                found is None
                or found[: len(layout.PARTITIONS)] != (self._table or [])[: len(layout.PARTITIONS)]
            ):
                self._spoilt(number, "table", f"U-Boot and the kernel find {found}")
            if card.mbr(read(0, 1)) != self._mbr:
                self._spoilt(number, "table", "the ROM of a Pi 3 does not find the firmware")

    # --- environment and slots ---

    def _judge_env(self, number: int, entry: Entry) -> None:
        self._environment[entry.count] += 1
        self._env_pending.append(self._read(_ENV, 1))
        found = card.environment(self._env_pending[-1])
        self._counted(number, "env")
        said = f"{self._env_said()} seen={found.seen}"
        if not self._environments or self._environments[-1] != said:
            self._environments.append(said)
        if not found.whole:
            self._spoilt(number, "env", "it cannot be read")

    def _judge_choice(self, number: int) -> None:
        """With each environment that may be on the card, every slot that U-Boot could start has to be whole for
        certain: on the medium, kernel readable, and the root as its hash tree says."""
        for sector in (self._env_sure, *self._env_pending):
            environment = card.environment(sector)
            self._counted(number, "choice")
            if not environment.slots:
                self._spoilt(number, "env", "no slot is left")
            for name in environment.slots:
                if why := self.slots[name].trouble():
                    self._spoilt(number, f"slot {name}", f"{why}, and U-Boot may start it")

    def _env_said(self) -> str:
        found = card.environment((self._env_pending or [self._env_sure])[-1])
        return f"order {' '.join(found.order)}, A={found.left['A']} B={found.left['B']}"

    # --- file systems ---

    def _states(self, twin: Twin) -> Iterator[tuple[Path, set[Entry] | None]]:
        yield twin.state(), None
        for lost in blocklog.losses(twin.pending, self._chance, self._losses):
            yield twin.state(lost), lost

    def _judge_fat(self, number: int) -> None:
        for state, lost in self._states(self.fat):
            self._counted(number, "firmware")
            found = slots.files(state)
            if lost is None:
                self._on_card = {n for n, digest in self._files.items() if found.get(n) == digest}
            gone = sorted(n for n, digest in self._files.items() if _boots(n) and found.get(n) != digest)
            if gone:
                self._spoilt(number, "firmware", f"damaged or gone: {gone[:5]}", lost)

    def _judge_data(self, number: int) -> None:
        if not any(p.name == "data" for p in card.table(self._now_sectors, self.sectors) or []):
            return  # no partition yet: the next start begins it anew
        for state, lost in self._states(self.data):
            self._counted(number, "data")
            found = survivors.look(state)
            checks = self.step(number).checks
            for word in (found.check, *(f"spoilt: {name}" for name in found.spoilt)):
                checks[word] = checks.get(word, 0) + 1
            for why in [*found.bad, *self._forgotten(number, found.facts)]:
                self._spoilt(number, "data", why, lost)
            if lost is None:
                self._facts = found.facts
                self._data_judged = True

    def _forgotten(self, number: int, facts: dict[str, str]) -> Iterator[str]:
        """What was certain, and is not there any more."""
        for name in survivors.LASTING:
            if name in self._sure_facts and facts.get(name) != self._sure_facts[name]:
                yield f"{name} was {self._sure_facts[name]} and is {facts.get(name)}"
        asked = survivors.FACTORY_RESET in facts or survivors.FACTORY_RESET in self._sure_facts
        # A sample may miss the moments between the wish and its end; afterwards all of that is gone for good.
        resetting = asked or any(s.name == RESET and s.first < number for s in self.steps)
        if "database" in self._sure_facts and "database" not in facts and not resetting:
            yield "the database is gone"
        if not resetting and "provision/personalised.json" not in facts:
            secrets = {n for n in self._files if n in slots.PERSONAL}
            if secrets - self._on_card and "key operational.key" not in facts:
                yield f"personalisation is neither here nor on the card: {sorted(secrets - self._on_card)}"

    # --- reading ---

    def _read(self, at: int, count: int) -> bytes:
        return os.pread(self.replay.card, count * SECTOR, at * SECTOR)

    def _now_sectors(self, at: int, count: int) -> bytes:
        return self._read(at, count)


def _boots(name: str) -> bool:
    """Whether a file of the firmware partition is one that the box needs, and not one for people."""
    return not name.startswith("platen/") and not name.startswith("platen-errors") and name != "platen.toml"


def _classes(states: Sequence[tuple[int, dict[str, tuple[int, int]], str]]) -> Iterator[Class]:
    """States by what was written of each slot (nothing, a part or all of its boot and root partition) and what the
    environment says. All is what was written by the end of the same run of writes: an installation has one."""
    if not states:
        return
    last = states[-1][1]
    grouped: dict[str, list[int]] = {}
    for number, counts, said in states:
        words = []
        for slot, ends in last.items():
            if any(ends):
                parts = zip(("boot", "root"), counts[slot], ends, strict=True)
                words += [f"{kind} {slot} {_share(done, end)}" for kind, done, end in parts]
        grouped.setdefault(", ".join([*words, said]), []).append(number)
    for name, numbers in grouped.items():
        yield Class(name, len(numbers), numbers[len(numbers) // 2])


def _share(done: int, end: int) -> str:
    return "untouched" if not done else "partly" if done < end else "whole"


def _within(entry: Entry, twin: Twin) -> bool:
    return entry.writes and entry.sector < twin.end and entry.end > twin.start


def _combinations(pending: list[dict[int, bytes]], chance: random.Random) -> Iterator[dict[int, bytes]]:
    """What may be on the medium of writes that no flush has followed: any of them, and one torn at each sector."""
    if len(pending) <= _WHOLE_SUBSETS:
        picks = [[p for n, p in enumerate(pending) if mask >> n & 1] for mask in range(1 << len(pending))]
    else:
        picks = [[p for p in pending if chance.random() < 0.5] for _ in range(1 << _WHOLE_SUBSETS)]
    for pick in picks:
        whole: dict[int, bytes] = {}
        for content in pick:
            whole.update(content)
        yield whole
    *others, last = pending
    base: dict[int, bytes] = {}
    for content in others:
        base.update(content)
    places = sorted(last)
    for cut in range(1, len(places)):
        yield {**base, **{s: last[s] for s in places[:cut]}}
        yield {**base, **{s: last[s] for s in places[cut:]}}


def main() -> int:
    """Exit status: 0 where every state was good."""
    parser = argparse.ArgumentParser(prog="judge")
    parser.add_argument("before", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--steps", type=Path, help="JSON: [[name, first entry], ...]")
    parser.add_argument("--after", type=Path, help="the card afterwards, to be what the log leads to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--losses", type=int, default=2)
    o = parser.parse_args()
    steps = msgspec.json.decode(o.steps.read_bytes(), type=list[tuple[str, int]]) if o.steps else [("all", 0)]
    folder = Path(tempfile.mkdtemp())
    try:
        judge = Judge(o.before, o.log, folder, steps=steps, seed=o.seed, sample=o.sample, losses=o.losses)
        result = judge.run(progress=True)
        if o.after and not result.bad and not blocklog.same(folder / "card", o.after):
            result.bad.append(Bad(result.entries, "log", "it does not lead to the card as it was afterwards"))
    finally:
        shutil.rmtree(folder)
    o.result.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    return 1 if result.bad else 0


if __name__ == "__main__":
    sys.exit(main())
