# SPDX-License-Identifier: Apache-2.0
"""What one device knows, in MIB order, each varbind as the octets it is answered with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from appliance.collector.wire.message import encode_varbind
from appliance.collector.wire.value import (
    COUNTER64,
    NO_SUCH_INSTANCE,
    NO_SUCH_OBJECT,
    OBJECT_IDENTIFIER,
    Varbind,
    oid_key,
)
from appliance.model.errors import RecordingError


class Mib:
    """The objects of one device. Positions count from 0 in MIB order."""

    def __init__(self, varbinds: Iterable[Varbind], *, name: str = "recording") -> None:
        """RecordingError where a value does not fit its type."""
        self.varbinds = [_whole(v) for v in varbinds]
        self.oids = [v.oid for v in self.varbinds]
        self.keys = [oid_key(oid) for oid in self.oids]
        self.index = {oid: at for at, oid in enumerate(self.oids)}
        try:
            self.octets = [encode_varbind(*v) for v in self.varbinds]
        except ValueError:
            raise RecordingError(f"{name}: {_unfit(self.varbinds)}") from None

    def copy(self) -> Mib:
        """One that can be changed apart from this one."""
        other = object.__new__(Mib)
        other.varbinds, other.octets = self.varbinds.copy(), self.octets.copy()
        other.oids, other.keys, other.index = self.oids, self.keys, self.index
        return other

    def value(self, oid: str) -> int | bytes | str | None:
        """The value of an object, None where there is none."""
        at = self.index.get(oid)
        return None if at is None else self.varbinds[at].value

    def put(self, at: int, value: int | bytes | str) -> None:
        """Give the object at this position a new value of the same type."""
        self.varbinds[at] = self.varbinds[at]._replace(value=value)
        self.octets[at] = encode_varbind(*self.varbinds[at])

    def after(self, oid: str) -> int:
        """Position of the first object behind `oid`; len(self.oids) where there is none."""
        at = self.index.get(oid)
        return at + 1 if at is not None else bisect_right(self.keys, oid_key(oid))

    def after_in_v1(self, oid: str) -> int:
        """The same for SNMPv1, which has no Counter64 and steps over it (RFC 3584, 4.2.2.1)."""
        at = self.after(oid)
        while at < len(self.varbinds) and self.varbinds[at].tag == COUNTER64:
            at += 1
        return at

    def missing(self, oid: str) -> int:
        """Tag for an object that is not there: noSuchInstance where its column holds others, else noSuchObject."""
        column = oid.rpartition(".")[0] + "."
        at = bisect_right(self.keys, oid_key(oid))
        near = self.oids[max(at - 1, 0) : at + 1]
        return NO_SUCH_INSTANCE if any(other.startswith(column) for other in near) else NO_SUCH_OBJECT


def _whole(varbind: Varbind) -> Varbind:
    # Recordings write the OID of nothing as an empty text; on the wire it is 0.0.
    return (
        varbind._replace(value="0.0") if varbind.tag == OBJECT_IDENTIFIER and not varbind.value else varbind
    )


def _unfit(varbinds: Iterable[Varbind]) -> str:
    for varbind in varbinds:
        try:
            encode_varbind(*varbind)
        except ValueError:
            return f"the value of {varbind.oid} does not fit tag {varbind.tag}"
    return "a value does not fit its tag"
