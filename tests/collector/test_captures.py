# SPDX-License-Identifier: Apache-2.0
"""Every recording in tests/printers gives the reading that stands beside it.

facts.json is what a person knows must come out. expected.json is the whole reading; after a change that is meant,
PLATEN_WRITE_EXPECTED=1 writes it anew, and its difference is what to review.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.collector.ask.replay import ReplayAsker
from appliance.collector.read.profile import Profiles, load_profiles
from appliance.collector.visit import first_read
from appliance.collector.wire import snmprec
from appliance.model.clock import Stamp
from appliance.model.reading import Reading

PRINTERS = Path(__file__).parents[1] / "printers"
FOLDERS = sorted(p for p in PRINTERS.iterdir() if p.is_dir())
NOW = Stamp(time="2026-11-21T12:00:00.000Z", clock="synchronised", boot_id="b", mono=0.0)


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


async def reading(folder: Path, profiles: Profiles) -> Reading:
    varbinds = snmprec.load((folder / "walk.snmprec").read_text("utf-8"), name=folder.name)
    return (await first_read(ReplayAsker(varbinds, address="192.0.2.1"), profiles, now=NOW)).reading


def test_each_folder_is_a_whole_capture() -> None:
    assert len(FOLDERS) >= 20
    for folder in FOLDERS:
        held = {p.name for p in folder.iterdir()}
        assert {"walk.snmprec", "facts.json", "expected.json"} <= held, folder.name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
async def test_the_facts_come_out(folder: Path, profiles: Profiles) -> None:
    found = msgspec.to_builtins(await reading(folder, profiles))
    found["meters"] = {m["name"]: m["value"] for m in found["meters"]}
    facts = json.loads((folder / "facts.json").read_text("utf-8"))
    assert list(differences(facts, found)) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
async def test_the_whole_reading_comes_out(folder: Path, profiles: Profiles) -> None:
    found = msgspec.to_builtins(await reading(folder, profiles))
    for field in ("time", "clock", "address", "traffic", "times"):
        del found[field]
    file = folder / "expected.json"
    if os.environ.get("PLATEN_WRITE_EXPECTED"):
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert found == json.loads(file.read_text("utf-8"))


def differences(fact: Any, found: Any, where: str = "") -> Iterator[str]:
    """What of `fact` is not so in `found`. Rows are compared in order; what a fact does not mention is not judged."""
    if isinstance(fact, dict) and isinstance(found, dict):
        for key, value in fact.items():
            yield from differences(value, found.get(key, "nothing"), f"{where}.{key}")
    elif isinstance(fact, list) and isinstance(found, list) and all(isinstance(f, dict) for f in fact):
        if len(fact) > len(found):
            yield f"{where}: {len(found)} rows instead of {len(fact)}"
        for i, (a, b) in enumerate(zip(fact, found, strict=False)):
            yield from differences(a, b, f"{where}[{i}]")
    elif fact != found:
        yield f"{where}: {found!r} instead of {fact!r}"
