# SPDX-License-Identifier: Apache-2.0
"""From any schema ever shipped to today's, forward only.

`PRAGMA user_version` is the number of the last step taken. All steps that are missing are taken in one
transaction, after a snapshot, so a power cut in between leaves the database as it was. Steps only add: the
release before must be able to open what this one leaves behind, unless `meta.min_reader` says it must not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import msgspec

from appliance.model.errors import DatabaseDamaged, DatabaseNewer


class Step(msgspec.Struct, frozen=True):
    """One file of schema/: NNNN_name.sql."""

    number: int
    name: str
    sql: str


def _shipped() -> tuple[Step, ...]:
    files = [f for f in resources.files("appliance.store.schema").iterdir() if f.name.endswith(".sql")]
    return tuple(
        Step(int(f.name[:4]), f.name, f.read_text("utf-8")) for f in sorted(files, key=lambda f: f.name)
    )


STEPS = _shipped()


def version(db: sqlite3.Connection) -> int:
    """Number of the last step this database has taken."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(db: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """DatabaseNewer where a later release left it and its meta.min_reader forbids this one to open it."""
    ours, theirs = steps[-1].number, version(db)
    if theirs <= ours:
        return
    row = db.execute("SELECT value FROM meta WHERE key = 'min_reader'").fetchone()
    if row is None or int(row[0]) > ours:
        kept = snapshot_name(path, ours)
        back = f", or put {kept.name} in its place" if kept.exists() else ""
        raise DatabaseNewer(
            f"{path} was written by a later release (schema {theirs}; this one knows {ours})",
            hint=f"It was left as it is. Install that release again{back}",
        )


def migrate(db: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Takes the steps that are missing. The caller holds the lock that lets only one process do so;
    sqlite3.Error passes through, and the database is then as it was."""
    if version(db) >= steps[-1].number:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        begun = version(db)
        if begun:
            _snapshot(path, begun)
        for step in steps:
            if step.number > begun:
                run(db, step.sql)
                db.execute(f"PRAGMA user_version = {step.number}")
        broken = db.execute("PRAGMA foreign_key_check").fetchone()
        if broken:
            raise DatabaseDamaged(
                f"{path} has rows in {broken[0]} that point nowhere", hint="It was left as it is; report this"
            )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def run(db: sqlite3.Connection, sql: str) -> None:
    """Every statement of `sql` in the transaction that is open; executescript would commit it first."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in statement.splitlines()):
        raise ValueError(f"unfinished statement: {statement.strip()[:80]}")


def snapshot_name(path: Path, number: int) -> Path:
    """Where the copy lies that was made before schema `number` was left."""
    return path.with_name(f"{path.stem}.v{number}{path.suffix}")


def _snapshot(path: Path, number: int) -> None:
    """The writer's lock is held, so a second connection sees exactly what the first step will find."""
    final = snapshot_name(path, number)
    unfinished = final.with_name(final.name + ".new")
    unfinished.unlink(missing_ok=True)
    try:
        reader = sqlite3.connect(path)
        try:
            reader.execute("VACUUM INTO ?", (str(unfinished),))
        finally:
            reader.close()
        unfinished.chmod(path.stat().st_mode & 0o777)
        sync(unfinished)
        unfinished.replace(final)
        sync(final.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """What `path`, a file or a folder, holds is on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
