# SPDX-License-Identifier: Apache-2.0
"""The portal's pages in a real browser: every page, two widths, two colour schemes, with and without scripts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from appliance.model.messages import Event, Heartbeat, Readings, Record, State
from appliance.model.reading import Alert, Change, Meter, Reading, Supply
from contract.samples import EXAMPLES, PRINTER
from fleet.receive import Arrival, Refused, Taken
from fleet.store import Reader, Writer
from fleet.web.app import make_app

pytestmark = pytest.mark.browser

BOX, OTHER, GONE = "PL-7K3M-Q9WD", "PL-2XB4-0H7T", "PL-9ZZ1-AA0C"
PAGES = {
    "boxes": "/",
    "box": f"/boxes/{BOX}",
    "printers": "/printers",
    "printer": f"/printers/{BOX}/{PRINTER}",
    "events": "/events",
    "missing": "/boxes/none",
}
WIDTHS = (360, 1280)


class _Ear:
    connected = True
    error: str | None = None


def _at(seconds: float) -> str:
    import time

    from appliance.model.clock import rfc3339

    return rfc3339(time.time() - seconds)


def _taken(message: Any, ago: float = 0) -> Taken:
    arrival = Arrival(topic="t", payload=b"", properties={}, retained=False, received=_at(ago))
    return Taken(arrival=arrival, box=message.box, message=message)


def _printer(name: str, vendor: str, model: str, **changes: Any) -> Reading:
    example = EXAMPLES["reading"]
    assert isinstance(example, Reading)
    facts = msgspec.structs.replace(
        example.printer, vendor=vendor, model=model, serial=f"S{name}", location="2nd floor", color=False
    )
    now = _at(240)
    return msgspec.structs.replace(
        example, printer=facts, time=now, times=dict.fromkeys(example.times, now), **{"alerts": [], **changes}
    )


def fill(database: Path) -> None:
    """Believable content: three boxes, one of them offline, gaps, a refusal, a printer with history."""
    readings, event = EXAMPLES["readings"], EXAMPLES["event"]
    state, beat = EXAMPLES["state"], EXAMPLES["heartbeat"]
    assert isinstance(readings, Readings)
    assert isinstance(event, Event)
    assert isinstance(state, State)
    assert isinstance(beat, Heartbeat)
    full = msgspec.structs.replace(_printer("x", "", ""), printer=EXAMPLES["reading"].printer)  # type: ignore[union-attr]
    full = msgspec.structs.replace(full, alerts=EXAMPLES["reading"].alerts)  # type: ignore[union-attr]
    black = full.supplies[3]
    empty = msgspec.structs.replace(
        black, percent=0, level=0, state="empty", description="LC-3219XL black ink"
    )
    coarse = msgspec.structs.replace(
        black, percent=50, basis="coarse", description="Imaging unit", type="opc"
    )
    jam = Alert(
        index=1,
        code=8,
        code_name="jam",
        severity="critical",
        training="trained",
        group="mediaPath",
        group_index=1,
        location=-2,
        description="Paper jam in the fuser: open door 5 and remove the sheet",
        ticks=None,
        time=None,
    )
    status = full.status
    others: dict[str, Reading] = {
        "p2": _printer("2", "Brother", "MFC-L8900CDW series", supplies=[coarse, *full.supplies[:3]]),
        "p3": _printer("3", "HP", "LaserJet M608", supplies=[black], alerts=[jam]),
        "p4": _printer(
            "4",
            "Epson",
            "WF-C5790 Series",
            supplies=[empty, *full.supplies[:3]],
            status=msgspec.structs.replace(status, errors=["noToner"]),
        ),
        "p5": _printer("5", "Lexmark", "CX725", supplies=[], meters=[]),
    }
    writer = Writer(database)
    batch: list[Taken | Refused] = [
        _taken(state, 7200),
        _taken(msgspec.structs.replace(beat, printers=5, answering=4, waiting=2), 20),
        _taken(msgspec.structs.replace(state, box=OTHER), 7200),
        _taken(msgspec.structs.replace(beat, box=OTHER), 4000),
        _taken(msgspec.structs.replace(state, box=GONE), 90_000),
        _taken(msgspec.structs.replace(state, box=GONE, online=False), 80_000),
    ]
    stamp = readings.records[0].stamp
    records = [Record(printer=PRINTER, stamp=stamp, full=full)]
    records += [Record(printer=name, stamp=stamp, full=reading) for name, reading in others.items()]
    batch.append(_taken(msgspec.structs.replace(readings, seq=1, records=records), 300))
    for number in range(40):
        moment = _at((40 - number) * 6 * 3600)
        meters = [Meter(name="total", value=46_500 + number * number, unit="impressions", source="x")]
        change = Change(time=moment, clock="synchronised", address="192.168.1.20", meters=meters)
        history = [Record(printer=PRINTER, stamp=stamp, change=change)]
        batch.insert(
            0, _taken(msgspec.structs.replace(readings, stream="old", seq=number + 1, records=history), 9000)
        )
    for seq, severity in ((5, "info"), (6, "warning"), (7, "critical")):
        code = {"info": "printer.found", "warning": "supply.low", "critical": "alert.raised"}[severity]
        when = msgspec.structs.replace(stamp, time=_at(100 * seq))
        batch.append(
            _taken(msgspec.structs.replace(event, seq=seq, code=code, severity=severity, stamp=when), 60)
        )
    writer.take(batch, _at(0))
    arrival = Arrival(
        topic=f"v1/acme/{BOX}/t", payload=b"x" * 90, properties={}, retained=False, received=_at(30)
    )
    writer.take([Refused(arrival=arrival, box=BOX, reason="The body is not zstd", stream="s", seq=3)], _at(0))
    writer.close()


@contextlib.asynccontextmanager
async def served(database: Path, ear: Any) -> AsyncIterator[str]:
    """The pages on a free port."""
    runner = web.AppRunner(make_app(Reader(database), ear, "acme"))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    database = tmp_path_factory.mktemp("fleet") / "fleet.db"
    fill(database)
    async with served(database, _Ear()) as url:
        yield url


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    async with async_playwright() as play:
        made = await play.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*flags, "--disable-sync", "--no-first-run"]
        )
        yield made
        await made.close()


@contextlib.asynccontextmanager
async def _page(
    browser: Browser, width: int, *, dark: bool = False, script: bool = True
) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
    )
    context.set_default_timeout(5000)
    page = await context.new_page()
    problems: list[str] = []
    page.on(
        "console", lambda m: problems.append(m.text) if m.type == "error" and "404" not in m.text else None
    )
    page.on("pageerror", lambda e: problems.append(str(e)))
    yield page
    await context.close()
    assert problems == []


_AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_every_page_is_accessible_and_fits(
    base: str, browser: Browser, name: str, dark: bool, width: int
) -> None:
    async with _page(browser, width, dark=dark) as page:
        await page.goto(base + PAGES[name])
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.locator("h1").count() == 1
        await page.evaluate(_AXE)
        result = await page.evaluate("axe.run(document, {preload: false})")
        found = [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in result["violations"]]
        assert found == []
        if folder := os.environ.get("SCREENSHOTS"):
            shade = "dark" if dark else "light"
            await page.screenshot(path=f"{folder}/fleet-{name}-{width}-{shade}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
async def test_every_page_reads_the_same_without_scripts(base: str, browser: Browser, name: str) -> None:
    texts = []
    for script in (True, False):
        async with _page(browser, 1280, script=script) as page:
            await page.goto(base + PAGES[name])
            text = await page.locator("main").inner_text()
            texts.append(re.sub(r"just now|\d+ (min|h|days?) ago", "some time ago", text))
    assert texts[0] == texts[1]


async def test_what_a_dealer_looks_for_is_there(base: str, browser: Browser) -> None:
    async with _page(browser, 1280) as page:
        await page.goto(base)
        rows = {r.split("\t")[0].strip(): r for r in await page.locator("tbody tr").all_inner_texts()}
        assert "Online" in rows[BOX]
        assert "4 of 5" in rows[BOX]
        assert "Silent" in rows[OTHER]
        assert "Offline" in rows[GONE]
        await page.get_by_role("link", name=BOX, exact=True).first.click()
        assert [t[:4] for t in await page.locator(".gaps li").all_inner_texts()] == ["2–4 "]
        await page.get_by_role("link", name="Kyocera ECOSYS M6635cidn").click()
        text = await page.locator("main").inner_text()
        for word in (
            "TK-5280Y",
            "8\u202f%",
            "Low",
            "some space",
            "48\u202f213",
            "Yellow toner is low",
            "VXA0100001",
        ):
            assert word in text, word
        label = await page.locator("svg.chart").get_attribute("aria-label")
        assert label
        assert "46\u202f500" in label
        await page.get_by_role("link", name="Total, full color").click()
        assert "A line appears after the second reading" in await page.locator("#history ~ p").inner_text()
        # No bar stands where no percentage is known.
        assert await page.locator(".supplies svg.bar .none").count() == 1
        await page.goto(base + "/printers")
        await page.get_by_role("searchbox").fill("brother floor")
        await page.get_by_role("button", name="Find").click()
        assert await page.locator("tbody tr").count() == 1


async def test_the_page_follows_by_itself(tmp_path: Path, browser: Browser) -> None:
    database = tmp_path / "fleet.db"
    Writer(database).close()
    ear = _Ear()
    async with served(database, ear) as url, _page(browser, 1280) as page:
        await page.clock.install()
        await page.goto(url)
        assert "No box has reported yet" in await page.locator("main").inner_text()
        ear.connected, ear.error = False, "The broker does not answer"
        fill(database)
        await page.clock.run_for(11_000)
        await page.get_by_text("The broker cannot be reached").wait_for()
        await page.get_by_role("link", name=BOX, exact=True).first.wait_for()


async def test_headers_and_hosts(base: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        for path in [*PAGES.values(), "/status.json", "/static/fleet.css"]:
            async with session.get(base + path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                text = await response.text()
                assert "<style" not in text
                assert " style=" not in text
                assert " onclick=" not in text
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:80", ""):
            async with session.get(base, headers={"Host": host}) as response:
                assert response.status in (400, 421), host
                assert BOX not in await response.text()
        for host in ("localhost:1", "127.0.0.1", "[::1]:8632"):
            async with session.get(base, headers={"Host": host}) as response:
                assert response.status == 200, host
        async with session.post(base) as response:
            assert response.status == 405
        for path in (
            "/static/..%2Fapp.py",
            "/printers/x/y",
            "/events?before=" + "9" * 50,
            "/printers?q=%00%3Cb%3E",
        ):
            async with session.get(base + path) as response:
                assert response.status in (200, 404), path
                assert "<b>" not in await response.text()


async def test_what_printers_say_is_text(tmp_path: Path) -> None:
    import aiohttp

    nasty = "<script>alert(1)</script>&\"'"
    example = EXAMPLES["readings"]
    assert isinstance(example, Readings)
    full = _printer("9", nasty, nasty)
    supply = msgspec.structs.replace(full.supplies[0], description=nasty, color=nasty)
    assert isinstance(supply, Supply)
    full = msgspec.structs.replace(
        full, supplies=[supply], status=msgspec.structs.replace(full.status, errors=[nasty])
    )
    record = Record(printer="p", stamp=example.records[0].stamp, full=full)
    event = msgspec.structs.replace(EXAMPLES["event"], code=nasty, seq=2, fields={nasty: nasty})  # type: ignore[type-var]
    writer = Writer(tmp_path / "fleet.db")
    writer.take([_taken(msgspec.structs.replace(example, seq=1, records=[record])), _taken(event)], _at(0))
    writer.close()
    async with served(tmp_path / "fleet.db", _Ear()) as url, aiohttp.ClientSession() as session:
        pages = (f"/printers/{BOX}/p", "/printers", "/events", f"/boxes/{BOX}")
        texts = await asyncio.gather(*(_text(session, url + path) for path in pages))
    for path, text in zip(pages, texts, strict=True):
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;" in text, path


async def _text(session: Any, url: str) -> str:
    async with session.get(url) as response:
        assert response.status == 200
        return str(await response.text())
