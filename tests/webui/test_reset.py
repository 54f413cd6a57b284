# SPDX-License-Identifier: Apache-2.0
"""Factory reset: said in full, asked for with the password, and only where there is something to reset."""

from __future__ import annotations

import pytest

from appliance.host import software
from appliance.host.paths import Paths
from appliance.model.errors import OnTrial
from appliance.model.messages import Software
from tests.webui import sample
from tests.webui.conftest import Page, words

HERE = "/settings/factory-reset"


@pytest.fixture
def box(office: Page, paths: Paths) -> Page:
    """A box from our image, told by what its update service has written."""
    software.write(paths.software, Software(version="0.1.0"))
    return office


def asked(page: Page) -> int:
    return sum(method == "update.FactoryReset" for method, _ in page.stand.calls)


async def test_elsewhere_than_on_a_box_there_is_none(office: Page) -> None:
    assert (await office.get(HERE))[0] == 404
    _, text, _ = await office.get("/settings")
    assert HERE not in text


async def test_the_page_says_what_goes_and_what_stays(box: Page) -> None:
    _, text, _ = await box.get("/settings")
    assert f'href="{HERE}"' in text
    status, text, _ = await box.get(HERE)
    said = words(text)
    assert status == 200
    assert "All printers, readings and counters" in said
    assert "the code on the label" in said
    assert "have not reached the dealer yet" in said


@pytest.mark.parametrize("typed", ["", "not the one"])
async def test_without_the_password_nothing_is_asked(box: Page, typed: str) -> None:
    status, text, _ = await box.post(HERE, {"password": typed}, at=HERE)
    assert status == 422
    assert "not right" in text
    assert asked(box) == 0


async def test_guesses_are_slowed_down(box: Page) -> None:
    statuses = [(await box.post(HERE, {"password": f"guess {n}"}, at=HERE))[0] for n in range(6)]
    assert 429 in statuses
    assert asked(box) == 0


async def test_with_the_password_the_box_is_asked_once(box: Page) -> None:
    status, _, headers = await box.post(HERE, {"password": sample.PASSWORD}, at=HERE)
    assert (status, headers["Location"]) == (303, f"{HERE}?done=asked")
    assert asked(box) == 1
    _, text, _ = await box.get(headers["Location"])
    assert "restarts now" in text
    assert 'type="password"' not in text


async def test_what_speaks_against_it_is_told(box: Page) -> None:
    box.stand.fail["update.FactoryReset"] = OnTrial("Version 0.2.0 still has to prove itself")
    status, text, _ = await box.post(HERE, {"password": sample.PASSWORD}, at=HERE)
    assert status == 422
    assert "still has to prove itself" in text
