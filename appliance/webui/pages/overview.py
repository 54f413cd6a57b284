# SPDX-License-Identifier: Apache-2.0
"""The overview: one sentence, what needs doing, four lights."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from appliance import health
from appliance.health import facts as health_facts
from appliance.health import look
from appliance.host import clock, software
from appliance.model.errors import PlatenError
from appliance.store import outbox, settings
from appliance.store.database import Connection
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
    known, host, waiting = await run(request, _stored)
    local = local_address(request)
    facts = health.Facts(
        now=clock.now(),
        addresses=[a for a in [look.own_address() or local] if a],
        collector=_answer(collector, health_facts.Collector),
        uplink=_answer(uplink, health_facts.Uplink),
        disk=look.disk(box.database.parent),
        last_commit=known.last_tried,
        poll_s=known.poll_s,
        printers=known.printers,
        readings=known.readings,
        software=software.read(box.software),
        card=look.card(box.software.parent),
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


def _stored(db: Connection) -> tuple[look.Stored, str, int]:
    return look.stored(db), str(settings.load(db)["uplink.host"]), outbox.count(db)[0]
