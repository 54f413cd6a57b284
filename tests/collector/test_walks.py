# SPDX-License-Identifier: Apache-2.0
"""Recordings of real devices that are kept beside the clone, for their licences: PLATEN_WALKS names the folder, or
it is ../shared/walks. docs/walks.md says what they are and explains where readings differ from what peers expect."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.collector.ask.replay import ReplayAsker
from appliance.collector.read.profile import Profiles, load_profiles
from appliance.collector.visit import first_read
from appliance.collector.wire import snmprec
from appliance.model.clock import Stamp
from appliance.model.errors import NotAPrinter
from appliance.model.reading import Reading

ROOT = Path(__file__).parents[2]
WALKS = Path(os.environ.get("PLATEN_WALKS") or ROOT.parent / "shared" / "walks")
NOW = Stamp(time="2026-11-21T12:00:00.000Z", clock="synchronised", boot_id="b", mono=0.0)

pytestmark = [
    pytest.mark.walks,
    pytest.mark.skipif(
        not WALKS.is_dir(), reason=f"no recordings at {WALKS}; PLATEN_WALKS names another folder"
    ),
]

EXPLAINED = {
    # docs/walks.md, "Where we differ"
    ("hp-lj-m130nw-lnms", "model"),
    ("zebra-79071-lnms", "serial"),
    ("zebra-79071-lnms", "model"),
}

BRANDS = {"id-xerox-apeosport-lnms": "Fuji Xerox"}
"""What the device calls itself, where the catalogue files it under another name."""


def recordings(folder: str) -> list[Path]:
    return sorted((WALKS / folder).glob("*.snmprec"))


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


async def reading(path: Path, profiles: Profiles) -> Reading:
    return (await first_read(replay(path), profiles, now=NOW)).reading


def replay(path: Path) -> ReplayAsker:
    varbinds = snmprec.load(path.read_bytes().decode("utf-8", "surrogateescape"), name=path.name)
    return ReplayAsker(varbinds, address="192.0.2.1")


@pytest.mark.parametrize("path", recordings("printers"), ids=lambda p: p.stem)
async def test_serial_model_and_total_agree_with_what_peers_expect(path: Path, profiles: Profiles) -> None:
    found = await reading(path, profiles)
    for peer in expectations(path.stem):
        wrong = set(disagreements(found, peer))
        assert {(path.stem, what) for what in wrong} <= EXPLAINED


@pytest.mark.parametrize("path", recordings("identification-only"), ids=lambda p: p.stem)
async def test_vendor_and_model_of_little_more_than_sysdescr(path: Path, profiles: Profiles) -> None:
    known = json.loads((WALKS / "expected" / f"{path.stem}.json").read_text("utf-8"))
    found = (await reading(path, profiles)).printer
    assert found.vendor == BRANDS.get(path.stem, known["vendor"])
    if found.model is not None and known["model"] != "?":
        assert bare(known["model"]) in bare(found.model) or bare(found.model) in bare(known["model"])


@pytest.mark.parametrize("path", recordings("other-devices"), ids=lambda p: p.stem)
async def test_other_devices_are_not_printers(path: Path, profiles: Profiles) -> None:
    with pytest.raises(NotAPrinter):
        await reading(path, profiles)


def expectations(name: str) -> list[dict[str, Any]]:
    file = WALKS / "expected" / f"{name}.json"
    peers = json.loads(file.read_text("utf-8"))["peers"] if file.exists() else []
    return [p for p in peers if p["kind"].startswith(("ground truth", "peer test expectation"))]


def disagreements(found: Reading, peer: dict[str, Any]) -> list[str]:
    facts, wrong = found.printer, []
    who = peer.get("identity") or {}
    serial = who.get("serial")
    if serial and not re.search(r"serial_number|<private>", serial) and not alike(serial, facts.serial):
        wrong.append("serial")
    if who.get("model") and not alike(who["model"], facts.model):
        wrong.append("model")
    counters = peer.get("counters") or {}
    if isinstance(counters, list):
        counters = {c["name"].replace("Life time impressions", "total"): c["value"] for c in counters}
    total = next((m.value for m in found.meters if m.name == "total"), None)
    if "total" in counters and total != counters["total"]:
        wrong.append("total")
    return wrong


def bare(text: str | None) -> str:
    return re.sub(r"[^a-z0-9]|series$", "", (text or "").lower())


def alike(one: str, other: str | None) -> bool:
    a, b = bare(one), bare(other)
    return bool(b) and (a in b or b in a)
