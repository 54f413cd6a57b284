# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: what was said to be stored is there, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from appliance.model.messages import READINGS, Event, Readings
from appliance.store import ledger, outbox, readings
from appliance.store.database import open_database

from .conftest import moment

KILLS = 36


@pytest.mark.timeout(300)
def test_killed_at_any_moment_nothing_acknowledged_is_lost(path: Path) -> None:
    dice = random.Random(20261121)
    kept: dict[int, int] = {}  # sequence number to the total it tells
    acked: set[int] = set()
    for round in range(KILLS):
        lines = run_and_kill(path, round, dice.uniform(0.0, 0.12), immediately=round % 9 == 0)
        for line in lines:
            word, *numbers = line.split()
            if word == "kept":
                total, *seqs = map(int, numbers)
                assert not kept.keys() & set(seqs), "a sequence number was given twice"
                kept.update(dict.fromkeys(seqs, total))
            else:
                acked.update(map(int, numbers))
        if path.exists():
            examine(path, kept, acked)
    assert len(kept) > 2 * KILLS
    assert acked


def run_and_kill(path: Path, seed: int, delay: float, *, immediately: bool) -> list[str]:
    """What it said before it died: `delay` seconds after its first commit, or in its first moments."""
    command = [sys.executable, "-m", "tests.store.writer", str(path), str(seed)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert writer.stdout is not None
    first = "" if immediately else writer.stdout.readline()
    time.sleep(0.15 + delay if immediately else delay)  # the moment of the cut is what is being tested
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=30)
    assert writer.returncode == -signal.SIGKILL
    lines = (first + rest).splitlines(keepends=True)
    return [line for line in lines if line.endswith("\n")]


def examine(path: Path, kept: dict[int, int], acked: set[int]) -> None:
    db = open_database(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    waiting = {row.seq: row for row in outbox.waiting(db, limit=1_000_000)}
    left = {e.seq: e for e in ledger.entries(db, limit=1_000_000) if e.acknowledged}
    # Every number up to the last stands in exactly one place.
    assert not waiting.keys() & left.keys()
    everything = waiting.keys() | left.keys()
    assert everything == set(range(1, max(everything, default=0) + 1))
    assert kept.keys() <= everything
    assert acked <= left.keys()
    for seq, total in kept.items():
        row = waiting.get(seq)
        entry = ledger.entry(db, left[seq].id) if row is None else None
        body = ledger.decoded(row.body, row.encoding) if row else entry.json if entry else None
        assert body is not None
        assert told(body) == (seq, total)
    # Two numbers a commit, and the readings say the same total as the last of them.
    found = readings.latest(db, "p")
    last = found.meters[0].value if found else 0
    assert last == len(everything) // 2
    assert last >= max(kept.values(), default=0)
    assert [r.meters[0].value for r in readings.history(db, "p", moment(0), moment(10**7))] == list(
        range(1, last + 1)
    )
    db.close()


def told(body: bytes) -> tuple[int, int]:
    """(sequence number, total meter) of a message."""
    if READINGS.encode() in body:
        batch = msgspec.json.decode(body, type=Readings)
        part = batch.records[0].full or batch.records[0].change
        assert part is not None
        assert part.meters
        return batch.seq, part.meters[0].value
    event = msgspec.json.decode(body, type=Event)
    assert isinstance(event.fields["total"], int)
    return event.seq, event.fields["total"]
