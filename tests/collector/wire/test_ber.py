# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.collector.wire import ber

arcs = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))
oids = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 39), st.lists(arcs, max_size=126)),
    st.tuples(st.just(2), arcs, st.lists(arcs, max_size=126)),
).map(lambda t: ".".join(map(str, (t[0], t[1], *t[2]))))


@given(oids)
def test_an_oid_comes_back(text: str) -> None:
    assert ber.dotted(ber.oid(text)) == text


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("1.3.6.1.2.1.1.2.0", "2b06010201010200"),
        ("0.0", "00"),
        ("2.47", "7f"),
        ("2.48", "8100"),
        ("2.999.3", "883703"),  # X.690, 8.19.5
        ("1.3.4294967295", "2b8fffffff7f"),
    ],
)
def test_oids_have_one_form(text: str, octets: str) -> None:
    assert ber.oid(text).hex() == octets
    assert ber.dotted(bytes.fromhex(octets)) == text


def test_no_octets_are_the_null_oid() -> None:
    assert ber.dotted(b"") == "0.0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1.3",
        "1.40",
        "3.1",
        "1.3.-1",
        "1.3.x",
        "1.3.4294967296",
        "1.3. 4",
        "1.3.²",
        "1.3" + ".1" * 127,
    ],
)
def test_what_is_no_oid_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ber.oid(text)


@pytest.mark.parametrize(
    "octets",
    [
        "2b86",  # ends within an arc
        "2b8001",  # a padded arc
        "2b9080808000",  # 2**32
        "2bffffffffffffffff7f",
        "2b" + "01" * 128,
        "81" * 700,
    ],
)
def test_octets_that_are_no_oid_are_refused(octets: str) -> None:
    with pytest.raises(ber.DecodeError):
        ber.dotted(bytes.fromhex(octets))


@given(st.integers(-(2**31), 2**31 - 1))
def test_an_integer_comes_back_in_as_few_octets_as_can_be(value: int) -> None:
    content = ber.integer(value)
    data = ber.wrap(2, content)
    assert ber.read_integer(data, 0, len(data)) == (value, len(data))
    assert len(content) == 1 or int.from_bytes(content[1:], "big", signed=True) != value


@pytest.mark.parametrize("octets", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_a_length_comes_back(octets: int) -> None:
    head = ber.length(octets)
    data = head + bytes(octets)
    assert ber.read_length(data, 0, len(data)) == (len(head), len(data))


@pytest.mark.parametrize(
    "octets",
    ["", "80", "8100", "85000000000100", "8400000002aa", "84ffffffff", "8180", "ff", "82ff", "01"],
)
def test_a_length_that_does_not_fit_is_refused(octets: str) -> None:
    data = bytes.fromhex(octets)
    if octets == "8100":  # the long form of a short length is allowed by BER
        assert ber.read_length(data, 0, len(data)) == (2, 2)
        return
    with pytest.raises(ber.DecodeError):
        ber.read_length(data, 0, len(data))


@pytest.mark.parametrize(
    "octets", ["0200", "0209" + "00" * 9, "02050080000000", "0205ff00000000", "0401ff", "02"]
)
def test_an_integer_of_the_wrong_shape_is_refused(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(ber.DecodeError):
        ber.read_integer(data, 0, len(data))


@given(st.binary(max_size=200))
def test_only_decode_errors_escape(data: bytes) -> None:
    for read in (
        lambda: ber.dotted(data),
        lambda: ber.read_length(data, 0, len(data)),
        lambda: ber.read_integer(data, 0, len(data)),
        lambda: ber.read_header(data, 0, len(data), 0x30),
    ):
        with contextlib.suppress(ber.DecodeError):
            read()
