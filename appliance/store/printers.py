# SPDX-License-Identifier: Apache-2.0
"""The printers the box knows, and the evidence that tells one from another."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Literal

import msgspec

from appliance.model.errors import Fault
from appliance.store.database import transaction
from appliance.store.packing import pack, unpack

State = Literal["active", "silent", "paused", "archived"]


class Printer(msgspec.Struct, frozen=True, kw_only=True):
    """One printer as the box knows it. `id` is the box's own and outlives address, name and network card.
    `evidence` are (kind, value) facts such as a serial, as collector.judge.identity makes them.
    `community_index` counts in the setting snmp.communities. Moments are RFC 3339; `plan` is opaque here."""

    id: str
    address: str
    port: int = 161
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    mac: str | None = None
    hostname: str | None = None
    name: str | None = None
    location: str | None = None
    profile: str | None = None
    snmp_version: str | None = None
    community_index: int | None = None
    plan: bytes | None = None
    state: State = "active"
    first_seen: str | None = None
    last_seen: str | None = None
    last_tried: str | None = None
    last_error: str | None = None
    last_error_text: str | None = None
    failures: int = 0
    evidence: list[tuple[str, str]] = []


def new_id() -> str:
    """An id that no other printer of any box has."""
    return secrets.token_hex(8)


def all_printers(db: sqlite3.Connection, archived: bool = False) -> list[Printer]:
    """Every printer, in the order they were found; archived ones too if asked for."""
    return _read(db, "1" if archived else "p.state != 'archived'")


def get(db: sqlite3.Connection, printer_id: str) -> Printer | None:
    """The printer with this id, archived or not."""
    found = _read(db, "p.id = ?", (printer_id,))
    return found[0] if found else None


def save(db: sqlite3.Connection, printer: Printer) -> None:
    """Adds it or replaces what is there. Only rows that differ are written."""
    with transaction(db):
        facts = tuple(getattr(printer, f) for f in _FACTS)
        row = db.execute(
            f"SELECT no, {', '.join(_FACTS)} FROM printer WHERE id = ?", (printer.id,)
        ).fetchone()
        if row is None:
            marks = ", ".join("?" * len(_FACTS))
            row = db.execute(
                f"INSERT INTO printer ({', '.join(_FACTS)}) VALUES ({marks}) RETURNING no", facts
            ).fetchone()
            db.execute("INSERT INTO contact (printer) VALUES (?)", row)
        elif row[1:] != facts:
            db.execute(
                f"UPDATE printer SET {', '.join(f'{f} = ?' for f in _FACTS)} WHERE no = ?", (*facts, row[0])
            )
        no = row[0]
        contact = tuple(getattr(printer, f) for f in _CONTACT)
        if (
            db.execute(f"SELECT {', '.join(_CONTACT)} FROM contact WHERE printer = ?", (no,)).fetchone()
            != contact
        ):
            db.execute(
                f"UPDATE contact SET {', '.join(f'{f} = ?' for f in _CONTACT)} WHERE printer = ?",
                (*contact, no),
            )
        _save_plan(db, no, printer.plan)
        _save_evidence(db, no, printer.evidence)


def number(db: sqlite3.Connection, printer_id: str) -> int:
    """Its key within this database. Fault where there is no such printer."""
    row = db.execute("SELECT no FROM printer WHERE id = ?", (printer_id,)).fetchone()
    if row is None:
        raise Fault(f"There is no printer {printer_id!r}")
    return int(row[0])


_FACTS = (
    "id", "address", "port", "vendor", "model", "serial", "mac", "hostname", "name", "location", "profile",
    "snmp_version", "community_index", "state", "first_seen",
)  # fmt: skip
_CONTACT = ("last_seen", "last_tried", "last_error", "last_error_text", "failures")


def _read(db: sqlite3.Connection, where: str, values: tuple[str, ...] = ()) -> list[Printer]:
    columns = ", ".join([*(f"p.{f}" for f in _FACTS), *(f"c.{f}" for f in _CONTACT)])
    rows = db.execute(
        f"SELECT p.no, n.body, {columns} FROM printer p"
        " JOIN contact c ON c.printer = p.no LEFT JOIN printer_plan n ON n.printer = p.no"
        f" WHERE {where} ORDER BY p.no",
        values,
    ).fetchall()
    evidence: dict[int, list[tuple[str, str]]] = {no: [] for no, *_ in rows}
    query, of = "SELECT printer, kind, value FROM evidence", list[int]()
    if len(rows) == 1:
        query, of = f"{query} WHERE printer = ?", [rows[0][0]]
    for no, kind, value in db.execute(f"{query} ORDER BY kind, value", of):
        if no in evidence:
            evidence[no].append((kind, value))
    return [
        Printer(
            plan=None if plan is None else unpack(plan),
            evidence=evidence[no],
            **dict(zip((*_FACTS, *_CONTACT), rest, strict=True)),
        )
        for no, plan, *rest in rows
    ]


def _save_plan(db: sqlite3.Connection, no: int, plan: bytes | None) -> None:
    body = None if plan is None else pack(plan)
    row = db.execute("SELECT body FROM printer_plan WHERE printer = ?", (no,)).fetchone()
    if body is None and row is not None:
        db.execute("DELETE FROM printer_plan WHERE printer = ?", (no,))
    elif body is not None and row != (body,):
        db.execute(
            "INSERT INTO printer_plan (printer, body) VALUES (?, ?)"
            " ON CONFLICT (printer) DO UPDATE SET body = excluded.body",
            (no, body),
        )


def _save_evidence(db: sqlite3.Connection, no: int, evidence: list[tuple[str, str]]) -> None:
    wanted = set(evidence)
    there = {(k, v) for k, v in db.execute("SELECT kind, value FROM evidence WHERE printer = ?", (no,))}
    db.executemany(
        "DELETE FROM evidence WHERE kind = ? AND value = ? AND printer = ?",
        [(*e, no) for e in there - wanted],
    )
    db.executemany(
        "INSERT INTO evidence (kind, value, printer) VALUES (?, ?, ?)", [(*e, no) for e in wanted - there]
    )
