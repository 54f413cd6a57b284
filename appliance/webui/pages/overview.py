# SPDX-License-Identifier: Apache-2.0
"""The overview: one sentence, what needs doing, four lights."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from appliance import health
from appliance.health import facts as health_facts
from appliance.host import clock
from appliance.model.errors import PlatenError
from appliance.model.reading import Reading
from appliance.store import outbox, printers, readings, settings
from appliance.store.database import Connection
from appliance.store.printers import Printer
from appliance.webui import problems
from appliance.webui.app import BOX, VISITOR, page, run
from appliance.webui.guard import local_address
from appliance.webui.live import UplinkStatus

SHOWN = 12
S = TypeVar("S")


async def gather(request: web.Request) -> problems.Facts:
    """Everything the overview and /status.json speak about."""
    box = request.app[BOX]
    collector, uplink = await box.services.both()
    known, latest, host, poll_s, waiting = await run(request, _stored)
    local = local_address(request)
    seen = max((p.last_tried for p in known if p.last_tried), default=None)
    facts = health.Facts(
        now=clock.now(),
        addresses=[a for a in [own_address() or local] if a],
        collector=_answer(collector, health_facts.Collector),
        uplink=_answer(uplink, health_facts.Uplink),
        disk=_disk(box.database),
        last_commit=seen,
        poll_s=poll_s,
        printers=known,
        readings=latest,
    )
    return problems.Facts(
        now=request[VISITOR].now,
        health=facts,
        collector=collector,
        uplink=uplink,
        uplink_host=host,
        waiting=waiting,
        delivered=uplink.last_ack if isinstance(uplink, UplinkStatus) else None,
        local=local,
    )


def own_address() -> str | None:
    """The address that packets to elsewhere would leave with; None without a route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): the default route decides
            return str(sock.getsockname()[0])
        except OSError:
            return None


async def show(request: web.Request) -> web.StreamResponse:
    t = request[VISITOR].t
    facts = await gather(request)
    found = problems.problems(t, facts)
    state, head, more = problems.sentence(t, facts, found)
    return page(
        request,
        "overview.html",
        state=state,
        head=head,
        more=more,
        problems=found[:SHOWN],
        hidden=len(found) - SHOWN,
        lights=problems.lights(t, facts),
        facts=facts,
    )


ROUTES = [web.get("/", show)]


def _answer(status: object, kind: type[S]) -> S | None:
    """A service's status as the checks take it."""
    return None if isinstance(status, PlatenError) else health_facts.status(msgspec.to_builtins(status), kind)


def _disk(database: Path) -> health_facts.Disk | None:
    try:
        room = os.statvfs(database.parent)
    except OSError:
        return None
    free, total = (n * room.f_frsize // 10**6 for n in (room.f_bavail, room.f_blocks))
    return health_facts.Disk(free_mb=free, total_mb=total)


def _stored(db: Connection) -> tuple[list[Printer], dict[str, Reading], str, int, int]:
    values = settings.load(db)
    poll_s = values["poll.status_s"]
    known, latest = printers.all_printers(db), readings.all_latest(db)
    return (
        known,
        latest,
        str(values["uplink.host"]),
        poll_s if isinstance(poll_s, int) else 900,
        outbox.count(db)[0],
    )
