# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.read import text


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        (b"Ready", None, "Ready"),
        (b"  Ready  \0\0", None, "Ready"),
        (bytes.fromhex("537461702e204b6f706965cd6e3a3031"), 2004, "Stap. Kopieën:01"),
        (bytes.fromhex("545259422055a65049454e4941202020"), 5, "TRYB UŚPIENIA"),
        (bytes.fromhex("c1dfefe9d8d920e0d5d6d8dc20"), 8, "Спящий режим"),
        ("Tonerbehälter".encode(), 4, "Tonerbehälter"),  # says Latin-1, sends UTF-8
        ("Tonerbehälter".encode("latin-1"), 4, "Tonerbehälter"),
        ("トナー".encode("shift_jis"), 17, "トナー"),
        ("トナー".encode("cp932"), 2024, "トナー"),
        ("トナー".encode("iso2022_jp"), 39, "トナー"),
        ("Bereit".encode("utf-16-be"), 1013, "Bereit"),
        (b"ENERGIESPARE   \rTROMMEL ERSETZ. ", 2004, "ENERGIESPARE    TROMMEL ERSETZ."),
        (b"Black Cartridge 827A\0rubbish", None, "Black Cartridge 827A"),
        (b"a\x1b[2Jb", None, "a[2Jb"),
        (b"", None, ""),
    ],
)
def test_text_is_read_in_the_printers_own_character_set(
    octets: bytes, charset: int | None, expected: str
) -> None:
    assert text.decode(octets, charset)[0] == expected


def test_a_guess_is_marked_as_one() -> None:
    assert text.decode(b"K\xe4fer") == ("Käfer", False)
    assert text.decode(b"K\xe4fer", 4) == ("Käfer", True)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (bytes.fromhex("0115564e4352433831313634"), "VNCRC81164"),
        (b"\xfd\xe8" + "Büro".encode(), "Büro"),
        (b"\x00\x0e" + "Büro".encode("latin-1"), "Büro"),
        (bytes.fromhex("0115") + "Büro".encode("hp-roman8"), "Büro"),
        (b"\x01\x15", ""),
        (b"plain", "plain"),
        (b"", ""),
    ],
)
def test_hp_puts_two_octets_of_symbol_set_in_front(octets: bytes, expected: str) -> None:
    assert text.symbol_set(octets)[0] == expected


@given(st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 3000)))
def test_no_octets_are_an_error(octets: bytes, charset: int | None) -> None:
    found, _ = text.decode(octets, charset)
    assert len(found) <= text.MOST_CHARACTERS
    assert not any(ord(c) < 32 for c in found)
    text.symbol_set(octets)
