# SPDX-License-Identifier: Apache-2.0
"""What a person does on the first day, in a browser, with and without script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import AXE
from tests.webui import sample
from tests.webui.conftest import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False])
async def test_first_day(new_box: Page, tab: Callable[..., Any], screenshots: Path, script: bool):
    page, watch = await tab(new_box, script=script, visitor=True, width=360)
    await page.goto(new_box.url)
    assert page.url.endswith("/setup")
    if script:
        await page.evaluate(AXE)
        assert (await page.evaluate("axe.run(document, {preload: false})"))["violations"] == []
        await page.screenshot(path=screenshots / "setup-360-light.png", full_page=True)
    await page.get_by_label("Einrichtungscode").fill(new_box.box.identity.setup_code.lower())
    await page.get_by_label("Neues Passwort").fill(sample.PASSWORD)
    await page.get_by_label("Dasselbe Passwort noch einmal").fill(sample.PASSWORD)
    await page.get_by_role("button", name="Passwort setzen").click()
    await page.get_by_role("link", name="Drucker finden").click()
    await page.get_by_role("textbox", name="Adressen, Bereiche").fill("192.168.1.9-192.168.1.1")
    await page.get_by_role("button", name="Suche starten").click()
    assert "Dieser Bereich läuft rückwärts." in await page.locator("#targets-wrong").inner_text()
    await page.get_by_role("textbox", name="Adressen, Bereiche").fill("192.168.1.0/24")
    await page.get_by_role("button", name="Suche starten").click()
    assert ("collector.Scan", {"targets": ["192.168.1.0/24"]}) in new_box.stand.calls
    await page.get_by_role("button", name="Abmelden").click()
    await page.get_by_label("Passwort").fill("falsch falsch")
    await page.get_by_role("button", name="Anmelden").click()
    assert "stimmt nicht" in await page.locator(".wrong").inner_text()
    await page.get_by_label("Passwort").fill(sample.PASSWORD)
    await page.get_by_role("button", name="Anmelden").click()
    await page.get_by_role("link", name="Übersicht").wait_for()
    assert [e for e in watch.errors if "422" not in e] == []
    assert watch.strays == []


async def test_language_is_one_press_away(new_box: Page, tab: Callable[..., Any]):
    page, _ = await tab(new_box, visitor=True)
    await page.goto(new_box.url)
    await page.get_by_role("link", name="English").click()
    assert await page.get_by_role("heading", name="Welcome").is_visible()
    await page.goto(new_box.url)
    assert await page.get_by_role("heading", name="Welcome").is_visible(), "it is remembered"
