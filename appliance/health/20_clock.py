# SPDX-License-Identifier: Apache-2.0
"""Does the box know the time? Certificates and every reading depend on it."""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result

PATIENCE_S = 600
"""A box without a battery-backed clock needs a while after power-on."""


def check(facts: Facts) -> Result:
    if facts.now.clock == "synchronised":
        return Result(key="clock.ok", light="network", state="ok", sentence="The clock is synchronised.")
    if facts.now.mono < PATIENCE_S:
        return Result(
            key="clock.starting",
            light="network",
            state="ok",
            sentence="The clock is being set; this takes a few minutes.",
        )
    return Result(
        key="clock.unsynchronised",
        light="network",
        state="warning",
        sentence="The clock has not been synchronised since the box was switched on.",
        action="Let the box reach a time server (NTP, UDP port 123), or name one in the network's DHCP.",
        who_fixes="you",
    )
