# SPDX-License-Identifier: Apache-2.0
"""Every page, wide and narrow, light and dark, with and without script: accessible, quiet, and at home."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.model.errors import BundleUntrusted
from tests.browser.conftest import AXE
from tests.webui import sample
from tests.webui.conftest import Page

pytestmark = pytest.mark.browser

PRINTER = sample.printer_ids()[4]
PAGES = {
    "overview": "/",
    "welcome": "/setup",
    "printers": "/printers",
    "printer": f"/printers/{PRINTER}",
    "printer-unknown-levels": f"/printers/{sample.printer_ids()[7]}",
    "raw": f"/printers/{PRINTER}/raw",
    "search": "/printers/search",
    "reports": "/reports",
    "report": "/reports/34",
    "settings": "/settings",
    "software": "/software",
    "factory-reset": "/settings/factory-reset",
}
LOOKS = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]


async def fits(tab: Any) -> bool:
    return await tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def violations(tab: Any) -> list[str]:
    await tab.evaluate(AXE)  # as a script tag the page's own policy would refuse it, rightly
    result = await tab.evaluate("axe.run(document, {preload: false})")
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in result["violations"]]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
async def test_page(
    box: Page, tab: Callable[..., Any], screenshots: Path, name: str, width: int, scheme: str
):
    box.stand.scan = (
        sample.searching(time.time()) if width == 360 else {**sample.searching(time.time()), "running": False}
    )
    page, watch = await tab(box, width=width, scheme=scheme)
    answer = await page.goto(box.url + PAGES[name])
    assert answer.status == 200
    assert await page.locator("h1").count() == 1
    assert await fits(page)
    assert await violations(page) == []
    small = await page.evaluate(
        """() => [...document.querySelectorAll("button:not(.link), .button, nav a, input, select, textarea")]
        .filter(e => !["hidden", "checkbox"].includes(e.type) && !e.hidden)
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert small == [], "targets under 44 px"
    await page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
    assert watch.errors == []
    assert watch.strays == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (360, "light")])
@pytest.mark.parametrize(
    ("accent", "text"), [("#ffe600", "#000000"), ("#0a0a3c", "#ffffff"), ("#7a7a7a", "#000000")]
)
async def test_no_brand_makes_a_page_hard_to_read(
    branded: Callable[..., Any],
    tab: Callable[..., Any],
    screenshots: Path,
    width: int,
    scheme: str,
    accent: str,
    text: str,
):
    box = await branded(accent, text)
    for path, visitor in (("/", False), ("/printers", False), ("/settings", False), ("/login", True)):
        page, watch = await tab(box, width=width, scheme=scheme, visitor=visitor)
        await page.goto(box.url + path)
        assert await fits(page)
        assert await violations(page) == []
        loaded = (
            "[...document.images].every(i => i.complete && i.naturalWidth > 0) && document.images.length == 1"
        )
        assert await page.evaluate(loaded)
        await page.screenshot(
            path=screenshots / f"brand-{accent[1:]}-{width}-{scheme}{path.replace('/', '-')}.png"
        )
        assert watch.errors == []
        assert watch.strays == []


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", PAGES)
async def test_page_without_script(
    box: Page, tab: Callable[..., Any], screenshots: Path, name: str, width: int
):
    box.stand.scan = sample.searching(time.time())
    page, watch = await tab(box, width=width, script=False)
    await page.goto(box.url + PAGES[name])
    assert await page.locator("h1").is_visible()
    await page.screenshot(path=screenshots / f"{name}-{width}-noscript.png", full_page=True)
    assert watch.errors == []
    assert watch.strays == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("path", ["/login", "/printers/nobody"])
async def test_login_and_error(box: Page, tab: Callable[..., Any], path: str, width: int, scheme: str):
    page, watch = await tab(box, width=width, scheme=scheme, visitor=path == "/login")
    await page.goto(box.url + path)
    assert await fits(page)
    assert await violations(page) == []
    assert watch.strays == []


async def test_keyboard_reaches_the_content_first(box: Page, tab: Callable[..., Any]):
    page, _ = await tab(box)
    await page.goto(box.url + "/printers")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.querySelector('main').contains(document.activeElement)")


async def test_search_goes_on_without_reloading(box: Page, tab: Callable[..., Any]):
    box.stand.scan = sample.searching(time.time())
    page, watch = await tab(box, language="en-GB")
    await page.goto(box.url + "/printers/search")
    await page.evaluate("window.same = true")
    assert await page.locator("progress").get_attribute("value") == "131"
    box.stand.scan = {**box.stand.scan, "asked": 200}
    await page.locator("progress[value='200']").wait_for(timeout=8000)
    assert await page.locator("#say").text_content() == "2 printers found so far"
    box.stand.scan = {**box.stand.scan, "asked": 254, "running": False, "finished": box.stand.scan["started"]}
    await page.get_by_role("heading", name="Last search").wait_for(timeout=8000)
    assert await page.locator("#say").text_content() == "The search has ended: 2 printers found."
    assert await page.get_by_role("link", name="Search again").is_visible()
    assert await page.evaluate("window.same"), "it was never reloaded"
    assert watch.errors == []


async def test_search_goes_on_without_script(box: Page, tab: Callable[..., Any]):
    box.stand.scan = sample.searching(time.time())
    page, _ = await tab(box, script=False)
    await page.goto(box.url + "/printers/search")
    box.stand.scan = {**box.stand.scan, "asked": 201}
    await page.locator("progress[value='201']").wait_for(timeout=9000)


async def test_a_file_is_uploaded_with_progress(box: Page, tab: Callable[..., Any], tmp_path: Path):
    box.stand.spool = tmp_path
    file = tmp_path / "new software.raucb"
    file.write_bytes(bytes(3_000_000))
    page, watch = await tab(box, language="en-GB")
    await page.goto(box.url + "/software")
    await page.get_by_label("File", exact=True).set_input_files(file)
    await page.get_by_role("button", name="Upload and install").click()
    await page.get_by_text("The installation has begun.").wait_for()
    asked = [p for m, p in box.stand.calls if m == "update.Install"][-1]
    assert (tmp_path / Path(asked["source"]).name).read_bytes() == file.read_bytes()
    assert watch.errors == []


async def test_a_refused_file_is_told_in_place(box: Page, tab: Callable[..., Any], tmp_path: Path):
    box.stand.spool = tmp_path
    file = tmp_path / "other.raucb"
    file.write_bytes(b"x" * 500_000)
    box.stand.fail["update.Install"] = BundleUntrusted("The bundle is not signed by anybody this box trusts")
    page, watch = await tab(box, language="en-GB")
    try:
        await page.goto(box.url + "/software")
        await page.get_by_label("File", exact=True).set_input_files(file)
        await page.get_by_role("button", name="Upload and install").click()
        await page.get_by_text("not signed by anybody the box trusts").first.wait_for()
        assert await violations(page) == []
    finally:
        box.stand.fail.clear()
    assert [e for e in watch.errors if "422" not in e] == []


async def test_a_file_is_uploaded_without_script(box: Page, tab: Callable[..., Any], tmp_path: Path):
    box.stand.spool = tmp_path
    file = tmp_path / "new.raucb"
    file.write_bytes(b"y" * 300_000)
    page, _ = await tab(box, language="en-GB", script=False)
    await page.goto(box.url + "/software")
    await page.get_by_label("File", exact=True).set_input_files(file)
    await page.get_by_role("button", name="Upload and install").click()
    assert await page.get_by_text("The installation has begun.").is_visible()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("state", ["installing", "restart-due", "offer"])
async def test_software_while_something_happens(
    box: Page, tab: Callable[..., Any], screenshots: Path, state: str, width: int, scheme: str
):
    usual = dict(box.stand.update)
    box.stand.update |= {"last_rollback": None, "operation": "idle" if state == "offer" else state}
    box.stand.update |= {"next_version": "0.3.0", "percent": 40 if state == "installing" else None}
    box.stand.update["offer"] = {"version": "0.3.0", "origin": "usb"} if state == "offer" else None
    try:
        page, watch = await tab(box, width=width, scheme=scheme)
        await page.goto(box.url + "/software")
        assert "0.3.0" in await page.locator("main").inner_text()
        assert await fits(page)
        assert await violations(page) == []
        await page.screenshot(path=screenshots / f"software-{state}-{width}-{scheme}.png", full_page=True)
        assert watch.errors == []
    finally:
        box.stand.update = usual


async def test_script_is_small(box: Page):
    script = Path(__file__).parents[2] / "appliance/webui/static/app.js"
    assert len(script.read_text().splitlines()) <= 60
