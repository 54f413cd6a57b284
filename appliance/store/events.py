# SPDX-License-Identifier: Apache-2.0
"""What happened, for the box's own page. The dealer's copy goes through outbox.add_event."""

from __future__ import annotations

import sqlite3

import msgspec

from appliance.model.clock import Stamp
from appliance.model.messages import Severity
from appliance.store.database import transaction
from appliance.store.readings import boot

Fields = dict[str, str | int | float | bool | None]


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `code` is dotted and stable, as in model.messages.Event."""

    id: int
    stamp: Stamp
    code: str
    severity: Severity
    printer: str | None
    fields: Fields


def add(
    db: sqlite3.Connection, stamp: Stamp, code: str, severity: Severity, printer: str | None, fields: Fields
) -> int:
    """Notes it and returns its id."""
    with transaction(db):
        row = db.execute(
            "INSERT INTO event (time, clock, boot, mono, code, severity, printer, fields)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                stamp.time,
                stamp.clock,
                boot(db, stamp.boot_id),
                stamp.mono,
                code,
                severity,
                printer,
                msgspec.json.encode(fields).decode(),
            ),
        ).fetchall()
        return int(row[0][0])


def recent(
    db: sqlite3.Connection, limit: int = 50, *, before: int | None = None, printer: str | None = None
) -> list[Logged]:
    """Newest first; of one printer if named, and with an id under `before` if given."""
    where, values = ("e.printer = ? AND ", (printer,)) if printer is not None else ("", ())
    rows = db.execute(
        "SELECT e.id, e.time, e.clock, b.boot_id, e.mono, e.code, e.severity, e.printer, e.fields"
        f" FROM event e JOIN boot b ON b.no = e.boot WHERE {where}e.id < ? ORDER BY e.id DESC LIMIT ?",
        (*values, before or 1 << 62, limit),
    )
    return [
        Logged(
            id=id,
            stamp=Stamp(time=time, clock=clock, boot_id=boot_id, mono=mono),
            code=code,
            severity=severity,
            printer=of,
            fields=msgspec.json.decode(fields),
        )
        for id, time, clock, boot_id, mono, code, severity, of, fields in rows
    ]


def prune(db: sqlite3.Connection, before: str) -> int:
    """Forgets what happened before that moment (RFC 3339). Only to be called with a synchronised clock."""
    with transaction(db):
        return db.execute("DELETE FROM event WHERE time < ?", (before,)).rowcount
