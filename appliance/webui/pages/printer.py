# SPDX-License-Identifier: Apache-2.0
"""One printer: everything it says, how old each part is, and three wishes (read now, rename, pause)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec
from aiohttp import web

from appliance.model import clock
from appliance.model.errors import PlatenError
from appliance.model.meters import order
from appliance.model.reading import Meter, Reading
from appliance.store import events, printers, readings
from appliance.store.database import Connection
from appliance.store.printers import Printer
from appliance.webui import errors, happenings, mibnames, problems, svg
from appliance.webui.app import BOX, VISITOR, error_page, page, run, see, status_of
from appliance.webui.guard import Refused
from appliance.webui.i18n import N_, Locale
from appliance.webui.live import LONG_S
from appliance.webui.pages.printers import page_number
from appliance.webui.vocabulary import MARKING

DAYS = 30
POINTS = 90
LINES = 6
RAW_HERE = 120
RAW_PAGE = 200
HAPPENINGS = 12

_DONE = {
    "read": N_("Read just now."),
    "saved": N_("Saved."),
    "paused": N_("Paused. The box asks this printer nothing until you resume it."),
    "resumed": N_("The box reads this printer again."),
}


class RawValue(msgspec.Struct, frozen=True):
    """One answered object. `value` is text as far as there is any, else hex."""

    oid: str
    name: str | None
    value: str


class Past(msgspec.Struct, frozen=True):
    """The last 30 days: (Unix time, value) of the total meter, and of each supply by index."""

    total: list[svg.Point]
    supplies: dict[str, list[svg.Point]]


class Day(msgspec.Struct, frozen=True):
    """The last values of one day, as the lines show them."""

    at: float
    total: float | None
    supplies: list[float | None]


async def show(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def show_raw(request: web.Request) -> web.StreamResponse:
    """All raw values, in pages."""
    printer, raw = await run(request, _stored_raw, request.match_info["id"])
    if printer is None or raw is None:
        raise Refused(404, "no-such-printer")
    wanted = request.query.get("q", "").strip()[:60].lower()
    rows = [v for v in raw_values(raw[1]) if not wanted or wanted in f"{v.oid} {v.name} {v.value}".lower()]
    number = page_number(request)
    return page(
        request,
        "raw.html",
        printer=printer,
        name=problems.name(printer),
        time=raw[0],
        rows=rows[number * RAW_PAGE : (number + 1) * RAW_PAGE],
        number=number,
        pages=-(-len(rows) // RAW_PAGE),
        count=len(rows),
        wanted=wanted,
    )


async def download_raw(request: web.Request) -> web.StreamResponse:
    """All raw values as text: OID = value, with the name where a standard MIB has one."""
    printer, raw = await run(request, _stored_raw, request.match_info["id"])
    if printer is None or raw is None:
        raise Refused(404, "no-such-printer")
    lines = (f"{v.oid} = {v.value}{f'  # {v.name}' if v.name else ''}\n" for v in raw_values(raw[1], cut=0))
    headers = {"Content-Disposition": f'attachment; filename="{printer.id}.txt"'}
    return web.Response(text="".join(lines), content_type="text/plain", charset="utf-8", headers=headers)


async def read_now(request: web.Request) -> web.StreamResponse:
    """Asks the collector to read it; waits for the answer, so that the page then shows it."""
    return await _wish(request, "PollNow", "read", LONG_S)


async def rename(request: web.Request) -> web.StreamResponse:
    form = request[VISITOR].form
    name, location = (form.get(f, "").strip() for f in ("name", "location"))
    if any(len(text) > 64 or not text.isprintable() for text in (name, location)):
        wrong = request[VISITOR].t.gettext("Up to 64 characters on one line, please.")
        return await _page(
            request, status=422, wrong=wrong, name_typed=name[:200], location_typed=location[:200]
        )
    return await _wish(request, "SetPrinter", "saved", name=name, location=location)


async def pause(request: web.Request) -> web.StreamResponse:
    paused = request[VISITOR].form.get("paused") == "yes"
    return await _wish(request, "SetPrinter", "paused" if paused else "resumed", paused=paused)


_ID = "{id:[A-Za-z0-9_-]{1,40}}"
ROUTES = [
    web.get(f"/printers/{_ID}", show),
    web.get(f"/printers/{_ID}/raw", show_raw),
    web.get(f"/printers/{_ID}/raw.txt", download_raw),
    web.post(f"/printers/{_ID}/read", read_now),
    web.post(f"/printers/{_ID}/name", rename),
    web.post(f"/printers/{_ID}/pause", pause),
]


async def _page(request: web.Request, *, status: int = 200, **data: object) -> web.Response:
    t, now = request[VISITOR].t, request[VISITOR].now
    since = now - DAYS * 86400
    printer_id = request.match_info["id"]
    printer, reading, raw, past = await run(request, _stored, printer_id, clock.rfc3339(since))
    if printer is None:
        raise Refused(404, "no-such-printer")
    happened = await run(request, _happened, printer_id)
    collector = await request.app[BOX].services.collector()
    state, words = problems.printer_state(t, printer, reading)
    values = raw_values(raw[1][:RAW_HERE]) if raw else []
    done = _DONE.get(request.query.get("done", ""))
    shown = {
        "printer": printer,
        "name": problems.name(printer),
        "reading": reading,
        "state": state,
        "words": words,
        "meter_groups": meter_groups(reading.meters) if reading else [],
        "total_line": svg.chart({"total": past.total}, since, now),
        "supply_lines": svg.chart(past.supplies, since, now, low=0, high=100),
        "days": days(t, past, since, now),
        "past": past,
        # An alert and the condition that it stands for are one thing to people.
        "happened": list(dict.fromkeys(happenings.line(t, event) for event in happened)),
        "raw": values,
        "raw_time": raw[0] if raw else None,
        "raw_count": len(raw[1]) if raw else 0,
        "flash": t.gettext(done) if done else "",
        "wrong": "",
        "budget": None if isinstance(collector, PlatenError) else collector.budget,
        "name_typed": printer.name or "",
        "location_typed": printer.location or "",
        "trouble": errors.tell_error(t, PlatenError(printer.last_error_text or "", code=printer.last_error))
        if printer.last_error
        else None,
    }
    return page(request, "printer.html", status=status, **{**shown, **data})


async def _wish(
    request: web.Request, method: str, done: str, timeout_s: float = 5.0, **parameters: object
) -> web.StreamResponse:
    printer_id = request.match_info["id"]
    if await run(request, printers.get, printer_id) is None:
        raise Refused(404, "no-such-printer")
    try:
        await request.app[BOX].services.ask("collector", method, timeout_s, printer=printer_id, **parameters)
    except PlatenError as error:
        return error_page(request, errors.tell_error(request[VISITOR].t, error), status_of(error))
    return see(f"/printers/{printer_id}", done=done)


def meter_groups(meters: Sequence[Meter]) -> list[tuple[str, list[Meter]]]:
    """By work, in the order of model.meters; the sum of each first."""
    ordered = sorted(meters, key=lambda m: order(m.name))
    return [(work, list(group)) for work, group in groupby(ordered, key=lambda m: m.name.partition(".")[0])]


def raw_values(
    varbinds: Iterable[tuple[str, int, int | bytes | str | None]], *, cut: int = 160
) -> list[RawValue]:
    """Varbinds as text; values over `cut` characters are shortened (0: never)."""
    rows = []
    for oid, _, value in varbinds:
        text = _octets(value) if isinstance(value, bytes) else "" if value is None else str(value)
        rows.append(RawValue(oid, mibnames.name(oid), f"{text[:cut]} …" if cut and len(text) > cut else text))
    return rows


def days(t: Locale, past: Past, since: float, until: float) -> list[Day]:
    """The lines as a table: the last value of each of the reader's days on which something was read."""
    last: dict[str, dict[str, svg.Point]] = {}
    for key, points in (("", past.total), *past.supplies.items()):
        for point in points:
            if since <= point[0] <= until:
                last.setdefault(t.day(point[0]), {})[key] = point
    rows = []
    for values in last.values():
        supplies = [values[k][1] if k in values else None for k in past.supplies]
        rows.append(
            Day(max(p[0] for p in values.values()), values[""][1] if "" in values else None, supplies)
        )
    return sorted(rows, key=lambda d: -d.at)


def thin(points: list[svg.Point], most: int = POINTS) -> list[svg.Point]:
    """At most about `most` of them, evenly, first and last included."""
    if len(points) <= most:
        return points
    step = (len(points) - 1) / (most - 1)
    return [points[round(n * step)] for n in range(most)]


def _octets(value: bytes) -> str:
    try:
        text = value.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return text if text.isprintable() else "0x" + value.hex()


def _stored(
    db: Connection, printer_id: str, since: str
) -> tuple[
    Printer | None, Reading | None, tuple[str, list[tuple[str, int, int | bytes | str | None]]] | None, Past
]:
    reading = readings.latest(db, printer_id)
    supplies = {}
    every = reading.supplies if reading else []
    for supply in ([s for s in every if s.type in MARKING] or every)[:LINES]:
        series = readings.supply_series(db, printer_id, supply.index, since)
        points = thin([(clock.unix(at), float(v)) for at, v in series if v is not None])
        if len(points) >= 2:
            supplies[supply.index] = points
    total = [(clock.unix(at), float(v)) for at, v in readings.meter_series(db, printer_id, "total", since)]
    return printers.get(db, printer_id), reading, readings.raw(db, printer_id), Past(thin(total), supplies)


def _happened(db: Connection, printer_id: str) -> list[events.Logged]:
    return events.recent(db, HAPPENINGS, printer=printer_id)


def _stored_raw(
    db: Connection, printer_id: str
) -> tuple[Printer | None, tuple[str, list[tuple[str, int, int | bytes | str | None]]] | None]:
    return printers.get(db, printer_id), readings.raw(db, printer_id)
