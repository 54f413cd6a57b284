# SPDX-License-Identifier: Apache-2.0
"""What every way of asking one printer offers: over the wire, by SNMPv3, or from a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from appliance.collector.wire.value import Varbind
from appliance.model.reading import Traffic


class Asker(Protocol):
    """One printer, one request in flight. Methods raise NoAnswer, AccessRefused or BadReply (model.errors)."""

    address: str
    quirks: set[str]
    """What this agent was found to lack ("no-bulk", "max-varbinds-10", "v1", ...); kept with its plan."""

    @property
    def traffic(self) -> Traffic:
        """What was sent and received so far."""
        ...

    async def get(self, oids: Sequence[str], *, sizes: Sequence[int] = ()) -> list[Varbind]:
        """One varbind for each OID, in that order; what does not exist has a tag in value.MISSING. Packs as many
        into a packet as the answers, of `sizes` octets each where known, let fit, and splits where the agent
        cannot take it."""
        ...

    async def walk(self, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
        """Everything under `roots` (sorted, none under another), in MIB order, `most` varbinds at the most."""
        ...

    async def close(self) -> None: ...
