# SPDX-License-Identifier: Apache-2.0
"""Does the box have an address?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result:
    if facts.addresses is None:
        return Result(
            key="network.unknown",
            light="network",
            state="unknown",
            sentence="The network could not be looked at.",
        )
    if not facts.addresses:
        return Result(
            key="network.none",
            light="network",
            state="critical",
            sentence="The box has no address on the network.",
            action="Check the cable, and that the router gives out addresses (DHCP).",
            who_fixes="you",
        )
    return Result(
        key="network.ok",
        light="network",
        state="ok",
        sentence="Connected as {address}.",
        fields={"address": facts.addresses[0]},
    )
