# SPDX-License-Identifier: Apache-2.0
"""The power goes at any sector of the log, and at any page while the log is folded into the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.store import database, outbox, settings
from appliance.store.database import open_database, transaction

from .conftest import add_printer, stamp

COMMITS = 12


def written(path: Path) -> list[int]:
    """A database whose last COMMITS commits are in the log only; how long the log was after each."""
    db = open_database(path)
    add_printer(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, path.with_name("before.db"))
    lengths = []
    for n in range(COMMITS):
        with transaction(db):
            settings.put(db, "snmp.port", 1000 + n, "you")
            for _ in range(n % 4):
                outbox.add_event(db, "PL", stamp(n), "e", "info", None, {"n": n, "text": "x" * 300 * (n % 3)})
        lengths.append(Path(f"{path}-wal").stat().st_size)
    shutil.copy(f"{path}-wal", path.with_name("log"))
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    shutil.copy(path, path.with_name("after.db"))
    db.close()
    return lengths


def found(path: Path) -> int:
    """How many of the commits are there, each of them whole."""
    db = open_database(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        port = settings.load(db)["snmp.port"]
        commits = int(str(port)) - 999 if port != 161 else 0
        assert outbox.count(db)[0] == sum(n % 4 for n in range(commits))
        return commits
    finally:
        db.close()


@pytest.mark.parametrize("tail", [b"", b"\0", b"\x5a"], ids=["cut", "zeros", "noise"])
def test_at_any_sector_of_the_log(path: Path, tail: bytes) -> None:
    lengths = written(path)
    log = path.with_name("log").read_bytes()
    cut = path.with_name("cut.db")
    seen = set()
    for at in range(512, len(log) + 512, 512):
        at = min(at, len(log))
        shutil.copy(path.with_name("before.db"), cut)
        Path(f"{cut}-wal").write_bytes(log[:at] + tail * (len(log) - at))
        whole = sum(length <= at for length in lengths)
        assert found(cut) == whole, at
        seen.add(whole)
    assert seen == set(range(COMMITS + 1))


def test_at_any_page_while_the_log_is_folded_in(path: Path) -> None:
    written(path)
    before = path.with_name("before.db").read_bytes()
    after = path.with_name("after.db").read_bytes()
    assert before != after
    cut = path.with_name("cut.db")
    for at in range(0, len(after) + 1, database.PAGE_SIZE):
        cut.write_bytes(after[:at] + before[at:])
        shutil.copy(path.with_name("log"), f"{cut}-wal")
        assert found(cut) == COMMITS
