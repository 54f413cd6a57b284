# SPDX-License-Identifier: Apache-2.0
"""A line to one agent, as `ladder` and `walk` use it: v1 and v2c over `snmp`, v3 over `v3`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from appliance.collector.wire.message import Message

ROOM_REQUEST = 1_472
"""Octets of UDP payload that pass an Ethernet unfragmented over IPv4."""
ROOM_RESPONSE = 1_400
"""What responses are planned for: values grow a little between two polls."""

MOST_VARBINDS = 60
"""In one request. Agents that take more are many, agents that crash are some."""


class Line(Protocol):
    """One agent, one request in flight."""

    address: str
    quirks: set[str]
    """"v1", "no-bulk", "max-varbinds-N", "max-repetitions-N"; "loops" where its OIDs ran in circles and
    "walk-incomplete" where a walk was cut short: both mean that there may be more than was read."""
    faults: Counter[str]
    """What the agent did wrong, by kind ("malformed", "wrong-id", "loops", ...)."""
    bulk_checked: bool
    """Whether a GETBULK answer was compared with single steps already."""

    @property
    def has_bulk(self) -> bool:
        """Whether this version of SNMP has GETBULK at all."""
        ...

    @property
    def overhead(self) -> int:
        """Octets of a message around its varbinds, at the most."""
        ...

    @property
    def answered(self) -> bool:
        """Whether anything valid came back yet."""
        ...

    async def ask(
        self, pdu_type: int, oids: Sequence[str], *, max_repetitions: int = 0, tries: int | None = None
    ) -> Message:
        """The response to one request, whatever its error status. NoAnswer when none came; BadReply when all that
        came could not be read; AccessRefused where SNMPv3 says so."""
        ...


def quirk_number(quirks: set[str], name: str, otherwise: int) -> int:
    """The N of the quirk "NAME-N", the smallest if there are several."""
    found = [int(m[1]) for q in quirks if (m := re.fullmatch(rf"{re.escape(name)}-(\d{{1,4}})", q))]
    return min([otherwise, *found])


def set_quirk_number(quirks: set[str], name: str, number: int) -> None:
    """Replace "NAME-anything" by "NAME-NUMBER"."""
    quirks.difference_update({q for q in quirks if re.fullmatch(rf"{re.escape(name)}-\d+", q)})
    quirks.add(f"{name}-{number}")
