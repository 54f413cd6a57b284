# SPDX-License-Identifier: Apache-2.0
"""Who may use the local page: hashes, sessions, and how often somebody guessed wrong.

Passwords and tokens never lie here, only hashes of them. Moments are Unix seconds.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Literal

import msgspec

from appliance.store.database import transaction

Name = Literal["password", "setup_code"]

TOUCH_S = 300
"""A session's last use is noted this often at the most; every page view would wear the card."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One login. `label` is what the page shows of it, such as the browser's name."""

    created: float
    used: float
    expires: float
    label: str


def hashed(token: str) -> bytes:
    """What is kept of a token. A random one of 128 bits or more needs no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def secret(db: sqlite3.Connection, name: Name) -> str | None:
    """The hash stored under this name, in the form its maker gave it."""
    row = db.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def set_secret(db: sqlite3.Connection, name: Name, hashed: str | None) -> None:
    """Stores a hash, or removes it."""
    with transaction(db):
        if hashed is None:
            db.execute("DELETE FROM secret WHERE name = ?", (name,))
        else:
            db.execute(
                "INSERT INTO secret (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, hashed),
            )


def set_secret_once(db: sqlite3.Connection, name: Name, hashed: str) -> bool:
    """Stores a hash where there is none yet; whether it did. Two first visitors cannot both win."""
    with transaction(db):
        added = db.execute("INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)", (name, hashed))
        return added.rowcount == 1


def begin(db: sqlite3.Connection, token: str, now: float, expires: float, label: str = "") -> None:
    """A login with this random token."""
    with transaction(db):
        db.execute(
            "INSERT INTO session (token, created, used, expires, label) VALUES (?, ?, ?, ?, ?)",
            (hashed(token), now, now, expires, label[:200]),
        )


def find(db: sqlite3.Connection, token: str, now: float) -> Session | None:
    """The session of this token if it has not expired."""
    row = db.execute(
        "SELECT created, used, expires, label FROM session WHERE token = ? AND expires > ?",
        (hashed(token), now),
    ).fetchone()
    return None if row is None else Session(created=row[0], used=row[1], expires=row[2], label=row[3])


def touch(db: sqlite3.Connection, token: str, now: float, expires: float) -> None:
    """Notes that it is in use and lives on until `expires`, unless that was noted a moment ago."""
    with transaction(db):
        db.execute(
            "UPDATE session SET used = ?, expires = ? WHERE token = ? AND used < ?",
            (now, expires, hashed(token), now - TOUCH_S),
        )


def end(db: sqlite3.Connection, token: str) -> None:
    """Logs out."""
    with transaction(db):
        db.execute("DELETE FROM session WHERE token = ?", (hashed(token),))


def end_all(db: sqlite3.Connection, but: str | None = None) -> int:
    """Logs everybody out, except the holder of the token `but`; how many."""
    with transaction(db):
        keep = b"" if but is None else hashed(but)
        return db.execute("DELETE FROM session WHERE token != ?", (keep,)).rowcount


def failed(db: sqlite3.Connection, source: str, now: float) -> None:
    """Somebody at `source` guessed wrong."""
    with transaction(db):
        db.execute("INSERT INTO attempt (source, time) VALUES (?, ?)", (source[:100], now))


def failures(db: sqlite3.Connection, since: float, source: str | None = None) -> list[float]:
    """When guesses went wrong since then, of one source or of all, oldest first."""
    if source is None:
        rows = db.execute("SELECT time FROM attempt WHERE time >= ? ORDER BY time", (since,))
    else:
        rows = db.execute(
            "SELECT time FROM attempt WHERE source = ? AND time >= ? ORDER BY time", (source[:100], since)
        )
    return [time for (time,) in rows]


def forgive(db: sqlite3.Connection, source: str) -> None:
    """A right answer clears the wrong ones before it."""
    with transaction(db):
        db.execute("DELETE FROM attempt WHERE source = ?", (source[:100],))


def prune(db: sqlite3.Connection, now: float, keep_s: float = 86_400) -> None:
    """Forgets expired sessions and guesses older than `keep_s`."""
    with transaction(db):
        db.execute("DELETE FROM session WHERE expires <= ?", (now,))
        db.execute("DELETE FROM attempt WHERE time < ?", (now - keep_s,))
