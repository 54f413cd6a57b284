# SPDX-License-Identifier: Apache-2.0
"""Recordings in a few lines, decoded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.collector.read.decode import decode
from appliance.collector.read.profile import GENERIC, Profile
from appliance.collector.wire import snmprec
from appliance.model.reading import Reading

SHORT = {
    "sys": "1.3.6.1.2.1.1",
    "if": "1.3.6.1.2.1.2.2.1",
    "storage": "1.3.6.1.2.1.25.2.3.1",
    "device": "1.3.6.1.2.1.25.3.2.1",
    "hrprinter": "1.3.6.1.2.1.25.3.5.1",
    "general": "1.3.6.1.2.1.43.5.1.1",
    "cover": "1.3.6.1.2.1.43.6.1.1",
    "charset": "1.3.6.1.2.1.43.7.1.1.4",
    "input": "1.3.6.1.2.1.43.8.2.1",
    "output": "1.3.6.1.2.1.43.9.2.1",
    "marker": "1.3.6.1.2.1.43.10.2.1",
    "supply": "1.3.6.1.2.1.43.11.1.1",
    "colorant": "1.3.6.1.2.1.43.12.1.1",
    "console": "1.3.6.1.2.1.43.16.5.1",
    "alert": "1.3.6.1.2.1.43.18.1.1",
    "private": "1.3.6.1.4.1",
}

Read = Callable[..., Reading]


@pytest.fixture(scope="session")
def read() -> Read:
    """`read("supply.9.1.1|2|40", ...)`: lines of a recording with the names above, as a Reading."""

    def reading(*lines: str, profile: Profile = GENERIC, time: str = "2026-11-21T12:00:00.000Z") -> Reading:
        whole = []
        for line in "\n".join(lines).splitlines():
            head, dot, rest = line.strip().partition(".")
            whole.append(SHORT.get(head, head) + dot + rest)
        varbinds = snmprec.load("\n".join(whole))
        return decode(varbinds, profile, address="192.0.2.9", time=time, clock="synchronised")

    return reading
