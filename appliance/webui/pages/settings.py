# SPDX-License-Identifier: Apache-2.0
"""Settings: every one with its limits and who set it; the password; who is signed in; the monitoring token."""

from __future__ import annotations

import secrets
from itertools import groupby

import msgspec
from aiohttp import web

from appliance.host import software
from appliance.model.errors import PlatenError, SettingError, TargetError
from appliance.model.settings import SETTINGS, Setting, Value, check
from appliance.model.targets import parse
from appliance.store import access, sessions, settings
from appliance.store.database import Connection
from appliance.webui import auth, errors, guard
from appliance.webui.app import BOX, LANGUAGE_COOKIE, SESSION_COOKIE, VISITOR, page, run, see, sign_in
from appliance.webui.i18n import N_, Locale

GROUPS = {
    "page": N_("This page"),
    "discovery": N_("Finding printers"),
    "poll": N_("Reading printers"),
    "snmp": N_("SNMP"),
    "uplink": N_("Dealer's portal"),
    "store": N_("Storage"),
    "ledger": N_("Reports sent"),
    "update": N_("Software updates"),
}
LABELS = {
    "discovery.ranges": N_("Where to look"),
    "discovery.exclude": N_("Leave alone"),
    "discovery.rate": N_("Speed of the search"),
    "discovery.every_h": N_("Search again every"),
    "snmp.communities": N_("Communities"),
    "snmp.port": N_("Port"),
    "snmp.timeout_ms": N_("Wait for an answer"),
    "snmp.retries": N_("Ask again"),
    "poll.status_s": N_("Read status and levels every"),
    "poll.full_s": N_("Read everything every"),
    "poll.at_once": N_("Printers at the same time"),
    "store.commit_s": N_("Write together after"),
    "store.keep_days": N_("Keep readings for"),
    "uplink.host": N_("Portal"),
    "uplink.port": N_("Port"),
    "uplink.tenant": N_("Account"),
    "uplink.heartbeat_s": N_("Sign of life every"),
    "uplink.paused": N_("Hold reports back"),
    "ledger.keep_days": N_("Keep copies for"),
    "page.language": N_("Language"),
    "update.mode": N_("New software from the dealer"),
    "update.usb": N_("New software on a USB stick"),
    "update.restart": N_("Restart for new software"),
    "update.night_from": N_("Night begins"),
    "update.night_to": N_("Night ends"),
}
UNITS = {
    "addresses/s": N_("addresses a second"),
    "h": N_("hours"),
    "s": N_("seconds"),
    "ms": N_("milliseconds"),
    "days": N_("days"),
    "o'clock": N_("o'clock"),
}
CHOICES = {
    "auto": N_("as the browser says"),
    "automatic": N_("install by itself"),
    "notify": N_("only show it here"),
    "off": N_("ignore it"),
    "night": N_("at night"),
    "now": N_("at once"),
}
SOURCES = {
    "you": N_("set by you"),
    "dealer": N_("set by the dealer"),
    "installer": N_("set by the installer"),
}
_TARGETS = ("discovery.ranges", "discovery.exclude")
_DONE = {
    "saved": N_("Saved. It takes effect within seconds."),
    "same": N_("Nothing was different, so nothing was changed."),
    "reset": N_("Back to the default."),
    "password": N_("The password is changed. All other sessions were signed out."),
    "ended": N_("The session was signed out."),
    "others": N_("All other sessions were signed out."),
    "token-off": N_("The monitoring token no longer works."),
}


class Row(msgspec.Struct, frozen=True):
    """One setting on the page. `text` fills its field; `limits` and `default` are in words."""

    setting: Setting
    label: str
    help: str
    text: str
    unit: str
    limits: str
    default: str
    source: str | None
    wrong: str = ""


async def show(request: web.Request) -> web.StreamResponse:
    return await _page(request)


async def save(request: web.Request) -> web.StreamResponse:
    """Saves one group of settings: all of what changed, or nothing where one value is not allowed."""
    t, form = request[VISITOR].t, request[VISITOR].form
    group = form.get("group", "")
    rows = [s for s in SETTINGS.values() if s.key.partition(".")[0] == group]
    if not rows:
        raise guard.Refused(400, "bad-request")
    now, _ = await run(request, _values)
    changes: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    for row in rows:
        typed = form.get(row.key, "no" if row.type == "bool" else "")
        if row.secret and not typed.strip():
            continue
        try:
            value = check(row.key, typed)
            if row.key in _TARGETS and isinstance(value, list):
                for entry in value:
                    parse(entry)
        except TargetError as error:
            story = errors.tell_error(t, error)
            wrong[row.key] = f"{story.happened} {story.do}"
        except SettingError:
            wrong[row.key] = fault(t, row)
        else:
            if row.secret or value != now[row.key]:
                changes[row.key] = value
    if wrong:
        return await _page(
            request,
            status=422,
            wrong=wrong,
            typed={k: form.get(k, "") for k in SETTINGS if k in form},
            group=group,
        )
    for key, value in changes.items():
        await run(request, settings.put, key, value, "you")
    return await _saved(request, "saved" if changes else "same", group, language="page.language" in changes)


async def reset(request: web.Request) -> web.StreamResponse:
    key = request[VISITOR].form.get("key", "")
    if key not in SETTINGS:
        raise guard.Refused(400, "bad-request")
    await run(request, settings.reset, key)
    return await _saved(request, "reset", key.partition(".")[0], language=key == "page.language")


async def change_password(request: web.Request) -> web.StreamResponse:
    """Needs the password of now; signs everybody else out."""
    t, form, box = request[VISITOR].t, request[VISITOR].form, request.app[BOX]
    short, differs = auth.password_fault(form.get("password", ""), form.get("again", ""))
    wrong = {f: t.gettext(text) for f, text in (("password", short), ("again", differs)) if text}
    status = 422
    if not wrong:
        trouble, status = await password_trouble(request, form.get("old", ""))
        if trouble:
            wrong["old"] = trouble
    if wrong:
        return await _page(request, status=status, password_wrong=wrong)
    await box.doors.set_password(form.get("password", ""))
    await run(request, sessions.end_all)
    label = request[VISITOR].session
    token = await run(request, auth.begin, request[VISITOR].now, label.label if label else "")
    response = see("/settings", done="password")
    sign_in(request, response, token)
    return response


async def password_trouble(request: web.Request, password: str) -> tuple[str, int]:
    """Why the password of now is not believed, and the status to say so with. "" when it is right."""
    t = request[VISITOR].t
    try:
        if await request.app[BOX].doors.password_right(guard.source(request), password):
            return "", 200
    except auth.TooManyTries as slow:
        return t.gettext("Wait %(span)s, then try again.", span=t.duration(max(slow.wait_s, 1))), 429
    return t.gettext("This password is not right."), 422


async def end_session(request: web.Request) -> web.StreamResponse:
    await run(request, access.end_one, request[VISITOR].form.get("id", ""))
    return see("/settings", done="ended")


async def end_others(request: web.Request) -> web.StreamResponse:
    await run(request, sessions.end_all, request.cookies.get(SESSION_COOKIE))
    return see("/settings", done="others")


async def make_token(request: web.Request) -> web.StreamResponse:
    """A new token for /status.json, shown this once; the one before stops working."""
    token = secrets.token_urlsafe(32)
    await run(request, access.set_status_token, auth.token_hash(token))
    return await _page(request, new_token=token)


async def end_token(request: web.Request) -> web.StreamResponse:
    await run(request, access.set_status_token, None)
    return see("/settings", done="token-off")


ROUTES = [
    web.get("/settings", show),
    web.post("/settings", save),
    web.post("/settings/reset", reset),
    web.post("/settings/password", change_password),
    web.post("/settings/session", end_session),
    web.post("/settings/others", end_others),
    web.post("/settings/token", make_token),
    web.post("/settings/token/end", end_token),
]


def fault(t: Locale, row: Setting) -> str:
    """What the field takes, in words."""
    if row.type == "int":
        return t.gettext("A whole number, please: %(limits)s.", limits=limits(t, row))
    if row.type == "texts":
        return t.gettext("At most %(n)s entries of up to 255 characters, please.", n=row.most)
    if row.type == "choice":
        return t.gettext("Choose one from the list, please.")
    return t.gettext("Up to 255 characters on one line, please.")


def limits(t: Locale, row: Setting) -> str:
    """ "1 to 10,000"; "" where there are none."""
    if row.minimum is None or row.maximum is None:
        return ""
    return t.gettext("%(low)s to %(high)s", low=t.number(row.minimum), high=t.number(row.maximum))


def words(t: Locale, row: Setting, value: Value) -> str:
    """A value for reading."""
    if row.secret:
        return t.gettext("kept secret")
    if isinstance(value, bool):
        return t.gettext("yes") if value else t.gettext("no")
    if isinstance(value, int):
        return t.number(value) if row.unit else str(value)
    if isinstance(value, list):
        return ", ".join(value) or t.gettext("empty")
    return t.gettext(CHOICES[value]) if value in CHOICES else value or t.gettext("empty")


async def _page(
    request: web.Request,
    *,
    status: int = 200,
    wrong: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    group: str = "",
    password_wrong: dict[str, str] | None = None,
    new_token: str = "",
) -> web.Response:
    t, now = request[VISITOR].t, request[VISITOR].now
    values, sources = await run(request, _values)
    open_sessions, token_set = await run(request, _access, now)
    rows = {
        key: _row(t, s, values.get(key), sources.get(key), (typed or {}).get(key), (wrong or {}).get(key, ""))
        for key, s in SETTINGS.items()
    }
    by_group = {
        g: [rows[k] for k in keys] for g, keys in groupby(SETTINGS, key=lambda k: k.partition(".")[0])
    }
    cookie = request.cookies.get(SESSION_COOKIE, "")
    done = request.query.get("done", "")
    return page(
        request,
        "settings.html",
        status=status,
        groups=[(g, t.gettext(title), by_group[g]) for g, title in GROUPS.items() if g in by_group],
        sources=SOURCES,
        choices=CHOICES,
        group=group or request.query.get("group", ""),
        wrong=bool(wrong),
        password_wrong={"old": "", "password": "", "again": "", **(password_wrong or {})},
        sessions=open_sessions,
        mine=access.session_id(cookie),
        token_set=token_set,
        new_token=new_token,
        flash=t.gettext(_DONE[done]) if done in _DONE else "",
        is_box=software.read(request.app[BOX].software) is not None,
    )


async def _saved(request: web.Request, done: str, group: str, *, language: bool) -> web.StreamResponse:
    """The services look at the settings every two seconds anyway; telling them only makes it sooner."""
    if done != "same":
        for service in ("collector", "uplink"):
            try:
                await request.app[BOX].services.ask(service, "Reload", 0.5)
            except PlatenError:
                continue
    response = see("/settings", done=done, group=group)
    if language:
        response.del_cookie(LANGUAGE_COOKIE, path="/")
    return response


def _row(
    t: Locale, row: Setting, value: Value | None, source: str | None, typed: str | None, wrong: str
) -> Row:
    text = typed
    if text is None:
        text = (
            "\n".join(value)
            if isinstance(value, list)
            else "yes"
            if value is True
            else ""
            if value in (None, False)
            else str(value)
        )
    return Row(
        setting=row,
        label=t.gettext(LABELS[row.key]),
        help=t.gettext(row.help),
        text=text[:20_000],
        unit=t.gettext(UNITS[row.unit]) if row.unit in UNITS else row.unit or "",
        limits=limits(t, row),
        default=words(t, row, row.default),
        source=source,
        wrong=wrong,
    )


def _values(db: Connection) -> tuple[dict[str, Value], dict[str, str]]:
    return settings.load(db), settings.sources(db)


def _access(db: Connection, now: float) -> tuple[list[tuple[str, sessions.Session]], bool]:
    return access.listed(db, now), access.status_token(db) is not None
