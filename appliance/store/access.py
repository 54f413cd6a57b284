# SPDX-License-Identifier: Apache-2.0
"""What an owner sees of the ways in, and can close: open sessions, and the token for /status.json."""

from __future__ import annotations

import sqlite3

from appliance.store.database import transaction
from appliance.store.sessions import Session, hashed


def listed(db: sqlite3.Connection, now: float) -> list[tuple[str, Session]]:
    """(id, session) of all that have not expired, last used first. The id opens nothing."""
    rows = db.execute(
        "SELECT token, created, used, expires, label FROM session WHERE expires > ? ORDER BY used DESC",
        (now,),
    )
    return [
        (token.hex(), Session(created=created, used=used, expires=expires, label=label))
        for token, created, used, expires, label in rows
    ]


def session_id(token: str) -> str:
    """The id that `listed` gives the session of this token."""
    return hashed(token).hex()


def end_one(db: sqlite3.Connection, id: str) -> None:
    """Logs out the session with this id."""
    with transaction(db):
        db.execute("DELETE FROM session WHERE lower(hex(token)) = ?", (id,))


def status_token(db: sqlite3.Connection) -> str | None:
    """The hash of the token that may read /status.json and nothing else."""
    row = db.execute("SELECT value FROM secret WHERE name = 'status_token'").fetchone()
    return None if row is None else str(row[0])


def set_status_token(db: sqlite3.Connection, hashed: str | None) -> None:
    """Replaces it, or switches it off."""
    with transaction(db):
        if hashed is None:
            db.execute("DELETE FROM secret WHERE name = 'status_token'")
        else:
            db.execute("INSERT OR REPLACE INTO secret VALUES ('status_token', ?)", (hashed,))
