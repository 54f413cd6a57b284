# SPDX-License-Identifier: Apache-2.0
"""The software page: what it tells, and what it does with a file."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.host import software
from appliance.host.paths import Paths
from appliance.model.errors import BundleTooLarge, BundleUntrusted, OnTrial, UpdateBusy
from appliance.model.messages import Rollback, Software
from appliance.update.state import CAUSES
from appliance.webui import errors, guard, service
from appliance.webui.i18n import Locale
from appliance.webui.pages import software as software_page
from tests.webui.conftest import Page, close_page, open_page, sign_in, words


async def send(
    page: Page, octets: bytes, *, token: str | None = None, field: str = "file"
) -> tuple[int, str, Any]:
    """As a browser sends the form with a file."""
    if token is None:
        _, text, _ = await page.get("/software")
        token = re.search(r'name="token" value="([0-9a-f]+)"', text)[1]  # type: ignore[index]
    form = aiohttp.FormData()
    form.add_field("token", token)
    form.add_field(field, octets, filename="../../new.raucb", content_type="application/octet-stream")
    async with page.http.post(page.url + "/software/upload", data=form, allow_redirects=False) as answer:
        return answer.status, await answer.text(), answer.headers


def asked(page: Page, method: str) -> list[dict[str, Any]]:
    return [p for m, p in page.stand.calls if m == f"update.{method}"]


def held(spool: Path) -> list[str]:
    return os.listdir(spool)


@pytest.fixture
def spool(office: Page, tmp_path: Path) -> Path:
    office.stand.spool = tmp_path / "spool"
    office.stand.spool.mkdir()
    return office.stand.spool


async def test_it_tells_what_runs_and_what_did_not_stay(office: Page) -> None:
    _, text, _ = await office.get("/software")
    said = words(text)
    for part in (
        "Version 0.1.0",
        "did not stay",
        "Fewer than half of the printers",
        "gate-printers",
        "30 Nov 2031",
    ):
        assert part in said, part
    await office.post("/software/noted", at="/software")
    assert asked(office, "Acknowledge") == [{}]


async def test_a_file_goes_to_the_spool_and_to_the_service(office: Page, spool: Path) -> None:
    octets = bytes(range(256)) * 20_000
    status, text, headers = await send(office, octets)
    assert (status, headers.get("Location")) == (303, "/software?done=started"), text
    (stored,) = (spool / name for name in held(spool))
    assert stored.read_bytes() == octets
    assert stored.stat().st_mode & 0o007 == 0
    assert asked(office, "Install") == [{"source": str(stored), "origin": "page"}]
    assert len(octets) <= asked(office, "Room")[0]["size"] + 4096


async def test_nothing_is_read_without_the_token(office: Page, spool: Path) -> None:
    assert (await send(office, b"x" * 1000, token="0" * 64))[0] == 403
    assert (await send(office, b"x" * 1000, field="other"))[0] == 400
    assert asked(office, "Room") == []
    status, _, _ = await office.post("/software/upload", {"file": "x"}, at="/software")
    assert status == 415
    assert held(spool) == []


async def test_a_stranger_uploads_nothing(office: Page, spool: Path) -> None:
    office.http.cookie_jar.clear()
    assert (await send(office, b"x" * 1000, token="0" * 64))[0] in (303, 403, 415)
    assert office.stand.calls == []


async def test_an_empty_file_is_told(office: Page, spool: Path) -> None:
    status, text, _ = await send(office, b"")
    assert status == 422
    assert "bundle-broken" in text
    assert held(spool) == []


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("Room", BundleTooLarge("The file has 7 octets", code="no-room")),
        ("Room", UpdateBusy("Something is being installed already")),
        ("Install", BundleUntrusted("The bundle is not signed by anybody this box trusts")),
        ("Install", OnTrial("Version 0.1.0 still has to prove itself")),
    ],
)
async def test_refusals_are_told_in_words(office: Page, spool: Path, method: str, error: Any) -> None:
    office.stand.fail[f"update.{method}"] = error
    status, text, _ = await send(office, b"x" * 3_000_000)
    assert status == 422
    assert f"<code>{error.code}</code>" in text
    assert error.sentence in text


async def test_an_upload_that_breaks_off_leaves_nothing(office: Page, spool: Path) -> None:
    _, text, _ = await office.get("/software")
    token = re.search(r'name="token" value="([0-9a-f]+)"', text)[1]  # type: ignore[index]
    head = (
        f'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\n{token}\r\n'
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    ).encode()
    cookies = "; ".join(f"{c.key}={c.value}" for c in office.http.cookie_jar)
    port = int(office.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /software/upload HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookies}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n".encode()
        + head
        + b"z" * 2_000_000
    )
    await writer.drain()
    for _ in range(200):
        if held(spool):
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("it never began")
    writer.close()
    for _ in range(200):
        if not held(spool):
            break
        await asyncio.sleep(0.01)
    assert held(spool) == []
    assert asked(office, "Install") == []


async def test_a_file_larger_than_any_is_refused_unread(
    office: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(software_page, "MOST_UPLOAD", 1_000)
    status, text, _ = await send(office, b"x" * 5_000)
    assert status == 413
    assert "too-large" in text


async def test_an_address_and_what_waits(office: Page) -> None:
    address = "https://updates.example/platen.raucb"
    assert (await office.post("/software/install", {"address": address}, at="/software"))[0] == 303
    assert (await office.post("/software/install", {"waiting": "yes"}, at="/software"))[0] == 303
    assert asked(office, "Install") == [{"source": address, "origin": "address"}, {"origin": "usb"}]
    for path, method in (("cancel", "Cancel"), ("discard", "Discard"), ("restart", "Restart")):
        assert (await office.post(f"/software/{path}", at="/software"))[0] == 303
        assert asked(office, method) == [{}]


async def test_a_wrong_address_stays_in_its_field(office: Page) -> None:
    office.stand.fail["update.Install"] = BundleUntrusted("no")
    status, text, _ = await office.post("/software/install", {"address": "https://x/<y>"}, at="/software")
    assert status == 422
    assert 'value="https://x/&lt;y&gt;"' in text


@pytest.fixture
async def shipped(
    paths: Paths, used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Page]:
    """A box whose image brought its licences."""
    (tmp_path / "licences.txt").write_text("all of them")
    (tmp_path / "secret.txt").write_text("no")
    monkeypatch.setattr(service, "SHARE", tmp_path)
    shutil.copy(used, paths.database)
    page, runner = await open_page(paths)
    await sign_in(page)
    yield page
    await close_page(page, runner)


async def test_parts_lists_are_linked_where_they_are(shipped: Page) -> None:
    _, text, _ = await shipped.get("/software")
    assert re.findall(r'href="/software/files/([^"]*)"', text) == ["licences.txt"]
    status, text, headers = await shipped.get("/software/files/licences.txt")
    assert (status, text) == (200, "all of them")
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in ("secret.txt", "sbom.spdx.json", "..%2fstate%2fplaten.db"):
        assert (await shipped.get(f"/software/files/{name}"))[0] == 404


async def test_elsewhere_than_on_the_box_nothing_is_wrong(alone: Page, paths: Paths) -> None:
    _, text, _ = await alone.get("/software")
    assert "not a box with two copies" in words(text)
    assert "service-down" not in text
    assert "keeps two copies" not in words(text)
    software.write(paths.software, Software(version="0.1.0"))
    _, text, _ = await alone.get("/software")
    assert "service-down" in text
    assert "keeps two copies" in words(text)
    assert "not a box with two copies" not in words(text)


async def test_the_overview_says_what_did_not_stay(office: Page, paths: Paths) -> None:
    back = Rollback(
        version="0.2.0", kept="0.1.0", cause="gate-page", sentence="x", time="2026-11-21T08:00:00Z"
    )
    software.write(paths.software, Software(version="0.1.0", rollback=back))
    _, text, _ = await office.get("/")
    assert "The update to version 0.2.0 did not stay" in words(text)
    assert 'href="/software"' in text


def test_every_cause_and_every_code_has_its_words() -> None:
    assert software_page.CAUSES.keys() == CAUSES.keys()
    from appliance.model import errors as tree

    t = Locale("de")
    for kind in tree.UpdateError.__subclasses__():
        assert errors.tell(t, kind.code).happened != errors.tell(t, "fault").happened, kind.code


def test_the_form_is_the_only_one_that_may_be_large() -> None:
    assert guard.MOST_BODY < 100_000
    assert software_page.MOST_UPLOAD <= 1 << 30
