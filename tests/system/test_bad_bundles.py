# SPDX-License-Identifier: Apache-2.0
"""Updates that must not be installed, and servers that must not be believed: each refused with its reason, and what
runs untouched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import measure
from tests.system.box import Box, State
from tests.system.bundles import STRANGER, Bundles, following
from tests.system.lab import Lab

long = pytest.mark.long  # a minute or more each


@pytest.fixture(autouse=True)
def _untouched(box: Box) -> Iterator[None]:
    """Whatever is offered: slot, version and boot stay, and the slot is still committed."""
    box.transition(State.READY)
    box.wait_committed()
    before = (box.slot(), box.version(), box.boot_id())
    yield
    assert (box.slot(), box.version(), box.boot_id()) == before
    assert not box.status()["trial"]


def refuse(box: Box, bundle: Path, *codes: str, mode: str = "plain", **more: object) -> None:
    began = time.monotonic()
    found = box.refused(box.serve(bundle, mode), **more)
    measure.show(
        f"{mode} {bundle.name}: {found['code']} after {time.monotonic() - began:.0f} s: {found['sentence']}"
    )
    assert found["code"] in codes
    journal = box.run("journalctl -b -o cat --no-pager -t platen-update -n 200")
    assert found["sentence"][:40] in journal or found["code"] in journal


def test_signed_by_somebody_else(box: Box, bundles: Bundles) -> None:
    refuse(
        box, bundles.make("stranger", signer=STRANGER, version=following(box.version())), "bundle-untrusted"
    )


def test_for_another_board(box: Box, bundles: Bundles) -> None:
    bundle = bundles.make("foreign", compatible="other-board-arm64", version=following(box.version()))
    refuse(box, bundle, "bundle-foreign")


def test_older_than_what_runs(box: Box, bundles: Bundles) -> None:
    refuse(box, bundles.make("older", version="0.0.1"), "bundle-downgrade", "bundle-too-old")


def test_below_the_floor_even_when_a_downgrade_is_asked_for(box: Box, bundles: Bundles) -> None:
    state = "/var/lib/platen-update/state.json"
    script = "import json,sys; p=sys.argv[1]; s=json.load(open(p)); s['floor']=sys.argv[2]; json.dump(s, open(p,'w'))"
    box.run("systemctl stop platen-update.service; systemctl start platen-update.socket")
    box.status()  # writes its state where there was none
    kept = box.run(f"cat {state} 2>/dev/null || true", check=False)
    box.python(
        script.replace("json.load(open(p))", "json.loads(open(p).read() or '{}')"), state, box.version()
    )
    try:
        refuse(box, bundles.make("floor", version="0.0.1"), "bundle-too-old", allow_downgrade=True)
    finally:
        box.run(f"cat > {state}", input=kept or "{}")


@pytest.mark.parametrize("at", [0.02, pytest.param(0.5, marks=long), pytest.param(0.98, marks=long)])
def test_an_octet_differs(at: float, box: Box, bundles: Bundles) -> None:
    sound = bundles.make("sound", version=following(box.version()))
    refuse(box, bundles.flipped(sound, at), "bundle-broken")


@pytest.mark.parametrize("at", [0.3, pytest.param(0.999, marks=long)])
def test_cut_short(at: float, box: Box, bundles: Bundles) -> None:
    refuse(box, bundles.cut(at), "bundle-broken", "bundle-untrusted")


def test_too_large_for_its_slot(box: Box, bundles: Bundles) -> None:
    def change(work: Path) -> None:
        (work / "boot.vfat").unlink()
        with (work / "boot.vfat").open("wb") as file:
            file.truncate(200 * 1024 * 1024)

    bundle = bundles.make("large", change=change, version=following(box.version()))
    refuse(box, bundle, "bundle-too-large")


@pytest.mark.parametrize(
    ("mode", "codes"),
    [
        ("missing", {"download-missing"}),
        ("no-ranges", {"download-no-ranges"}),
        ("vanish", {"download-gone", "download-failed", "install-failed"}),
        pytest.param("stall", {"download-stalled"}, marks=long),
        pytest.param("short", {"download-gone", "download-failed", "bundle-broken"}, marks=long),
        pytest.param("shifted", {"bundle-broken", "download-failed"}, marks=long),
        pytest.param("wrong-range", {"bundle-broken", "download-failed"}, marks=long),
        pytest.param("other-size", {"bundle-broken", "download-failed"}, marks=long),
    ],
)
def test_a_server_that_does_not_do_its_work(mode: str, codes: set[str], box: Box, bundles: Bundles) -> None:
    refuse(box, bundles.make("sound", version=following(box.version())), *codes, mode=mode)
    if mode == "stall":
        box.until(lambda: box.status()["operation"] == "idle", 60, "RAUC is not ended", 2)
        assert "could not be ended" not in box.run("journalctl -b -o cat --no-pager -t platen-update -n 50")


@long
def test_a_server_that_is_switched_off_in_the_middle(box: Box, lab: Lab, bundles: Bundles) -> None:
    bundle = bundles.make("sound", version=following(box.version()))
    box.begin_install(box.serve(bundle, name="gone.raucb"))
    box.until(
        lambda: sum(s["octets"] for s in lab.served("/plain/gone.raucb")) > 4_000_000, 120, "no download", 0.2
    )
    lab.compose("kill", "http")
    try:
        found = box.until(lambda: box.failed(), 420, "the installation does not end", 2)
        measure.show(f"switched off: {found['code']}: {found['sentence']}")
    finally:
        lab.compose("start", "http")
    assert found["code"] in {"download-gone", "download-stalled", "download-failed"}


def test_no_https_and_nonsense(box: Box) -> None:
    for address in (
        "http://updates.dealer.test/plain/x.raucb",
        "https://",
        "file:///etc/passwd",
        "https://u:p@h/x",
    ):
        assert box.refused(address)["code"] == "bad-address"
