# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.judge.identity import Match, evidence, match
from appliance.model.reading import PrinterFacts, Reading
from appliance.model.serials import normalised

NOW = "2026-11-21T12:00:00Z"
MAC, OTHER_MAC = "00:17:c8:3f:b8:e3", "00:17:c8:00:00:01"


def reading(**facts: Any) -> Reading:
    facts = {"vendor": "Kyocera", "model": "CS 4053ci", "serial": "RH28Y67852", "mac": MAC} | facts
    return Reading(time=NOW, clock="synchronised", address="192.0.2.9", printer=PrinterFacts(**facts))


def known(**printers: Reading) -> dict[str, list[tuple[str, str]]]:
    return {id: [(e.kind, e.value) for e in evidence(r)] for id, r in printers.items()}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, "a"),
        ({"mac": OTHER_MAC}, "a"),  # a new network card, or Wi-Fi instead of cable
        ({"serial": "00RH28Y67852"}, "a"),  # firmware that pads with zeros
        ({"serial": "rh28y-67852"}, "a"),
        ({"serial": None}, "a"),  # no serial this time: MAC and model
        ({"serial": "XXXXXXXX"}, "a"),
        ({"serial": None, "mac": None}, None),
        ({"serial": None, "model": "FS-1020D"}, None),  # a print server that moved to another printer
        ({"vendor": "Epson", "mac": OTHER_MAC}, None),  # serials are compared within a vendor only
        ({"serial": "RH28Y99999", "mac": OTHER_MAC}, None),
    ],
)
def test_who_it_is(answers: dict[str, Any], expected: str | None) -> None:
    found = match(evidence(reading(**answers)), known(a=reading()))
    assert found == Match(expected, None)


def test_same_mac_and_model_but_another_serial_is_for_a_person_to_say() -> None:
    found = match(evidence(reading(serial="RH28Y99999")), known(a=reading()))
    assert found.id is None
    assert found.conflict is not None
    assert "RH28Y99999" in found.conflict
    assert "RH28Y67852" in found.conflict


def test_two_known_printers_with_one_serial() -> None:
    twins = known(a=reading(), b=reading(mac=OTHER_MAC))
    assert match(evidence(reading(mac=OTHER_MAC)), twins) == Match("b", None)
    found = match(evidence(reading(mac="00:17:c8:00:00:02")), twins)
    assert found.id is None
    assert found.conflict is not None


def test_several_printers_behind_one_print_server() -> None:
    behind = known(a=reading(serial=None), b=reading(serial=None))
    found = match(evidence(reading(serial=None)), behind)
    assert found.id is None
    assert found.conflict is not None


def test_nobody_is_known() -> None:
    assert match(evidence(reading()), {}) == Match(None, None)
    assert match([], known(a=reading())) == Match(None, None)


def test_the_raw_serial_is_kept_and_a_placeholder_is_no_evidence() -> None:
    held = {e.kind: e.value for e in evidence(reading(serial="00rh28-y67852"))}
    assert held["serial"] == "kyocera:RH28Y67852"
    assert held["serial-raw"] == "00rh28-y67852"
    assert "serial" not in {e.kind for e in evidence(reading(serial="0000000000"))}


texts = st.text(max_size=20)


@given(
    st.lists(st.tuples(st.sampled_from(["serial", "mac", "model", "uuid"]), texts), max_size=6),
    st.dictionaries(
        texts, st.lists(st.tuples(st.sampled_from(["serial", "mac", "model"]), texts), max_size=5), max_size=5
    ),
)
def test_any_evidence_gives_one_answer(
    found: list[tuple[str, str]], printers: dict[str, list[tuple[str, str]]]
) -> None:
    got = match(found, printers)  # type: ignore[arg-type]
    assert got.id is None or got.id in printers
    assert got.id is None or got.conflict is None


@given(
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=6, max_size=14),
    st.lists(st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=6, max_size=14), max_size=5, unique=True),
)
def test_a_printer_is_never_taken_for_one_with_another_serial(serial: str, others: list[str]) -> None:
    mine = normalised(serial)
    printers = known(
        **{f"p{i}": reading(serial=s, mac=f"00:00:00:00:00:{i:02x}") for i, s in enumerate(others)}
    )
    found = match(evidence(reading(serial=serial, mac=None)), printers)
    if found.id is not None and mine is not None:
        assert normalised(others[int(found.id[1:])]) == mine
