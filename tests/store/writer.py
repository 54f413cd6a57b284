# SPDX-License-Identifier: Apache-2.0
"""A box that writes without a pause until it is killed. Each line it prints is something that must never be
lost.

kept N TOTAL SEQ...   a commit: reading N of the printer, its total meter, the sequence numbers it was given
acked SEQ...          a commit: these were acknowledged
"""

from __future__ import annotations

import random
import sys

from appliance.model.messages import Acknowledgement, Record
from appliance.model.reading import difference, merge
from appliance.store import ledger, outbox, printers, readings
from appliance.store.database import open_database, transaction
from tests.store.conftest import full, moment, stamp, status_poll


def main(path: str, seed: int) -> None:
    dice = random.Random(seed)
    db = open_database(path)
    db.execute("PRAGMA wal_autocheckpoint = 40")  # so that kills fall into checkpoints too
    if printers.get(db, "p") is None:
        with transaction(db):
            printers.save(db, printers.Printer(id="p", address="192.0.2.1"))
    before = readings.latest(db, "p")
    total = before.meters[0].value if before else 0
    while True:
        total += 1
        at = total * 60
        with transaction(db):
            old = readings.latest(db, "p")
            if old is None or dice.random() < 0.1:
                new = full(at, total)
                readings.save_full(db, "p", stamp(at), new)
                record = Record(printer="p", stamp=stamp(at), full=new)
            else:
                change = difference(old, merge(old, status_poll(at, total)))
                readings.save_change(db, "p", stamp(at), change)
                record = Record(printer="p", stamp=stamp(at), change=change)
            seqs = outbox.add_readings(db, "PL", [record])
            seqs.append(outbox.add_event(db, "PL", stamp(at), "meter.up", "info", "p", {"total": total}))
        print("kept", total, *seqs, flush=True)
        if dice.random() < 0.3:
            rows = outbox.waiting(db, limit=dice.randrange(1, 9))
            for row in rows:
                ledger.sending(db, row, f"v1/t/PL/{row.topic}", "h", moment(at))
            done = [r.seq for r in rows]
            ledger.acknowledge(
                db, Acknowledgement(box="PL", stream=outbox.stream(db), seqs=done, time=moment(at))
            )
            print("acked", *done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
