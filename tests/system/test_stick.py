# SPDX-License-Identifier: Apache-2.0
"""An update on a USB stick: taken in by itself, installed at a person's word, and the stick is left as it was."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.system import measure
from tests.system.box import INSTALL_S, MIB, Box, State
from tests.system.bundles import Bundles, build, following
from tests.system.lab import Lab
from tests.system.visitor import Visitor

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture
def stick(box: Box, lab: Lab, bundles: Bundles) -> Iterator[Path]:
    """As people have them: one FAT partition, other files beside the bundle. It is in the box when the power comes."""
    box.transition(State.READY)
    bundle = lab.folder / "bundles/stick.raucb"
    shutil.copyfile(build(following(box.version())), bundle)
    broken = bundles.cut(0.5)
    box.transition(State.OFF)
    image = box.folder / "stick.img"
    image.write_bytes(b"")
    with image.open("r+b") as file:
        file.truncate(512 * MIB)
    script = (
        "echo 'start=2048, type=c' | sfdisk -q /lab/box/stick.img && mkfs.vfat -F 32 --offset 2048 /lab/box/stick.img"
        f" && mcopy -i /lab/box/stick.img@@1M /lab/bundles/{bundle.name} '::/Update of the dealer.raucb'"
        f" && mcopy -i /lab/box/stick.img@@1M /lab/bundles/{broken.name} ::/z-9.9.9.raucb"
        " && mcopy -i /lab/box/stick.img@@1M /etc/debian_version ::/notes.txt"
    )
    lab.tool("sh", "-ec", script)
    before = box.options
    box.options = msgspec.structs.replace(before, sticks=("/lab/box/stick.img",))
    yield image
    box.transition(State.OFF)
    box.options = before


def test_a_stick_is_offered_and_installed_at_a_word(box: Box, stick: Path) -> None:
    was = hashlib.sha256(stick.read_bytes()).hexdigest()
    box.transition(State.READY)
    before, slot = box.version(), box.slot()
    offer = box.until(lambda: box.status()["offer"], 300, "the stick is not offered", 2)
    measure.show(f"version {offer['version']} offered {box.elapsed():.0f} s after power-on")
    assert offer == {"version": following(before), "origin": "usb"}
    assert box.version() == before, "a setting says that a person decides"
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    assert "waits, from a USB stick" in visitor.get("/software")
    visitor.post("/software", "/software/install", waiting="yes")
    box.until(lambda: box.status()["operation"] == "restart-due", INSTALL_S, "it is not installed", 2)
    visitor.restart("/software", "/software/restart")
    box.wait_other_boot()
    box.wait_ready()
    box.wait_committed()
    assert (box.slot() != slot, box.version()) == (True, following(before))
    assert box.run("ls /var/lib/platen-update/spool").strip() == "", "copies are removed"
    # It is still plugged in, and holds nothing newer.
    box.run("systemctl list-jobs --no-pager")
    assert box.status()["offer"] is None
    assert hashlib.sha256(stick.read_bytes()).hexdigest() == was
