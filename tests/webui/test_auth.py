# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.store import sessions
from appliance.store.worker import Worker
from appliance.webui import auth

CODE = "8F3K-W9TZ"


@pytest.mark.parametrize("typed", ["8F3K-W9TZ", "8f3kw9tz", " 8F3K W9TZ ", "8f3k–w9tz"])
def test_code_as_people_type_it(typed: str):
    assert auth.code_matches(typed, CODE)


@pytest.mark.parametrize("typed", ["", "8F3K", "8F3K-W9TY", "8F3K-W9TZ8", "8F3K-W9TZ" * 20])
def test_wrong_codes(typed: str):
    assert not auth.code_matches(typed, CODE)


def test_letters_that_look_like_digits():
    assert auth.code_matches("olio-0111", "0110-0111")


@pytest.mark.parametrize(
    ("password", "again", "wrong"),
    [
        ("short", "short", 0),
        ("aaaaaaaaaaaa", "aaaaaaaaaaaa", 0),
        ("x" * 300, "x" * 300, 0),
        ("long enough word", "other", 1),
        ("korrekt pferd", "korrekt pferd", None),
    ],
)
def test_new_passwords(password: str, again: str, wrong: int | None):
    faults = auth.password_fault(password, again)
    assert [i for i, f in enumerate(faults) if f] == ([] if wrong is None else [wrong])


def test_an_umlaut_is_the_same_however_it_is_typed():
    assert auth.normalised("Ko\u0308nigsweg 12") == auth.normalised("K\u00f6nigsweg 12")


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_waiting_is_bounded_and_grows(times: list[float]):
    wrong = sorted(times)
    now = wrong[-1] if wrong else 0.0
    wait = auth.delay(wrong, now)
    assert 0 <= wait <= auth.SLOWEST_S
    assert (wait == 0) == (len(wrong) < auth.FREE_TRIES)
    assert auth.delay(wrong, now + auth.SLOWEST_S) == 0
    assert auth.delay(wrong, now - 10_000) <= auth.SLOWEST_S  # a clock that was set back


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("/printers", True),
        ("/printers/abc/raw", True),
        ("//evil.example", False),
        ("https://evil.example", False),
        ("/\\evil", False),
        ("/logout", False),
        ("", False),
    ],
)
def test_where_a_login_may_lead(path: str, fits: bool):
    assert auth.is_page(path) == fits


@pytest.fixture
async def doors(tmp_path: Path):
    worker = Worker(tmp_path / "platen.db")
    yield auth.Doors(worker), worker
    await worker.close()


async def test_code_sets_the_password_once(doors):
    door, worker = doors
    assert await door.set_first_password("a", "0000-0000", CODE, "korrekt pferd") is False
    assert await door.set_first_password("a", CODE, CODE, "korrekt pferd") is True
    assert await door.set_first_password("b", CODE, CODE, "anderes wort 1") is None
    assert await door.password_right("a", "korrekt pferd")
    assert not await door.password_right("a", "anderes wort 1")
    stored = await worker.run(sessions.secret, "password")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "korrekt" not in stored


async def test_guessing_slows_down_the_guesser_only(doors):
    door, _ = doors
    await door.set_first_password("owner", CODE, CODE, "korrekt pferd")
    for _ in range(3):
        assert not await door.password_right("guesser", "falsch falsch")
    with pytest.raises(auth.TooManyTries) as slow:
        await door.password_right("guesser", "korrekt pferd")
    assert 0 < slow.value.wait_s <= 2
    assert await door.password_right("owner", "korrekt pferd")


async def test_tries_at_once_are_one_try(doors):
    door, _ = doors
    await door.set_first_password("owner", CODE, CODE, "korrekt pferd")
    tries = [door.password_right("guesser", f"falsch falsch {n}") for n in range(20)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(a, auth.TooManyTries) for a in answers) == 19


async def test_session_ends_when_idle_and_after_half_a_day(doors):
    door, worker = doors
    await door.set_first_password("owner", CODE, CODE, "korrekt pferd")
    start = time.time()
    token = await worker.run(auth.begin, start, "Firefox")
    assert len(token) >= 43
    assert (await worker.run(auth.arrive, token, start + 60)).session is not None
    assert (await worker.run(auth.arrive, token, start + auth.IDLE_S + 1)).session is None
    used = start
    while used + 1200 < start + auth.ABSOLUTE_S:
        used += 1200
        assert (await worker.run(auth.arrive, token, used)).session is not None
    assert (await worker.run(auth.arrive, token, start + auth.ABSOLUTE_S + 1)).session is None
    late = await worker.run(auth.begin, start, "Firefox")
    assert (await worker.run(auth.arrive, late, start + 1700, by_hand=False)).session is not None
    assert (await worker.run(auth.arrive, late, start + 1900)).session is None, (
        "looking again by itself is no use"
    )
    assert (await worker.run(auth.arrive, "x" * 43, start)).session is None


def test_browsers_by_name():
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
    assert auth.browser(firefox) == "Firefox, Windows"
    assert auth.browser(None) == "?"
