# SPDX-License-Identifier: Apache-2.0
"""The heartbeat: six numbers about the box, the problems among them as its own checks find them."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from appliance import health
from appliance.health import facts, look
from appliance.host import clock, control, software
from appliance.host.paths import Paths
from appliance.model.errors import PlatenError
from appliance.model.messages import Heartbeat
from appliance.store import outbox
from appliance.store.database import Connection
from appliance.store.worker import Worker

COLLECTOR_S = 2.0
"""How long the collector may take to say how it is."""


async def heartbeat(box: str, paths: Paths, worker: Worker, uplink: dict[str, Any]) -> Heartbeat:
    """As it is now; `uplink` is the answer to platen.uplink.Status. StoreError where the store cannot be read."""
    collector = None
    try:
        answer = await control.call(
            paths.socket("collector"), "platen.collector.Status", timeout_s=COLLECTOR_S
        )
        collector = facts.status(answer, facts.Collector)
    except PlatenError:
        pass  # that it does not answer is what the check of it reports
    known, waiting = await worker.run(_stored)
    stamp, disk = clock.now(), look.disk(paths.state)
    address = look.own_address()
    findings = health.run_all(
        facts.Facts(
            now=stamp,
            addresses=[address] if address else None,
            collector=collector,
            uplink=facts.status(msgspec.to_builtins(uplink), facts.Uplink),
            disk=disk,
            last_commit=known.last_tried,
            poll_s=known.poll_s,
            printers=known.printers,
            readings=known.readings,
            software=software.read(paths.software),
            card=look.card(paths.run),
        )
    )
    asked = [p for p in known.printers if p.state != "paused"]
    return Heartbeat(
        box=box,
        stamp=stamp,
        printers=len(asked),
        answering=sum(p.state == "active" and p.last_error is None for p in asked),
        waiting=waiting,
        problems=len(health.problems(findings)),
        uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        disk_free_mb=disk.free_mb if disk else 0,
    )


def _stored(db: Connection) -> tuple[look.Stored, int]:
    return look.stored(db), outbox.count(db)[0]
