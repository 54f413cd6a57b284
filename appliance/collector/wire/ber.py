# SPDX-License-Identifier: Apache-2.0
"""The part of BER (ITU-T X.690) that SNMP uses, every length bounded.

Definite lengths of up to four octets, single-octet tags, OIDs of up to 128 arcs below 2**32 (RFC 2578, 3.5).
"""

from __future__ import annotations

from functools import lru_cache

MOST_ARCS = 128
MOST_LENGTH_OCTETS = 4
MOST_OID_OCTETS = MOST_ARCS * 5
_CACHED = 8_192
# The names a fleet of printers answers to are few and come again with every poll; a hostile agent that invents new
# ones only turns the cache over.


class DecodeError(ValueError):
    """Octets that are not what they claim to be."""


def read_header(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """(start, stop) of the content of the `tag` at `at`; `stop` is never beyond `end`. DecodeError otherwise."""
    if at >= end or data[at] != tag:
        raise DecodeError(f"no tag 0x{tag:02x} at octet {at}")
    return read_length(data, at + 1, end)


def read_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(start, stop) of the content whose length stands at `at`. DecodeError where it does not fit before `end`."""
    if at >= end:
        raise DecodeError("ends before a length")
    length = data[at]
    at += 1
    if length >= 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= MOST_LENGTH_OCTETS or at + octets > end:
            raise DecodeError(f"a length of {octets} octets at octet {at - 1}")
        length = int.from_bytes(data[at : at + octets], "big")
        at += octets
    if at + length > end:
        raise DecodeError(f"{length} octets announced at octet {at}, {end - at} there")
    return at, at + length


def read_integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(value, next octet) of an INTEGER that fits in 32 bits, signed. DecodeError otherwise."""
    start, stop = read_header(data, at, end, 0x02)
    if not 1 <= stop - start <= 8:
        raise DecodeError(f"an INTEGER of {stop - start} octets")
    value = int.from_bytes(data[start:stop], "big", signed=True)
    if not -0x8000_0000 <= value <= 0x7FFF_FFFF:
        raise DecodeError("an INTEGER of more than 32 bits")
    return value, stop


def length(octets: int) -> bytes:
    """The length field for a content of so many octets."""
    if octets < 0x80:
        return bytes((octets,))
    size = (octets.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + octets.to_bytes(size, "big")


def wrap(tag: int, content: bytes) -> bytes:
    """Tag, length and content."""
    return bytes((tag,)) + length(len(content)) + content


def integer(value: int) -> bytes:
    """The content octets of an INTEGER, as few as can hold it."""
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


@lru_cache(_CACHED)
def oid(text: str) -> bytes:
    """The content octets of a dotted OID. ValueError where it has no two arcs, too many or too large ones."""
    arcs = [int(a) if a.isascii() and a.isdigit() and len(a) <= 10 else -1 for a in text.split(".")]
    if not 2 <= len(arcs) <= MOST_ARCS or not all(0 <= a < 1 << 32 for a in arcs):
        raise ValueError(f"{text[:40]!r} is not an OID")
    if arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"{text[:40]!r} is not an OID: its first two arcs do not exist")
    out = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        if arc < 0x80:
            out.append(arc)
            continue
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return bytes(out)


@lru_cache(_CACHED)
def dotted(content: bytes) -> str:
    """The OID that these content octets hold. DecodeError otherwise. No octets at all are 0.0, as agents send it."""
    if not content:
        return "0.0"
    if len(content) > MOST_OID_OCTETS or content[-1] >= 0x80:
        raise DecodeError("an OID that does not end")
    arcs: list[int] = []
    arc = 0
    fresh = True
    for octet in content:
        if fresh and octet == 0x80:
            raise DecodeError("an OID with a padded arc")
        arc = arc << 7 | octet & 0x7F
        fresh = octet < 0x80
        if fresh:
            arcs.append(arc)
            arc = 0
        elif arc > 0x3FF_FFFF:
            raise DecodeError("an OID with an arc of more than 32 bits")
    first = min(arcs[0] // 40, 2)
    arcs[:1] = [first, arcs[0] - 40 * first]
    if len(arcs) > MOST_ARCS or max(arcs) >= 1 << 32:
        raise DecodeError("an OID with too many or too large arcs")
    return ".".join(map(str, arcs))
