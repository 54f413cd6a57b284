# SPDX-License-Identifier: Apache-2.0
"""A card whose blocks have changed: proof, not a guess, takes a slot away; where none is left, a page says so."""

from __future__ import annotations

import pytest

from tests.system import measure
from tests.system.box import BOOT_S, Box, State
from tests.system.bundles import Bundles, following

MIDDLE = 64 * 1024 * 1024
"""Of a root. Hardly a start reads there; only reading all of it finds what has changed."""


def damage(box: Box, slot: str) -> None:
    with box.disk.open("r+b") as file:
        place = file.seek(box.offset(f"root_{slot}") + MIDDLE)
        old = file.read(4096)
        file.seek(place)
        file.write(bytes(octet ^ 0xFF for octet in old))


def last_of_three(box: Box) -> None:
    """The next start is one of which the two before came to nothing."""
    box.run("fw_setenv BOOT_SEEN 2; sync")


def test_a_whole_slot_is_kept_after_starts_that_came_to_nothing(box: Box) -> None:
    """Power cuts do that, too."""
    box.transition(State.READY)
    box.wait_committed()
    slot = box.slot()
    last_of_three(box)
    box.cut_power()
    box.boot()
    box.wait_serial(rf"slot {slot.upper()} is whole")
    box.wait_ready()
    assert box.slot() == slot
    box.until(lambda: "BOOT_SEEN=0" in box.run("fw_printenv"), 60, "the start is not noted as good")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_slot_that_decayed_gives_way_to_the_other(box: Box, bundles: Bundles) -> None:
    box.transition(State.OFF)
    box.flash()
    box.transition(State.READY)
    box.install(bundles.make("sound", version=following(box.version())))
    assert box.wait_committed() is State.SLOT_B
    last_of_three(box)
    box.cut_power()
    damage(box, "b")
    box.boot()
    box.wait_serial(r"slot B: the root does not match its hash tree")
    box.wait_ready()
    assert box.slot() == "a"
    assert "BOOT_B_LEFT=0" in box.run("fw_printenv")


def test_with_no_slot_left_a_page_says_what_to_do(box: Box) -> None:
    box.transition(State.READY)
    box.wait_committed()
    slot = box.slot()
    box.run(f"fw_setenv BOOT_{'B' if slot == 'a' else 'A'}_LEFT 0")
    last_of_three(box)
    box.cut_power()
    damage(box, slot)
    box.boot()
    box.wait_serial(rf"slot {slot.upper()}: the root does not match its hash tree")
    box.wait_serial(r"starting the rescue page")
    box.until(box.rescue_answers, BOOT_S, "the rescue page does not answer", 2)
    box.state = State.RESCUE
    measure.show(f"a root that decayed, none in reserve: rescue page {box.elapsed():.0f} s after power-on")
    page = box.page("/")
    assert page.status == 200
    for said in ("This box cannot start", "Diese Box kann nicht starten", "/cgi-bin/again"):
        assert said in page.text
    assert box.page("/cgi-bin/again").status == 405, "a link must not do what the button does"


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_trying_again_from_the_rescue_page(box: Box) -> None:
    box.transition(State.RESCUE)
    assert box.page("/cgi-bin/again", method="POST", body=b"").status == 200
    box.wait_other_boot()
    box.wait_ready()
    box.wait_committed()
