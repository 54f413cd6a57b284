# SPDX-License-Identifier: Apache-2.0
"""The overview: one sentence, what needs doing, four lights."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from appliance.model.reading import Reading
from appliance.store import outbox, printers, readings, settings
from appliance.store.printers import Printer
from appliance.webui import problems
from appliance.webui.app import BOX, VISITOR, page, run
from appliance.webui.guard import local_address
from appliance.webui.live import UplinkStatus

SHOWN = 12


async def gather(request: web.Request) -> problems.Facts:
    """Everything the overview and /status.json speak about."""
    collector, uplink = await request.app[BOX].services.both()
    known, latest, host, waiting = await run(request, _stored)
    return problems.Facts(
        now=request[VISITOR].now,
        printers=known,
        latest=latest,
        collector=collector,
        uplink=uplink,
        uplink_host=host,
        waiting=waiting,
        delivered=uplink.last_ack if isinstance(uplink, UplinkStatus) else None,
        local=local_address(request),
    )


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


def _stored(db: sqlite3.Connection) -> tuple[list[Printer], dict[str, Reading], str, int]:
    host = str(settings.value(db, "uplink.host"))
    return printers.all_printers(db), readings.all_latest(db), host, outbox.count(db)[0]
