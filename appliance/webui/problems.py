# SPDX-License-Identifier: Apache-2.0
"""What is wrong, what follows from it, and how the four lights stand. Pure: facts in, words out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from appliance import __version__, health
from appliance.model.errors import PlatenError
from appliance.model.reading import Reading
from appliance.store.printers import Printer
from appliance.webui import errors, wording
from appliance.webui.i18n import N_, Locale
from appliance.webui.live import CollectorStatus, UplinkStatus

State = Literal["ok", "note", "bad", "off"]


class Action(msgspec.Struct, frozen=True):
    """The one thing to do about it: a link, or a form to send (`post`)."""

    label: str
    href: str
    post: bool = False


class Problem(msgspec.Struct, frozen=True):
    """Something a person should know or do. "bad" stops something, "note" will. `dealer`: only they can mend it."""

    state: State
    code: str
    text: str
    more: str = ""
    action: Action | None = None
    dealer: bool = False


class Light(msgspec.Struct, frozen=True):
    icon: str
    label: str
    state: State
    text: str


class Facts(msgspec.Struct, frozen=True):
    """What a page knows when it is asked for. `local` is the address the visitor reached the box at; `delivered`
    when the dealer last acknowledged something (RFC 3339)."""

    now: float
    health: health.Facts
    collector: CollectorStatus | PlatenError
    uplink: UplinkStatus | PlatenError
    uplink_host: str
    waiting: int
    delivered: str | None
    local: str | None

    @property
    def printers(self) -> Sequence[Printer]:
        return self.health.printers

    @property
    def latest(self) -> Mapping[str, Reading]:
        return self.health.readings


def name(printer: Printer) -> str:
    """What a person calls it."""
    if printer.name:
        return printer.name
    vendor, model = printer.vendor or "", printer.model or ""
    known = model if model.lower().startswith(vendor.lower()) else f"{vendor} {model}"
    return known.strip() or printer.hostname or printer.address


def printer_state(t: Locale, printer: Printer, reading: Reading | None) -> tuple[State, str]:
    """(state, words) of one printer, the worst first."""
    if printer.state == "paused":
        return "off", t.gettext("Paused")
    if printer.state == "silent":
        return "bad", t.gettext("Does not answer")
    if reading is None:
        return "off", t.gettext("Not read yet")
    state, words = wording.condition(t, reading)
    if state != "ok":
        return ("bad" if state == "bad" else "note"), words
    for supply in reading.supplies:
        if supply.state in ("empty", "full"):
            return "note", wording.supply_trouble(t, supply)
    for supply in reading.supplies:
        if supply.state in ("low", "near_full"):
            return "note", wording.supply_trouble(t, supply)
    return "ok", words


def problems(t: Locale, facts: Facts) -> list[Problem]:
    """Everything worth doing something about, what stops work first."""
    results = health.run_all(facts.health)
    found = [
        _told(t, facts, r) for r in health.problems(results) if r.light != "printers" or r.key == _ALL_SILENT
    ]
    told = any(p.code == _ALL_SILENT for p in found)
    found += [*_reported(t, facts), *_printers(t, facts, silent=not told)]
    return sorted(found, key=lambda p: p.state != "bad")


def lights(t: Locale, facts: Facts) -> list[Light]:
    """Network, printers, portal, software."""
    results = health.run_all(facts.health)
    states = {light: _STATES[state] for light, state in health.lights(results).items()}
    return [
        Light("network", t.gettext("Network"), states["network"], _network(t, facts, results)),
        _printers_light(t, facts),
        _portal_light(t, facts, states["portal"]),
        Light("software", t.gettext("Software"), states["software"], _software(t, results)),
    ]


def sentence(t: Locale, facts: Facts, found: Sequence[Problem]) -> tuple[State, str, str]:
    """(state, the one sentence, what follows it)."""
    count = len(facts.printers)
    if not count:
        scan = None if isinstance(facts.collector, PlatenError) else facts.collector.scan
        if scan is not None and scan.running:
            return (
                "off",
                t.gettext("Looking for printers."),
                t.gettext("The first ones appear here within moments."),
            )
        if not found:
            return "off", t.gettext("No printers yet."), t.gettext("Start a search to find them.")
    bad = sum(p.state == "bad" for p in found)
    printers = t.ngettext("%(n)s printer", "%(n)s printers", count)
    if bad:
        head = t.ngettext("%(n)s problem needs attention.", "%(n)s problems need attention.", bad)
    elif found:
        head = t.ngettext("All work, with %(n)s note.", "All work, with %(n)s notes.", len(found))
    else:
        head = ""
    if facts.delivered and facts.uplink_host:
        last = t.gettext("last report %(ago)s", ago=t.ago(facts.delivered, facts.now))
    elif (seen := max((p.last_seen for p in facts.printers if p.last_seen), default=None)) is not None:
        last = t.gettext("last read %(ago)s", ago=t.ago(seen, facts.now))
    else:
        last = t.gettext("not read yet")
    state: State = "bad" if bad else "note" if found else "ok"
    if not head:
        return state, t.gettext("All well: %(printers)s, %(last)s.", printers=printers, last=last), ""
    return state, head, t.gettext("%(printers)s, %(last)s.", printers=printers, last=last)


def _told(t: Locale, facts: Facts, result: health.Result) -> Problem:
    """A finding of a check, with the page where something can be done about it."""
    fields = dict(result.fields)
    if (
        result.key.startswith("portal.")
        and "reason" in fields
        and isinstance(facts.uplink, UplinkStatus)
        and (error := facts.uplink.error) is not None
    ):
        story = errors.tell_error(t, PlatenError(error.sentence, hint=error.hint, code=error.code))
        fields["reason"] = story.happened.rstrip(".")
    # What was written in both languages where it was found.
    for key in [k for k in fields if k.endswith(f"_{t.language}")]:
        fields[key.removesuffix(f"_{t.language}")] = fields[key]
    text = t.gettext(result.sentence).format(**fields)
    more = t.gettext(result.action) if result.action else ""
    if result.key == "portal.paused":
        action = Action(t.gettext("Send again"), "/reports/resume", post=True)
    elif result.light == "portal":
        action = Action(t.gettext("See reports"), "/reports")
    elif result.light == "printers":
        action = Action(t.gettext("Show the printers"), "/printers")
    elif result.key.startswith("update."):
        action = Action(t.gettext("See software"), "/software")
    elif result.key.startswith("disk."):
        action = Action(t.gettext("Settings"), "/settings#store")
    else:
        action = Action(t.gettext("Look again"), "/")
    state: State = "bad" if result.state == "critical" else "note"
    return Problem(state, result.key, text, more, action, dealer=result.who_fixes == "dealer")


def _reported(t: Locale, facts: Facts) -> list[Problem]:
    """What the collector says beyond the state of printers."""
    if isinstance(facts.collector, PlatenError):
        return []
    known = {p.id for p in facts.printers}
    found = []
    for problem in facts.collector.problems[:20]:
        if problem.printer in known:
            continue  # the printer's own state says it
        story = errors.tell_error(t, PlatenError(problem.sentence, hint=problem.hint, code=problem.code))
        action = Action(t.gettext("Settings"), "/settings")
        found.append(Problem("note", problem.code, story.happened, story.do, action))
    return found


def _printers(t: Locale, facts: Facts, *, silent: bool) -> list[Problem]:
    found = []
    for printer in facts.printers:
        if printer.state == "silent" and not silent:
            continue
        state, words = printer_state(t, printer, facts.latest.get(printer.id))
        if state in ("note", "bad"):
            more = ""
            if printer.state == "silent":
                seen = t.ago(printer.last_seen, facts.now) if printer.last_seen else t.gettext("never")
                more = t.gettext("Last heard: %(ago)s. Is it switched on?", ago=seen)
            elif printer.location:
                more = printer.location
            action = Action(t.gettext("See printer"), f"/printers/{printer.id}")
            found.append(Problem(state, f"printer-{state}", f"{name(printer)}: {words}", more, action))
    return found


def _network(t: Locale, facts: Facts, results: Sequence[health.Result]) -> str:
    trouble = next((r for r in health.problems(results) if r.light == "network"), None)
    if trouble is not None:
        return t.gettext(_SHORT.get(trouble.key, _SEE_BELOW))
    return t.gettext("Reachable at %(address)s", address=facts.local or "?")


def _printers_light(t: Locale, facts: Facts) -> Light:
    label = t.gettext("Printers")
    if not facts.printers:
        return Light("printers", label, "off", t.gettext("None yet"))
    states = [printer_state(t, p, facts.latest.get(p.id))[0] for p in facts.printers]
    for state in ("bad", "note"):
        if n := states.count(state):
            text = (
                t.ngettext(
                    "%(n)s of %(all)s needs help", "%(n)s of %(all)s need help", n, all=t.number(len(states))
                )
                if state == "bad"
                else t.ngettext(
                    "%(n)s of %(all)s has a note",
                    "%(n)s of %(all)s have a note",
                    n,
                    all=t.number(len(states)),
                )
            )
            return Light("printers", label, "bad" if state == "bad" else "note", text)
    return Light("printers", label, "ok", t.ngettext("%(n)s working", "all %(n)s working", len(states)))


def _portal_light(t: Locale, facts: Facts, state: State) -> Light:
    label = t.gettext("Portal")
    up = facts.uplink
    if isinstance(up, PlatenError):
        return Light("reports", label, "bad", t.gettext("Nothing is being sent"))
    texts = {
        "off": t.gettext("Not set up; nothing is sent"),
        "paused": t.gettext("Paused by you"),
        "connected": t.gettext("Connected to %(host)s", host=up.host),
        "connecting": t.gettext("Connecting to %(host)s", host=up.host),
    }
    if up.state == "off":
        return Light("reports", label, "off", texts["off"])
    if up.state not in texts:
        return Light(
            "reports", label, "bad" if state == "bad" else "note", t.gettext("No connection; reports wait")
        )
    return Light("reports", label, state, texts[up.state])


def _software(t: Locale, results: Sequence[health.Result]) -> str:
    trouble = next((r for r in health.problems(results) if r.light == "software"), None)
    if trouble is not None:
        return t.gettext(_SHORT.get(trouble.key, _SEE_BELOW))
    return t.gettext("Version %(version)s, running", version=__version__)


_ALL_SILENT = "printers.all_silent"
_STATES: dict[health.State, State] = {"ok": "ok", "warning": "note", "critical": "bad", "unknown": "off"}
_SEE_BELOW = N_("Needs attention; see below")
_SHORT = {
    "network.none": N_("No address on the network"),
    "clock.unsynchronised": N_("Connected; the clock is not set"),
    "collector.dead": N_("Printers are not being read"),
    "installer.mistakes": N_("platen.toml on the card has mistakes"),
    "installer.partly": N_("platen.toml on the card has mistakes"),
    "disk.memory": N_("The memory card cannot be used"),
    "disk.low": N_("Storage is running out"),
    "disk.full": N_("Storage is full"),
    "update.rolled_back": N_("The last update did not stay"),
    "update.failed": N_("The last update was not installed"),
}
