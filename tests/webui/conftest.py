# SPDX-License-Identifier: Apache-2.0
"""A page on a free loopback port, over a real store and real control sockets."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from argon2 import PasswordHasher
from yarl import URL

from appliance.host.paths import Paths
from appliance.store import sessions
from appliance.store.database import open_database
from appliance.webui import auth, service
from appliance.webui.app import Box
from tests.webui import sample


class Page:
    """A browser without a screen: keeps cookies, follows nothing, fills in the form's token by itself."""

    def __init__(self, url: str, box: Box, stand: sample.Stand) -> None:
        self.url, self.box, self.stand = url, box, stand
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        async with self.http.get(self.url + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers

    async def post(
        self,
        path: str,
        fields: dict[str, str] | None = None,
        *,
        at: str = "/login",
        token: str | None = None,
        **headers: str,
    ) -> tuple[int, str, Any]:
        """Sends a form as the page at `at` would; `token` overrides the one it holds."""
        if token is None:
            _, text, _ = await self.get(at)
            token = re.search(r'name="token" value="([0-9a-f]*)"', text)[1]  # type: ignore[index]
        async with self.http.post(
            self.url + path, data={"token": token, **(fields or {})}, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text(), answer.headers

    async def set_up(self) -> None:
        """First visit: setup code and password; signed in afterwards."""
        fields = {"code": self.box.identity.setup_code, "password": sample.PASSWORD, "again": sample.PASSWORD}
        status, text, _ = await self.post("/setup", fields, at="/setup")
        assert status == 303, text

    async def close(self) -> None:
        await self.http.close()


def make_paths(state: Path, run: Path) -> Paths:
    paths = Paths(state, run)
    paths.make()
    (paths.identity / "box-id").write_text(sample.BOX + "\n")
    (paths.identity / "setup-code").write_text(sample.CODE + "\n")
    return paths


async def open_page(
    paths: Paths, *, services: bool = True, brand: Path | None = None
) -> tuple[Page, web.AppRunner]:
    stand = sample.Stand(paths, time.time())
    if services:
        await stand.open()
    box = service.make_box(paths, ["platen.example.net"], brand)
    sock = socket.create_server(("127.0.0.1", 0))
    runner = await service.serve(box, [sock])
    return Page(f"http://127.0.0.1:{sock.getsockname()[1]}", box, stand), runner


def words(html: str) -> str:
    """The text of a page without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def close_page(page: Page, runner: web.AppRunner) -> None:
    await page.close()
    await runner.cleanup()
    await page.stand.close()
    await page.box.worker.close()


@pytest.fixture
def paths(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return make_paths(tmp_path / "state", tmp_path_factory.mktemp("r"))


@pytest.fixture
async def page(paths: Paths) -> AsyncIterator[Page]:
    """An empty box, as it comes out of its carton."""
    page, runner = await open_page(paths)
    yield page
    await close_page(page, runner)


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a box in use, made once and copied for each test."""
    path = tmp_path_factory.mktemp("used") / "platen.db"
    db = open_database(path)
    sample.fill(db, time.time())
    sessions.set_secret(db, "password", PasswordHasher(1, 8, 1).hash(sample.PASSWORD.encode()))
    db.close()
    return path


async def sign_in(page: Page) -> None:
    token = await page.box.worker.run(auth.begin, time.time(), "Firefox, Linux · 127.0.0.1")
    page.http.cookie_jar.update_cookies({"platen_box_session": token}, URL(page.url))


@pytest.fixture
async def office(paths: Paths, used: Path) -> AsyncIterator[Page]:
    """A box in use, with somebody signed in."""
    shutil.copy(used, paths.database)
    page, runner = await open_page(paths)
    await sign_in(page)
    yield page
    await close_page(page, runner)


@pytest.fixture
async def alone(paths: Paths, used: Path) -> AsyncIterator[Page]:
    """The same while no other service runs."""
    shutil.copy(used, paths.database)
    page, runner = await open_page(paths, services=False)
    await sign_in(page)
    yield page
    await close_page(page, runner)
