# SPDX-License-Identifier: Apache-2.0
"""How printers are asked: port, communities, patience."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from appliance.collector.ask.asker import Asker
from appliance.collector.ask.snmp import SnmpAsker
from appliance.model.errors import UsageError
from appliance.model.settings import Value


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """`communities` are secrets and stay out of every repr."""

    port: int = 161
    communities: tuple[str, ...] = ("public",)
    timeout_s: float = 2.0
    retries: int = 2

    def __repr__(self) -> str:
        return f"Access(port={self.port}, {len(self.communities)} communities)"

    @classmethod
    def of(cls, settings: Mapping[str, Value]) -> Access:
        """As the settings snmp.* say (model.settings)."""
        given = msgspec.convert(settings, type=_Given)
        return cls(
            port=given.port,
            communities=tuple(given.communities) or ("public",),
            timeout_s=given.timeout_ms / 1000,
            retries=given.retries,
        )

    def community(self, number: int) -> bytes:
        """One of `communities`, counted on from the first after the last; as octets, whatever was typed."""
        return self.communities[number % len(self.communities)].encode("utf-8", "surrogateescape")

    def asker(
        self,
        address: str,
        *,
        port: int | None = None,
        version: str | None = None,
        community: int = 0,
        quirks: Collection[str] = (),
    ) -> Asker:
        """An asker for one printer. `community` counts in `communities`."""
        return SnmpAsker(
            address,
            port=port or self.port,
            community=self.community(community),
            version="1" if version == "1" else "2c",
            timeout_s=self.timeout_s,
            retries=self.retries,
            quirks=set(quirks),
        )


def check_patience(timeout_s: float, retries: int) -> None:
    """UsageError unless both are within what makes sense."""
    if not 0.05 <= timeout_s <= 120 or not 0 <= retries <= 10:
        raise UsageError("--timeout takes 0.05 to 120 seconds and --retries 0 to 10")


class _Given(msgspec.Struct):
    port: int = msgspec.field(name="snmp.port")
    communities: list[str] = msgspec.field(name="snmp.communities")
    timeout_ms: int = msgspec.field(name="snmp.timeout_ms")
    retries: int = msgspec.field(name="snmp.retries")
