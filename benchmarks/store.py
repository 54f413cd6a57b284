# SPDX-License-Identifier: Apache-2.0
"""`platen bench store`: what a working day costs the card, beside the plain way of keeping the same data.

Each runs in a process of its own on a real file with real fsync. Bytes are those the kernel charges the
process for (write_bytes in /proc/self/io, whole blocks as they go to the disk), not what the code believes it
wrote.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.model import messages
from appliance.model.clock import rfc3339
from appliance.model.errors import Fault
from appliance.model.messages import Acknowledgement, Record
from appliance.model.reading import Reading, difference, merge
from appliance.model.settings import SETTINGS
from appliance.store import ledger, outbox, printers, readings
from appliance.store.database import open_database, transaction
from benchmarks import office

PEER = "one row per value, one commit per reading (autocommit)"
BOX = "PL-0000-0000"
Keep = Callable[[Path, list[office.Poll]], dict[str, int]]
COMPARED = ("wall_s", "cpu_s", "rss_mb", "bytes", "bytes_per_printer_day", "commits_per_day", "file_mb")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """{name, ours, peer, ratio}; `args` may carry `printers`, `hours` and `state`, a folder on the disk.

    Ours stores everything the box stores: readings, contacts, raw values, what waits for the dealer, and the
    ledger of it, sent and acknowledged, with a heartbeat every five minutes. The peer stores the values only,
    with an index by printer, name and time for its charts; `without_index` is the same without that."""
    count, hours = getattr(args, "printers", None) or 50, getattr(args, "hours", None) or 24
    folder = getattr(args, "state", None) or "/var/tmp"  # noqa: S108 - /tmp is often memory
    ours, peer, bare = (_apart(which, count, hours, folder) for which in ("ours", "peer", "bare"))
    return {
        "name": "store",
        "ours": ours,
        "peer": {"name": PEER, **peer, "without_index": bare},
        "ratio": {
            **{k: round(peer[k] / ours[k], 2) for k in COMPARED},
            "bytes_without_index": round(bare["bytes"] / ours["bytes"], 2),
        },
    }


def ours(path: Path, polls: list[office.Poll]) -> dict[str, int]:
    """The way the box's services keep it: a commit every store.commit_s, two more for what is sent then."""
    collector, uplink = open_database(path), open_database(path)
    window = float(SETTINGS["store.commit_s"].default)  # type: ignore[arg-type]
    ids = _found(collector, polls)
    last: dict[int, Reading] = {}
    done = {"commits": 1, "changes": 0, "messages": 0}
    beat = office.MIDNIGHT
    while polls:
        end = polls[0].at + window
        batch = [p for p in polls[:500] if p.at < end]
        del polls[: len(batch)]
        records: list[Record] = []
        with transaction(collector):
            for poll in batch:
                records += _keep(collector, ids[poll.printer], poll, last)
            if records:
                outbox.add_readings(collector, BOX, records)
        done["commits"] += 1
        done["changes"] += sum(r.change is not None for r in records)
        done["commits"] += _send(uplink, done, batch[-1].at)
        while beat < batch[-1].at:
            beat += 300
            done["commits"] += 1
            _beat(uplink, beat)
    ledger.prune(uplink, 90, now=office.MIDNIGHT + 86_400)
    collector.close()
    uplink.close()
    return done


def naive(path: Path, polls: list[office.Poll], *, index: bool = True) -> dict[str, int]:
    """A row for every value of every poll, SQLite as it comes, a commit when a printer has been read."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE value (id INTEGER PRIMARY KEY, printer INT, name TEXT, value TEXT, time TEXT)")
    if index:
        db.execute("CREATE INDEX value_name ON value (printer, name, time)")
    rows = 0
    for poll in polls:
        sections = tuple(poll.reading.times)
        found = [(poll.printer, k, v, poll.reading.time) for k, v in office.values(poll.reading, sections)]
        db.executemany("INSERT INTO value (printer, name, value, time) VALUES (?, ?, ?, ?)", found)
        db.commit()
        rows += len(found)
    db.close()
    return {"commits": len(polls), "rows": rows}


def _found(db: sqlite3.Connection, polls: list[office.Poll]) -> dict[int, str]:
    ids: dict[int, str] = {}
    with transaction(db):
        for poll in polls:
            if poll.printer not in ids:
                ids[poll.printer] = printers.new_id()
                plan = json.dumps(_varbinds(poll)).encode()
                printers.save(db, _printer(ids[poll.printer], poll, plan))
    return ids


def _printer(id: str, poll: office.Poll, plan: bytes | None) -> printers.Printer:
    who = poll.reading.printer
    return printers.Printer(
        id=id,
        address=poll.reading.address,
        vendor=who.vendor,
        model=who.model,
        serial=who.serial,
        mac=who.mac,
        plan=plan,
        first_seen=rfc3339(office.MIDNIGHT),
        last_seen=poll.reading.time,
        last_tried=poll.reading.time,
        evidence=[("serial", f"example:{who.serial}"), ("mac", str(who.mac))],
    )


def _varbinds(poll: office.Poll) -> list[tuple[str, int, str]]:
    found = office.values(poll.reading, tuple(poll.reading.times))
    return [(f"1.3.6.1.2.1.43.11.1.1.{i}.1.1", 4, v) for i, (_, v) in enumerate(found)]


def _keep(db: sqlite3.Connection, id: str, poll: office.Poll, last: dict[int, Reading]) -> list[Record]:
    stamp = office.stamp(poll.at)
    before = printers.get(db, id)
    assert before is not None
    printers.save(db, _printer(id, poll, before.plan))
    if poll.full:
        last[poll.printer] = poll.reading
        readings.save_full(db, id, stamp, poll.reading)
        readings.save_raw(db, id, poll.reading.time, _varbinds(poll))
        return [Record(printer=id, stamp=stamp, full=poll.reading)]
    old = last[poll.printer]
    new = last[poll.printer] = merge(old, poll.reading)
    change = difference(old, new)
    if not change.sections:
        readings.confirm(db, id, change.times)
        return []
    readings.save_change(db, id, stamp, change)
    return [Record(printer=id, stamp=stamp, change=change)]


def _send(db: sqlite3.Connection, done: dict[str, int], at: float) -> int:
    rows = outbox.waiting(db)
    if not rows:
        return 0
    with transaction(db):
        for row in rows:
            ledger.sending(db, row, f"v1/example/{BOX}/{row.topic}", "mqtt.example.com", rfc3339(at))
    seqs = [row.seq for row in rows]
    stored = Acknowledgement(box=BOX, stream=outbox.stream(db), seqs=seqs, time=rfc3339(at + 1))
    done["messages"] += ledger.acknowledge(db, stored)
    return 2


def _beat(db: sqlite3.Connection, at: float) -> None:
    beat = messages.Heartbeat(
        box=BOX,
        stamp=office.stamp(at),
        printers=50,
        answering=50,
        waiting=0,
        problems=0,
        uptime_s=1,
        disk_free_mb=9000,
    )
    body, encoding = outbox.finished(beat)
    ledger.sending_other(
        db, beat.schema, f"v1/example/{BOX}/hb", body, encoding, "mqtt.example.com", beat.stamp.time
    )


def _apart(which: str, count: int, hours: int, folder: str) -> dict[str, Any]:
    """One of the two in a fresh process, so that neither pays for the other's memory and cache."""
    command = [sys.executable, "-m", "benchmarks.store", which, str(count), str(hours), folder]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Fault(f"The measurement failed: {result.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _measured(keep: Keep, count: int, hours: int, folder: str) -> dict[str, Any]:
    """What `keep` cost; the memory is that of the process, the day's readings ready in it included."""
    polls = list(office.day(count, hours))
    asked = len(polls)
    with tempfile.TemporaryDirectory(dir=folder, prefix="platen-bench-") as name:
        path = Path(name) / "platen.db"
        written, wall, cpu = _write_bytes(), time.perf_counter(), time.process_time()
        done = keep(path, polls)
        wall, cpu, written = time.perf_counter() - wall, time.process_time() - cpu, _write_bytes() - written
        size = path.stat().st_size
    if not written:
        raise Fault(f"{folder} is not on a disk, so nothing can be counted there")
    days = hours / 24
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "bytes": written,
        "bytes_per_printer_day": round(written / count / days),
        "commits_per_day": round(done["commits"] / days),
        "file_mb": round(size / 1e6, 2),
        "polls": asked,
        **{k: v for k, v in done.items() if k != "commits"},
    }


def _write_bytes() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


if __name__ == "__main__":
    which, count, hours, folder = sys.argv[1:]
    ways: dict[str, Keep] = {"ours": ours, "peer": naive, "bare": functools.partial(naive, index=False)}
    print(json.dumps(_measured(ways[which], int(count), int(hours), folder)))
