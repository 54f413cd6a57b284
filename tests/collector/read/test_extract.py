# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.read import extract


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("0001040000134b010104000006e2ff", {"00": 4939, "01": 1762}),
        ("00010249daff", {"00:2": 18906}),  # old models: records of five octets
        ("1101040000" + "61a8" + "3101010141010103ff", {"11": 25000}),  # one octet is a state
        ("ff", {}),
        ("", {}),
        ("0001040000", {}),  # cut off
        ("00010400000a5c", {"00": 2652}),  # without its end mark
        ("820100a00101ff", {}),  # another layout: nothing is made up of it
        ("0001040000000100010400000002ff", {"00": 1}),
    ],
)
def test_brother_records(octets: str, expected: dict[str, int]) -> None:
    assert extract.brother_records(bytes.fromhex(octets)) == expected


def test_device_id_in_long_and_short_words() -> None:
    assert extract.device_id(b"MFG:Brother;CMD:PJL;MDL:HL-L8260CDW series;CLS:PRINTER;") == {
        "MFG": "Brother",
        "CMD": "PJL",
        "MDL": "HL-L8260CDW series",
        "CLS": "PRINTER",
    }
    long = extract.device_id(
        b"MANUFACTURER:Zebra Technologies;COMMAND SET:ZPL;MODEL:ZTC TLP 2824 Plus;SERN:1"
    )
    assert long == {"MFG": "Zebra Technologies", "CMD": "ZPL", "MDL": "ZTC TLP 2824 Plus", "SN": "1"}
    assert extract.device_id(b"COMMAND SET:;MODEL:Dell S5830dn") == {"MDL": "Dell S5830dn"}


@pytest.mark.parametrize(
    ("octets", "expected"), [(b"1920 INCHES, 4876 CENTIMETERS", 1920), (b"INCHES", None), (b" 7", 7)]
)
def test_leading_number(octets: bytes, expected: int | None) -> None:
    assert extract.leading_number(octets) == expected


def test_mac_and_big_endian() -> None:
    assert extract.mac(bytes.fromhex("0017c83fb8e3")) == "00:17:c8:3f:b8:e3"
    assert extract.mac(bytes(6)) is None
    assert extract.mac(b"123") is None
    assert extract.big_endian(b"\x01\x00") == 256
    assert extract.big_endian(b"") is None


@given(st.binary(max_size=600))
def test_no_octets_are_an_error(octets: bytes) -> None:
    for decoder in extract.DECODERS.values():
        decoder(octets)
    extract.device_id(octets)
