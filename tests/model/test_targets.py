# SPDX-License-Identifier: Apache-2.0
"""Where to look, as people write it; and where never."""

from __future__ import annotations

import ipaddress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model.errors import TargetError
from appliance.model.targets import MOST, Span, addresses, allowed, parse


def span(text: str) -> Span:
    found = parse(text)
    assert isinstance(found, Span)
    return found


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("192.168.1.7", "192.168.1.7", "192.168.1.7", 1),
        (" 10.0.0.1 - 10.0.0.9 ", "10.0.0.1", "10.0.0.9", 9),
        ("192.168.1.1-192.168.2.254", "192.168.1.1", "192.168.2.254", 510),
        ("192.168.1.0/24", "192.168.1.1", "192.168.1.254", 254),
        ("192.168.1.77/24", "192.168.1.1", "192.168.1.254", 254),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1", 2),
        ("10.0.0.5/32", "10.0.0.5", "10.0.0.5", 1),
        ("172.16.0.0/16", "172.16.0.1", "172.16.255.254", 65_534),
        ("127.0.0.0/24", "127.0.0.1", "127.0.0.254", 254),
        ("fe80::1", "fe80::1", "fe80::1", 1),
        ("fd00::1-fd00::ff", "fd00::1", "fd00::ff", 255),
        ("fd00::/120", "fd00::", "fd00::ff", 256),
    ],
)
def test_what_is_understood(text: str, first: str, last: str, count: int) -> None:
    found = span(text)
    assert (str(found.first), str(found.last), len(found)) == (first, last, count)


@pytest.mark.parametrize(
    "text", ["printer", "printer.example.com", "prn-01.local", "hp_2", "a-b.example", "x1."]
)
def test_names_are_left_to_somebody_with_a_network(text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-target"),
        ("   ", "bad-target"),
        ("192.168.1.256", "bad-target"),
        ("192.168.1", "bad-target"),
        ("192.168.1.0/33", "bad-target"),
        ("10.0.0.1/", "bad-target"),
        ("10.0.0.1-10.0.0.999", "bad-target"),
        ("10.0.0.1-fd00::1", "bad-target"),
        ("a" * 64 + ".example", "bad-target"),
        ("a" * 300, "bad-target"),
        ("under score", "bad-target"),
        ("-leading.example", "bad-target"),
        ("1234", "bad-target"),
        ("10.0.0.9-10.0.0.1", "range-reversed"),
        ("10.0.0.0/8", "range-too-large"),
        ("fd00::/64", "range-too-large"),
        ("10.0.0.0-10.2.0.0", "range-too-large"),
        ("8.8.8.8", "public-address"),
        ("1.1.1.0/24", "public-address"),
        ("192.167.255.250-192.168.0.10", "public-address"),
        ("224.0.0.1", "public-address"),
        ("0.0.0.0", "public-address"),
        ("2001:4860:4860::8888", "public-address"),
        ("255.255.255.255", "public-address"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(text)
    assert caught.value.code == code
    assert caught.value.exit_status == 2
    assert caught.value.hint


@given(st.text(max_size=60) | st.text("0123456789./-:abcdef ", max_size=45))
def test_anything_typed_is_a_target_a_name_or_a_target_error(text: str) -> None:
    try:
        found = parse(text)
    except TargetError:
        return
    if isinstance(found, Span):
        assert 1 <= len(found) <= MOST
        assert allowed(found.first)
        assert allowed(found.last)
    else:
        assert found == text.strip()


SPANS = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(
    lambda t: Span(ipaddress.ip_address(0x0A000000 + t[0]), ipaddress.ip_address(0x0A000000 + t[0] + t[1]))
)


@given(st.lists(SPANS, max_size=4), st.lists(SPANS, max_size=3))
def test_each_address_once_in_order_without_the_excluded(spans: list[Span], exclude: list[Span]) -> None:
    found = list(addresses(spans, exclude))
    wanted = {a for s in spans for a in s} - {a for s in exclude for a in s}
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert all(any(a in s for s in spans) for a in found)


def test_a_large_span_is_not_laid_out_in_memory() -> None:
    assert [str(a) for a in islice(addresses([span("172.16.0.0/16")]), 2)] == ["172.16.0.1", "172.16.0.2"]


def test_families_do_not_mix() -> None:
    assert ipaddress.ip_address("::a00:1") not in span("10.0.0.1")
    assert str(span("10.0.0.1-10.0.0.2")) == "10.0.0.1-10.0.0.2"
    assert str(span("10.0.0.1")) == "10.0.0.1"


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("::1", True),
        ("::", False),
        ("::ffff:8.8.8.8", False),
        ("fe80::1", True),
        ("fd00::1", True),
        ("ff02::1", False),
    ],
)
def test_which_ipv6_addresses_may_be_asked(text: str, may: bool) -> None:
    assert allowed(ipaddress.ip_address(text)) == may


def test_the_last_number_alone_ends_a_range() -> None:
    assert str(parse("192.168.1.20-60")) == str(parse("192.168.1.20 - 60")) == "192.168.1.20-192.168.1.60"
    assert parse("10-20.example") == "10-20.example"
    with pytest.raises(TargetError) as backwards:
        parse("192.168.1.20-10")
    assert backwards.value.code == "range-reversed"


@pytest.mark.parametrize(
    "text", ["192.168.1.20-300", "192.168.1-5", "192.168.1.1-2-3", "192.168.1.", "10-20.30"]
)
def test_digits_dots_and_dashes_are_no_name(text: str) -> None:
    with pytest.raises(TargetError):
        parse(text)


def test_private_ends_do_not_hide_public_addresses_between() -> None:
    with pytest.raises(TargetError) as refused:
        parse("192.0.0.1-192.0.2.254")  # 192.0.1.0/24 belongs to somebody
    assert refused.value.code == "public-address"
