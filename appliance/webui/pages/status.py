# SPDX-License-Identifier: Apache-2.0
"""/status.json: read-only, for the customer's own monitoring. With a login, or with the token from the settings."""

from __future__ import annotations

import hmac

import msgspec
from aiohttp import web

from appliance import __version__
from appliance.model.clock import rfc3339
from appliance.model.errors import PlatenError
from appliance.store import access
from appliance.store.printers import Printer
from appliance.webui import auth, problems
from appliance.webui.app import BOX, VISITOR, run
from appliance.webui.i18n import Locale
from appliance.webui.pages.overview import gather


async def show(request: web.Request) -> web.StreamResponse:
    """200 with the facts; 401 without a login or token. Codes and words are English, whatever the page speaks."""
    if request[VISITOR].session is None and not await _token_right(request):
        refusal = {
            "error": "access-denied",
            "hint": "Send 'Authorization: Bearer TOKEN'; the settings page makes one.",
        }
        return web.json_response(refusal, status=401, headers={"WWW-Authenticate": "Bearer"})
    facts = await gather(request)
    t = Locale("en")
    found = problems.problems(t, facts)
    state = "bad" if any(p.state == "bad" for p in found) else "note" if found else "ok"
    lights = zip(("network", "printers", "portal", "software"), problems.lights(t, facts), strict=True)
    body: dict[str, object] = {
        "schema": "platen.status/1",
        "box": request.app[BOX].identity.box_id,
        "version": __version__,
        "time": rfc3339(facts.now),
        "state": state,
        "lights": {key: {"state": light.state, "text": light.text} for key, light in lights},
        "problems": [{"state": p.state, "code": p.code, "text": p.text} for p in found],
        "printers": [_printer(t, facts, p) for p in facts.printers],
        "uplink": None if isinstance(facts.uplink, PlatenError) else msgspec.to_builtins(facts.uplink),
        "waiting": facts.waiting,
    }
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


ROUTES = [web.get("/status.json", show)]


def _printer(t: Locale, facts: problems.Facts, printer: Printer) -> dict[str, object]:
    reading = facts.latest.get(printer.id)
    state, words = problems.printer_state(t, printer, reading)
    meters = {m.name: m.value for m in reading.meters} if reading else {}
    return {
        "id": printer.id,
        "name": problems.name(printer),
        "address": printer.address,
        "state": state,
        "text": words,
        "last_seen": printer.last_seen,
        "total": meters.get("total"),
        "supplies": [
            {"type": s.type, "color": s.color, "percent": s.percent, "state": s.state}
            for s in reading.supplies
        ]
        if reading
        else [],
    }


async def _token_right(request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 20 <= len(token) <= 64:
        return False
    stored = await run(request, access.status_token)
    return stored is not None and hmac.compare_digest(stored, auth.token_hash(token))
