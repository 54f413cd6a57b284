# SPDX-License-Identifier: Apache-2.0
"""What left the building: each message, when, where to, and whether the dealer has it."""

from __future__ import annotations

import hashlib
import sqlite3
import time as clock

import msgspec

from appliance.model.clock import rfc3339
from appliance.model.messages import MAX_DECODED, Acknowledgement
from appliance.store.database import transaction
from appliance.store.outbox import Row, stream
from appliance.store.packing import unpack

CEILING = 256 * 1024 * 1024
"""Octets of bodies the ledger keeps at the most."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `time` is when it was last handed to the connection, after `attempts` times; `size` and
    `sha256` (hex) are of what was sent. `acknowledged` is when the dealer said it has it, or None; `refused`
    why the dealer cannot take it. `seq` is None of state and heartbeat, which nobody acknowledges. `json`
    (what `sent` holds, uncompressed) and `sent` (the octets themselves) are given by entry() only."""

    id: int
    seq: int | None
    schema: str
    topic: str
    host: str
    time: str
    attempts: int
    encoding: str
    size: int
    sha256: str
    acknowledged: str | None
    refused: str | None
    json: bytes | None = None
    sent: bytes | None = None


def sending(db: sqlite3.Connection, row: Row, topic: str, host: str, time: str) -> int:
    """To be noted before the row is handed over; sent again, it is the same entry with one attempt more."""
    with transaction(db):
        found = db.execute(
            "UPDATE ledger SET topic = ?, host = ?, time = ?, attempts = attempts + 1"
            " WHERE seq = ? AND acknowledged IS NULL RETURNING id",
            (topic, host, time, row.seq),
        ).fetchall()
        if found:
            return int(found[0][0])
        return _insert(db, row.seq, row.schema, topic, host, time, row.encoding, row.body, None)


def sending_other(
    db: sqlite3.Connection, schema: str, topic: str, body: bytes, encoding: str, host: str, time: str
) -> int:
    """A message that has no sequence number: state, heartbeat."""
    with transaction(db):
        return _insert(db, None, schema, topic, host, time, encoding, body, body)


def acknowledge(db: sqlite3.Connection, ack: Acknowledgement) -> int:
    """The dealer has these: their bodies move from the outbox into the ledger. Returns how many did; what was
    acknowledged before, or belongs to another stream, counts nothing."""
    with transaction(db):
        if ack.stream != stream(db):
            return 0
        refused = {
            int(s): why for s, why in ack.refused.items() if s.isascii() and s.isdigit() and len(s) < 19
        }
        when = ack.time[:40]
        return sum(_settle(db, seq, when, refused.get(seq)) for seq in sorted({*ack.seqs, *refused}))


def entries(
    db: sqlite3.Connection, before: int | None = None, limit: int = 50, *, schema: str | None = None
) -> list[Entry]:
    """Newest first; of one schema if named, and with an id under `before` if given."""
    where, values = ("schema = ? AND ", (schema,)) if schema is not None else ("", ())
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM ledger WHERE {where}id < ? ORDER BY id DESC LIMIT ?",
        (*values, before or 1 << 62, limit),
    )
    return [_entry(r) for r in rows]


def entry(db: sqlite3.Connection, id: int) -> Entry | None:
    """One message with its text, whether the outbox still holds it or the ledger does."""
    row = db.execute(f"SELECT {_COLUMNS} FROM ledger WHERE id = ?", (id,)).fetchone()
    if row is None:
        return None
    found = _entry(row)
    (sent,) = db.execute(
        "SELECT coalesce(l.body, o.body) FROM ledger l LEFT JOIN outbox o ON o.seq = l.seq WHERE l.id = ?",
        (id,),
    ).fetchone()
    if sent is None:
        return found
    return msgspec.structs.replace(found, sent=sent, json=decoded(sent, found.encoding))


def decoded(body: bytes, encoding: str) -> bytes:
    """The JSON that a finished message holds."""
    return unpack(body, most=MAX_DECODED) if encoding == "zstd" else body


def prune(db: sqlite3.Connection, keep_days: int, *, ceiling: int = CEILING, now: float | None = None) -> int:
    """Forgets what is older than `keep_days`, and the oldest of the rest while bodies take more than
    `ceiling` octets. What waits for an acknowledgement stays. Returns how many went. Only to be called while
    the clock is synchronised; `now` in Unix seconds."""
    cut = rfc3339((clock.time() if now is None else now) - keep_days * 86_400)
    with transaction(db):
        gone = db.execute(f"DELETE FROM ledger WHERE {_SETTLED} AND time < ?", (cut,)).rowcount
        total = db.execute(f"SELECT coalesce(sum(size), 0) FROM ledger WHERE {_SETTLED}").fetchone()[0]
        if total > ceiling:
            last = None
            for id, size in db.execute(f"SELECT id, size FROM ledger WHERE {_SETTLED} ORDER BY id"):
                last, total = id, total - size
                if total <= ceiling:
                    break
            gone += db.execute(f"DELETE FROM ledger WHERE {_SETTLED} AND id <= ?", (last,)).rowcount
    return gone


_SETTLED = "(seq IS NULL OR acknowledged IS NOT NULL)"
_FIELDS = (
    *("id", "seq", "schema", "topic", "host", "time", "attempts", "encoding", "size"),
    *("acknowledged", "refused"),
)
_COLUMNS = f"{', '.join(_FIELDS)}, sha256"


def _entry(row: tuple[object, ...]) -> Entry:
    sha256 = row[-1]
    assert isinstance(sha256, bytes)
    return msgspec.convert({**dict(zip(_FIELDS, row, strict=False)), "sha256": sha256.hex()}, Entry)


def _insert(
    db: sqlite3.Connection,
    seq: int | None,
    schema: str,
    topic: str,
    host: str,
    time: str,
    encoding: str,
    octets: bytes,
    body: bytes | None,
) -> int:
    row = db.execute(
        "INSERT INTO ledger (seq, schema, topic, host, time, attempts, encoding, size, sha256, body)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?) RETURNING id",
        (seq, schema, topic, host, time, encoding, len(octets), hashlib.sha256(octets).digest(), body),
    ).fetchall()
    return int(row[0][0])


def _settle(db: sqlite3.Connection, seq: int, when: str, why: str | None) -> bool:
    row = db.execute("DELETE FROM outbox WHERE seq = ? RETURNING schema, encoding, body", (seq,)).fetchall()
    if not row:
        return False
    schema, encoding, body = row[0]
    done = (when, None if why is None else why[:500], body)
    changed = db.execute(
        "UPDATE ledger SET acknowledged = ?, refused = ?, body = ? WHERE seq = ? AND acknowledged IS NULL",
        (*done, seq),
    ).rowcount
    if not changed:
        # Acknowledged though never noted as sent: the dealer has it, so it left, and that must be seen.
        id = _insert(db, seq, schema, "", "", when, encoding, body, None)
        db.execute("UPDATE ledger SET acknowledged = ?, refused = ?, body = ? WHERE id = ?", (*done, id))
    return True
