# SPDX-License-Identifier: Apache-2.0
"""Each page, with what it shows, what its forms do, and how it fails."""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path

import msgspec
import pytest
import zstandard

from appliance.host.paths import Paths
from appliance.model.clock import rfc3339
from appliance.model.errors import BadReply, NoAnswer, PlatenError
from appliance.model.reading import Firmware
from appliance.store import printers, readings, settings
from appliance.store.database import Connection
from tests.webui import sample
from tests.webui.conftest import Page, close_page, open_page, words

PRINTER = sample.printer_ids()[4]
PAGES = (
    "/",
    "/setup",
    "/printers",
    "/printers?show=attention",
    f"/printers/{PRINTER}",
    f"/printers/{PRINTER}/raw",
    "/printers/search",
    "/printers/search/live",
    "/reports",
    "/reports?kind=events",
    "/reports/34",
    "/settings",
    "/software",
    "/software/live",
)


# every page


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "de"])
async def test_page(office: Page, path: str, language: str):
    office.stand.scan = sample.searching(time.time())
    status, text, headers = await office.get(path, **{"Accept-Language": language})
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert len(text.encode()) < 60_000
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text), "no inline script"
    assert not re.search(r'(src|href|action)="(https?:)?//', text), "nothing from elsewhere"
    if not path.endswith("/live"):
        assert f'<html lang="{language}">' in text
        assert text.count("<h1") == 1
        assert text.index("Skip to" if language == "en" else "Zum Inhalt") < text.index("<main")
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.S):
        assert 'name="token"' in form
    assert sample.CODE not in text
    assert "public" not in words(text), "communities stay secret"


@pytest.mark.parametrize("path", PAGES)
async def test_page_while_the_services_are_down(alone: Page, path: str):
    status, text, _ = await alone.get(path)
    assert status == 200
    if path == "/":
        assert "The part of the box that reads printers does not answer." in text
        assert "Nothing is being sent" in text
    if path == "/printers/search":
        assert "service-down" in text


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/printers/ffff",
        "/printers/ffff/raw",
        "/reports/999999",
        "/reports/waiting/999999",
        "/static/app.css",
    ],
)
async def test_what_is_not_there(office: Page, path: str):
    status, text, _ = await office.get(path)
    assert status == 404
    assert "What you can do" in text


async def test_damaged_database_is_a_page_and_keeps_its_file(paths: Paths):
    paths.database.write_bytes(b"this is no database" * 500)
    page, runner = await open_page(paths, services=False)
    status, text, _ = await page.get("/")
    assert status == 503
    assert "database-damaged" in text
    assert paths.database.read_bytes().startswith(b"this is no database")
    await close_page(page, runner)


async def test_fault_of_ours_is_a_page_without_a_traceback(
    office: Page, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("appliance.webui.problems.lights", lambda *a: 1 / 0)
    status, text, _ = await office.get("/")
    assert status == 500
    assert "Traceback" not in text
    assert "ZeroDivisionError" in caplog.text


# overview


async def test_overview_tells_in_one_sentence(office: Page):
    _, text, _ = await office.get("/")
    assert "2 problems need attention." in text
    assert re.search(r"14 printers, last report 2 minutes ago", words(text))
    assert "Warehouse: Black toner is empty" in text
    assert "Accounting: Cyan toner is low" in text
    for light in ("Network", "Printers", "Portal", "Software"):
        assert f"<h2>{light}</h2>" in text


@pytest.mark.parametrize(
    ("language", "mistake", "refused"),
    [
        ("en", "Line 3: network.dns: That is &lt;no&gt; address", "was not taken in (bad-personalisation): ca.crt"),
        ("de", "Zeile 3: network.dns: Das ist keine Adresse", "nicht übernommen (bad-personalisation): ca.crt"),
    ],
)  # fmt: skip
async def test_overview_tells_what_is_wrong_with_the_card(
    office: Page, language: str, mistake: str, refused: str
):
    said = {
        "using": "kept",
        "problems": [
            {"line": 3, "column": 1, "key": "network.dns", "en": "That is <no> address.",
             "de": "Das ist keine Adresse.", "fatal": True}
        ],
        "personalisation": "bad-personalisation: ca.crt is missing.",
    }  # fmt: skip
    (office.box.software.parent / "provision.json").write_text(json.dumps(said))
    _, text, _ = await office.get("/", **{"Accept-Language": language})
    assert mistake in text
    assert refused in text
    assert "<code>installer.mistakes</code>" in text
    assert "platen-errors.txt" in text


async def test_all_well(page: Page, monkeypatch: pytest.MonkeyPatch):
    await page.box.worker.run(sample.fill, time.time())
    await page.set_up()
    monkeypatch.setattr("appliance.webui.problems.problems", lambda *a: [])
    _, text, _ = await page.get("/")
    assert "All well: 14 printers, last report 2 minutes ago." in text


async def test_nothing_yet(page: Page):
    page.stand.uplink = {"state": "off"}
    await page.set_up()
    _, text, _ = await page.get("/")
    assert "/printers/search" in text
    assert "Not set up; nothing is sent" in text


async def test_connection_that_is_gone_is_told_in_words(office: Page):
    office.stand.uplink |= {
        "state": "waiting",
        "since": rfc3339(time.time() - 7200),
        "error": {"code": "broker-unreachable", "sentence": "portal.example.com refused", "hint": ""},
        "next_try_s": 42.0,
    }
    _, text, _ = await office.get("/", **{"Accept-Language": "de"})
    assert "Keine Verbindung zu portal.example.com: Das Portal des Händlers ist nicht erreichbar." in text
    _, text, _ = await office.get("/reports")
    assert "broker-unreachable" in text
    assert "otherwise in 42 seconds" in text
    assert (await office.post("/reports/retry", at="/reports"))[0] == 303
    assert ("uplink.Retry", {}) in office.stand.calls


# printers


async def test_printers_filter_and_search(office: Page):
    _, text, _ = await office.get("/printers?show=silent")
    assert re.findall(r'class="title"[^>]*>([^<]+)', text) == ["HR"]
    _, text, _ = await office.get("/printers?q=brother+hall")
    assert re.findall(r'class="title"[^>]*>([^<]+)', text) == ["Workshop"]
    _, text, _ = await office.get("/printers?q=%3Cscript%3E")
    assert "<script>" not in text
    assert "No printer fits." in text


async def test_printer_shows_what_is_known_and_nothing_more(office: Page):
    _, text, _ = await office.get(f"/printers/{PRINTER}")
    plain = words(text)
    assert "Cyan toner 34%" in plain
    assert "10% space left" in plain
    assert "Total 422,294 pages" in plain
    assert "A paper tray is empty" in plain
    assert "Cassette 1 some left" in plain
    assert "prtMarkerSuppliesLevel.1.1" in plain
    assert "14 packets out" in plain
    assert "In the last hour: 44 packets" in plain
    assert text.count('<path class="series total"') == 1
    _, text, _ = await office.get(f"/printers/{sample.printer_ids()[7]}")
    assert "Cyan toner some left" in words(text)
    assert "Yellow toner unknown" in words(text)
    assert "0%" not in words(text).split("Meters")[0].replace("60%", "")


async def test_wishes_go_to_the_collector(office: Page):
    at = f"/printers/{PRINTER}"
    for path, fields, call in (
        ("/read", {}, ("collector.PollNow", {"printer": PRINTER})),
        (
            "/name",
            {"name": " Plan room ", "location": "2nd floor"},
            ("collector.SetPrinter", {"printer": PRINTER, "name": "Plan room", "location": "2nd floor"}),
        ),
        ("/pause", {"paused": "yes"}, ("collector.SetPrinter", {"printer": PRINTER, "paused": True})),
    ):
        status, _, headers = await office.post(at + path, fields, at=at)
        assert status == 303
        assert headers["Location"].startswith(f"{at}?done=")
        assert office.stand.calls[-1] == call or call in office.stand.calls
        assert (await office.get(headers["Location"]))[0] == 200


async def test_wish_that_fails_is_told(office: Page):
    office.stand.fail["collector.PollNow"] = NoAnswer("192.168.10.24 did not answer")
    status, text, _ = await office.post(f"/printers/{PRINTER}/read", at="/printers/search")
    assert status == 502
    assert "no-answer" in text


async def test_technical_sentence_stands_beside_the_plain_one(office: Page):
    office.stand.fail["collector.PollNow"] = PlatenError(
        "Reception was asked enough for this hour", code="over-budget"
    )
    status, text, _ = await office.post(f"/printers/{PRINTER}/read", at="/", **{"Accept-Language": "de"})
    assert status == 503
    assert "Dieser Drucker wurde für diese Stunde genug gefragt." in text
    assert '<dd lang="en">Reception was asked enough for this hour</dd>' in text


async def test_wish_while_the_collector_is_down(alone: Page):
    status, text, _ = await alone.post(f"/printers/{PRINTER}/read", at="/printers/search")
    assert status == 503
    assert "service-down" in text


async def test_name_that_does_not_fit_keeps_the_form(office: Page):
    status, text, _ = await office.post(
        f"/printers/{PRINTER}/name", {"name": "x" * 65, "location": "here"}, at="/printers/search"
    )
    assert status == 422
    assert "Up to 64 characters" in text
    assert 'value="here"' in text


async def test_raw_values_in_pages_and_as_text(office: Page):
    _, text, _ = await office.get(f"/printers/{PRINTER}/raw?q=marker")
    assert "prtMarkerSuppliesLevel.1.6" in text
    status, text, headers = await office.get(f"/printers/{PRINTER}/raw.txt")
    assert status == 200
    assert "attachment" in headers["Content-Disposition"]
    assert "1.3.6.1.2.1.1.1.0 = EPSON Built-in 11b/g/n  # sysDescr.0" in text
    assert "= 0x000102" in text
    assert len(text.splitlines()) == 550


async def test_what_a_printer_says_is_text_and_nothing_else(office: Page):
    evil = "<script>alert(1)</script>"
    hostile = '"><img src=x onerror=alert(1)>'

    def plant(db: Connection) -> None:
        printer = printers.get(db, PRINTER)
        printers.save(
            db,
            msgspec.structs.replace(
                printer, name=evil, location=hostile, vendor=evil, last_error="bad-reply"
            ),
        )
        told = sample.reading(4, time.time(), used=1.0)
        facts = msgspec.structs.replace(
            told.printer, model=evil, contact=hostile, firmware=[Firmware(evil, hostile)]
        )
        alert = msgspec.structs.replace(told.alerts[0], code_name=evil, description=hostile, group=evil)
        supply = msgspec.structs.replace(
            told.supplies[0], type=evil, description=hostile, color=hostile, part_number=evil
        )
        tray = msgspec.structs.replace(
            told.inputs[0], name=evil, media_name=hostile, media_type="{{ 7 * 7 }}"
        )
        new = msgspec.structs.replace(told, printer=facts, alerts=[alert], supplies=[supply], inputs=[tray])
        readings.save_full(db, PRINTER, sample.stamp(time.time()), new)
        readings.save_raw(db, PRINTER, rfc3339(time.time()), [("1.3.6.1.2.1.1.1.0", 4, evil.encode())])

    await office.box.worker.run(plant)
    for path in (
        "/",
        "/printers",
        f"/printers/{PRINTER}",
        f"/printers/{PRINTER}/raw?q={evil}",
        f"/printers?q={hostile}",
    ):
        status, text, _ = await office.get(path)
        assert status == 200
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
        assert "7 * 7 " in text or path != f"/printers/{PRINTER}", "not evaluated"


# find printers


async def test_search_starts_with_what_was_typed(office: Page):
    status, _, _ = await office.post("/printers/search", {"targets": ""}, at="/printers/search")
    assert status == 303
    assert ("collector.Scan", {}) in office.stand.calls
    await office.post(
        "/printers/search", {"targets": "192.168.1.0/24, 10.0.0.5\r\nprinter.local"}, at="/printers/search"
    )
    assert (
        "collector.Scan",
        {"targets": ["192.168.1.0/24", "10.0.0.5", "printer.local"]},
    ) in office.stand.calls


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("192.168.1.20-192.168.1.10", "This range runs backwards."),
        ("10.0.0.0/8", "larger than 65,536"),
        ("8.8.8.8", "on the internet"),
        ("192.168.1.300", "not an address"),
        ("192.168.1.0/24\n<b>x", "&lt;b&gt;x"),
    ],
)
async def test_wrong_targets_are_named(office: Page, typed: str, told: str):
    status, text, _ = await office.post("/printers/search", {"targets": typed}, at="/printers/search")
    assert status == 422
    assert told in text
    assert not any(method == "collector.Scan" for method, _ in office.stand.calls)


async def test_large_search_is_shown_before_it_starts(office: Page):
    status, text, _ = await office.post("/printers/search", {"targets": "10.1.0.0/16"}, at="/printers/search")
    assert status == 200
    assert "65,534 addresses" in text
    assert "55 minutes" in text
    assert not any(method == "collector.Scan" for method, _ in office.stand.calls)
    await office.post("/printers/search", {"targets": "10.1.0.0/16", "sure": "yes"}, at="/printers/search")
    assert ("collector.Scan", {"targets": ["10.1.0.0/16"]}) in office.stand.calls


async def test_progress_without_script(office: Page):
    office.stand.scan = sample.searching(time.time())
    _, text, _ = await office.get("/printers/search")
    assert '<noscript><meta http-equiv="refresh" content="4"></noscript>' in text
    assert '<progress max="254" value="131"' in text
    for told in ("New printer", "Known printer", "Not a printer", "bad-reply"):
        assert told in text
    assert (await office.post("/printers/search/stop", at="/printers/search"))[0] == 303
    assert ("collector.ScanStop", {}) in office.stand.calls


async def test_one_address_is_tested_before_it_is_saved(office: Page):
    status, text, _ = await office.post(
        "/printers/search/test", {"address": "192.168.10.24"}, at="/printers/search"
    )
    assert status == 200
    assert "WF-C17590 Series" in text
    assert "Add this printer" in text
    assert ("collector.Test", {"address": "192.168.10.24"}) in office.stand.calls
    status, text, _ = await office.post(
        "/printers/search/test", {"address": "192.168.10.0/24"}, at="/printers/search"
    )
    assert status == 422
    office.stand.fail["collector.Test"] = BadReply("192.168.10.24 answered nonsense")
    status, text, _ = await office.post(
        "/printers/search/test", {"address": "192.168.10.24"}, at="/printers/search"
    )
    assert status == 502
    assert "bad-reply" in text
    assert 'value="192.168.10.24"' in text


# reports


async def test_reports_list_what_left_and_what_waits(office: Page):
    _, text, _ = await office.get("/reports")
    plain = words(text)
    assert "2 reports" in plain.replace("reports 2", "2 reports")
    assert text.count('href="/reports/waiting/') == 2
    assert "portal.example.com" in plain
    assert "refused" in plain
    _, text, _ = await office.get("/reports?kind=heartbeat")
    assert len(re.findall(r'href="/reports/\d+"', text)) == 1


async def test_reports_in_pages(office: Page):
    _, text, _ = await office.get("/reports?before=10")
    assert [int(n) for n in re.findall(r'href="/reports/(\d+)"', text)] == list(range(9, 0, -1))
    assert "Newest" in text
    assert "Older" not in text
    _, text, _ = await office.get("/reports?kind=nonsense&before=x")
    assert len(re.findall(r'href="/reports/\d+"', text)) == 25
    older = re.search(r'href="(/reports\?before=\d+)"', text)[1]
    _, text, _ = await office.get(older)
    assert len(re.findall(r'href="/reports/\d+"', text)) == 11


async def test_report_is_exactly_what_was_sent(office: Page):
    _, text, _ = await office.get("/reports/34")
    shown = json.loads(
        re.search(r"<pre[^>]*>(.*?)</pre>", text, re.S)[1]
        .replace("&#34;", '"')
        .replace("&amp;", "&")
        .replace("&lt;", "<")
    )
    async with office.http.get(office.url + "/reports/34/message") as answer:
        body = await answer.read()
    assert json.loads(body) == shown
    async with office.http.get(office.url + "/reports/34/message?as=sent") as answer:
        sent = await answer.read()
    assert zstandard.decompress(sent) == body
    assert hashlib.sha256(sent).hexdigest() in text


async def test_waiting_report_can_be_read(office: Page):
    _, text, _ = await office.get("/reports")
    path = re.search(r'href="(/reports/waiting/\d+)"', text)[1]
    status, text, _ = await office.get(path)
    assert status == 200
    assert "platen.readings/1" in text


async def test_sending_can_be_paused(office: Page):
    assert (await office.post("/reports/pause", at="/reports"))[0] == 303
    assert await office.box.worker.run(settings.value, "uplink.paused") is True
    assert (await office.post("/reports/resume", at="/reports"))[0] == 303
    assert await office.box.worker.run(settings.value, "uplink.paused") is False


def test_templates_hold_no_inline_style_or_script():
    for path in (Path(__file__).parents[2] / "appliance/webui/templates").glob("*.html"):
        text = path.read_text()
        assert "style=" not in text, path.name
        assert "|safe" not in text.replace(" ", ""), path.name
        assert not re.search(r"<script(?! src=)", text), path.name
