# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, driven by Playwright, in front of a box in use."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright
from playwright.async_api import Page as Tab

from appliance.host import software
from appliance.model.messages import Software
from appliance.store.database import open_database
from appliance.webui import auth
from tests.webui import sample
from tests.webui.conftest import Page, close_page, make_paths, open_page

CHROMIUM = "/usr/bin/chromium"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SCREENSHOTS = Path(__file__).parent / "screenshots"

collect_ignore = [] if Path(CHROMIUM).exists() else ["test_pages.py", "test_first_run.py"]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """A box in use, made of our image; its pages are only looked at."""
    paths = make_paths(tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("r"))
    software.write(paths.software, Software(version="0.1.0"))
    db = open_database(paths.database)
    sample.fill(db, time.time())
    db.close()
    page, runner = await open_page(paths)
    await page.set_up()
    yield page
    await close_page(page, runner)


@pytest.fixture
async def branded(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[[str, str], Awaitable[Page]]]:
    """Makes a box in use with a dealer's colours (accent, text), logo and telephone."""
    opened = []

    async def make(accent: str, text: str) -> Page:
        folder = tmp_path / "brand"
        folder.mkdir()
        drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 9"><path d="M0 0h30v9z"/></svg>'
        (folder / "logo.svg").write_text(drawing)
        (folder / "brand.toml").write_text(
            'name = "Müller Bürotechnik"\n[support]\nphone = "+49 30 1234"\nmail = "hilfe@mueller.example"\n'
            f'[colours]\naccent = "{accent}"\ntext = "{text}"\n'
        )
        paths = make_paths(tmp_path / "state", tmp_path_factory.mktemp("r"))
        db = open_database(paths.database)
        sample.fill(db, time.time())
        db.close()
        opened.append(await open_page(paths, brand=folder))
        page = opened[-1][0]
        await page.set_up()
        (page.box.software.parent / "provision.json").write_text(
            '{"using": "file", "personalisation": "bad-brand: No."}'
        )
        return page

    yield make
    for page, runner in opened:
        await close_page(page, runner)


@pytest.fixture
async def new_box(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """A box as it comes out of its carton."""
    page, runner = await open_page(make_paths(tmp_path / "state", tmp_path_factory.mktemp("r")))
    yield page
    await close_page(page, runner)


class Watch:
    """What a tab must not do: log errors, leave its origin."""

    def __init__(self, tab: Tab, origin: str) -> None:
        self.errors: list[str] = []
        self.strays: list[str] = []
        tab.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda e: self.errors.append(str(e)))
        tab.on("request", lambda r: None if r.url.startswith(origin) else self.strays.append(r.url))


@pytest.fixture
async def tab(chromium: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Opens a tab on a box: signed in unless `visitor`; gives (tab, watch)."""
    contexts: list[BrowserContext] = []

    async def open_tab(
        page: Page,
        *,
        width: int = 1280,
        scheme: str = "light",
        script: bool = True,
        language: str = "de-DE",
        visitor: bool = False,
    ) -> tuple[Tab, Watch]:
        context = await chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=script,
            locale=language,
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        contexts.append(context)
        if not visitor:
            token = await page.box.worker.run(auth.begin, time.time(), "Chrome, Linux · 127.0.0.1")
            await context.add_cookies([{"name": "platen_box_session", "value": token, "url": page.url}])
        tab = await context.new_page()
        tab.set_default_timeout(5000)
        return tab, Watch(tab, page.url)

    yield open_tab
    for context in contexts:
        await context.close()


@pytest.fixture(scope="session", autouse=True)
def screenshots() -> Path:
    """Where the pictures of the last run lie."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
