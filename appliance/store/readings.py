# SPDX-License-Identifier: Apache-2.0
"""Readings: one in full about every day, between them only what changed.

`history` and `latest` give whole readings back. When a poll found nothing new, `confirm` notes the moment and
no row is added, so an idle printer costs a few octets.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from appliance.model.clock import Stamp, unix
from appliance.model.errors import Fault
from appliance.model.reading import SECTIONS, Change, Reading, apply
from appliance.store.database import damaged, transaction
from appliance.store.packing import pack, unpack
from appliance.store.printers import number

DAY_S = 86_400
T = TypeVar("T")


def save_full(db: sqlite3.Connection, printer_id: str, stamp: Stamp, reading: Reading) -> None:
    """`reading` as it is; changes build on it from now on."""
    with transaction(db):
        no = number(db, printer_id)
        n = _last(db, no)[0] + 1
        _insert(db, no, stamp, n, n, SECTIONS, pack(_ENCODE(reading)))
        _forget_times(db, no, reading.times)


def save_change(db: sqlite3.Connection, printer_id: str, stamp: Stamp, change: Change) -> None:
    """What model.reading.difference(latest, new) said. Fault where no full reading came first."""
    with transaction(db):
        no = number(db, printer_id)
        n, base = _last(db, no)
        if not n:
            raise Fault(f"Printer {printer_id!r} has no full reading that a change could build on")
        (body,) = db.execute("SELECT body FROM reading WHERE printer = ? AND n = ?", (no, base)).fetchone()
        _insert(db, no, stamp, n + 1, base, change.sections, pack(_ENCODE(change), like=unpack(body)))
        _forget_times(db, no, change.times)


def confirm(db: sqlite3.Connection, printer_id: str, times: dict[str, str]) -> None:
    """The sections of `times` were read at those moments and had not changed."""
    with transaction(db):
        no = number(db, printer_id)
        _write_times(db, no, {**_times(db, no), **times})


def full_due(db: sqlite3.Connection, printer_id: str, now: Stamp) -> bool:
    """Whether the last full reading is a day old or none is there. A clock that was set meanwhile does not
    matter within one boot; set back between two, the answer is yes."""
    row = db.execute(
        "SELECT r.time, r.mono, b.boot_id FROM reading r JOIN boot b ON b.no = r.boot"
        " JOIN printer p ON p.no = r.printer WHERE p.id = ? AND r.base = r.n ORDER BY r.n DESC LIMIT 1",
        (printer_id,),
    ).fetchone()
    if row is None:
        return True
    age = now.mono - row[1] if row[2] == now.boot_id else unix(now.time) - unix(row[0])
    return not 0 <= age < DAY_S


def latest(db: sqlite3.Connection, printer_id: str) -> Reading | None:
    """The printer as last read: full reading, changes since, and the moments that only confirmed them. `time`
    is the latest of these; traffic and notes are those of the full reading."""
    row = db.execute("SELECT no FROM printer WHERE id = ?", (printer_id,)).fetchone()
    return None if row is None else _latest(db, row[0])


def all_latest(db: sqlite3.Connection) -> dict[str, Reading]:
    """latest() of every printer that has one and is not archived, by printer id."""
    rows = db.execute("SELECT id, no FROM printer WHERE state != 'archived' ORDER BY no").fetchall()
    found = ((printer_id, _latest(db, no)) for printer_id, no in rows)
    return {printer_id: reading for printer_id, reading in found if reading is not None}


def history(db: sqlite3.Connection, printer_id: str, since: str, until: str) -> Iterator[Reading]:
    """Whole readings made from `since` to `until` (RFC 3339 as model.clock.rfc3339 writes it, both included),
    in the order they were made; one for each moment something was new."""
    row = db.execute("SELECT no FROM printer WHERE id = ?", (printer_id,)).fetchone()
    if row is not None:
        yield from (r for t, r in _chain(db, row[0], since, until) if since <= t <= until)


def meter_series(db: sqlite3.Connection, printer_id: str, name: str, since: str) -> list[tuple[str, int]]:
    """(time, value) of the meter `name`: where it changed, and when it was last read."""

    def pick(reading: Reading | Change) -> int | None:
        return next((m.value for m in reading.meters or () if m.name == name), None)

    return [(t, v) for t, v in _series(db, printer_id, "meters", since, pick) if v is not None]


def supply_series(
    db: sqlite3.Connection, printer_id: str, index: str, since: str
) -> list[tuple[str, int | None]]:
    """(time, percent) of the supply with this index: where it changed, and when it was last read. None:
    unknown."""

    def pick(reading: Reading | Change) -> int | None:
        return next((s.percent for s in reading.supplies or () if s.index == index), None)

    return _series(db, printer_id, "supplies", since, pick)


def save_raw(
    db: sqlite3.Connection, printer_id: str, time: str, varbinds: Sequence[tuple[str, int, object]]
) -> None:
    """The (oid, tag, value) behind the last full read, in place of those before."""
    with transaction(db):
        body = pack(msgspec.msgpack.encode([tuple(v) for v in varbinds]))
        db.execute(
            "INSERT INTO raw (printer, time, body) VALUES (?, ?, ?)"
            " ON CONFLICT (printer) DO UPDATE SET time = excluded.time, body = excluded.body",
            (number(db, printer_id), time, body),
        )


def raw(
    db: sqlite3.Connection, printer_id: str
) -> tuple[str, list[tuple[str, int, int | bytes | str | None]]] | None:
    """(time, [(oid, tag, value)]) as given to save_raw."""
    row = db.execute(
        "SELECT r.time, r.body FROM raw r JOIN printer p ON p.no = r.printer WHERE p.id = ?", (printer_id,)
    ).fetchone()
    return None if row is None else (row[0], _decode(unpack(row[1]), _RAW.decode))


def prune(db: sqlite3.Connection, before: str) -> int:
    """Forgets what was read before that moment, each full reading together with its changes, and never a
    printer's last one. Returns how many rows went. Only to be called while the clock is synchronised."""
    gone = 0
    with transaction(db):
        for (no,) in db.execute("SELECT no FROM printer").fetchall():
            # The state at `before` must stay reconstructible: the last full reading made by then is the first
            # kept.
            row = db.execute(
                "SELECT max(n) FROM reading WHERE printer = ? AND base = n AND time <= ?", (no, before)
            ).fetchone()
            if row[0] is not None:
                gone += db.execute("DELETE FROM reading WHERE printer = ? AND n < ?", (no, row[0])).rowcount
    return gone


_ENCODE = msgspec.json.Encoder().encode
_FULL = msgspec.json.Decoder(Reading)
_CHANGE = msgspec.json.Decoder(Change)
_TIMES = msgspec.json.Decoder(dict[str, str])
_RAW = msgspec.msgpack.Decoder(list[tuple[str, int, Any]])


def boot(db: sqlite3.Connection, boot_id: str) -> int:
    """The short number that stands for a boot id in rows."""
    row = db.execute("SELECT no FROM boot WHERE boot_id = ?", (boot_id,)).fetchone()
    if row is None:
        row = db.execute("INSERT INTO boot (boot_id) VALUES (?) RETURNING no", (boot_id,)).fetchone()
    return int(row[0])


def _decode(data: bytes, decoder: Callable[[bytes], T]) -> T:
    try:
        return decoder(data)
    except msgspec.MsgspecError as e:
        raise damaged("The database", f"a body is not what it should be ({e})") from e


def _last(db: sqlite3.Connection, no: int) -> tuple[int, int]:
    """(n, base) of the newest row, or zeros."""
    row = db.execute(
        "SELECT n, base FROM reading WHERE printer = ? ORDER BY n DESC LIMIT 1", (no,)
    ).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def _insert(
    db: sqlite3.Connection, no: int, stamp: Stamp, n: int, base: int, sections: Iterable[str], body: bytes
) -> None:
    mask = sum(1 << SECTIONS.index(s) for s in sections)
    db.execute(
        "INSERT INTO reading (printer, n, time, boot, mono, base, sections, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (no, n, stamp.time, boot(db, stamp.boot_id), stamp.mono, base, mask, body),
    )


def _times(db: sqlite3.Connection, no: int) -> dict[str, str]:
    (text,) = db.execute("SELECT times FROM contact WHERE printer = ?", (no,)).fetchone()
    return _decode(text.encode(), _TIMES.decode)


def _write_times(db: sqlite3.Connection, no: int, times: dict[str, str]) -> None:
    db.execute("UPDATE contact SET times = ? WHERE printer = ?", (_ENCODE(times).decode(), no))


def _forget_times(db: sqlite3.Connection, no: int, newer: dict[str, str]) -> None:
    """A section that stands in a row made now was confirmed earlier, whatever the clock says."""
    times = _times(db, no)
    if times.keys() & newer.keys():
        _write_times(db, no, {s: t for s, t in times.items() if s not in newer})


def _latest(db: sqlite3.Connection, no: int) -> Reading | None:
    n, base = _last(db, no)
    if not n:
        return None
    reading = None
    for _, reading in _rows(db, no, base):  # noqa: B007 - only the last one counts
        pass
    if reading is None:
        raise damaged("The database", "a full reading is gone")
    times = _times(db, no)
    return msgspec.structs.replace(
        reading, time=max([reading.time, *times.values()]), times={**reading.times, **times}
    )


def _chain(db: sqlite3.Connection, no: int, since: str, until: str) -> Iterator[tuple[str, Reading]]:
    row = db.execute(
        "SELECT max(n) FROM reading WHERE printer = ? AND base = n AND time <= ?", (no, since)
    ).fetchone()
    last = db.execute("SELECT max(n) FROM reading WHERE printer = ? AND time <= ?", (no, until)).fetchone()
    if last[0] is not None:
        yield from _rows(db, no, row[0] or 0, last[0])


def _rows(db: sqlite3.Connection, no: int, first: int, last: int = 1 << 62) -> Iterator[tuple[str, Reading]]:
    """(time, whole reading) of the rows from `first`, which is a full one or before all, to `last`."""
    reading: Reading | None = None
    like = b""
    for n, base, time, body in db.execute(
        "SELECT n, base, time, body FROM reading WHERE printer = ? AND n BETWEEN ? AND ? ORDER BY n",
        (no, first, last),
    ):
        if n == base:
            like = unpack(body)
            reading = _decode(like, _FULL.decode)
        elif reading is None:
            raise damaged("The database", "a full reading is gone")
        else:
            reading = apply(reading, _decode(unpack(body, like), _CHANGE.decode))
        yield time, reading


def _series(
    db: sqlite3.Connection, printer_id: str, section: str, since: str, pick: Callable[[Reading | Change], T]
) -> list[tuple[str, T]]:
    """Rows without the section are not even unpacked."""
    row = db.execute("SELECT no FROM printer WHERE id = ?", (printer_id,)).fetchone()
    if row is None:
        return []
    points: list[tuple[str, T]] = []
    like = b""
    for n, base, body in db.execute(
        "SELECT n, base, body FROM reading WHERE printer = ? AND (base = n OR sections & ?) AND n >="
        " coalesce((SELECT max(n) FROM reading WHERE printer = ? AND base = n AND time <= ?), 0) ORDER BY n",
        (row[0], 1 << SECTIONS.index(section), row[0], since),
    ):
        item: Reading | Change
        if n == base:
            like = unpack(body)
            item = _decode(like, _FULL.decode)
        else:
            item = _decode(unpack(body, like), _CHANGE.decode)
        time, value = item.times.get(section, item.time), pick(item)
        if time >= since and (not points or points[-1][1] != value):
            points.append((time, value))
    now = _latest(db, row[0])
    if now is not None and points and (read := now.times.get(section, now.time)) > points[-1][0]:
        points.append((read, points[-1][1]))
    return points
