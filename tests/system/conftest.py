# SPDX-License-Identifier: Apache-2.0
"""The box and the office around it. `make test-image` runs these tests; without what tools/docker prepares they are
not collected."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.box import Box, State
from tests.system.bundles import Bundles
from tests.system.lab import AROUND, COMPOSE, PROJECT, TREE, Lab

KEPT = TREE / "build/test-image"
"""What is left of a run that failed."""

ORDER = ("test_network", "test_full_cycle", "test_ports", "test_bad_bundles", "test_footprint", "test_boards",
         "test_stick", "test_rescue", "test_power_cut")  # fmt: skip
"""One box goes through all of it, and a boot under emulation takes a minute: the cycle begins with its first."""

HERE = Path(__file__).parent
HARNESS = ("test_blocklog.py", "test_harness.py", "test_judge.py")

collect_ignore = []
if "PLATEN_IMAGE" not in os.environ:
    collect_ignore = [p.name for p in HERE.glob("test_*.py") if p.name not in HARNESS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [i for i in items if i.path.parent == HERE and i.path.name not in HARNESS]
    for item in ours:
        item.add_marker(pytest.mark.system)
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(900))
    rank = {name: n for n, name in enumerate(ORDER)}
    places = [n for n, item in enumerate(items) if item in ours]
    for place, item in zip(places, sorted(ours, key=lambda i: rank.get(i.path.stem, len(rank))), strict=True):
        items[place] = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    given = getattr(item, "funcargs", {})
    box = given.get("box") or getattr(given.get("recording"), "box", None)
    if report.failed and isinstance(box, Box):
        KEPT.mkdir(parents=True, exist_ok=True)
        log = box.folder / "serial.log"
        if log.exists():
            (KEPT / f"{item.name}.serial.log").write_bytes(log.read_bytes())
        if box.state is not State.OFF:
            with contextlib.suppress(TimeoutError):
                journal = box.run("journalctl -b --no-pager -n 2000", check=False)
                (KEPT / f"{item.name}.journal").write_text(journal)
                report.sections.append(("journal", journal[-4000:]))
        report.sections.append((f"serial line (all of it in {KEPT})", box.serial()[-4000:]))
    return report


@pytest.fixture(scope="session")
def laid_out() -> Iterator[Lab]:
    lab = Lab()
    try:
        yield lab
    finally:
        # Here and not by pytest-docker, which leaves everything standing where the start itself failed.
        lab.close(keep=KEPT / "containers.log")


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    return "docker compose"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(COMPOSE)


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return PROJECT


@pytest.fixture(scope="session")
def docker_setup(laid_out: Lab) -> list[str]:
    # What a killed run left stands on the same subnet.
    return ["down -v --remove-orphans -t 1", f"up -d --wait {' '.join(AROUND)}"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return []


@pytest.fixture(scope="session")
def lab(laid_out: Lab, docker_services: object) -> Lab:
    """The office and the dealer, running; the box is off."""
    return laid_out


@pytest.fixture(scope="session")
def image() -> Path:
    """The card's image that `make image` has built last."""
    named = os.environ.get("PLATEN_CARD")
    found = [Path(named)] if named else sorted((TREE / "build/image").glob("platen-*-arm64.img"))
    assert found, "there is no image in build/image: run 'make image' first"
    return max(found, key=lambda p: p.stat().st_mtime)


@pytest.fixture(scope="session")
def bundles(lab: Lab, image: Path) -> Bundles:
    """What updates are made from: the bundle built beside the card's image."""
    return Bundles(lab, image.with_suffix(".raucb"))


@pytest.fixture(scope="session")
def new_box(lab: Lab, image: Path) -> Iterator[Box]:
    """The box, in whatever state the test before left it; at first off, with a card that was just written."""
    box = Box(lab, image)
    box.flash()
    yield box
    box.transition(State.OFF)


@pytest.fixture
def box(new_box: Box) -> Box:
    """The same, for a test that wants it running is one `box.transition(State.READY)` away."""
    return new_box
