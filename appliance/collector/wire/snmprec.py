# SPDX-License-Identifier: Apache-2.0
"""Recordings: one OID|TAG|VALUE on each line, as snmpsim writes them.

TAG is the ASN.1 tag in decimal, with an "x" behind it where VALUE is in hex.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from appliance.collector.wire import ber
from appliance.collector.wire.value import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    OPAQUE,
    TIME_TICKS,
    Value,
    Varbind,
    oid_key,
)
from appliance.model.errors import RecordingError

MOST_LINES = 200_000
MOST_OCTETS = 64 * 1024

_U32 = (0, (1 << 32) - 1)
_NUMBERS = {
    INTEGER: (-(1 << 31), (1 << 31) - 1),
    COUNTER32: _U32,
    GAUGE32: _U32,
    TIME_TICKS: _U32,
    COUNTER64: (0, (1 << 64) - 1),
}
_OCTETS = {OCTET_STRING, OPAQUE, IP_ADDRESS}


def load(text: str, *, name: str = "recording") -> list[Varbind]:
    """Varbinds in MIB order, the first of two with one OID. RecordingError names the line that is wrong."""
    found: dict[str, Varbind] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line or line.startswith("#"):
            continue
        if len(found) >= MOST_LINES:
            raise RecordingError(f"{name} has more than {MOST_LINES} lines")
        try:
            varbind = _line(line)
        except ValueError as e:
            raise RecordingError(f"{name}, line {number}: {e}") from None
        found.setdefault(varbind.oid, varbind)
    return sorted(found.values(), key=lambda v: oid_key(v.oid))


def _line(line: str) -> Varbind:
    parts = line.split("|", 2)
    if len(parts) != 3:
        raise ValueError("not OID|TAG|VALUE")
    oid, tag_text, text = parts
    oid = oid.strip().lstrip(".")
    ber.oid(oid)
    hexed = tag_text.endswith("x")
    if not tag_text.removesuffix("x").isdigit():
        raise ValueError(f"{tag_text[:10]!r} is not a tag")
    tag = int(tag_text.removesuffix("x"))
    if len(text) > 2 * MOST_OCTETS:
        raise ValueError(f"a value of more than {MOST_OCTETS} octets")
    value: Value
    if tag in _NUMBERS:
        value = int.from_bytes(bytes.fromhex(text), "big", signed=tag == INTEGER) if hexed else int(text)
        low, high = _NUMBERS[tag]
        if not low <= value <= high:
            raise ValueError(f"{value} does not fit type {tag}")
    elif tag == IP_ADDRESS and not hexed:
        octets = [int(part) for part in text.split(".")] if text else []
        value = bytes(octets)
    elif tag in _OCTETS:
        value = bytes.fromhex(text) if hexed else text.encode("utf-8", "surrogateescape")
    elif tag == OBJECT_IDENTIFIER:
        value = text.strip().lstrip(".") or "0.0"
        ber.oid(value)
    elif tag == NULL or 0x80 <= tag <= 0x82:
        value = None
    else:
        raise ValueError(f"tag {tag} is not one of SNMP's")
    return Varbind(oid, tag, value)


def dump(varbinds: Iterable[Varbind]) -> Iterator[str]:
    """Lines that `load` reads back."""
    for oid, tag, value in varbinds:
        if isinstance(value, bytes):
            text = value.decode("ascii", "replace")
            if (
                tag == OCTET_STRING
                and text.isprintable()
                and text.isascii()
                and text.encode("ascii") == value
            ):
                yield f"{oid}|{tag}|{text}"
            else:
                yield f"{oid}|{tag}x|{value.hex()}"
        else:
            yield f"{oid}|{tag}|{'' if value is None else value}"
