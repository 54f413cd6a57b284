# SPDX-License-Identifier: Apache-2.0
"""Everything the portal keeps. The one module with SQL, so that another database means another one of these.

`Writer` belongs to the ingest thread, `Reader` to the pages. A batch is one transaction: what it acknowledges is
on disk before anybody hears of it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from appliance.model.clock import unix
from appliance.model.errors import DatabaseDamaged, DatabaseNewer, StoreError
from appliance.model.messages import READINGS, Acknowledgement, Event, Heartbeat, Readings, Software, State
from fleet.latest import Latest, advance
from fleet.pulse import interval
from fleet.receive import Refused, Taken


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list of boxes. `missing` counts sequence numbers that never came below the highest that did."""

    box: str
    first_heard: str
    last_heard: str | None
    online: bool | None
    online_since: str | None
    version: str | None
    heartbeat: Heartbeat | None
    heartbeat_heard: str | None
    heartbeat_every: float | None = None
    duplicates: int
    refused: int
    printers: int
    missing: int
    software: Software | None = None


class Printer(msgspec.Struct, frozen=True, kw_only=True):
    """A printer behind a box; `heard` is when the portal last took a record of it."""

    box: str
    printer: str
    heard: str
    latest: Latest


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list of events; `name` is the printer's make and model, as far as they are known."""

    id: int
    box: str
    printer: str | None
    time: str
    code: str
    severity: str
    fields: dict[str, str | int | float | bool | None]
    name: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Sequence numbers `first` to `last` of a stream that have not come."""

    stream: str
    first: int
    last: int


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was not taken, and why."""

    received: str
    box: str | None
    topic: str
    reason: str
    octets: int


def open_database(path: Path, *, write: bool) -> sqlite3.Connection:
    """A connection with the newest schema. StoreError where there can be none; nothing stored is ever removed."""
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA foreign_keys = ON")
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            _migrate(db, path)
        else:
            db.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"{path} cannot be opened: {error}") from None
        raise DatabaseDamaged(
            f"{path} is not a sound database: {error}", hint="Move it away to start anew"
        ) from None
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    steps = sorted(
        (f for f in resources.files("fleet").joinpath("schema").iterdir() if f.name.endswith(".sql")),
        key=lambda f: f.name,
    )
    at = int(db.execute("PRAGMA user_version").fetchone()[0])
    if at > len(steps):
        raise DatabaseNewer(f"{path} was written by a newer portal", hint="Install that one again")
    for number, step in enumerate(steps[at:], at + 1):
        db.executescript(
            f"BEGIN IMMEDIATE;\n{step.read_text(encoding='utf-8')}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


class Writer:
    """Takes batches. One thread, one process."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, write=True)

    def close(self) -> None:
        """Ends the connection."""
        self._db.close()

    def take(self, batch: list[Taken | Refused], now: str) -> list[Acknowledgement]:
        """Stores `batch` in one transaction; returns what may be answered now. StoreError: nothing was stored."""
        answers: dict[tuple[str, str], tuple[list[int], dict[str, str]]] = defaultdict(lambda: ([], {}))
        try:
            with self._transaction():
                for item in batch:
                    answer = self._item(item)
                    if answer is not None:
                        box, stream, seq, reason = answer
                        seqs, refused = answers[box, stream]
                        if reason is None:
                            seqs.append(seq)
                        else:
                            refused[str(seq)] = reason
        except sqlite3.Error as error:
            raise StoreError(f"The batch could not be stored: {error}") from None
        return [
            Acknowledgement(box=box, stream=stream, seqs=sorted(set(seqs)), refused=refused, time=now)
            for (box, stream), (seqs, refused) in answers.items()
        ]

    def prune(self, cut: str) -> int:
        """Forgets records, events and refusals that came before `cut` (RFC 3339, the portal's clock), and of meters
        all but each day's last value. Returns how many records went. StoreError: nothing did."""
        old = "(stream_id, seq) IN (SELECT stream_id, seq FROM messages WHERE received < ?)"
        try:
            with self._transaction():
                gone = self._db.execute(f"DELETE FROM records WHERE {old}", (cut,)).rowcount
                self._db.execute(f"DELETE FROM events WHERE {old}", (cut,))
                self._db.execute("DELETE FROM refusals WHERE received < ?", (cut,))
                self._db.execute(
                    "DELETE FROM meters WHERE time < ? AND EXISTS (SELECT 1 FROM meters later"
                    " WHERE later.box = meters.box AND later.printer = meters.printer AND later.name = meters.name"
                    " AND later.time > meters.time AND later.time < substr(meters.time, 1, 10) || 'U')",
                    (cut,),
                )
                for stream, taken_to in self._db.execute("SELECT id, taken_to FROM streams").fetchall():
                    self._settle(stream, taken_to, cut)
        except sqlite3.Error as error:
            raise StoreError(f"Old readings could not be removed: {error}") from None
        return gone

    def _settle(self, stream: int, taken_to: int, cut: str) -> None:
        """Replaces the stream's old rows by one number, as far as they have no gap."""
        last = taken_to
        for seq, received in self._db.execute(
            "SELECT seq, received FROM messages WHERE stream_id = ? ORDER BY seq", (stream,)
        ):
            if received >= cut or (last and seq != last + 1):
                break
            last = seq
        self._db.execute("DELETE FROM messages WHERE stream_id = ? AND seq <= ?", (stream, last))
        self._db.execute("UPDATE streams SET taken_to = ? WHERE id = ?", (last, stream))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _item(self, item: Taken | Refused) -> tuple[str, str, int, str | None] | None:
        if isinstance(item, Taken):
            # One message that the checks let through and the database will not have must not hold up the others.
            self._db.execute("SAVEPOINT item")
            try:
                answer = self._taken(item)
            except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, ValueError, TypeError) as error:
                self._db.execute("ROLLBACK TO item")
                item = Refused(
                    arrival=item.arrival,
                    box=item.box,
                    reason=f"The content cannot be stored: {error}",
                    stream=getattr(item.message, "stream", None),
                    seq=getattr(item.message, "seq", None),
                )
            else:
                self._db.execute("RELEASE item")
                return answer
            self._db.execute("RELEASE item")
        return self._refused(item)

    def _taken(self, item: Taken) -> tuple[str, str, int, str | None] | None:
        message, arrival = item.message, item.arrival
        will = isinstance(message, State) and not message.online
        # A will is the broker's word and a retained message may be old: neither was heard of the box now.
        self._box(item.box, arrival.received, heard=not (will or arrival.retained))
        if isinstance(message, State):
            self._db.execute(
                "UPDATE boxes SET online_since = CASE WHEN online IS ? THEN online_since ELSE ? END,"
                " online = ?, version = coalesce(?, version), software = coalesce(?, software) WHERE box = ?",
                (
                    message.online,
                    arrival.received,
                    message.online,
                    message.version,
                    _json(message.software) if message.software is not None else None,
                    item.box,
                ),
            )
            return None
        if isinstance(message, Heartbeat):
            self._heartbeat(message, arrival.received)
            return None
        stream, known, why = self._known(item.box, message.stream, message.seq, arrival.received)
        if known:
            self._db.execute("UPDATE boxes SET duplicates = duplicates + 1 WHERE box = ?", (item.box,))
            return item.box, message.stream, message.seq, why
        self._number(stream, message.seq, message.schema, item, None)
        if isinstance(message, Event):
            self._db.execute(
                "INSERT INTO events (box, stream_id, seq, printer, time, code, severity, fields)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    item.box,
                    stream,
                    message.seq,
                    message.printer,
                    message.stamp.time,
                    message.code,
                    message.severity,
                    _json(message.fields),
                ),
            )
        else:
            self._records(item.box, stream, message, arrival.received)
        return item.box, message.stream, message.seq, None

    def _records(self, box: str, stream: int, message: Readings, received: str) -> None:
        latest: dict[str, Latest | None] = {}
        for index, record in enumerate(message.records):
            body = record.full or record.change
            assert body is not None
            self._db.execute(
                "INSERT INTO records (stream_id, seq, idx, printer, time, kind, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    stream,
                    message.seq,
                    index,
                    record.printer,
                    body.time,
                    "full" if record.full else "change",
                    _json(record),
                ),
            )
            if record.printer not in latest:
                row = self._db.execute(
                    "SELECT latest FROM printers WHERE box = ? AND printer = ?", (box, record.printer)
                ).fetchone()
                latest[record.printer] = msgspec.json.decode(row["latest"], type=Latest) if row else None
            latest[record.printer] = advance(latest[record.printer], record, (stream, message.seq, index))
            self._db.executemany(
                "INSERT INTO meters (box, printer, name, time, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(box, record.printer, m.name, body.time, m.value) for m in body.meters or ()],
            )
        self._db.executemany(
            "INSERT INTO printers (box, printer, latest, heard) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (box, printer) DO UPDATE SET latest = excluded.latest, heard = excluded.heard",
            [(box, printer, _json(value), received) for printer, value in latest.items()],
        )

    def _refused(self, item: Refused) -> tuple[str, str, int, str | None] | None:
        arrival = item.arrival
        self._db.execute(
            "INSERT INTO refusals (received, box, topic, reason, octets) VALUES (?, ?, ?, ?, ?)",
            (arrival.received, item.box, arrival.topic[:255], item.reason, len(arrival.payload)),
        )
        # A peer that sends rubbish for ever must not fill the disk.
        self._db.execute("DELETE FROM refusals WHERE id <= (SELECT max(id) FROM refusals) - 1000")
        if item.box is None:
            return None
        self._box(item.box, arrival.received, heard=not arrival.retained)
        self._db.execute("UPDATE boxes SET refused = refused + 1 WHERE box = ?", (item.box,))
        if item.stream is None or item.seq is None:
            return None
        stream, known, why = self._known(item.box, item.stream, item.seq, arrival.received)
        if known:
            return item.box, item.stream, item.seq, why
        self._number(stream, item.seq, arrival.properties.get("schema", READINGS)[:60], item, item.reason)
        return item.box, item.stream, item.seq, item.reason

    def _box(self, box: str, received: str, *, heard: bool) -> None:
        self._db.execute(
            "INSERT INTO boxes (box, first_heard, last_heard) VALUES (?, ?, ?)"
            " ON CONFLICT (box) DO UPDATE SET last_heard = coalesce(excluded.last_heard, last_heard)",
            (box, received, received if heard else None),
        )

    def _heartbeat(self, beat: Heartbeat, received: str) -> None:
        row = self._db.execute(
            "SELECT heartbeat, heartbeat_every FROM boxes WHERE box = ?", (beat.box,)
        ).fetchone()
        before = msgspec.json.decode(row["heartbeat"], type=Heartbeat) if row["heartbeat"] else None
        self._db.execute(
            "UPDATE boxes SET heartbeat = ?, heartbeat_heard = ?, heartbeat_every = ? WHERE box = ?",
            (_json(beat), received, interval(before, beat, row["heartbeat_every"]), beat.box),
        )

    def _known(self, box: str, stream: str, seq: int, received: str) -> tuple[int, bool, str | None]:
        """(ordinal of the stream, whether this number was settled before, why it was refused)."""
        self._db.execute(
            "INSERT INTO streams (box, stream, first_heard) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (box, stream, received),
        )
        row = self._db.execute(
            "SELECT id, taken_to, m.seq, m.refused FROM streams LEFT JOIN messages m ON m.stream_id = id AND m.seq = ?"
            " WHERE box = ? AND stream = ?",
            (seq, box, stream),
        ).fetchone()
        return int(row["id"]), row["seq"] is not None or seq <= row["taken_to"], row["refused"]

    def _number(self, stream: int, seq: int, schema: str, item: Taken | Refused, refused: str | None) -> None:
        arrival = item.arrival
        self._db.execute(
            "INSERT INTO messages (stream_id, seq, schema, received, octets, refused)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (stream, seq, schema, arrival.received, len(arrival.payload), refused),
        )


class Reader:
    """What the pages ask. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, write=False)

    def close(self) -> None:
        """Ends the connection."""
        self._db.close()

    def boxes(self, box: str | None = None) -> list[Box]:
        """Every box, or the one asked for, by name."""
        rows = self._db.execute(
            "SELECT b.*, (SELECT count(*) FROM printers p WHERE p.box = b.box) AS printers,"
            " coalesce((SELECT sum(m.missing) FROM ("
            "   SELECT max(seq) - coalesce(nullif(s.taken_to, 0), min(seq) - 1) - count(*) AS missing"
            "   FROM messages JOIN streams s ON s.id = stream_id"
            "   WHERE s.box = b.box GROUP BY stream_id) m), 0) AS missing"
            " FROM boxes b WHERE ? IS NULL OR b.box = ? ORDER BY b.box",
            (box, box),
        )
        return [_box(dict(row)) for row in rows]

    def printers(self, box: str | None = None, printer: str | None = None) -> list[Printer]:
        """Printers of every box or of one, in no order that matters."""
        rows = self._db.execute(
            "SELECT * FROM printers WHERE (?1 IS NULL OR box = ?1) AND (?2 IS NULL OR printer = ?2)"
            " ORDER BY box, printer",
            (box, printer),
        )
        return [
            Printer(
                box=row["box"],
                printer=row["printer"],
                heard=row["heard"],
                latest=msgspec.json.decode(row["latest"], type=Latest),
            )
            for row in rows
        ]

    def events(
        self, box: str | None = None, printer: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Happening]:
        """The newest first."""
        rows = self._db.execute(
            "SELECT e.*, json_extract(latest, '$.reading.printer.vendor') AS vendor,"
            " json_extract(latest, '$.reading.printer.model') AS model"
            " FROM events e LEFT JOIN printers p ON p.box = e.box AND p.printer = e.printer"
            " WHERE (?1 IS NULL OR e.box = ?1) AND (?2 IS NULL OR e.printer = ?2)"
            " AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
            (box, printer, before, limit),
        )
        return [
            Happening(
                id=row["id"],
                box=row["box"],
                printer=row["printer"],
                time=row["time"],
                code=row["code"],
                severity=row["severity"],
                fields=msgspec.json.decode(row["fields"]),
                name=" ".join(filter(None, (row["vendor"], row["model"]))),
            )
            for row in rows
        ]

    def meter(self, box: str, printer: str, name: str, limit: int = 2_000) -> list[tuple[float, int]]:
        """(Unix time, value) of one meter, oldest first: the newest `limit` of them."""
        rows = self._db.execute(
            "SELECT time, value FROM meters WHERE box = ? AND printer = ? AND name = ?"
            " ORDER BY time DESC LIMIT ?",
            (box, printer, name, limit),
        ).fetchall()
        return [(unix(row["time"]), row["value"]) for row in reversed(rows)]

    def gaps(self, box: str, limit: int = 100) -> list[Gap]:
        """Where a stream's sequence numbers have holes."""
        rows = self._db.execute(
            "SELECT stream, before + 1 AS first, seq - 1 AS last FROM ("
            "  SELECT s.stream, m.seq, coalesce("
            "    lag(m.seq) OVER (PARTITION BY m.stream_id ORDER BY m.seq), nullif(s.taken_to, 0)) AS before"
            "  FROM messages m JOIN streams s ON s.id = m.stream_id WHERE s.box = ?)"
            " WHERE seq > before + 1 LIMIT ?",
            (box, limit),
        )
        return [Gap(stream=row["stream"], first=row["first"], last=row["last"]) for row in rows]

    def refusals(self, box: str | None = None, limit: int = 20) -> list[Refusal]:
        """What was not taken, newest first."""
        rows = self._db.execute(
            "SELECT received, box, topic, reason, octets FROM refusals WHERE ?1 IS NULL OR box = ?1"
            " ORDER BY id DESC LIMIT ?2",
            (box, limit),
        )
        return [Refusal(**dict(row)) for row in rows]

    def counts(self) -> dict[str, int]:
        """Totals of everything, for the status page."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM boxes) AS boxes, (SELECT count(*) FROM printers) AS printers,"
            " (SELECT count(*) FROM messages WHERE refused IS NULL) AS messages,"
            " (SELECT count(*) FROM records) AS records, (SELECT count(*) FROM events) AS events,"
            " (SELECT coalesce(sum(duplicates), 0) FROM boxes) AS duplicates,"
            " (SELECT count(*) FROM messages WHERE refused IS NOT NULL) AS refused"
        ).fetchone()
        return dict(row)


def _box(row: dict[str, Any]) -> Box:
    heartbeat, software = row.pop("heartbeat"), row.pop("software")
    online = row.pop("online")
    return Box(
        heartbeat=msgspec.json.decode(heartbeat, type=Heartbeat) if heartbeat else None,
        software=msgspec.json.decode(software, type=Software) if software else None,
        online=None if online is None else bool(online),
        **row,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
