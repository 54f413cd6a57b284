# SPDX-License-Identifier: Apache-2.0
"""SNMP values as Python values (RFC 2578, RFC 3416)."""

from __future__ import annotations

from typing import NamedTuple

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
IP_ADDRESS = 0x40
COUNTER32 = 0x41
GAUGE32 = 0x42
TIME_TICKS = 0x43
OPAQUE = 0x44
COUNTER64 = 0x46
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82

MISSING = frozenset({NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW})
"""Tags of a varbind that carries no value."""

Value = int | bytes | str | None


class Varbind(NamedTuple):
    """`oid` dotted, without a leading dot. `value` is an int (INTEGER, Counter32/64, Gauge32, TimeTicks), bytes
    (OCTET STRING, IpAddress, Opaque), a dotted OID, or None for the tags in MISSING."""

    oid: str
    tag: int
    value: Value


def oid_key(oid: str) -> tuple[int, ...]:
    """Sort key in MIB order."""
    return tuple(map(int, oid.split(".")))


def under(oid: str, root: str) -> bool:
    """Whether `oid` is `root` or below it."""
    return oid == root or oid.startswith(root + ".")
