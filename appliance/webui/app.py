# SPDX-License-Identifier: Apache-2.0
"""The web application: who may see which page, how a page is rendered, and what an error looks like."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from multidict import MultiDict

from appliance import __version__
from appliance.host.identity import Identity
from appliance.model.errors import PlatenError, PrinterError
from appliance.store.worker import Worker
from appliance.webui import auth, errors, guard, static
from appliance.webui.brand import Brand
from appliance.webui.i18n import LANGUAGES, Locale, negotiate
from appliance.webui.live import Services
from appliance.webui.render import Renderer

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION_COOKIE = "platen_box_session"
FORM_COOKIE = "platen_box_form"
LANGUAGE_COOKIE = "platen_box_language"
REFRESH = "X-Refresh"
"""Set by our script when it looks again by itself; that keeps no session alive."""

STREAMED = {"/software/upload": guard.UPLOAD_S}
"""Forms with a file, which their handler reads itself piece by piece, token first; and how long they may take."""

_OPEN = ("/login", "/setup", "/status.json")
"""Pages that look after their own access."""


class Box(msgspec.Struct, frozen=True):
    """What the pages work with."""

    identity: Identity
    database: Path
    worker: Worker
    services: Services
    names: guard.Names
    doors: auth.Doors
    renderer: Renderer
    files: dict[str, static.File]
    brand: Brand
    software: Path
    share: Path
    uploading: asyncio.Lock


class Visitor(msgspec.Struct):
    """Whoever sent this request. `token` is what its forms must carry."""

    t: Locale
    now: float
    session: auth.Session | None = None
    token: str | None = None
    form: MultiDict[str] = msgspec.field(default_factory=MultiDict)
    new_cookie: str | None = None


BOX = web.AppKey("box", Box)
VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)


def make_app(box: Box, routes: list[web.RouteDef]) -> web.Application:
    """The application with `routes`; every request passes `_gate`."""
    app = web.Application(middlewares=[_gate], client_max_size=guard.MOST_BODY)
    app[BOX] = box
    app.add_routes([web.get("/static/{name}", _static), *routes])
    return app


def page(request: web.Request, template: str, *, status: int = 200, **data: Any) -> web.Response:
    """A rendered page in the visitor's language."""
    visitor = request[VISITOR]
    box = request.app[BOX]
    html = box.renderer.render(
        template,
        visitor.t,
        now=visitor.now,
        signed_in=visitor.session is not None,
        token=visitor.token or "",
        path=request.path,
        box_id=box.identity.box_id,
        version=__version__,
        languages=LANGUAGES,
        brand=box.brand,
        **data,
    )
    return web.Response(text=html, content_type="text/html", status=status)


def see(path: str, **query: str) -> web.Response:
    """The answer to a form that was carried out: 303 to where the result stands."""
    text = "&".join(f"{k}={v}" for k, v in query.items())
    return web.Response(status=303, headers={"Location": f"{path}?{text}" if text else path})


def error_page(
    request: web.Request, story: errors.Story, status: int, headers: dict[str, str] | None = None
) -> web.Response:
    """An error as a page."""
    response = page(request, "error.html", status=status, story=story, answer=status, bare=status == 421)
    response.headers.update(headers or {})
    return response


def status_of(error: PlatenError) -> int:
    """The HTTP status of an error: 503 of ours, 502 of a printer's, 422 of the visitor's."""
    if error.exit_status == 70 or error.code.startswith("service-"):
        return 503
    return 502 if isinstance(error, PrinterError) else 422


async def run(request: web.Request, fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(db, *args)` in the store's thread."""
    return await request.app[BOX].worker.run(fn, *args)


def sign_in(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Give the browser its session; the form cookie of before ends with it."""
    _set_cookie(request, response, SESSION_COOKIE, token)
    response.del_cookie(FORM_COOKIE, path="/")


def sign_out(response: web.StreamResponse) -> None:
    response.del_cookie(SESSION_COOKIE, path="/")


@web.middleware
async def _gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    visitor = Visitor(Locale(negotiate("auto", None, request.headers.get("Accept-Language"))), time.time())
    request[VISITOR] = visitor
    try:
        async with asyncio.timeout(STREAMED.get(request.path, guard.HANDLER_S)):
            response = await _admit(request, handler, visitor)
    except web.HTTPException as answer:
        response = _http_error(request, answer)
    except guard.Refused as refused:
        response = error_page(request, errors.tell(visitor.t, refused.code), refused.status)
    except TimeoutError:
        response = error_page(request, errors.tell(visitor.t, "too-slow"), 504)
    except PlatenError as error:
        response = error_page(request, errors.tell_error(visitor.t, error), status_of(error))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        response = error_page(request, errors.tell(visitor.t, "fault"), 500)
    if visitor.new_cookie and not response.prepared:
        _set_cookie(request, response, FORM_COOKIE, visitor.new_cookie)
    for name, value in guard.HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _admit(request: web.Request, handler: Handler, visitor: Visitor) -> web.StreamResponse:
    box = request.app[BOX]
    guard.check_host(request, box.names)
    guard.check_query(request)
    guard.check_origin(request)
    if request.path.startswith("/static/"):
        return await handler(request)
    cookie = request.cookies.get(SESSION_COOKIE)
    arrival: auth.Arrival = await box.worker.run(
        auth.arrive, cookie, visitor.now, by_hand=REFRESH not in request.headers
    )
    chosen = request.query.get("language") or request.cookies.get(LANGUAGE_COOKIE)
    visitor.t = Locale(negotiate(arrival.language, chosen, request.headers.get("Accept-Language")))
    visitor.session = arrival.session
    if arrival.session is not None and cookie is not None:
        visitor.token = form_token(cookie)
    else:
        anonymous = request.cookies.get(FORM_COOKIE, "")
        if not 20 <= len(anonymous) <= 64:
            anonymous = visitor.new_cookie = secrets.token_urlsafe(32)
        visitor.token = form_token(anonymous)
    if request.method == "POST" and (request.path not in STREAMED or arrival.session is None):
        await _read_form(request, visitor)
    if arrival.session is None and request.path not in _OPEN:
        return see("/login" if arrival.password_set else "/setup", **_wanted(request))
    response = await handler(request)
    if (language := request.query.get("language")) in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, str(language), path="/", httponly=True, samesite="Strict")
    return response


def form_token(secret: str) -> str:
    """The token that forms of the session (or of the visitor before it) carry."""
    return hmac.digest(secret.encode(), b"form", "sha256").hex()


async def _read_form(request: web.Request, visitor: Visitor) -> None:
    if request.content_type != "application/x-www-form-urlencoded":
        raise guard.Refused(415, "unsupported-form")
    async with asyncio.timeout(guard.BODY_S):
        fields = await request.post()
    if len(fields) > guard.MOST_FIELDS:
        raise guard.Refused(400, "bad-request")
    for name, value in fields.items():
        if isinstance(value, str):
            visitor.form.add(name, value.replace("\r\n", "\n").replace("\0", ""))
    guard.check_token(visitor.form.get("token"), None if visitor.new_cookie else visitor.token)


def _wanted(request: web.Request) -> dict[str, str]:
    """Where to go after the login: only a page of ours, and only one that was being read."""
    if request.method != "GET" or request.path == "/" or not auth.is_page(request.path):
        return {}
    return {"next": request.path}


def _http_error(request: web.Request, answer: web.HTTPException) -> web.StreamResponse:
    if answer.status < 400:
        return web.Response(status=answer.status, headers=answer.headers)
    code = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(answer.status, "bad-request")
    headers = {"Allow": answer.headers["Allow"]} if "Allow" in answer.headers else None
    return error_page(request, errors.tell(request[VISITOR].t, code), answer.status, headers)


def _set_cookie(request: web.Request, response: web.StreamResponse, name: str, value: str) -> None:
    response.set_cookie(
        name, value, path="/", httponly=True, samesite="Strict", secure=request.scheme == "https"
    )


async def _static(request: web.Request) -> web.StreamResponse:
    file = request.app[BOX].files.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if packed:
        headers["Content-Encoding"] = "gzip"
    charset = None if file.type == "image/png" else "utf-8"
    return web.Response(
        body=file.packed if packed else file.body,
        content_type=file.type,
        charset=charset,
        headers=headers,
    )
