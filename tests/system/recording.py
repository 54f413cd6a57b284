# SPDX-License-Identifier: Apache-2.0
"""A box whose writes are recorded while it goes through its steps, and what the judge says of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec

from tests.system import blocklog, slots
from tests.system.blocklog import Replay
from tests.system.box import MIB, Box, State
from tests.system.judge import Result
from tests.system.lab import TREE

KEPT = TREE / "build/test-image/power-cut"
CARD = 1280 * MIB
"""A small card: every state of its data partition is copied and checked."""


class Recording:
    """`name` is the folder below KEPT that has the card before (`before`), the log (`log`), the steps and the card
    after (`after`). The box is given back as it was lent: off, with a new card, nothing recorded."""

    def __init__(self, box: Box, name: str) -> None:
        self.box = box
        self.folder = KEPT / name
        self.steps: list[tuple[str, int]] = []
        self._log = box.folder / "writes"

    def begin(self, step: str) -> None:
        """A new card, and the power comes."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.box.flash(size=CARD)
        slots.copy(self.box.disk, self.folder / "before")
        self.box.options = msgspec.structs.replace(self.box.options, write_log=f"/lab/box/{self._log.name}")
        self.steps.append((step, 0))
        self.box.boot()

    def step(self, name: str) -> None:
        """From now on it is this that writes."""
        self.steps.append((name, len(blocklog.read(self._log))))

    def end(self) -> None:
        """The box is stopped in order: what it wrote is all in the log."""
        self.box.stop()
        self.give_back()

    def give_back(self) -> None:
        """Whatever became of it, what was recorded is kept."""
        self.box.transition(State.OFF)
        self.box.options = msgspec.structs.replace(self.box.options, write_log=None)
        if self._log.exists():
            shutil.move(self._log, self.folder / "log")
            slots.copy(self.box.disk, self.folder / "after")
            (self.folder / "steps").write_text(json.dumps(self.steps))

    def judged(self, *, seed: int = 1, sample: int | None = None, losses: int = 2) -> Result:
        """What tests/system/judge.py says; it also checks that the log is all that was written."""
        where = self.folder.relative_to(TREE)
        words = [f"{where}/{name}" for name in ("before", "log", "result")]
        words += ["--steps", f"{where}/steps", "--after", f"{where}/after"]
        words += ["--seed", str(seed), "--losses", str(losses)]
        if sample is not None:
            words += ["--sample", str(sample)]
        command = ["tools/debian13", "python3", "-m", "tests.system.judge", *words]
        done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr[-4000:]
        return msgspec.json.decode((self.folder / "result").read_bytes(), type=Result)

    def card(self, prefix: int, to: Path) -> None:
        """The card as it was after the first `prefix` writes."""
        slots.copy(self.folder / "before", to)
        replay = Replay(self.folder / "log", to)
        replay.to(prefix)
        replay.close()

    def first(self, step: str) -> int:
        """The number of writes before a step."""
        return dict(self.steps)[step]
