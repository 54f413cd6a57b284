# SPDX-License-Identifier: Apache-2.0
"""All printers: name, state, supplies, pages, last heard."""

from __future__ import annotations

import msgspec
from aiohttp import web

from appliance.model.reading import Reading, Supply
from appliance.store import printers, readings
from appliance.store.database import Connection
from appliance.store.printers import Printer
from appliance.webui import problems
from appliance.webui.app import VISITOR, page, run
from appliance.webui.i18n import Locale
from appliance.webui.vocabulary import MARKING

PER_PAGE = 40
SUPPLIES = 6
_RANK = {"bad": 0, "note": 1, "off": 2, "ok": 3}
_SHOW = ("all", "attention", "silent", "paused")


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    printer: Printer
    name: str
    state: problems.State
    words: str
    supplies: list[Supply]
    total: int | None


async def show(request: web.Request) -> web.StreamResponse:
    t = request[VISITOR].t
    known, latest = await run(request, _stored)
    rows = [_row(t, p, latest.get(p.id)) for p in known]
    wanted = request.query.get("q", "").strip()[:60]
    kind = request.query.get("show", "all")
    kind = kind if kind in _SHOW else "all"
    counts = {k: sum(_fits(r, k) for r in rows) for k in _SHOW}
    chosen = sorted(
        (r for r in rows if _fits(r, kind) and _matches(r, wanted)),
        key=lambda r: (_RANK[r.state], r.name.lower()),
    )
    first = page_number(request) * PER_PAGE
    return page(
        request,
        "printers.html",
        rows=chosen[first : first + PER_PAGE],
        found=len(chosen),
        first=first,
        per_page=PER_PAGE,
        number=page_number(request),
        total=len(rows),
        counts=counts,
        kind=kind,
        wanted=wanted,
    )


def page_number(request: web.Request) -> int:
    """`?page=`, counted from 0; 0 where it is not a small number."""
    text = request.query.get("page", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


ROUTES = [web.get("/printers", show)]


def _row(t: Locale, printer: Printer, reading: Reading | None) -> Row:
    state, words = problems.printer_state(t, printer, reading)
    total = next((m.value for m in reading.meters if m.name == "total"), None) if reading else None
    every = sorted(reading.supplies, key=_first) if reading else []
    supplies = [s for s in every if s.type in MARKING] or every
    return Row(printer, problems.name(printer), state, words, supplies[:SUPPLIES], total)


def _first(supply: Supply) -> int:
    """The printers' usual order of colours."""
    order = ("cyan", "magenta", "yellow", "black")
    return order.index(supply.color) if supply.color in order else len(order)


def _fits(row: Row, kind: str) -> bool:
    if kind == "attention":
        return row.state in ("bad", "note")
    return kind == "all" or row.printer.state == kind


def _matches(row: Row, wanted: str) -> bool:
    p = row.printer
    texts = (row.name, p.vendor, p.model, p.serial, p.address, p.hostname, p.location)
    return all(any(word in (text or "").lower() for text in texts) for word in wanted.lower().split())


def _stored(db: Connection) -> tuple[list[Printer], dict[str, Reading]]:
    return printers.all_printers(db), readings.all_latest(db)
