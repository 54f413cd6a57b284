# SPDX-License-Identifier: Apache-2.0
"""How values read on a page. Pure; registered as Jinja filters by the app."""

from __future__ import annotations

import re
import time

import msgspec
from markupsafe import Markup, escape

from appliance.model.clock import rfc3339, unix
from appliance.model.messages import Severity, Software
from appliance.model.reading import Meter, Reading, Supply
from fleet.pulse import patience
from fleet.store import Box


class Mark(msgspec.Struct, frozen=True):
    """A status: `tone` ok, note, bad or off; `word` for people, never colour alone."""

    tone: str
    word: str


def box_mark(box: Box, now: float | None = None) -> Mark:
    """Online, offline or silent, whichever can be told."""
    if box.online is False:
        return Mark("bad", "Offline")
    if box.last_heard is None or _age(box.last_heard, now) > patience(box.heartbeat_every):
        return Mark("note", "Silent")
    return Mark("ok", "Online") if box.online else Mark("off", "Not announced")


def software_mark(software: Software) -> Mark:
    """What becomes of the box's updates."""
    if software.rollback is not None:
        return Mark("bad", f"Version {software.rollback.version} did not stay")
    if software.error is not None and software.operation == "idle":
        return Mark("note", "Last update failed")
    word = _OPERATIONS.get(software.operation, software.operation)
    if software.percent is not None:
        word = f"{word}, {software.percent} %"
    return Mark("ok" if software.operation == "idle" else "off", word)


_OPERATIONS = {
    "idle": "Up and running",
    "fetching": "Fetching",
    "checking": "Checking",
    "installing": "Installing",
    "restart-due": "Installed, restart due",
    "trial": "On trial",
}

_BAD = {"noPaper", "noToner", "doorOpen", "jammed", "offline", "serviceRequested", "markerSupplyMissing"}


def printer_mark(reading: Reading) -> Mark:
    """The printer's condition from its errors, alerts and device status."""
    errors = reading.status.errors
    worst = next((e for e in errors if e in _BAD), None)
    if worst or reading.status.device == "down":
        return Mark("bad", keyword(worst or "down"))
    if any(alert.severity == "critical" for alert in reading.alerts):
        return Mark("bad", "Needs help")
    if errors or any(alert.severity.startswith("warning") for alert in reading.alerts):
        return Mark("note", keyword(errors[0]) if errors else "Warning")
    if any(s.state in ("empty", "full") for s in reading.supplies):
        return Mark("note", "Supply used up")
    word = keyword(reading.status.printer) if reading.status.printer else "No status"
    return Mark("ok" if reading.status.printer else "off", word)


def severity_mark(severity: Severity) -> Mark:
    """An event's weight."""
    return {
        "info": Mark("off", "Info"),
        "warning": Mark("note", "Warning"),
        "critical": Mark("bad", "Critical"),
    }[severity]


def alert_mark(severity: str) -> Mark:
    """A printer alert's weight (prtAlertSeverityLevel)."""
    if severity == "critical":
        return Mark("bad", "Critical")
    if severity.startswith("warning"):
        return Mark("note", "Warning")
    return Mark("off", keyword(severity))


_NAMES = {"opc": "Drum", "ram": "RAM"}


def keyword(text: str | None) -> str:
    """A MIB keyword in words: "serviceRequested" → "Service requested", "light_cyan" → "Light cyan"."""
    if not text:
        return ""
    if text in _NAMES:
        return _NAMES[text]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("_", " ").lower()
    return spaced[:1].upper() + spaced[1:]


def count(value: int | None) -> str:
    """A number with thin spaces between thousands."""
    return "" if value is None else f"{value:,}".replace(",", "\u202f")


def ago(text: str | None, now: float | None = None) -> str:
    """How long ago, coarse: "just now", "4 min ago", "3 h ago", "12 days ago"."""
    if text is None:
        return "never"
    seconds = _age(text, now)
    if seconds < -90:
        return "in the future"
    if seconds < 60:
        return "just now"
    for limit, unit, size in ((3_600, "min", 60), (86_400, "h", 3_600)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit} ago"
    days = int(seconds // 86_400)
    return f"{days} day{'' if days == 1 else 's'} ago"


def when(text: str | None, now: float | None = None) -> Markup:
    """A <time> that reads as an age and carries the moment itself, in UTC."""
    if text is None:
        return Markup('<span class="muted">never</span>')
    moment = text[:16].replace("T", " ") + " UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, moment, ago(text, now))


def moment(text: str | None) -> str:
    """The moment in full, in UTC."""
    return "" if text is None else text[:19].replace("T", " ") + " UTC"


def level(supply: Supply) -> str:
    """What is left, as honestly as the printer said it."""
    if supply.percent is not None:
        return f"{supply.percent}\u202f%" if supply.basis == "measured" else f"about {supply.percent}\u202f%"
    if supply.basis == "some":
        return "some space" if supply.class_ == "receptacleThatIsFilled" else "some left"
    return "not told"


def short_level(supply: Supply) -> str:
    """The same where there is little room."""
    if supply.percent is not None:
        return f"{'' if supply.basis == 'measured' else '≈'}{supply.percent}\u202f%"
    return "some" if supply.basis == "some" else "–"


def short_name(supply: Supply) -> str:
    """The colour of what prints, the kind of everything else."""
    prints = supply.type.lower().startswith(("toner", "ink", "solidwax", "ribbon"))
    return keyword(supply.color if supply.color and prints else supply.type)


def amount(value: int | None) -> str:
    """A level or capacity of the Printer-MIB, whose negative values are words (RFC 3805)."""
    if value is None or value == -2 or value < -3:
        return "–"
    return {-1: "no limit", -3: "some"}.get(value) or count(value)


def octets(value: int | None) -> str:
    """A size for people, in binary units."""
    if value is None or value < 0:
        return "–"
    size, unit = float(value), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f}\u202f{unit}" if size >= 10 or unit == "B" else f"{size:.1f}\u202f{unit}"


def supply_name(supply: Supply) -> str:
    """What people call it."""
    return supply.description or " ".join(filter(None, (keyword(supply.color), keyword(supply.type).lower())))


def supply_mark(supply: Supply) -> Mark | None:
    """Only what asks for action."""
    if supply.state in ("empty", "full"):
        return Mark("bad", supply.state.capitalize())
    if supply.state in ("low", "near_full"):
        return Mark("note", keyword(supply.state))
    return None


_COLORS = ("black", "cyan", "magenta", "yellow")


def bar(supply: Supply) -> Markup:
    """The bar beside the number. Nobody needs it to read the page, so it is hidden from screen readers."""
    color = supply.color or ""
    tone = next(
        (c for c in _COLORS if color.endswith(c)), "gray" if "gray" in color or "grey" in color else "other"
    )
    if supply.percent is None:
        inner = Markup('<line class="none" x1="0" y1="5" x2="100" y2="5"/>')
    else:
        inner = Markup('<rect class="c-{}" width="{}" height="10"/>').format(tone, supply.percent)
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>'
    ).format(inner)


def meter_name(name: str) -> str:
    """ "total.full_color" → "Total, full color"."""
    work, _, kind = name.partition(".")
    return keyword(work) + (f", {keyword(kind).lower()}" if kind else "")


def total(reading: Reading) -> Meter | None:
    """The page count people mean."""
    return next((m for m in reading.meters if m.name == "total"), None)


_INNER = {"index", "group_index", "group", "code", "time", "supply"}
"""Facts of events that say where a row stood in the printer's tables: for programs, not for people."""


def event_text(code: str, fields: dict[str, object]) -> Markup:
    """The code in words, then its facts: "Supply low: Cyan toner, 8 percent"."""
    said = {k: v for k, v in fields.items() if k not in _INNER and v is not None}
    told = [str(said.pop("description"))] if said.get("description") else []
    if told:
        for key in ("type", "color", "code_name"):
            said.pop(key, None)
    told += [keyword(str(said.pop(key))) for key in ("error", "code_name", "type", "color") if key in said]
    told += [f"{key.replace('_', ' ')} {value}" for key, value in list(said.items())[:8]]
    words = escape(keyword(re.sub(r"[.-]", "_", code)))
    return words + (Markup(': <span class="muted">{}</span>').format(", ".join(told)) if told else Markup(""))


def chart(points: list[tuple[float, int]], label: str) -> Markup:
    """A meter over time as one SVG line with its first and last value and dates, or nothing for fewer than two."""
    if len(points) < 2:
        return Markup("")
    width, height, left, bottom = 640, 170, 8, 26
    (start, low), (end, high) = points[0], points[-1]
    low, high = min(v for _, v in points), max(v for _, v in points)
    span, rise = max(end - start, 1.0), max(high - low, 1)
    step = max(1, len(points) // 300)
    thin = [*points[:-1:step], points[-1]]
    across, up = (width - 2 * left) / span, (height - bottom - 24) / rise
    line = " ".join(
        f"{left + across * (t - start):.1f},{height - bottom - up * (v - low):.1f}" for t, v in thin
    )
    described = f"{label}: {count(points[0][1])} on {_day(start)}, {count(points[-1][1])} on {_day(end)}"
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" role="img" aria-label="{d}">'
        '<line class="axis" x1="{l}" y1="{b}" x2="{r}" y2="{b}"/>'
        '<polyline class="area" points="{l},{b} {p} {r},{b}"/><polyline class="series" points="{p}"/>'
        '<text x="{l}" y="16">{first}</text><text x="{r}" y="16" text-anchor="end">{last}</text>'
        '<text x="{l}" y="{h2}">{since}</text><text x="{r}" y="{h2}" text-anchor="end">{until}</text></svg>'
    ).format(
        w=width,
        h=height,
        l=left,
        r=width - left,
        b=height - bottom,
        p=line,
        d=described,
        first=count(points[0][1]),
        last=count(points[-1][1]),
        h2=height - 6,
        since=_day(start),
        until=_day(end),
    )


def _day(seconds: float) -> str:
    return rfc3339(seconds)[:16].replace("T", " ")


def _age(text: str, now: float | None) -> float:
    return (time.time() if now is None else now) - unix(text)


FILTERS = {
    f.__name__: f
    for f in (
        *(ago, alert_mark, amount, bar, box_mark, chart, count, keyword, level, meter_name, moment),
        *(
            octets,
            printer_mark,
            severity_mark,
            software_mark,
            short_level,
            short_name,
            supply_mark,
            supply_name,
            total,
            when,
        ),
    )
}
