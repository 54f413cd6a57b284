# SPDX-License-Identifier: Apache-2.0
"""Recordings that may be given away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli_record import patterns_of, redact, rules_of
from appliance.collector.read.profile import load_profiles
from appliance.collector.wire import snmprec
from appliance.collector.wire.value import (
    COUNTER32,
    IP_ADDRESS,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    Value,
    Varbind,
    oid_key,
)

RECORDING = Path(__file__).parent / "printers" / "kyocera-taskalfa-3554ci" / "walk.snmprec"
KYOCERA = "1.3.6.1.4.1.1347"
SERIAL = "1.3.6.1.2.1.43.5.1.1.17.1"


def text(oid: str, value: str | bytes) -> Varbind:
    return Varbind(oid, OCTET_STRING, value if isinstance(value, bytes) else value.encode())


def kept(*varbinds: Varbind, **options: object) -> dict[str, Value]:
    done = redact(varbinds, vendor_tree=KYOCERA, **options)  # type: ignore[arg-type]
    return {v.oid: v.value for v in done.varbinds}


def test_names_places_and_people_are_blanked() -> None:
    blanked = kept(
        text("1.3.6.1.2.1.1.1.0", "KYOCERA Print"),
        text("1.3.6.1.2.1.1.4.0", "Frau Meier, 0551 1234"),
        text("1.3.6.1.2.1.1.5.0", "PRN-SALES"),
        text("1.3.6.1.2.1.1.6.0", "Room 12"),
        text("1.3.6.1.2.1.43.5.1.1.4.1", "operator"),
        text("1.3.6.1.2.1.43.5.1.1.16.1", "Sales"),
        text("1.3.6.1.2.1.43.14.1.1.9.1.1", "ipp://prn-sales.example.org"),
    )
    assert blanked.pop("1.3.6.1.2.1.1.1.0") == b"KYOCERA Print"
    assert set(blanked.values()) == {b""}


def test_serial_and_mac_lose_their_ends() -> None:
    found = kept(text(SERIAL, "VCF1234567"), text("1.3.6.1.2.1.2.2.1.6.1", bytes.fromhex("0017c8a1b2c3")))
    assert found == {SERIAL: b"VCF0000000", "1.3.6.1.2.1.2.2.1.6.1": bytes.fromhex("0017c8000000")}


def test_what_is_blanked_is_blanked_wherever_it_is_repeated() -> None:
    found = kept(
        text(SERIAL, "VCF1234567"),
        text("1.3.6.1.2.1.1.5.0", "PRN-SALES"),
        text("1.3.6.1.2.1.2.2.1.6.1", bytes.fromhex("0017c8a1b2c3")),
        text(
            "1.3.6.1.2.1.25.3.2.1.3.1",
            "ECOSYS; S/N vcf1234567; prn-sales; 00:17:C8:A1:B2:C3; 0017c8a1b2c3; 10.0.0.9",
        ),
        address="10.0.0.9",
    )
    assert found["1.3.6.1.2.1.25.3.2.1.3.1"] == (
        b"ECOSYS; S/N VCF0000000; xxx-xxxxx; 00:17:c8:00:00:00; 0017c8000000; 0.0.0.0"
    )


def test_serial_inside_a_device_id() -> None:
    oid = "1.3.6.1.4.1.11.2.3.9.1.1.7.0"
    whole = "MFG:Brother;MDL:HL-L6400DW;CMD:PJL;SN:E78240H9N514638;"
    done = redact([text(oid, whole)], vendor_tree="1.3.6.1.4.1.11", read=rules_of(load_profiles()))
    assert done.varbinds[0].value == b"MFG:Brother;MDL:HL-L6400DW;CMD:PJL;SN:E78000x0x000000;"


def test_serial_inside_another_text() -> None:
    """A pattern's group is found in that object, and then everywhere."""
    done = redact(
        [text("1.3.6.1.2.1.1.1.0", "Printer X, S/N 4711XYZ99, ready"), text(f"{KYOCERA}.5.0", "4711xyz99")],
        vendor_tree=KYOCERA,
        read={f"{KYOCERA}.5.0": "keep"},
        patterns=[("1.3.6.1.2.1.1.1.0", r"S/N (\w+)")],
    )
    assert [v.value for v in done.varbinds] == [b"Printer X, S/N 4710xxx00, ready", b"4710xxx00"]


def test_profiles_leave_sys_descr_alone() -> None:
    profiles = load_profiles()
    assert rules_of(profiles).get("1.3.6.1.2.1.1.1.0", "keep") == "keep"
    assert patterns_of(profiles)


def test_the_vendors_tree() -> None:
    found = kept(
        Varbind(f"{KYOCERA}.1.1.0", COUNTER32, 4711),
        Varbind(f"{KYOCERA}.1.2.0", IP_ADDRESS, bytes([10, 1, 2, 3])),
        text(f"{KYOCERA}.1.3.0", "smtp.example.org:25 user=Meier"),
        text(f"{KYOCERA}.1.4.0", bytes.fromhex("80ff01")),
        text(f"{KYOCERA}.1.5.0", "kept text"),
        read={f"{KYOCERA}.1.5.0": "keep"},
    )
    assert list(found.values()) == [4711, bytes(4), b"xxxx.xxxxxxx.xxx:00 xxxx=xxxxx", bytes(3), b"kept text"]


@pytest.mark.parametrize(
    "oid",
    [
        "1.3.6.1.2.1.3.1.1.3.1",  # atNetAddress
        "1.3.6.1.2.1.4.20.1.1.10.0.0.9",  # ipAdEntAddr
        "1.3.6.1.2.1.4.22.1.2.1.10.0.0.1",  # ipNetToMediaPhysAddress
        "1.3.6.1.2.1.25.4.2.1.2.1",  # hrSWRunName
        "1.3.6.1.4.1.2699.1.1.1.2.1.1.2.1",  # jmJobState: other people's jobs
        "1.3.6.1.4.1.9.1",  # a vendor that this is not
        "1.3.6.1.2.1.2.2.1.20.1",
    ],
)
def test_everything_else_is_left_out(oid: str) -> None:
    assert kept(text(oid, "secret")) == {}


def test_an_identifying_rule_goes_before_a_profile() -> None:
    assert kept(text(SERIAL, "VCF1234567"), read={SERIAL: "keep"}) == {SERIAL: b"VCF0000000"}


def test_profiles_keep_what_they_read_but_for_identity() -> None:
    rules = rules_of(load_profiles())
    assert "keep" in rules.values()
    for profile in load_profiles().by_name.values():
        for source in profile.printer.serial:
            if source.decode == "plain" and source.pattern is None:
                assert rules[source.oid] == "tail", profile.name
        for source in profile.printer.hostname + profile.printer.location:
            if source.decode == "plain" and source.pattern is None:
                assert rules[source.oid] == "blank", profile.name


_OIDS = st.sampled_from([SERIAL, "1.3.6.1.2.1.1.5.0", f"{KYOCERA}.9.0", "1.3.6.1.2.1.1.1.0"])


@given(st.dictionaries(_OIDS, st.binary(max_size=40)), st.text("abcDEF-", min_size=4, max_size=12))
def test_no_octets_upset_it_and_no_name_gets_through(values: dict[str, bytes], name: str) -> None:
    values["1.3.6.1.2.1.1.5.0"] = name.encode()
    values["1.3.6.1.2.1.1.1.0"] = values.get("1.3.6.1.2.1.1.1.0", b"") + b" of " + name.encode()
    done = redact([text(o, v) for o, v in values.items()], vendor_tree=KYOCERA)
    assert [v.oid for v in done.varbinds] == sorted(values, key=oid_key)
    if name.strip("-"):
        assert not any(isinstance(v.value, bytes) and name.encode() in v.value for v in done.varbinds)


@pytest.mark.parametrize(
    "walk", sorted(Path(__file__).parent.glob("printers/*/walk.snmprec")), ids=lambda p: p.parent.name
)
def test_recordings_still_read_after_it(walk: Path, tmp_path: Path) -> None:
    """What matters to a profile survives: every number, and each text of the Printer-MIB's tables."""
    before = snmprec.load(walk.read_text(errors="surrogateescape"))
    object_id = next(v.value for v in before if v.oid == "1.3.6.1.2.1.1.2.0")
    assert isinstance(object_id, str)
    done = redact(before, vendor_tree=".".join(object_id.split(".")[:7]), read=rules_of(load_profiles()))
    after = {v.oid: v for v in snmprec.load("\n".join(snmprec.dump(done.varbinds)))}
    for varbind in before:
        if varbind.oid in after and varbind.tag not in (OCTET_STRING, IP_ADDRESS):
            assert after[varbind.oid] == varbind
    serial = next((v.value for v in before if v.oid == SERIAL), b"")
    name = next((v.value for v in before if v.oid == "1.3.6.1.2.1.1.5.0"), b"")
    assert isinstance(serial, bytes)
    assert isinstance(name, bytes)
    for secret in (s.strip(b"\0 ") for s in (serial, name)):
        if len(secret) >= 6 and secret.strip(b"0xX"):
            assert [v.oid for v in after.values() if isinstance(v.value, bytes) and secret in v.value] == []
    assert any(v.tag == OBJECT_IDENTIFIER for v in after.values())


@pytest.fixture
def printer() -> Iterator[str]:
    """A simulated printer's HOST:PORT."""
    words = [
        sys.executable,
        "-m",
        "appliance.simulate",
        f"{RECORDING}",
        "--listen",
        f"127.61.{os.getpid() % 250}.1:0",
    ]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    yield child.stdout.readline().split("listening at ")[1].split(",")[0]
    child.kill()
    child.wait()


def platen(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance.cli", *words], capture_output=True, text=True, timeout=60
    )


def test_the_command(printer: str, tmp_path: Path) -> None:
    """What was recorded over the wire replays as the same printer, without what tells whose it is."""
    file = tmp_path / "one.snmprec"
    shown = platen("record", printer, "--preview")
    assert (shown.returncode, file.exists()) == (0, False), shown.stderr
    assert "[blank]" in shown.stdout
    done = platen("record", printer, "-o", str(file))
    assert done.returncode == 0, done.stderr
    again = platen("record", printer, "-o", str(file))
    assert (again.returncode, again.stderr.split(":")[1]) == (2, " bad-usage")
    before = json.loads(platen("query", printer, "--json").stdout)
    after = json.loads(platen("query", "--walk", str(file), "--json").stdout)
    for same in ("status", "meters", "supplies", "inputs", "outputs", "covers"):
        if same != "status":
            assert after[same] == before[same], same
    assert after["printer"]["model"] == before["printer"]["model"]
    for secret in ("serial", "hostname", "location", "contact", "mac"):
        assert before["printer"][secret], secret
        assert before["printer"][secret] not in file.read_text()
        assert after["printer"][secret] != before["printer"][secret]


def test_nobody_to_record(tmp_path: Path) -> None:
    done = platen("record", f"127.61.{os.getpid() % 250}.9:1", "-o", str(tmp_path / "x"), "--timeout", "0.1")
    assert done.returncode == 1
    assert done.stderr.startswith("platen: no-answer: ")
    assert not (tmp_path / "x").exists()
