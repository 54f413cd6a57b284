# SPDX-License-Identifier: Apache-2.0
"""From a new card to a confirmed update, and back from one that does not work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.system import measure
from tests.system.box import INSTALL_S, ROLLBACK_S, Box, State
from tests.system.bundles import Bundles, build, following
from tests.system.lab import FIRST_PRINTER, OFFICE, PREFIX, Lab
from tests.system.visitor import Visitor

OFFICE_ADDRESSES = {f"{PREFIX}{FIRST_PRINTER + n}" for n in range(len(OFFICE))}
DELIVERED_S, KNOWN_S, DISCOVERED_S = 180, 20, 60


@pytest.fixture(scope="module")
def next_version(bundles: Bundles) -> Path:
    return build(following(bundles.version))


def delivered(lab: Lab, box: Box) -> set[str]:
    """Addresses of the printers that the portal has readings of."""
    return {p.latest.reading.address for p in lab.printers(box.box_id)}


def show_rollback(kind: str, took: float, rollback: dict[str, Any]) -> None:
    measure.show(f"{kind}: back {took:.0f} s after the restart: {rollback['cause']}: {rollback['sentence']}")


def test_from_power_on_to_the_first_reading_delivered(box: Box, lab: Lab) -> None:
    box.transition(State.BOOTING)
    box.until(lambda: delivered(lab, box), DELIVERED_S, "no reading is delivered")
    took = box.elapsed()
    ready = box.wait_ready()
    box.until(lambda: delivered(lab, box) >= OFFICE_ADDRESSES, 120, "not all printers are delivered")
    everything = box.elapsed()
    first = measure.first_readings(box)
    measure.show(f"from power-on: ready {ready:.0f} s, first reading at the dealer {took:.0f} s")
    measure.show(f"all {len(OFFICE)} printers at the dealer {everything:.0f} s from power-on")
    measure.show(
        f"from the collector's start: first reading of a discovered printer {min(first.values()):.1f} s"
    )
    assert took <= DELIVERED_S
    assert min(first.values()) <= DISCOVERED_S


def test_the_page_is_set_up_with_the_code_from_the_label(box: Box) -> None:
    box.transition(State.READY)
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    page = visitor.get("/printers")
    assert all(address in page for address in OFFICE_ADDRESSES)


def test_an_update_is_streamed_to_the_other_slot_and_confirmed(
    box: Box, lab: Lab, next_version: Path
) -> None:
    box.transition(State.READY)
    before, slot = box.status(), box.slot()
    took = box.install(next_version)
    assert box.slot() != slot
    assert box.version() in next_version.name
    assert box.status()["trial"] or not box.status()["last_rollback"]
    began = time.monotonic()
    assert box.wait_committed() is (State.SLOT_B if slot == "a" else State.SLOT_A)
    confirmed = time.monotonic() - began
    octets = sum(line["octets"] for line in lab.served(f"/plain/{next_version.name}"))
    size = next_version.stat().st_size
    readings = box.until(
        lambda: measure.first_readings(box), 120, "no printer is read"
    )  # written once a minute
    first = min(readings.values())
    measure.show(f"{before['version']} to {box.version()}: installed and restarted in {took:.0f} s")
    measure.show(f"confirmed {confirmed:.0f} s after it was ready")
    measure.show(f"{octets / 1e6:.1f} MB of {size / 1e6:.1f} MB were fetched: {octets / size:.1%}")
    measure.show(f"from the collector's start: first reading of a known printer {first:.1f} s")
    assert first <= KNOWN_S


def test_it_keeps_what_it_knew(box: Box, lab: Lab) -> None:
    box.transition(State.READY)
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)  # the password, set on the other slot
    assert lab.printers(box.box_id)


def test_an_image_that_does_not_boot_is_taken_back(box: Box, bundles: Bundles) -> None:
    """It comes as a file that somebody uploads on the page."""
    box.transition(State.READY)
    box.wait_committed()
    before, slot = box.version(), box.slot()
    bad = bundles.unbootable(following(before))
    uploaded = time.monotonic()
    visitor = Visitor(box.address())
    visitor.enter(box.setup_code)
    visitor.upload("/software", "/software/upload", bad)
    measure.show(
        f"{bad.stat().st_size / 1e6:.0f} MB uploaded and checked in {time.monotonic() - uploaded:.0f} s"
    )
    box.until(lambda: box.status()["operation"] == "restart-due", INSTALL_S, "it is not installed", 2)
    visitor.restart("/software", "/software/restart")
    box.until(lambda: box.agent_gone(), 600, "it does not restart", 0.5)
    began = time.monotonic()
    box.wait_other_boot(ROLLBACK_S)
    took = time.monotonic() - began
    box.wait_ready()
    assert (box.slot(), box.version()) == (slot, before)
    rollback = box.until(lambda: box.status()["last_rollback"], 60, "no reason is given")
    show_rollback("did not boot", took, rollback)
    assert took <= ROLLBACK_S
    assert rollback["version"] == following(before)
    assert rollback["version"] in visitor.get("/software")


DISTURBED = {
    "no-network": ("systemd-networkd.service", "[Service]\nExecStart=\nExecStart=/bin/false\n"),
    "collector-dies": ("platen-collector.service", "[Service]\nExecStart=\nExecStart=/bin/false\n"),
    "portal-unreachable": ("platen-uplink.service", "[Service]\nIPAddressDeny=any\n"),
    "never-confirms": ("platen-gate.service", "[Unit]\nConditionPathExists=/nonexistent\n"),
}


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", sorted(DISTURBED))
def test_an_image_that_boots_and_does_not_work_is_taken_back(kind: str, box: Box, tmp_path: Path) -> None:
    box.transition(State.READY)
    box.wait_committed()
    before, slot = box.version(), box.slot()
    unit, text = DISTURBED[kind]
    drop_in = tmp_path / f"usr/lib/systemd/system/{unit}.d/99-test.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(text)
    bad = build(f"{following(before)}-{kind}", tmp_path)
    box.begin_install(box.serve(bad))
    box.until(lambda: box.agent_gone(), 600, "it does not restart", 0.5)
    began = time.monotonic()
    box.until(
        lambda: box.wait_other_boot(ROLLBACK_S) or box.slot() == slot, ROLLBACK_S, "it does not come back"
    )
    took = time.monotonic() - began
    box.wait_ready()
    rollback = box.until(lambda: box.status()["last_rollback"], 60, "no reason is given")
    show_rollback(kind, took, rollback)
    assert took <= ROLLBACK_S
    assert box.version() == before
