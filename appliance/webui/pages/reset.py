# SPDX-License-Identifier: Apache-2.0
"""Factory reset: what it takes and what it leaves, and the word for it, given with the password."""

from __future__ import annotations

from aiohttp import web

from appliance.host import software
from appliance.model.errors import PlatenError
from appliance.store import outbox
from appliance.store.database import Connection
from appliance.webui import errors
from appliance.webui.app import BOX, VISITOR, page, run, see, status_of
from appliance.webui.pages.settings import password_trouble


async def show(request: web.Request) -> web.StreamResponse:
    if software.read(request.app[BOX].software) is None:
        raise web.HTTPNotFound  # elsewhere than on a box nothing could empty the disk
    return await _page(request, begun=request.query.get("done") == "asked")


async def ask(request: web.Request) -> web.StreamResponse:
    """The password of now is asked again: a page left open must not be enough to lose everything."""
    trouble, status = await password_trouble(request, request[VISITOR].form.get("password", ""))
    if trouble:
        return await _page(request, status=status, wrong=trouble)
    try:
        await request.app[BOX].services.ask("update", "FactoryReset", 20.0)
    except PlatenError as error:
        return await _page(
            request, status=status_of(error), story=errors.tell_error(request[VISITOR].t, error)
        )
    return see("/settings/factory-reset", done="asked")


ROUTES = [web.get("/settings/factory-reset", show), web.post("/settings/factory-reset", ask)]


async def _page(
    request: web.Request,
    *,
    status: int = 200,
    wrong: str = "",
    story: errors.Story | None = None,
    begun: bool = False,
) -> web.Response:
    return page(
        request,
        "reset.html",
        status=status,
        wrong=wrong,
        story=story,
        begun=begun,
        waiting=await run(request, _waiting),
    )


def _waiting(db: Connection) -> int:
    return outbox.count(db)[0]
