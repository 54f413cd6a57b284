# SPDX-License-Identifier: Apache-2.0
"""The way in: welcome with the setup code, login, logout."""

from __future__ import annotations

from aiohttp import web

from appliance.model.errors import PlatenError
from appliance.store import printers, sessions, settings
from appliance.store.database import Connection
from appliance.webui import auth, errors, guard
from appliance.webui.app import BOX, SESSION_COOKIE, VISITOR, page, run, see, sign_in, sign_out


async def show_setup(request: web.Request) -> web.StreamResponse:
    """The first visit: setup code and password. Later: the steps that are left."""
    visitor = request[VISITOR]
    if not await run(request, _password_set):
        return _setup(request)
    if visitor.session is None:
        return see("/login")
    known, host = await run(request, _progress)
    scan = await request.app[BOX].services.scan()
    searching = not isinstance(scan, PlatenError) and scan.running
    return page(request, "steps.html", printers=known, portal=host, searching=searching)


async def setup(request: web.Request) -> web.StreamResponse:
    """Sets the first password. The code is of no use once that is done."""
    visitor, box = request[VISITOR], request.app[BOX]
    if await run(request, _password_set):
        return see("/login")
    form = visitor.form
    code, password, again = (form.get(f, "") for f in ("code", "password", "again"))
    short, differs = auth.password_fault(password, again)
    wrong = {"password": short, "again": differs, "code": None if code.strip() else "missing"}
    faults = {field: visitor.t.gettext(text) for field, text in wrong.items() if text and field != "code"}
    if wrong["code"]:
        faults["code"] = visitor.t.gettext("Type the code from the label of the box.")
    if faults:
        return _setup(request, wrong=faults, code=code, status=422)
    try:
        done = await box.doors.set_first_password(
            guard.source(request), code, box.identity.setup_code, password
        )
    except auth.TooManyTries as slow:
        return _slowed(_setup(request, code=code, status=429, story=_wait(request, slow)), slow)
    if done is None:
        return see("/login")
    if not done:
        text = visitor.t.gettext("This is not the code on the label. Check it letter by letter.")
        return _setup(request, wrong={"code": text}, code=code, status=422)
    return await _enter(request, "/setup")


async def show_login(request: web.Request) -> web.StreamResponse:
    if not await run(request, _password_set):
        return see("/setup")
    if request[VISITOR].session is not None:
        return see("/")
    return _login(request, following=request.query.get("next", ""))


async def login(request: web.Request) -> web.StreamResponse:
    visitor, box = request[VISITOR], request.app[BOX]
    if not await run(request, _password_set):
        return see("/setup")
    following = visitor.form.get("next", "")
    try:
        right = await box.doors.password_right(guard.source(request), visitor.form.get("password", ""))
    except auth.TooManyTries as slow:
        return _slowed(_login(request, following=following, status=429, story=_wait(request, slow)), slow)
    if not right:
        text = visitor.t.gettext("This password is not right.")
        return _login(request, wrong=text, following=following, status=422)
    return await _enter(request, following if auth.is_page(following) else "/")


async def logout(request: web.Request) -> web.StreamResponse:
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        await run(request, sessions.end, token)
    response = see("/login")
    sign_out(response)
    return response


ROUTES = [
    web.get("/setup", show_setup),
    web.post("/setup", setup),
    web.get("/login", show_login),
    web.post("/login", login),
    web.post("/logout", logout),
]


async def _enter(request: web.Request, path: str) -> web.StreamResponse:
    label = f"{auth.browser(request.headers.get('User-Agent'))} · {request.remote or '?'}"
    token = await run(request, auth.begin, request[VISITOR].now, label)
    response = see(path)
    sign_in(request, response, token)
    request[VISITOR].new_cookie = None
    return response


def _setup(
    request: web.Request,
    *,
    status: int = 200,
    code: str = "",
    wrong: dict[str, str] | None = None,
    story: errors.Story | None = None,
) -> web.Response:
    faults = {"code": "", "password": "", "again": "", **(wrong or {})}
    return page(request, "setup.html", status=status, code=code[:32], wrong=faults, story=story)


def _login(
    request: web.Request,
    *,
    following: str,
    status: int = 200,
    wrong: str = "",
    story: errors.Story | None = None,
) -> web.Response:
    following = following if auth.is_page(following) else ""
    return page(request, "login.html", status=status, next=following, wrong=wrong, story=story)


def _wait(request: web.Request, slow: auth.TooManyTries) -> errors.Story:
    t = request[VISITOR].t
    wait = t.gettext("Wait %(span)s, then try again.", span=t.duration(max(slow.wait_s, 1)))
    return errors.Story(
        "too-many-tries",
        t.gettext("Too many wrong tries from your computer."),
        t.gettext("This try was not looked at."),
        wait,
    )


def _slowed(response: web.Response, slow: auth.TooManyTries) -> web.Response:
    response.headers["Retry-After"] = str(int(slow.wait_s) + 1)
    return response


def _password_set(db: Connection) -> bool:
    return sessions.secret(db, "password") is not None


def _progress(db: Connection) -> tuple[int, str]:
    return len(printers.all_printers(db)), str(settings.value(db, "uplink.host"))
