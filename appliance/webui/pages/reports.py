# SPDX-License-Identifier: Apache-2.0
"""Reports sent: exactly what left the building, message by message, and what waits."""

from __future__ import annotations

import json

import msgspec
from aiohttp import web

from appliance.model.errors import PlatenError
from appliance.model.messages import EVENT, HEARTBEAT, READINGS, STATE
from appliance.store import ledger, outbox, settings
from appliance.store.database import Connection
from appliance.webui import errors
from appliance.webui.app import BOX, VISITOR, page, run, see
from appliance.webui.guard import Refused
from appliance.webui.i18n import N_

PER_PAGE = 25
WAITING_SHOWN = 20
SHOWN_TEXT = 36_000

KINDS = {
    "readings": (READINGS, N_("Readings")),
    "events": (EVENT, N_("Events")),
    "state": (STATE, N_("On and off")),
    "heartbeat": (HEARTBEAT, N_("Signs of life")),
}
LABELS = dict(KINDS.values())


class Waiting(msgspec.Struct, frozen=True):
    """A message that has not been acknowledged."""

    seq: int
    schema: str
    created: str
    size: int
    sha256: str


async def show(request: web.Request) -> web.StreamResponse:
    kind = request.query.get("kind", "")
    schema = KINDS[kind][0] if kind in KINDS else None
    before = _number(request.query.get("before"))
    uplink = await request.app[BOX].services.uplink()
    entries, older, waiting, totals, host, paused = await run(request, _stored, schema, before)
    failed = isinstance(uplink, PlatenError)
    t = request[VISITOR].t
    done = request.query.get("done", "")
    story = None
    if isinstance(uplink, PlatenError):
        story = errors.tell_error(t, uplink)
    elif uplink.error is not None:
        error = PlatenError(uplink.error.sentence, hint=uplink.error.hint, code=uplink.error.code)
        story = errors.tell_error(t, error)
    return page(
        request,
        "reports.html",
        entries=entries,
        older=older,
        newest=before is None,
        kind=kind if schema else "",
        kinds=KINDS,
        labels=LABELS,
        waiting=waiting,
        count=totals[0],
        size=totals[1],
        oldest=totals[2],
        host=host,
        paused=paused,
        uplink=None if failed else uplink,
        story=story,
        flash=t.gettext(_DONE[done]) if done in _DONE else "",
    )


async def show_sent(request: web.Request) -> web.StreamResponse:
    """One message, word for word."""
    entry = await run(request, ledger.entry, int(request.match_info["id"]))
    if entry is None:
        raise Refused(404, "no-such-report")
    text, cut = pretty(entry.json)
    return page(request, "report.html", entry=entry, labels=LABELS, text=text, cut=cut, waiting=None)


async def show_waiting(request: web.Request) -> web.StreamResponse:
    """One message that has not left, or has not been acknowledged."""
    seq = int(request.match_info["seq"])
    row = next(iter(await run(request, outbox.waiting, seq - 1, 1)), None)
    if row is None or row.seq != seq:
        raise Refused(404, "no-such-report")
    text, cut = pretty(ledger.decoded(row.body, row.encoding))
    return page(request, "report.html", entry=None, labels=LABELS, text=text, cut=cut, waiting=row)


async def download(request: web.Request) -> web.StreamResponse:
    """The message's JSON as it is (unpacked, not reformatted), or with `?as=sent` the very octets that left."""
    entry = await run(request, ledger.entry, int(request.match_info["id"]))
    if entry is None or entry.json is None:
        raise Refused(404, "no-such-report")
    exact = request.query.get("as") == "sent"
    packed = exact and entry.encoding == "zstd"
    name = f"platen-{entry.id}.json{'.zst' if packed else ''}"
    return web.Response(
        body=entry.sent if exact else entry.json,
        content_type="application/zstd" if packed else "application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def pause(request: web.Request) -> web.StreamResponse:
    await run(request, settings.put, "uplink.paused", True, "you")
    return see("/reports", done="paused")


async def resume(request: web.Request) -> web.StreamResponse:
    await run(request, settings.put, "uplink.paused", False, "you")
    return see("/reports", done="resumed")


async def retry(request: web.Request) -> web.StreamResponse:
    await request.app[BOX].services.ask("uplink", "Retry")
    return see("/reports", done="retried")


ROUTES = [
    web.get("/reports", show),
    web.get(r"/reports/{id:\d{1,12}}", show_sent),
    web.get(r"/reports/{id:\d{1,12}}/message", download),
    web.get(r"/reports/waiting/{seq:\d{1,12}}", show_waiting),
    web.post("/reports/pause", pause),
    web.post("/reports/resume", resume),
    web.post("/reports/retry", retry),
]
_DONE = {
    "paused": N_("Paused. Nothing leaves the building; reports wait on the box."),
    "resumed": N_("Sending again. What waits goes first."),
    "retried": N_("Trying again now."),
}


def pretty(body: bytes | None) -> tuple[str, bool]:
    """(the message indented for reading, whether it was shortened). The content is that of `body`, unchanged."""
    if body is None:
        return "", False
    text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return text[:SHOWN_TEXT], len(text) > SHOWN_TEXT


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 12 else None


def _stored(
    db: Connection, schema: str | None, before: int | None
) -> tuple[list[ledger.Entry], int | None, list[Waiting], tuple[int, int, str | None], str, bool]:
    """A page of entries, where the next page begins, and what waits."""
    found = ledger.entries(db, before, PER_PAGE + 1, schema=schema)
    more, found = len(found) > PER_PAGE, found[:PER_PAGE]
    waiting = [
        Waiting(r.seq, r.schema, r.created, len(r.body), r.sha256)
        for r in outbox.waiting(db, 0, WAITING_SHOWN)
    ]
    values = settings.load(db)
    host, paused = str(values["uplink.host"]), bool(values["uplink.paused"])
    return found, found[-1].id if more else None, waiting, outbox.count(db), host, paused
