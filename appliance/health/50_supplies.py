# SPDX-License-Identifier: Apache-2.0
"""Is a supply used up, or a waste container full?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.names import listed, shown
from appliance.health.result import Result


def check(facts: Facts) -> Result | None:
    used_up = [
        f"{shown(p)}: {s.description or s.color or s.type}"
        for p in facts.printers
        if p.state == "active" and p.id in facts.readings
        for s in facts.readings[p.id].supplies
        if s.state in ("empty", "full")
    ]
    if not used_up:
        return None
    return Result(
        key="supplies.empty",
        light="printers",
        state="warning",
        sentence="Used up or full: {supplies}.",
        fields={"count": len(used_up), "supplies": listed(used_up)},
        action="Replace it, or ask the dealer whether one is on its way.",
        who_fixes="you",
    )
