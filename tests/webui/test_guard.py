# SPDX-License-Identifier: Apache-2.0
"""Who is kept out: strangers' names, other sites, forged forms, and whatever is too large or too slow."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.webui import guard
from tests.webui.conftest import Page


@pytest.mark.parametrize(
    ("host", "local", "allowed"),
    [
        ("192.168.1.20", "192.168.1.20", True),
        ("192.168.1.20:8631", "192.168.1.20", True),
        ("192.168.1.21", "192.168.1.20", False),
        ("[fe80::1]:8631", "fe80::1%eth0", True),
        ("[::1]", "::1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("localhost:8631", "127.0.0.1", True),
        ("localhost", "192.168.1.20", False),
        ("platen.example.net", "192.168.1.20", True),
        ("PLATEN.example.net.", "192.168.1.20", True),
        ("evil.example", "192.168.1.20", False),
        ("192.168.1.20.evil.example", "192.168.1.20", False),
        ("192.168.1.20:80:90", "192.168.1.20", False),
        ("", "192.168.1.20", False),
        (None, "192.168.1.20", False),
        ("[::1", "::1", False),
    ],
)
def test_names(host: str | None, local: str, allowed: bool):
    assert guard.Names(["platen.example.net"]).allow(host, local) == allowed


def test_own_name_and_its_local_form(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Platen-7K2M.lan")
    names = guard.Names()
    assert names.allow("platen-7k2m.local", "10.0.0.5")
    assert names.allow("platen-7k2m.lan", "10.0.0.5")
    assert not names.allow("other.local", "10.0.0.5")


@given(st.text(max_size=300))
def test_no_host_header_breaks_the_guard(host: str):
    assert guard.Names().allow(host, "192.168.1.20") in (True, False)


async def test_rebinding_is_refused(page: Page):
    status, text, _ = await page.get("/", Host="evil.example")
    assert status == 421
    assert "wrong-host" in text
    assert "setup" not in text


async def test_every_answer_carries_the_headers(page: Page):
    for path in ("/setup", "/nope", "/static/nope", "/status.json", "/printers"):
        _, _, headers = await page.get(path)
        for name, value in guard.HEADERS.items():
            assert headers[name] == value, (path, name)
    policy = guard.HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


async def test_static_files_are_kept_for_good(page: Page):
    _, text, _ = await page.get("/setup")
    for path in re.findall(r'"(/static/[^"]+)"', text):
        status, _, headers = await page.get(path)
        assert status == 200
        assert "immutable" in headers["Cache-Control"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert re.search(r"\.[0-9a-f]{16}\.", path)


async def test_form_of_another_site_is_refused(office: Page):
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": office.url.replace("http", "https")},
    ):
        status, text, _ = await office.post("/reports/pause", at="/reports", **headers)
        assert status == 403, headers
        assert "other-site" in text
    assert ("uplink.Reload", {}) not in office.stand.calls


async def test_own_origin_is_taken(office: Page):
    status, _, _ = await office.post(
        "/reports/pause", at="/reports", Origin=office.url, **{"Sec-Fetch-Site": "same-origin"}
    )
    assert status == 303


@pytest.mark.parametrize("token", ["", "0" * 64, "x"])
async def test_form_without_its_token_is_refused(office: Page, token: str):
    status, text, _ = await office.post("/reports/pause", token=token)
    assert status == 403
    assert "form-expired" in text


async def test_token_of_another_session_is_refused(office: Page):
    _, text, _ = await office.get("/reports")
    old = re.search(r'name="token" value="([0-9a-f]+)"', text)[1]
    await office.post("/logout", at="/reports")
    await office.post("/login", {"password": "korrekt pferd batterie"})
    status, _, _ = await office.post("/reports/pause", token=old)
    assert status == 403


async def test_changes_only_by_post(office: Page):
    for path in ("/logout", "/reports/pause", "/settings/password", "/printers/search/stop"):
        status, text, headers = await office.get(path)
        assert status == 405, path
        assert headers["Allow"] == "POST"
        assert "method-not-allowed" in text


async def test_what_is_too_large_is_refused(office: Page):
    status, text, _ = await office.post("/printers/search", {"targets": "x" * 70_000}, at="/printers/search")
    assert status == 413
    assert "too-large" in text
    status, _, _ = await office.get("/printers?q=" + "x" * 3000)
    assert status == 400
    status, _, _ = await office.get("/printers?" + "&".join(f"a{n}=1" for n in range(30)))
    assert status == 400
    status, _, _ = await office.post("/settings", {f"f{n}": "1" for n in range(100)}, at="/settings")
    assert status == 400


async def test_other_kinds_of_forms_are_refused(office: Page):
    async with office.http.post(office.url + "/login", json={"password": "x"}) as answer:
        assert answer.status == 415
        assert "unsupported-form" in await answer.text()


async def _connect(page: Page) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = page.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_too_many_connections_of_one_source_are_closed(page: Page):
    held = [await _connect(page) for _ in range(guard.MOST_PER_SOURCE)]
    reader, writer = await _connect(page)
    writer.write(b"GET /setup HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    for _, other in held:
        other.close()
        await other.wait_closed()
    async with asyncio.timeout(5):
        while True:
            try:
                assert (await page.get("/setup"))[0] == 200
                break
            except OSError:
                await asyncio.sleep(0.02)


async def test_dripping_headers_are_cut_off(page: Page, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "IDLE_S", 0.3)
    reader, writer = await _connect(page)
    writer.write(b"GET /setup HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_dripping_body_is_cut_off(page: Page, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    reader, writer = await _connect(page)
    writer.write(
        b"POST /login HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\na="
    )
    async with asyncio.timeout(5):
        answer = await reader.read(2000)
    assert b" 504 " in answer.split(b"\r\n")[0]
    writer.close()


async def test_garbage_gets_an_answer_not_a_crash(page: Page):
    for line in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"A" * 5000,
    ):
        reader, writer = await _connect(page)
        writer.write(line)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
    assert (await page.get("/setup"))[0] == 200
