# SPDX-License-Identifier: Apache-2.0
"""What waits for the dealer: finished messages, numbered once and for good.

A row is exactly the octets that will be sent, so a release that was rolled back can still send what a newer
one wrote, and what the ledger shows is what left. A row goes only when the dealer has acknowledged it
(ledger.acknowledge).
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Callable, Sequence

import msgspec

from appliance.model.clock import Stamp
from appliance.model.errors import Fault
from appliance.model.messages import (
    COMPRESS_ABOVE,
    EVENT,
    MAX_BODY,
    MAX_DECODED,
    READINGS,
    TOPIC,
    Event,
    Readings,
    Record,
    Severity,
)
from appliance.model.reading import SECTIONS, Change, Note, Reading
from appliance.store.database import transaction
from appliance.store.packing import pack


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `topic` is the last level of it, `body` what goes out, zstd where `encoding` says so,
    `sha256` its hash in hex."""

    seq: int
    schema: str
    topic: str
    body: bytes
    encoding: str
    created: str
    sha256: str


def stream(db: sqlite3.Connection) -> str:
    """Names the sequence of numbers; made with the database, so a new one never continues an old one's
    numbers."""
    return str(db.execute("SELECT value FROM meta WHERE key = 'stream'").fetchone()[0])


def add_readings(db: sqlite3.Connection, box: str, records: Sequence[Record]) -> list[int]:
    """The records, in that order, in as many messages as they need; their sequence numbers."""
    with transaction(db):
        name = stream(db)
        seqs = []
        for batch in _batches([_fitting(r) for r in records]):
            make = functools.partial(Readings, box=box, stream=name, records=batch)
            seqs.append(_add(db, READINGS, batch[-1].stamp.time, make))
        return seqs


def add_event(
    db: sqlite3.Connection,
    box: str,
    stamp: Stamp,
    code: str,
    severity: Severity,
    printer: str | None,
    fields: dict[str, str | int | float | bool | None],
) -> int:
    """One event as a message of its own; its sequence number."""
    with transaction(db):
        name = stream(db)
        make = functools.partial(
            Event,
            box=box,
            stream=name,
            stamp=stamp,
            code=code,
            severity=severity,
            printer=printer,
            fields=fields,
        )
        return _add(db, EVENT, stamp.time, make)


def waiting(db: sqlite3.Connection, after: int = 0, limit: int = 50) -> list[Row]:
    """The next messages behind the number `after`, oldest first."""
    rows = db.execute(
        "SELECT seq, schema, encoding, created, body FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return [
        Row(
            seq=seq,
            schema=schema,
            topic=TOPIC.get(schema, ""),
            body=body,
            encoding=encoding,
            created=created,
            sha256=hashlib.sha256(body).hexdigest(),
        )
        for seq, schema, encoding, created, body in rows
    ]


def count(db: sqlite3.Connection) -> tuple[int, int, str | None]:
    """(messages, octets, when the oldest was made) of what waits."""
    messages, size = db.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM outbox").fetchone()
    oldest = db.execute("SELECT created FROM outbox ORDER BY seq LIMIT 1").fetchone()
    return messages, size, oldest[0] if oldest else None


def finished(message: msgspec.Struct) -> tuple[bytes, str]:
    """(octets, encoding) of a message as it is sent: JSON, above COMPRESS_ABOVE as zstd."""
    data = _ENCODE(message)
    return (data, "") if len(data) <= COMPRESS_ABOVE else (pack(data), "zstd")


_ENCODE = msgspec.json.Encoder().encode
_ENVELOPE = 512  # more than schema, box, stream and seq ever take


def _add(db: sqlite3.Connection, schema: str, created: str, make: Callable[..., msgspec.Struct]) -> int:
    # The number stands inside the body, so it is taken first; AUTOINCREMENT notes it when the row is
    # inserted.
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    seq = int(row[0]) + 1 if row else 1
    body, encoding = finished(make(seq=seq))
    if len(body) > MAX_BODY:
        raise Fault(f"A message of {len(body)} octets was refused")
    db.execute(
        "INSERT INTO outbox (seq, schema, encoding, created, body) VALUES (?, ?, ?, ?, ?)",
        (seq, schema, encoding, created, body),
    )
    return seq


def _batches(records: list[Record]) -> list[list[Record]]:
    """Each no more than MAX_BODY octets of JSON, unless one record alone is more."""
    batches: list[list[Record]] = []
    room = 0
    for record in records:
        size = len(_ENCODE(record)) + 1
        if not batches or size > room:
            batches.append([])
            room = MAX_BODY - _ENVELOPE
        batches[-1].append(record)
        room -= size
    return batches


def _fitting(record: Record) -> Record:
    """A record that no message can hold loses its longest sections, and says so. Only a printer that lies
    makes one."""
    while not _fits(record):
        part = record.full if record.full is not None else record.change
        sizes = {
            s: len(_ENCODE(getattr(part, s))) for s in SECTIONS if s != "printer" and getattr(part, s, None)
        }
        if part is None or not sizes:
            raise Fault("A reading is too large for any message")
        longest = max(sizes, key=lambda s: sizes[s])
        record = _without(record, part, longest)
    return record


def _fits(record: Record) -> bool:
    data = _ENCODE(record)
    if len(data) <= MAX_BODY - _ENVELOPE:
        return True
    return len(data) <= MAX_DECODED - _ENVELOPE and len(pack(data)) <= MAX_BODY - _ENVELOPE


def _without(record: Record, part: Reading | Change, section: str) -> Record:
    if isinstance(part, Change):
        return msgspec.structs.replace(record, change=msgspec.structs.replace(part, **{section: None}))
    empty = type(getattr(part, section))()
    note = Note("cut", f"{section} was too long to be sent")
    return msgspec.structs.replace(
        record, full=msgspec.structs.replace(part, notes=[*part.notes, note], **{section: empty})
    )
