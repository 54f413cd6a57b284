# SPDX-License-Identifier: Apache-2.0
"""The pages. No logins yet, so only for this machine: the listener is loopback, and so must the Host header be."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, TypeVar

import jinja2
import msgspec
from aiohttp import web

from appliance import __version__
from appliance.model.errors import PlatenError
from appliance.model.meters import NAMES, order
from fleet.ingest import Ingest
from fleet.store import Printer, Reader
from fleet.web import words

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_STATIC = {"fleet.css": "text/css", "fleet.js": "text/javascript", "mark.svg": "image/svg+xml"}
EVENTS_A_PAGE = 50


def make_app(reader: Reader, ingest: Ingest, tenant: str) -> web.Application:
    """The application. It reads through `reader`, in one thread of its own, and closes it at the end."""
    pages = Pages(reader, ingest, tenant)
    app = web.Application(middlewares=[_guard, pages.errors], client_max_size=1024)
    app.add_routes(
        [
            web.get("/", pages.boxes),
            web.get("/boxes/{box}", pages.box),
            web.get("/printers", pages.printers),
            web.get("/printers/{box}/{printer}", pages.printer),
            web.get("/events", pages.events),
            web.get("/status.json", pages.status),
            web.get("/static/{name}", pages.static),
        ]
    )
    app.on_cleanup.append(pages.close)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Any website can point a name of its own at 127.0.0.1 (DNS rebinding); its name is then in the Host header."""
    if not _is_here(request.host):
        response: web.StreamResponse = web.Response(status=421, text="This page is called by another name.\n")
    else:
        response = await handler(request)
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _is_here(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Pages:
    """One method a page. Each asks the reader everything it shows in one go."""

    def __init__(self, reader: Reader, ingest: Ingest, tenant: str) -> None:
        self._reader = reader
        self._ingest = ingest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._jinja = jinja2.Environment(
            loader=jinja2.PackageLoader("fleet.web", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters.update(words.FILTERS)
        self._jinja.globals.update(tenant=tenant, version=__version__, event_text=words.event_text)
        folder = resources.files("fleet.web").joinpath("static")
        self._static = {name: folder.joinpath(name).read_bytes() for name in _STATIC}

    async def close(self, _: web.Application) -> None:
        """Ends the thread and the database with it."""
        await self._ask(self._reader.close)
        self._thread.shutdown(wait=False)

    @web.middleware
    async def errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever goes wrong is a page that says so."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._page("error.html", status=error.status, title=error.reason, sentence="", hint="")
        except PlatenError as error:
            return self._page(
                "error.html", status=500, title="This did not work", sentence=error.sentence, hint=error.hint
            )

    async def boxes(self, request: web.Request) -> web.Response:
        """Every box, and how it is."""
        boxes, refusals = await self._ask(lambda: (self._reader.boxes(), self._reader.refusals(limit=10)))
        marks = [words.box_mark(b).word for b in boxes]
        return self._page("boxes.html", boxes=boxes, marks=marks, refusals=refusals)

    async def box(self, request: web.Request) -> web.Response:
        """One box: its state, its printers, its gaps."""
        name = request.match_info["box"]
        reader = self._reader
        found, printers, gaps, refusals, events = await self._ask(
            lambda: (
                reader.boxes(name),
                reader.printers(name),
                reader.gaps(name),
                reader.refusals(name),
                reader.events(name, limit=10),
            )
        )
        if not found:
            raise web.HTTPNotFound(reason="There is no such box")
        return self._page(
            "box.html", box=found[0], printers=_sorted(printers), gaps=gaps, refusals=refusals, events=events
        )

    async def printers(self, request: web.Request) -> web.Response:
        """Printers of all boxes; with ?q= those where the words occur."""
        query = request.query.get("q", "")[:100].strip()
        everything = await self._ask(self._reader.printers)
        shown = [p for p in everything if _matches(p, query.lower().split())]
        return self._page("printers.html", printers=_sorted(shown), query=query, everything=len(everything))

    async def printer(self, request: web.Request) -> web.Response:
        """One printer with every section that was read, and one meter over time."""
        box, name = request.match_info["box"], request.match_info["printer"]
        wanted = request.query.get("meter", "total")
        meter = wanted if wanted in NAMES else "total"
        reader = self._reader
        found, points, events = await self._ask(
            lambda: (
                reader.printers(box, name),
                reader.meter(box, name, meter),
                reader.events(box, name, limit=20),
            )
        )
        if not found:
            raise web.HTTPNotFound(reason="There is no such printer")
        reading = found[0].latest.reading
        meters = sorted((m for m in reading.meters if m.name in NAMES), key=lambda m: order(m.name))
        return self._page(
            "printer.html",
            printer=found[0],
            reading=reading,
            meters=[*meters, *(m for m in reading.meters if m.name not in NAMES)],
            meter=meter,
            points=points,
            events=events,
        )

    async def events(self, request: web.Request) -> web.Response:
        """What happened, newest first, in pages."""
        before = request.query.get("before", "")
        start = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        found = await self._ask(lambda: self._reader.events(before=start, limit=EVENTS_A_PAGE + 1))
        more = found[EVENTS_A_PAGE - 1].id if len(found) > EVENTS_A_PAGE else None
        return self._page("events.html", events=found[:EVENTS_A_PAGE], more=more, start=start)

    async def status(self, request: web.Request) -> web.Response:
        """Everything in short, for programs."""
        boxes, printers, counts = await self._ask(
            lambda: (self._reader.boxes(), self._reader.printers(), self._reader.counts())
        )
        body = {
            "broker": {"connected": self._ingest.connected, "error": self._ingest.error},
            "counts": {**counts, "missing": sum(b.missing for b in boxes)},
            "boxes": [_box_json(b) for b in boxes],
            "printers": [_printer_json(p) for p in printers],
        }
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    async def static(self, request: web.Request) -> web.Response:
        """The style sheet, the script and the mark."""
        name = request.match_info["name"]
        if name not in self._static:
            raise web.HTTPNotFound(reason="There is no such file")
        return web.Response(
            body=self._static[name], content_type=_STATIC[name], headers={"Cache-Control": "max-age=300"}
        )

    async def _ask(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def _page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        text = self._jinja.get_template(template).render(
            connected=self._ingest.connected, broker_error=self._ingest.error, **values
        )
        return web.Response(status=status, text=text, content_type="text/html")


def _sorted(printers: list[Printer]) -> list[Printer]:
    def key(printer: Printer) -> tuple[str, str, str]:
        facts = printer.latest.reading.printer
        return facts.vendor or "~", facts.model or "~", printer.latest.reading.address

    return sorted(printers, key=key)


def _matches(printer: Printer, wanted: list[str]) -> bool:
    facts = printer.latest.reading.printer
    fields = (facts.vendor, facts.model, facts.serial, facts.hostname, facts.location, printer.box)
    text = " ".join(filter(None, (*fields, printer.latest.reading.address))).lower()
    return all(word in text for word in wanted)


def _box_json(box: Any) -> dict[str, Any]:
    beat = box.heartbeat
    return {
        "box": box.box,
        "online": box.online,
        "last_heard": box.last_heard,
        "version": box.version,
        "printers": box.printers,
        "answering": beat.answering if beat else None,
        "waiting": beat.waiting if beat else None,
        "missing": box.missing,
        "duplicates": box.duplicates,
        "refused": box.refused,
    }


def _printer_json(printer: Printer) -> dict[str, Any]:
    reading = printer.latest.reading
    total = words.total(reading)
    return {
        "box": printer.box,
        "printer": printer.printer,
        "vendor": reading.printer.vendor,
        "model": reading.printer.model,
        "serial": reading.printer.serial,
        "address": reading.address,
        "total": total.value if total else None,
        "supplies": [
            {"name": words.supply_name(s), "percent": s.percent, "state": s.state} for s in reading.supplies
        ],
        "read": reading.time,
        "heard": printer.heard,
    }
