# SPDX-License-Identifier: Apache-2.0
"""The same card in QEMU's Raspberry Pis, as far as they carry it: no closed firmware, a slow SD card, no network on the
Pi 3's USB. What they show is that U-Boot, its script, the kernel and the initrd find their way on those boards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.system import measure, qemu
from tests.system.box import Box, State
from tests.system.lab import Lab

TREES = {"raspi3b": "bcm2837-rpi-3-b.dtb", "raspi4b": "bcm2711-rpi-4-b.dtb"}
STEPS = (
    # Its first lines come before the boards' serial line is up.
    ("U-Boot", r"Loading Environment from"),
    ("the script chose a slot", r"platen: slot=A"),
    ("the kernel is started", r"Starting kernel"),
    ("the kernel speaks", r"Linux version|Booting Linux|\[ +\d+\.\d+\]"),
    # QEMU's watchdog for these boards has no clock: it restarts them the moment systemd arms it. So they come back
    # until the third start in a row, in which the initrd reads the whole root.
    ("systemd has run, and the root is whole", r"platen: slot A is whole"),
)
LEAST = {"raspi3b": 5, "raspi4b": 3}
"""How many of these steps each machine has to get through."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture
def board(request: pytest.FixtureRequest, lab: Lab, image: Path, new_box: Box) -> Iterator[Box]:
    machine: Literal["raspi3b", "raspi4b"] = request.param
    new_box.transition(State.OFF)
    plain = Box(lab, image)
    plain.flash()
    # What the closed firmware would read from the card.
    fat = f"/lab/box/disk.img@@{plain.offset('firmware')}"
    lab.tool("mcopy", "-n", "-o", "-i", fat, "::u-boot.bin", f"::{TREES[machine]}", "/lab/box/")
    where = {"firmware": "/lab/box/u-boot.bin", "tree": f"/lab/box/{TREES[machine]}"}
    yield Box(lab, image, options=qemu.Options(machine=machine, **where))
    plain.cut_power()
    new_box.flash()


@pytest.mark.parametrize("board", sorted(TREES), indirect=True)
def test_a_raspberry_pi_gets_as_far_as_it_should(board: Box) -> None:
    board.boot()
    reached = 0
    for name, pattern in STEPS:
        try:
            board.wait_serial(pattern, 900 if reached < LEAST[board.options.machine] else 120)
        except (TimeoutError, AssertionError):
            break
        reached += 1
        measure.show(f"{board.options.machine}: {name}, after {board.elapsed():.0f} s")
    assert reached >= LEAST[board.options.machine], board.serial()[-2000:]
