# SPDX-License-Identifier: Apache-2.0
"""Settings, password, sessions, and the token for /status.json."""

from __future__ import annotations

import json
import re
import time

import pytest

from appliance.store import access, sessions, settings
from tests.webui import sample
from tests.webui.conftest import Page, words

PRINTER = sample.printer_ids()[4]


async def test_settings_show_limits_and_who_set_them(office: Page):
    _, text, _ = await office.get("/settings")
    plain = words(text)
    assert "set by the dealer" in plain
    assert "set by you" in plain
    assert "5 to 86,400 · default: 900" in plain


async def test_setting_is_saved_and_told_to_the_services(office: Page):
    group = {"group": "poll", "poll.status_s": "1200", "poll.full_s": "86400", "poll.at_once": "8"}
    status, _, headers = await office.post("/settings", group, at="/settings")
    assert (status, headers["Location"]) == (303, "/settings?done=saved&group=poll")
    assert await office.box.worker.run(settings.value, "poll.status_s") == 1200
    assert (await office.box.worker.run(settings.sources))["poll.status_s"] == "you"
    assert "poll.full_s" not in await office.box.worker.run(settings.sources), (
        "what did not change stays a default"
    )
    assert ("collector.Reload", {}) in office.stand.calls
    assert (await office.post("/settings/reset", {"key": "poll.status_s"}, at="/settings"))[0] == 303
    assert await office.box.worker.run(settings.value, "poll.status_s") == 900


@pytest.mark.parametrize(
    ("group", "field", "typed", "told"),
    [
        ("poll", "poll.status_s", "2", "5 to 86,400"),
        ("poll", "poll.at_once", "viele", "A whole number"),
        ("discovery", "discovery.ranges", "192.168.1.9-192.168.1.2", "runs backwards"),
        ("page", "page.language", "xx", "Choose one"),
        ("uplink", "uplink.host", "x" * 300, "255 characters"),
    ],
)
async def test_wrong_setting_saves_nothing_and_keeps_the_input(
    office: Page, group: str, field: str, typed: str, told: str
):
    status, text, _ = await office.post("/settings", {"group": group, field: typed}, at="/settings")
    assert status == 422
    assert told in text
    assert "Nothing was saved" in text
    assert field not in {"poll.at_once"} or "viele" in text


async def test_communities_are_written_but_never_shown(office: Page):
    group = {
        "group": "snmp",
        "snmp.communities": "geheim1\ngeheim2",
        "snmp.port": "161",
        "snmp.timeout_ms": "2000",
        "snmp.retries": "2",
    }
    assert (await office.post("/settings", group, at="/settings"))[0] == 303
    assert await office.box.worker.run(settings.value, "snmp.communities") == ["geheim1", "geheim2"]
    _, text, _ = await office.get("/settings")
    assert "geheim" not in text
    await office.post("/settings", {**group, "snmp.communities": "", "snmp.retries": "3"}, at="/settings")
    assert await office.box.worker.run(settings.value, "snmp.communities") == ["geheim1", "geheim2"]


async def test_language_setting_wins_over_the_browser(office: Page):
    await office.post("/settings", {"group": "page", "page.language": "de"}, at="/settings")
    _, text, _ = await office.get("/", **{"Accept-Language": "en"})
    assert '<html lang="de">' in text


async def test_password_change_needs_the_old_one_and_ends_other_sessions(office: Page):
    other = await office.box.worker.run(sessions.begin, "t" * 43, time.time(), time.time() + 600, "elsewhere")
    assert other is None
    fields = {"old": "falsch falsch", "password": "neues langes wort", "again": "neues langes wort"}
    status, text, _ = await office.post("/settings/password", fields, at="/settings")
    assert status == 422
    assert "not right" in text
    status, _, _ = await office.post("/settings/password", {**fields, "old": sample.PASSWORD}, at="/settings")
    assert status == 303
    assert (await office.get("/"))[0] == 200, "the one who changed it stays signed in"
    assert await office.box.worker.run(sessions.find, "t" * 43, time.time()) is None
    assert await office.box.doors.password_right("x", "neues langes wort")


async def test_sessions_can_be_ended(office: Page):
    await office.box.worker.run(
        sessions.begin, "t" * 43, time.time(), time.time() + 600, "Firefox, Windows · 192.168.1.9"
    )
    _, text, _ = await office.get("/settings")
    assert "Firefox, Windows · 192.168.1.9" in text
    assert "this one" in text
    id_ = re.search(r'name="id" value="([0-9a-f]{64})"', text)[1]
    assert (await office.post("/settings/session", {"id": id_}, at="/settings"))[0] == 303
    assert await office.box.worker.run(sessions.find, "t" * 43, time.time()) is None
    await office.box.worker.run(sessions.begin, "u" * 43, time.time(), time.time() + 600, "x")
    await office.post("/settings/others", at="/settings")
    assert len(await office.box.worker.run(access.listed, time.time())) == 1


# status.json


async def test_status_needs_a_login_or_the_token(office: Page):
    async with office.http.get(office.url + "/status.json") as answer:
        body = await answer.json()
    assert body["schema"] == "platen.status/1"
    assert body["state"] == "bad"
    assert len(body["printers"]) == 14
    assert {p["id"]: p for p in body["printers"]}[PRINTER]["total"] == 422_294
    _, text, _ = await office.post("/settings/token", at="/settings")
    token = re.search(r"<code>([\w-]{43})</code>", text)[1]
    await office.post("/logout", at="/")
    assert (await office.get("/status.json"))[0] == 401
    assert (await office.get("/status.json", Authorization="Bearer " + "x" * 43))[0] == 401
    status, text, _ = await office.get("/status.json", Authorization=f"Bearer {token}")
    assert status == 200
    assert json.loads(text)["box"] == sample.BOX
    status, _, _ = await office.get("/printers", Authorization=f"Bearer {token}")
    assert status == 303, "the token opens nothing else"


async def test_status_while_the_services_are_down(alone: Page):
    _, text, _ = await alone.get("/status.json")
    assert json.loads(text)["uplink"] is None
    assert "collector.dead" in {p["code"] for p in json.loads(text)["problems"]}
