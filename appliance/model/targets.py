# SPDX-License-Identifier: Apache-2.0
"""Where to look: addresses, ranges, prefixes and names, as people write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

import msgspec

from appliance.model.errors import TargetError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST = 65_536
"""The largest range one entry may name: a /16."""

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?!\d+\Z)(?![\d-]*\.[\d.-]*\Z){_LABEL}(\.{_LABEL})*\.?\Z")
_SHORT = re.compile(r"(\d+\.\d+\.\d+)\.\d+\s*-\s*(\d{1,3})")
_END = re.compile(r"\s*[0-9a-fA-F.:]+\s*")


class Span(msgspec.Struct, frozen=True):
    """The addresses from `first` to `last`, both included, of one family."""

    first: Address
    last: Address

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __contains__(self, address: object) -> bool:
        return type(address) is type(self.first) and self.first <= address <= self.last  # type: ignore[operator]

    def __iter__(self) -> Iterator[Address]:
        make = type(self.first)
        return (make(n) for n in range(int(self.first), int(self.last) + 1))

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def allowed(address: Address) -> bool:
    """Whether the box may ask this address anything: private, link-local and loopback ranges only."""
    # ::1 lies in ::/8, which is reserved otherwise.
    return address.is_loopback or (
        address.is_private and not (address.is_multicast or address.is_unspecified or address.is_reserved)
    )


def parse(text: str) -> Span | str:
    """A Span, or the DNS name itself, which somebody with a network has to resolve. TargetError otherwise."""
    text = text.strip()
    if "/" in text:
        try:
            net = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise TargetError(f"{text!r} is not a prefix") from None
        first, last = net.network_address, net.broadcast_address
        if net.version == 4 and net.prefixlen < 31:
            first, last = first + 1, last - 1
        return _checked(text, Span(first, last))
    ends = text.split("-")
    # "192.168.1.20-60" goes to 192.168.1.60.
    if short := _SHORT.fullmatch(text):
        ends[1] = f"{short[1]}.{short[2]}"
    # "cafe-1.example" is a name; two ends of digits and dots, or of hex and colons, are a range.
    if len(ends) == 2 and all(_END.fullmatch(e) and ("." in e or ":" in e) for e in ends):
        try:
            a, b = (ipaddress.ip_address(e.strip()) for e in ends)
        except ValueError:
            raise TargetError(f"{text!r} is not a range") from None
        if a.version != b.version:
            raise TargetError(f"{text!r} mixes IPv4 and IPv6")
        if int(a) > int(b):
            raise TargetError(
                f"The range {text} runs backwards", hint=f"Write {b}-{a}", code="range-reversed"
            )
        return _checked(text, Span(a, b))
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if _NAME.match(text):
            return text
        raise TargetError(f"{text!r} is not an address, a range, a prefix or a name") from None
    return _checked(text, Span(address, address))


def _checked(text: str, span: Span) -> Span:
    if int(span.last) - int(span.first) + 1 > MOST:
        raise TargetError(
            f"{text} holds {int(span.last) - int(span.first) + 1} addresses, more than the {MOST} of a /16",
            hint="Name smaller ranges",
            code="range-too-large",
        )
    # No private block is smaller than a /24 and next to a public one: one look in each is enough.
    make = type(span.first)
    looks = [make(n) for n in range(int(span.first), int(span.last), 256)]
    if not all(map(allowed, [*looks, span.last])):
        raise TargetError(
            f"{text} is not in a private network",
            hint="The box asks private addresses only: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and their like",
            code="public-address",
        )
    return span


def addresses(spans: Iterable[Span], exclude: Iterable[Span] = ()) -> Iterator[Address]:
    """Every address of `spans` once, in order, without those of `exclude`."""
    left = tuple(exclude)
    seen: list[Span] = []
    for span in spans:
        for address in span:
            if not any(address in s for s in left) and not any(address in s for s in seen):
                yield address
        seen.append(span)
