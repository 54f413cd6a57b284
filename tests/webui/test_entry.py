# SPDX-License-Identifier: Apache-2.0
"""The way in: setup code, password, login, logout."""

from __future__ import annotations

from tests.webui import sample
from tests.webui.conftest import Page


async def test_first_visit_leads_to_welcome(page: Page):
    for path in ("/", "/printers", "/login", "/settings"):
        status, _, headers = await page.get(path)
        assert (status, headers["Location"].split("?")[0]) == (303, "/setup")
    status, text, _ = await page.get("/setup")
    assert status == 200
    assert sample.CODE not in text


async def test_welcome_sets_the_password_and_signs_in(page: Page):
    await page.set_up()
    status, text, _ = await page.get("/setup")
    assert status == 200
    assert "Find printers" in text
    assert (await page.get("/"))[0] == 200
    cookie = next(c for c in page.http.cookie_jar if c.key == "platen_box_session")
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"


async def test_welcome_keeps_its_input_and_says_what_is_wrong(page: Page):
    status, text, _ = await page.post(
        "/setup", {"code": "8f3k-0000", "password": "kurz", "again": "kurz"}, at="/setup"
    )
    assert status == 422
    assert 'value="8f3k-0000"' in text
    assert "at least 10 characters" in text
    assert "kurz" not in text
    fields = {"code": "8f3k-0000", "password": sample.PASSWORD, "again": sample.PASSWORD}
    status, text, _ = await page.post("/setup", fields, at="/setup")
    assert status == 422
    assert "not the code on the label" in text


async def test_setup_code_is_useless_once_used(page: Page):
    await page.set_up()
    await page.post("/logout", at="/settings")
    fields = {"code": sample.CODE, "password": "another password", "again": "another password"}
    status, _, headers = await page.post("/setup", fields)
    assert (status, headers["Location"]) == (303, "/login")
    status, text, _ = await page.post("/login", {"password": "another password"})
    assert status == 422
    assert "not right" in text


async def test_wrong_codes_slow_down(page: Page):
    fields = {"code": "0000-0000", "password": sample.PASSWORD, "again": sample.PASSWORD}
    for _ in range(3):
        assert (await page.post("/setup", fields, at="/setup"))[0] == 422
    status, text, headers = await page.post("/setup", {**fields, "code": sample.CODE}, at="/setup")
    assert status == 429
    assert int(headers["Retry-After"]) >= 1
    assert "too-many-tries" in text


async def test_login_leads_to_the_page_that_was_wanted(office: Page):
    await office.post("/logout", at="/")
    status, _, headers = await office.get("/reports")
    assert (status, headers["Location"]) == (303, "/login?next=/reports")
    status, _, headers = await office.post("/login", {"password": sample.PASSWORD, "next": "/reports"})
    assert (status, headers["Location"]) == (303, "/reports")
    await office.post("/logout", at="/")
    status, _, headers = await office.post("/login", {"password": sample.PASSWORD, "next": "//evil.example/"})
    assert (status, headers["Location"]) == (303, "/")


async def test_session_cookie_of_before_opens_nothing(office: Page):
    old = next(c.value for c in office.http.cookie_jar if c.key == "platen_box_session")
    await office.post("/logout", at="/")
    office.http.cookie_jar.clear()
    status, _, _ = await office.get("/printers", Cookie=f"platen_box_session={old}")
    assert status == 303
