# SPDX-License-Identifier: Apache-2.0
"""Find printers: where, how fast, live progress, each candidate with the reason why not; test one before saving."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from appliance.model import targets
from appliance.model.errors import PlatenError, TargetError
from appliance.model.reading import Reading
from appliance.store import settings
from appliance.store.database import Connection
from appliance.webui import errors
from appliance.webui.app import BOX, VISITOR, page, run, see, status_of
from appliance.webui.i18n import N_, Locale
from appliance.webui.live import LONG_S, Found

MOST_ENTRIES = 64
CONFIRM_ABOVE = 1024
"""Searches of more addresses than this are shown with their duration and started by a second press."""

SHOWN = 120

VERDICTS: dict[str, tuple[str, str]] = {
    "printer": ("ok", N_("New printer")),
    "known": ("ok", N_("Known printer")),
    "other": ("off", N_("Not a printer")),
    "failed": ("note", N_("Could not be read")),
    "silent": ("off", N_("No answer")),
}
_RANK = ("printer", "failed", "known", "other", "silent")


async def show(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def live(request: web.Request) -> web.StreamResponse:
    """The part of the page that changes while a search runs."""
    return page(request, "search_live.html", fragment=True, **await _progress(request))


async def start(request: web.Request) -> web.StreamResponse:
    """Checks what was typed and starts; a large search is shown first and started by the second press."""
    t, form = request[VISITOR].t, request[VISITOR].form
    typed = form.get("targets", "")
    entries, wrong = check(t, typed)
    if wrong:
        return await _page(request, status=422, typed=typed, wrong=wrong)
    count = sum(size(entry) for entry in entries)
    if count > CONFIRM_ABOVE and form.get("sure") != "yes":
        return await _page(request, typed=typed, confirm=count)
    parameters = {"targets": entries} if entries else {}
    try:
        await request.app[BOX].services.ask("collector", "Scan", 5.0, **parameters)
    except PlatenError as error:
        return await _page(request, status=status_of(error), typed=typed, story=errors.tell_error(t, error))
    return see("/printers/search")


async def stop(request: web.Request) -> web.StreamResponse:
    try:
        await request.app[BOX].services.ask("collector", "ScanStop")
    except PlatenError as error:
        return await _page(
            request, status=status_of(error), story=errors.tell_error(request[VISITOR].t, error)
        )
    return see("/printers/search")


async def test(request: web.Request) -> web.StreamResponse:
    """Reads one address and shows what it said; saves nothing."""
    t = request[VISITOR].t
    address = request[VISITOR].form.get("address", "").strip()
    entries, wrong = check(t, address)
    if not wrong and (len(entries) != 1 or size(entries[0]) != 1):
        wrong = [t.gettext("Type one address or one name, please.")]
    if wrong:
        return await _page(request, status=422, address=address, address_wrong=wrong[0])
    try:
        answer = await request.app[BOX].services.ask("collector", "Test", LONG_S, address=entries[0])
        reading = msgspec.convert(answer.get("reading"), Reading)
    except PlatenError as error:
        return await _page(
            request, status=status_of(error), address=address, test_story=errors.tell_error(t, error)
        )
    except msgspec.ValidationError:
        return await _page(request, status=502, address=address, test_story=errors.tell(t, "bad-reply"))
    return await _page(request, address=address, tested=reading)


ROUTES = [
    web.get("/printers/search", show),
    web.get("/printers/search/live", live),
    web.post("/printers/search", start),
    web.post("/printers/search/stop", stop),
    web.post("/printers/search/test", test),
]


def check(t: Locale, typed: str) -> tuple[list[str], list[str]]:
    """(entries, what is wrong with each wrong one). Entries stand on lines or between commas."""
    entries = [e.strip() for e in typed.replace(",", "\n").replace(";", "\n").split("\n") if e.strip()]
    if len(entries) > MOST_ENTRIES:
        return [], [t.gettext("At most %(n)s entries at once, please.", n=MOST_ENTRIES)]
    wrong = []
    for entry in entries:
        try:
            targets.parse(entry)
        except TargetError as error:
            story = errors.tell_error(t, error)
            wrong.append(f"{entry[:80]}: {story.happened} {story.do}")
    return entries, wrong[:5]


def size(entry: str) -> int:
    """How many addresses a checked entry names; a DNS name counts as one."""
    span = targets.parse(entry)
    return 1 if isinstance(span, str) else len(span)


async def _page(request: web.Request, *, status: int = 200, **data: Any) -> web.Response:
    rate, ranges = await run(request, _settings)
    count = sum(_size(entry) for entry in ranges)
    empty = {
        "typed": "",
        "wrong": [],
        "confirm": 0,
        "story": None,
        "address": "",
        "address_wrong": "",
        "test_story": None,
        "tested": None,
        "fragment": False,
    }
    progress = await _progress(request)
    return page(
        request,
        "search.html",
        status=status,
        **{**empty, **progress, "rate": rate, "ranges": ranges, "count": count, **data},
    )


async def _progress(request: web.Request) -> dict[str, Any]:
    scan = await request.app[BOX].services.scan()
    if isinstance(scan, PlatenError):
        return {
            "scan": None,
            "scan_story": errors.tell_error(request[VISITOR].t, scan),
            "found": [],
            "verdicts": VERDICTS,
            "hidden": 0,
        }
    found = sorted(scan.found, key=_rank)
    return {
        "scan": scan,
        "scan_story": None,
        "found": found[:SHOWN],
        "verdicts": VERDICTS,
        "hidden": max(len(found) - SHOWN, 0),
    }


def _rank(found: Found) -> int:
    return _RANK.index(found.verdict) if found.verdict in _RANK else len(_RANK)


def _size(entry: str) -> int:
    try:
        return size(entry)
    except TargetError:
        return 0


def _settings(db: Connection) -> tuple[int, list[str]]:
    values = settings.load(db)
    rate, ranges = values["discovery.rate"], values["discovery.ranges"]
    return rate if isinstance(rate, int) else 20, ranges if isinstance(ranges, list) else []
