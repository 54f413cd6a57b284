# SPDX-License-Identifier: Apache-2.0
"""A page on a free loopback port, over a real store and real control sockets."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.host.paths import Paths
from appliance.webui import service
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


async def open_page(paths: Paths, *, services: bool = True) -> tuple[Page, Any]:
    stand = sample.Stand(paths, time.time())
    if services:
        await stand.open()
    box = service.make_box(paths, ["platen.example.net"])
    sock = socket.create_server(("127.0.0.1", 0))
    runner = await service.serve(box, [sock])
    return Page(f"http://127.0.0.1:{sock.getsockname()[1]}", box, stand), runner


@pytest.fixture
def paths(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return make_paths(tmp_path / "state", tmp_path_factory.mktemp("r"))


@pytest.fixture
async def page(paths: Paths) -> AsyncIterator[Page]:
    """An empty box, as it comes out of its carton."""
    page, runner = await open_page(paths)
    yield page
    await page.close()
    await runner.cleanup()
    await page.stand.close()
    await page.box.worker.close()


@pytest.fixture
async def office(page: Page) -> Page:
    """A box in use, with somebody signed in."""
    await page.box.worker.run(sample.fill, time.time())
    await page.set_up()
    return page
