# SPDX-License-Identifier: Apache-2.0
"""How much memory the box takes, and how much it writes to its card."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.system import measure
from tests.system.box import Box, ControlError, State
from tests.system.lab import OFFICE, Lab

PRINTERS = 50
MEMORY_MIB, WRITTEN_MB = 200, 50
HALF_AN_HOUR = 1800
WORK_H = 10
"""Of a day in an office; in the other hours nobody prints."""


@pytest.fixture(scope="module")
def fifty(new_box: Box, lab: Lab) -> Iterator[Box]:
    """The box, after it has found fifty printers and read each."""
    box = new_box
    box.transition(State.READY)
    names = [OFFICE[n % len(OFFICE)] for n in range(PRINTERS)]
    addresses = set(lab.office(names))
    lab.compose("restart", "-t", "0", "printers")
    try:
        box.until(lambda: searches(box), 300, "the first search does not end", 5)
        found = box.until(
            lambda: known(box) >= PRINTERS and known(box), 400, "fifty printers are not found", 5
        )
        measure.show(f"{found} printers of {len(addresses)} known")
        yield box
    finally:
        lab.office(OFFICE)
        lab.compose("restart", "-t", "0", "printers")


def searches(box: Box) -> bool:
    """Whether it has begun to search now; its first search may go on still."""
    try:
        box.control("collector", "platen.collector.Scan")
    except ControlError as error:
        if error.code != "already-scanning":
            raise
        return False
    return True


def known(box: Box) -> int:
    return len(measure.first_readings(box))


def test_a_small_office_takes_no_more_than_a_large_one_may(box: Box) -> None:
    """A quick look for every run; the large office and the half hours are the measurement."""
    box.transition(State.READY)
    assert memory(box, len(OFFICE)) <= MEMORY_MIB
    assert _per_day(box, "a minute", 60) <= 4 * WRITTEN_MB


@pytest.mark.long
def test_memory_with_fifty_printers(fifty: Box) -> None:
    assert memory(fifty, PRINTERS) <= MEMORY_MIB


@pytest.mark.long
@pytest.mark.timeout(5 * HALF_AN_HOUR)
def test_written_in_half_an_hour_of_work_and_one_of_rest(fifty: Box, lab: Lab) -> None:
    work = _per_day(fifty, "50 printers, each with a job every 75 s")
    lab.compose("kill", "-s", "USR2", "printers")
    rest = _per_day(fifty, "the same, and nobody prints")
    day = (WORK_H * work + (24 - WORK_H) * rest) / 24
    measure.show(
        f"a day of {WORK_H} h of work: ({WORK_H} x {work:.1f} + {24 - WORK_H} x {rest:.1f}) / 24 = {day:.1f} MB"
    )
    assert day <= WRITTEN_MB


def memory(box: Box, printers: int) -> float:
    """MiB in use while the page is used, the most of a few looks."""
    for n in range(8):
        box.page(f"/login?{n}")
    most = max((measure.memory(box) for _ in range(5)), key=lambda m: m.used)
    units = box.run("systemd-cgtop -b -n 1 --depth 4 -m 2>/dev/null | head -n 15", check=False)
    measure.show(
        f"{most.total:.0f} MiB in all - {most.available:.0f} available - {most.agent:.0f} of the tests' agent"
        f" = {most.used:.0f} MiB in use with {printers} printers"
    )
    measure.show(units.replace("\n", "\n    "))
    return most.used


def _per_day(box: Box, what: str, seconds: float = HALF_AN_HOUR) -> float:
    before, began = measure.written(box), time.monotonic()
    time.sleep(seconds)
    octets, took = measure.written(box) - before, time.monotonic() - began
    day = octets / 1e6 * 86_400 / took
    measure.show(
        f"{what}: {octets / 1e6:.3f} MB in {took:.0f} s x 86400 s / {took:.0f} s = {day:.1f} MB a day"
    )
    return day
