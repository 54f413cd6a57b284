# SPDX-License-Identifier: Apache-2.0
"""The event log in plain words, whatever its fields hold."""

from __future__ import annotations

import pytest

from appliance.model.clock import Stamp
from appliance.store import events
from appliance.webui import happenings
from appliance.webui.i18n import Locale
from tests.webui.conftest import Page, words

EN, DE = Locale("en"), Locale("de")
STAMP = Stamp(time="2026-11-21T09:00:00.000Z", clock="synchronised", boot_id="b", mono=1.0)


def _line(t: Locale, code: str, severity="info", **fields) -> happenings.Line:
    logged = events.Logged(id=1, stamp=STAMP, code=code, severity=severity, printer="p1", fields=fields)
    return happenings.line(t, logged)


@pytest.mark.parametrize(
    ("code", "fields", "english", "german"),
    [
        ("printer.found", {"address": "10.0.0.7"}, "Found at 10.0.0.7", "Gefunden unter 10.0.0.7"),
        (
            "printer.moved",
            {"from": "10.0.0.7", "to": "10.0.0.9"},
            "Moved from 10.0.0.7 to 10.0.0.9",
            "Umgezogen von 10.0.0.7 nach 10.0.0.9",
        ),
        ("printer.silent", {}, "Stopped answering", "Antwortet nicht mehr"),
        ("printer.answers", {}, "Answers again", "Antwortet wieder"),
        ("supply.low", {"type": "toner", "color": "cyan"}, "Cyan toner is low", "Toner Cyan geht zur Neige"),
        (
            "supply.replaced",
            {"type": "odd", "color": None, "description": "CRU 7"},
            "CRU 7 was replaced",
            "CRU 7 wurde ersetzt",
        ),
        ("status.problem", {"error": "jammed"}, "Paper is jammed", "Papierstau"),
        ("status.cleared", {"error": "jammed"}, "Over: Paper is jammed", "Vorbei: Papierstau"),
        ("alert.raised", {"code_name": "jam"}, "Paper is jammed", "Papierstau"),
        ("alert.cleared", {"code_name": "code4711", "description": "E 47"}, "Over: E 47", "Vorbei: E 47"),
        (
            "meter.went-back",
            {"meter": "total", "from": 2000, "to": None},
            "A meter went back: Total from 2,000 to ?",
            None,
        ),
        ("meter.went-back", {}, "A meter went back: ? from ? to ?", None),
        ("printer.found", {}, "Found at ?", None),
        ("something.new", {"x": "%(y)s"}, "something.new", "something.new"),
    ],
)
def test_words(code: str, fields: dict, english: str, german: str | None):
    assert _line(EN, code, **fields).text == english
    if german:
        assert _line(DE, code, **fields).text == german


def test_good_news_is_green_whatever_its_weight():
    assert _line(EN, "status.problem", "critical", error="jammed").state == "bad"
    assert _line(EN, "status.cleared", error="jammed").state == "ok"
    assert _line(EN, "printer.found").state == "off"


async def test_the_printer_page_says_what_happened(office: Page):
    printer = (await office.get("/printers"))[1].split('href="/printers/')[2].split('"')[0]
    fields = {"error": "<b>jam</b>", "meter": "total"}
    await office.box.worker.run(events.add, STAMP, "status.problem", "critical", printer, fields)
    await office.box.worker.run(events.add, STAMP, "printer.silent", "warning", "another", {})
    _, text, _ = await office.get(f"/printers/{printer}")
    assert "What happened" in text
    assert "&lt;b&gt;jam" in text
    assert "Stopped answering" not in words(text)
