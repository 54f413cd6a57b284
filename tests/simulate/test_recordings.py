# SPDX-License-Identifier: Apache-2.0
"""The recordings are what they claim: whole, RFC-conform, each about another printer, and free of contradictions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from appliance.collector.wire import snmprec
from appliance.collector.wire.value import Varbind, oid_key
from appliance.model.meters import NAMES
from appliance.simulate.mib import Mib

TESTS = Path(__file__).parents[1]
PRINTERS = sorted((TESTS / "printers").glob("*/walk.snmprec"))
OTHERS = sorted((TESTS / "other_devices").glob("*/walk.snmprec"))
NO_PRINTER_MIB = {"zebra-zt411"}

# Table → columns that each of its rows has to have (RFC 3805, RFC 2790, RFC 2863).
COLUMNS = {
    "1.3.6.1.2.1.2.2.1": (1, 2, 3, 4, 5, 6, 7, 8),
    "1.3.6.1.2.1.25.2.3.1": (1, 2, 3, 4, 5, 6),
    "1.3.6.1.2.1.25.3.2.1": (1, 2, 3, 4, 5, 6),
    "1.3.6.1.2.1.43.6.1.1": (2, 3),
    "1.3.6.1.2.1.43.7.1.1": (2, 3, 4),
    "1.3.6.1.2.1.43.8.2.1": (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 19),
    "1.3.6.1.2.1.43.9.2.1": (2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24),
    "1.3.6.1.2.1.43.10.2.1": tuple(range(2, 16)),
    "1.3.6.1.2.1.43.11.1.1": tuple(range(2, 10)),
    "1.3.6.1.2.1.43.12.1.1": (2, 3, 4, 5),
    "1.3.6.1.2.1.43.13.4.1": tuple(range(2, 12)),
    "1.3.6.1.2.1.43.14.1.1": tuple(range(2, 10)),
    "1.3.6.1.2.1.43.15.1.1": tuple(range(2, 13)),
    "1.3.6.1.2.1.43.17.6.1": (2, 3, 4, 5),
    "1.3.6.1.2.1.43.18.1.1": tuple(range(2, 10)),
}


def load(path: Path) -> list[Varbind]:
    return snmprec.load(path.read_text("utf-8"), name=str(path))


def name(path: Path) -> str:
    return path.parent.name


def test_there_are_enough() -> None:
    assert len(PRINTERS) >= 16
    assert len({name(p).split("-")[0] for p in PRINTERS}) >= 8
    assert len(OTHERS) >= 5


@pytest.mark.parametrize("path", [*PRINTERS, *OTHERS], ids=name)
def test_lines_stand_in_mib_order_and_every_value_can_be_sent(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").split("\n") if line and not line.startswith("#")]
    written = [line.split("|")[0] for line in lines]
    for one, next_one in itertools.pairwise(written):
        assert oid_key(one) < oid_key(next_one), next_one
    assert Mib(load(path)).oids == written


@pytest.mark.parametrize("path", PRINTERS, ids=name)
def test_tables_are_complete(path: Path) -> None:
    oids = {v.oid for v in load(path)}
    for table, columns in COLUMNS.items():
        rows = {
            oid.removeprefix(table + ".").partition(".")[2] for oid in oids if oid.startswith(table + ".")
        }
        missing = [f"{table}.{c}.{row}" for row in rows for c in columns if f"{table}.{c}.{row}" not in oids]
        assert not missing, missing[:5]


@pytest.mark.parametrize("path", PRINTERS, ids=name)
def test_supplies_point_at_markers_and_colorants_that_exist(path: Path) -> None:
    mib = Mib(load(path))
    for oid in mib.oids:
        if not oid.startswith("1.3.6.1.2.1.43.11.1.1.3."):
            continue
        device, _, row = oid.removeprefix("1.3.6.1.2.1.43.11.1.1.3.").partition(".")
        colorant, marker = mib.value(oid), mib.value(f"1.3.6.1.2.1.43.11.1.1.2.{device}.{row}")
        assert mib.value(f"1.3.6.1.2.1.43.10.2.1.4.{device}.{marker}") is not None
        assert colorant == 0 or mib.value(f"1.3.6.1.2.1.43.12.1.1.4.{device}.{colorant}") is not None


@pytest.mark.parametrize("path", PRINTERS, ids=name)
def test_bits_and_keywords_are_in_range(path: Path) -> None:
    mib = Mib(load(path))
    most = {"25.3.5.1.1": 5, "25.3.2.1.5": 5, "43.11.1.1.5": 34, "43.11.1.1.7": 19, "43.18.1.1.2": 5}
    for varbind in mib.varbinds:
        for column, largest in most.items():
            if varbind.oid.startswith(f"1.3.6.1.2.1.{column}."):
                # Brother shows an alert row of nothing but zeros where there is none.
                assert isinstance(varbind.value, int)
                assert 0 <= varbind.value <= largest, varbind
        if varbind.oid.startswith("1.3.6.1.2.1.25.3.5.1.2."):
            assert isinstance(varbind.value, bytes)
            assert 1 <= len(varbind.value) <= 2


@pytest.mark.parametrize("path", PRINTERS, ids=name)
def test_facts_name_what_a_reading_has(path: Path) -> None:
    facts = json.loads((path.parent / "facts.json").read_text("utf-8"))
    assert set(facts) <= {"printer", "status", "meters", "supplies", "alerts"}
    assert facts["printer"]["serial"]
    assert set(facts.get("meters", {})) <= NAMES
    for supply in facts.get("supplies", []):
        assert supply.get("percent") is None or 0 <= supply["percent"] <= 100
    if name(path) not in NO_PRINTER_MIB:
        rows = [v for v in load(path) if v.oid.startswith("1.3.6.1.2.1.43.11.1.1.9.")]
        assert len(facts["supplies"]) <= max(len(rows), 1)


def test_no_two_printers_are_the_same() -> None:
    facts = [json.loads((p.parent / "facts.json").read_text("utf-8"))["printer"] for p in PRINTERS]
    for key in ("serial", "mac"):
        values = [f[key] for f in facts if f.get(key)]
        assert len(values) == len(set(values)), key


def test_the_yardstick_has_its_size() -> None:
    assert len(load(TESTS / "printers/bench-1034/walk.snmprec")) == 1034
