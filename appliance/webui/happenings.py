# SPDX-License-Identifier: Apache-2.0
"""What happened to a printer, in plain words: rows of the event log, whose codes stand in collector.judge.events."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.store.events import Logged
from appliance.webui import wording
from appliance.webui.i18n import N_, Locale
from appliance.webui.vocabulary import ALERTS, ERRORS, TROUBLES


class Line(msgspec.Struct, frozen=True):
    """One row of the list; `time` RFC 3339."""

    time: str
    state: Literal["ok", "note", "bad", "off"]
    text: str


def line(t: Locale, event: Logged) -> Line:
    """A code that is not known here is shown as it is."""
    state = _STATES.get(event.severity, "off")
    good = event.code.endswith((".cleared", ".answers", ".replaced"))
    return Line(event.stamp.time, "ok" if good else state, _text(t, event))


def _text(t: Locale, event: Logged) -> str:
    said = {key: "?" if value is None else value for key, value in event.fields.items()}
    kind, _, what = event.code.partition(".")
    if kind == "alert":
        name = str(said.get("code_name", "?"))
        alert = t.gettext(ALERTS[name]) if name in ALERTS else str(said.get("description") or name)
        return t.gettext("Over: %(what)s", what=alert) if what == "cleared" else alert
    if kind == "status":
        error = wording.plain(t, ERRORS, str(said.get("error", "?")))
        return t.gettext("Over: %(what)s", what=error) if what == "cleared" else error
    if kind == "supply":
        otherwise = str(
            event.fields.get("description") or t.gettext("Supply %(index)s", index=said.get("supply", "?"))
        )
        tint = event.fields.get("color")
        name = wording.kind_and_color(t, str(said.get("type")), str(tint) if tint else None, otherwise)
        if what == "replaced":
            return t.gettext("%(supply)s was replaced", supply=name)
        return t.gettext(TROUBLES[what], supply=name) if what in TROUBLES else event.code
    if event.code == "meter.went-back":
        numbers = {k: t.number(v) if isinstance(v, int | float) else v for k, v in said.items()}
        meter = wording.meter(t, str(said.get("meter", "?")))
        return t.gettext(
            "A meter went back: %(meter)s from %(from)s to %(to)s",
            **{"from": "?", "to": "?", **numbers, "meter": meter},
        )
    text = _TEXTS.get(event.code)
    return t.gettext(text, **{"address": "?", "from": "?", "to": "?", **said}) if text else event.code


_STATES: dict[str, Literal["note", "bad", "off"]] = {"info": "off", "warning": "note", "critical": "bad"}
_TEXTS = {
    "printer.found": N_("Found at %(address)s"),
    "printer.conflict": N_("Looks like two printers in one: its serial number and its network card disagree"),
    "printer.answers": N_("Answers again"),
    "printer.moved": N_("Moved from %(from)s to %(to)s"),
    "printer.silent": N_("Stopped answering"),
    "printer.exchanged": N_("Another printer is at %(address)s now"),
}
