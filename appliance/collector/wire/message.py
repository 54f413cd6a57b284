# SPDX-License-Identifier: Apache-2.0
"""SNMPv1 and v2c messages (RFC 1157, RFC 1901, RFC 3416), both directions.

What came from the network is read with bounds on everything and no recursion. Where agents in the field bend the
rules without harm, so does the reader: unsigned values without their leading zero octet, some octets after the message.
There is no way to build a SET.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from appliance.collector.wire import ber
from appliance.collector.wire.ber import DecodeError as DecodeError
from appliance.collector.wire.value import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    MISSING,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    OPAQUE,
    TIME_TICKS,
    Varbind,
)

__all__ = [
    "DecodeError",
    "Message",
    "decode_message",
    "encode_request",
    "encode_response",
]  # and the constants

V1 = 0
V2C = 1

GET = 0xA0
GETNEXT = 0xA1
RESPONSE = 0xA2
GETBULK = 0xA5
PDU_TYPES = frozenset({GET, GETNEXT, RESPONSE, GETBULK})

NO_ERROR = 0
TOO_BIG = 1
NO_SUCH_NAME = 2
GEN_ERR = 5
AUTHORIZATION_ERROR = 16

MOST_OCTETS = 65_507
"""The largest UDP payload over IPv4."""
MOST_VARBINDS = 4_096
MOST_PADDING = 64
"""Octets after a message that are let be."""


class Message(NamedTuple):
    """One SNMP message. In a GETBULK `error_status` and `error_index` are non-repeaters and max-repetitions."""

    version: int
    community: bytes
    pdu_type: int
    request_id: int
    error_status: int
    error_index: int
    varbinds: list[Varbind]


def encode_request(
    version: int,
    community: bytes,
    pdu_type: int,
    request_id: int,
    oids: Sequence[str],
    *,
    non_repeaters: int = 0,
    max_repetitions: int = 0,
) -> bytes:
    """A GET, GETNEXT or GETBULK for these OIDs. ValueError where one is not an OID."""
    return patch_request(
        version,
        community,
        pdu_type,
        request_id,
        b"".join(map(_question, oids)),
        non_repeaters,
        max_repetitions,
    )


def encode_response(
    version: int,
    community: bytes,
    request_id: int,
    error_status: int,
    error_index: int,
    varbinds: Iterable[Varbind],
) -> bytes:
    """A RESPONSE. ValueError where a value does not fit its type."""
    body = b"".join([encode_varbind(*v) for v in varbinds])
    return patch_request(version, community, RESPONSE, request_id, body, error_status, error_index)


def decode_message(data: bytes) -> Message:
    """The message in one datagram. Raises DecodeError and nothing else."""
    size = len(data)
    if size > MOST_OCTETS:
        raise DecodeError(f"a datagram of {size} octets")
    at, end = ber.read_header(data, 0, size, 0x30)
    if size - end > MOST_PADDING:
        raise DecodeError(f"{size - end} octets after the message")
    version, at = ber.read_integer(data, at, end)
    if version not in (V1, V2C):
        raise DecodeError(f"version {version}")
    start, at = ber.read_header(data, at, end, OCTET_STRING)
    community = data[start:at]
    pdu_type = data[at] if at < end else 0
    if pdu_type not in PDU_TYPES:
        raise DecodeError(f"PDU type 0x{pdu_type:02x}")
    at, stop = ber.read_length(data, at + 1, end)
    if stop != end:
        raise DecodeError("the PDU and the message do not end together")
    request_id, at = ber.read_integer(data, at, end)
    error_status, at = ber.read_integer(data, at, end)
    error_index, at = ber.read_integer(data, at, end)
    at, stop = ber.read_header(data, at, end, 0x30)
    if stop != end:
        raise DecodeError("the varbinds and the message do not end together")
    return Message(
        version, community, pdu_type, request_id, error_status, error_index, _varbinds(data, at, end)
    )


def value_size(varbind: Varbind) -> int:
    """Content octets of the value on the wire."""
    tag, value = varbind.tag, varbind.value
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, int):
        return len(ber.integer(value))
    return len(ber.oid(value)) if tag == OBJECT_IDENTIFIER and isinstance(value, str) else 0


@lru_cache(8_192)
def varbind_size(oid: str, value_octets: int) -> int:
    """Octets that a varbind takes in a message, given the content octets of its value."""
    inner = len(_name(oid)) + 1 + len(ber.length(value_octets)) + value_octets
    return 1 + len(ber.length(inner)) + inner


def overhead(community: bytes) -> int:
    """Octets of a message around its varbinds, at the most, for up to 64 KB of them."""
    return 4 + 3 + 1 + len(ber.length(len(community))) + len(community) + 4 + 6 + 4 + 4 + 4


def patch_request(
    version: int,
    community: bytes,
    pdu_type: int,
    request_id: int,
    varbinds: bytes,
    second: int = 0,
    third: int = 0,
) -> bytes:
    """A message around varbinds that are octets already: what does not change between two polls is built once."""
    request = ber.integer(request_id)
    tail = _pair(second, third) + b"\x30" + ber.length(len(varbinds)) + varbinds
    pdu = b"\x02" + bytes((len(request),)) + request + tail
    pdu = _head(version, community) + bytes((pdu_type,)) + ber.length(len(pdu)) + pdu
    return b"\x30" + ber.length(len(pdu)) + pdu


def encode_varbind(oid: str, tag: int, value: int | bytes | str | None) -> bytes:
    """One varbind as octets. ValueError where the value does not fit its type."""
    content = _content(tag, value)
    if len(content) < 0x80:
        inner = _name(oid) + bytes((tag, len(content))) + content
    else:
        inner = _name(oid) + ber.wrap(tag, content)
    return b"\x30" + ber.length(len(inner)) + inner


# Largest value and most content octets of the unsigned types. UInteger32 of RFC 1442 is still met; it is a Gauge32.
_UINTEGER32 = 0x47
_NSAP_ADDRESS = 0x45
_UNSIGNED = {COUNTER32: 5, GAUGE32: 5, TIME_TICKS: 5, _UINTEGER32: 5, COUNTER64: 9}
_LARGEST = {COUNTER32: 1 << 32, GAUGE32: 1 << 32, TIME_TICKS: 1 << 32, COUNTER64: 1 << 64}
_make = partial(tuple.__new__, Varbind)  # a third of the time of Varbind(...)


def _varbinds(data: bytes, at: int, end: int) -> list[Varbind]:
    """The inner loop of the product: what fits in one length octet is read in line, the rest by `ber`."""
    found: list[Varbind] = []
    append, dotted, unsigned, from_bytes = found.append, ber.dotted, _UNSIGNED, int.from_bytes
    try:
        while at < end:
            stop = at + 2 + data[at + 1]
            if data[at] != 0x30:
                raise DecodeError(f"no varbind at octet {at}")
            if data[at + 1] < 0x80:
                at += 2
                if stop > end:
                    raise DecodeError(f"a varbind that ends at octet {stop}, after its message")
            else:
                at, stop = ber.read_length(data, at + 1, end)
            value_at = at + 2 + data[at + 1]
            if data[at] == 0x06 and data[at + 1] < 0x80 and value_at < stop:
                name = dotted(data[at + 2 : value_at])
            else:
                start, value_at = ber.read_header(data, at, stop, 0x06)
                name = dotted(data[start:value_at])
            tag = data[value_at]
            start = value_at + 2
            if start > stop or start + data[value_at + 1] != stop or data[value_at + 1] >= 0x80:
                start, value_stop = ber.read_length(data, value_at + 1, stop)
                if value_stop != stop:
                    raise DecodeError(f"a value and its varbind do not end together at octet {stop}")
            if tag == OCTET_STRING:
                append(_make((name, tag, data[start:stop])))
            elif tag == INTEGER:
                if stop - start > 4 or start == stop:
                    append(_odd_number(name, tag, data[start:stop]))
                else:
                    append(_make((name, tag, from_bytes(data[start:stop], "big", signed=True))))
            elif tag in unsigned:
                if stop - start > 4 or start == stop or tag == _UINTEGER32:
                    append(_odd_number(name, tag, data[start:stop]))
                else:
                    append(_make((name, tag, from_bytes(data[start:stop], "big"))))
            else:
                append(_other(name, tag, data[start:stop]))
            at = stop
            if len(found) > MOST_VARBINDS:
                raise DecodeError(f"more than {MOST_VARBINDS} varbinds")
    except IndexError:
        raise DecodeError("ends in the middle of a varbind") from None
    return found


def _odd_number(name: str, tag: int, content: bytes) -> Varbind:
    """Numbers of no octets (nothing was said: no value), and those with leading octets."""
    if not content:
        return Varbind(name, NULL, None)
    if tag == INTEGER:
        value, _ = ber.read_integer(ber.wrap(INTEGER, content), 0, 1 << 16)
        return Varbind(name, tag, value)
    value = int.from_bytes(content, "big")
    kind = GAUGE32 if tag == _UINTEGER32 else tag
    if len(content) > _UNSIGNED[tag] or value >= _LARGEST[kind]:
        raise DecodeError(f"a number of {len(content)} octets of type 0x{tag:02x}")
    return Varbind(name, kind, value)


def _other(name: str, tag: int, content: bytes) -> Varbind:
    if tag == OBJECT_IDENTIFIER:
        return Varbind(name, tag, ber.dotted(content))
    if tag in MISSING:
        if content:
            raise DecodeError(f"{len(content)} octets in a value of type 0x{tag:02x}")
        return Varbind(name, tag, None)
    if tag in (IP_ADDRESS, OPAQUE):
        return Varbind(name, tag, content)
    if tag == _NSAP_ADDRESS:
        return Varbind(name, OPAQUE, content)
    raise DecodeError(f"a value of type 0x{tag:02x}")


def _content(tag: int, value: int | bytes | str | None) -> bytes:
    if isinstance(value, bytes) and tag in (OCTET_STRING, IP_ADDRESS, OPAQUE):
        return value
    if isinstance(value, int):
        if tag == INTEGER and -0x8000_0000 <= value <= 0x7FFF_FFFF:
            return ber.integer(value)
        if tag in _LARGEST and 0 <= value < _LARGEST[tag]:
            return ber.integer(value)
    elif isinstance(value, str) and tag == OBJECT_IDENTIFIER:
        return ber.oid(value)
    elif value is None and tag in MISSING:
        return b""
    raise ValueError(f"a {type(value).__name__} does not fit type 0x{tag:02x}")


@lru_cache(8_192)
def _question(oid: str) -> bytes:
    """A varbind that asks: the name and NULL."""
    return ber.wrap(0x30, _name(oid) + b"\x05\x00")


@lru_cache(8_192)
def _name(oid: str) -> bytes:
    return ber.wrap(OBJECT_IDENTIFIER, ber.oid(oid))


@lru_cache(64)
def _head(version: int, community: bytes) -> bytes:
    return bytes((0x02, 0x01, version, OCTET_STRING)) + ber.length(len(community)) + community


@lru_cache(256)
def _pair(second: int, third: int) -> bytes:
    return ber.wrap(INTEGER, ber.integer(second)) + ber.wrap(INTEGER, ber.integer(third))
