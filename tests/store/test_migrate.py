# SPDX-License-Identifier: Apache-2.0
"""Every schema ever shipped comes up to today's; what fails in between leaves everything as it was."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.model.errors import DatabaseNewer
from appliance.model.messages import Acknowledgement
from appliance.store import events, ledger, migrate, outbox, printers, readings, sessions, settings
from appliance.store.database import open_database
from appliance.store.migrate import STEPS, Step

from .conftest import full, moment

SHIPPED = sorted((Path(__file__).parents[1] / "databases").glob("v*.sql"))
NEXT = STEPS[-1].number + 1
ADDS = Step(NEXT, "adds", "CREATE TABLE novelty (a TEXT) STRICT;\nALTER TABLE event ADD COLUMN seen TEXT;\n")
FAILS = Step(NEXT + 1, "fails", "INSERT INTO novelty VALUES ('x');\nINSERT INTO nowhere VALUES (1);\n")
FORBIDS = Step(NEXT, "forbids", f"{ADDS.sql}UPDATE meta SET value = {NEXT} WHERE key = 'min_reader';\n")


def laid(path: Path, dump: Path) -> Path:
    """The database that `dump` tells."""
    db = sqlite3.connect(path)
    db.executescript(dump.read_text())
    db.close()
    return path


def schema(db: sqlite3.Connection) -> set[tuple[str, str]]:
    """Tables with their columns, and indexes; not how the text that made them was laid out."""
    names = [n for (n,) in db.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")]
    return {(n, str(db.execute(f"PRAGMA table_xinfo({n})").fetchall())) for n in names}


def test_every_schema_has_its_dump() -> None:
    assert [f.name for f in SHIPPED] == [f"v{s.number}.sql" for s in STEPS]


@pytest.mark.parametrize("dump", SHIPPED, ids=lambda f: f.stem)
def test_every_schema_comes_up_to_date(path: Path, tmp_path: Path, dump: Path) -> None:
    db = open_database(laid(path, dump))
    fresh = open_database(tmp_path / "fresh.db")
    assert schema(db) == schema(fresh)
    assert migrate.version(db) == STEPS[-1].number
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    fresh.close()

    first, second = printers.all_printers(db)
    assert (first.name, first.plan, len(first.evidence)) == ("Reception", b'{"profile":"example"}', 2)
    assert (second.state, second.failures, second.last_error) == ("silent", 3, "no-answer")
    found = readings.latest(db, first.id)
    assert found is not None
    assert (found.meters, found.supplies) == (full(900, 107, 79).meters, full(900, 107, 79).supplies)
    assert found.times["meters"] == moment(1800)
    assert len(list(readings.history(db, first.id, moment(0), moment(9999)))) == 2
    raw = readings.raw(db, first.id)
    assert raw is not None
    assert raw[1][1] == ("1.3.6.1.2.1.1.5.0", 4, b"PRN\xff")
    assert [e.code for e in events.recent(db)] == ["printer.found"]
    assert settings.value(db, "snmp.communities") == ["public", "office"]
    assert settings.sources(db)["uplink.host"] == "dealer"
    assert sessions.find(db, "token", 5.0) is not None
    assert [r.seq for r in outbox.waiting(db)] == [2, 3]
    done = Acknowledgement(box="b", stream=outbox.stream(db), seqs=[1, 2, 3], time=moment(99))
    assert ledger.acknowledge(db, done) == 2
    assert [e.seq for e in ledger.entries(db)] == [3, None, 2, 1]
    single = ledger.entry(db, 1)
    assert single is not None
    assert single.json is not None
    assert outbox.add_readings(db, "b", []) == []
    db.close()


def test_steps_are_numbered_and_only_add() -> None:
    assert [s.number for s in STEPS] == list(range(1, len(STEPS) + 1))
    for step in STEPS:
        assert re.fullmatch(r"\d{4}_[a-z_]+\.sql", step.name)
        text = re.sub(r"--.*", "", step.sql)
        assert not re.search(r"\b(DROP|RENAME|DELETE)\b", text, re.IGNORECASE), step.name


def test_a_snapshot_before_the_first_step(path: Path) -> None:
    db = open_database(path)
    settings.put(db, "snmp.retries", 4, "you")
    migrate.migrate(db, path, (*STEPS, ADDS))
    assert migrate.version(db) == NEXT
    db.execute("SELECT a FROM novelty")
    settings.put(db, "snmp.retries", 5, "you")
    kept = migrate.snapshot_name(path, NEXT - 1)
    assert kept.name == f"platen.v{NEXT - 1}.db"
    assert kept.stat().st_mode == path.stat().st_mode
    before = open_database(kept)
    assert migrate.version(before) == NEXT - 1
    assert settings.load(before)["snmp.retries"] == 4
    before.close()
    migrate.migrate(db, path, (*STEPS, ADDS))
    db.close()


def test_a_step_that_fails_leaves_all_as_it_was(path: Path) -> None:
    db = open_database(path)
    settings.put(db, "snmp.retries", 4, "you")
    before = "\n".join(db.iterdump())
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate.migrate(db, path, (*STEPS, ADDS, FAILS))
    assert migrate.version(db) == STEPS[-1].number
    assert "\n".join(db.iterdump()) == before
    db.close()


def test_no_room_for_the_snapshot_no_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = open_database(path)

    def full_disk(_path: Path, _number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrate, "_snapshot", full_disk)
    with pytest.raises(OSError, match="No space"):
        migrate.migrate(db, path, (*STEPS, ADDS))
    assert migrate.version(db) == STEPS[-1].number
    assert not db.in_transaction
    db.close()


def test_back_to_the_release_before(path: Path) -> None:
    """It opens what the newer one left, unless that forbade it; then the snapshot is named, and serves."""
    db = open_database(path)
    settings.put(db, "snmp.retries", 4, "you")
    migrate.migrate(db, path, (*STEPS, ADDS))
    db.close()
    db = open_database(path)
    assert settings.put(db, "snmp.retries", 5, "you") == 5
    db.execute(f"PRAGMA user_version = {STEPS[-1].number}")
    db.execute("DROP TABLE novelty")
    db.execute("ALTER TABLE event DROP COLUMN seen")
    migrate.migrate(db, path, (*STEPS, FORBIDS))
    db.close()
    with pytest.raises(DatabaseNewer) as caught:
        open_database(path)
    snapshot = migrate.snapshot_name(path, STEPS[-1].number)
    assert snapshot.name in caught.value.hint
    snapshot.replace(path)
    db = open_database(path)
    assert settings.load(db)["snmp.retries"] == 5
    db.close()


KILLED = """
import os, sys
from pathlib import Path
from appliance.store import migrate
from appliance.store.database import open_database
path = Path(sys.argv[1])
db = open_database(path)
last = migrate.STEPS[-1].number
adds = migrate.Step(last + 1, "adds", "CREATE TABLE novelty (a TEXT);\\n")
die = migrate.Step(last + 2, "die", "SELECT die();\\n")
db.create_function("die", 0, lambda: os.kill(os.getpid(), 9))
migrate.migrate(db, path, (*migrate.STEPS, adds, die))
"""


def test_killed_in_the_middle(path: Path) -> None:
    db = open_database(path)
    settings.put(db, "snmp.retries", 4, "you")
    db.close()
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert died.returncode == -9
    db = open_database(path)
    assert migrate.version(db) == STEPS[-1].number
    assert settings.load(db)["snmp.retries"] == 4
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'novelty'").fetchone() == (0,)
    migrate.migrate(db, path, (*STEPS, ADDS))
    db.close()


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("", 0),
        ("-- only a comment; with a semicolon\n", 0),
        ("CREATE TABLE a (b);\nCREATE TABLE c (d);\n", 2),
        (
            "CREATE TABLE a (b);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\nEND;\n-- end\n",
            2,
        ),
    ],
)
def test_statements_are_told_apart(sql: str, count: int) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate.run(db, sql)
    assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (count,)


def test_an_unfinished_statement_is_refused() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(ValueError, match="unfinished"):
        migrate.run(db, "CREATE TABLE a (b);\nCREATE TABLE")
