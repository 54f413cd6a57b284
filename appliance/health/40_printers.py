# SPDX-License-Identifier: Apache-2.0
"""Has a printer been silent for long? Switched off over a weekend is no trouble."""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.names import listed, shown
from appliance.health.result import Result

LONG_S = 3 * 86_400
"""From Friday evening to Monday evening."""


def check(facts: Facts) -> Result | None:
    if facts.database_error is not None:
        return None
    asked = [p for p in facts.printers if p.state in ("active", "silent")]
    if not asked:
        return Result(
            key="printers.none",
            light="printers",
            state="warning",
            sentence="No printer has been found yet.",
            action="Look for printers, or give the address of one.",
            who_fixes="you",
        )
    ages = [(p, facts.age_s(p.last_seen or p.first_seen)) for p in asked]
    long = [shown(p) for p, age in ages if age is not None and age > LONG_S]
    # Several polls in a row failed, at every printer: that is the network, not the printers.
    recent = max(3 * facts.poll_s, 900)
    if len(asked) > 1 and all(age is not None and age > recent for _, age in ages):
        return Result(
            key="printers.all_silent",
            light="printers",
            state="critical",
            sentence="None of the {count} printers answers.",
            fields={"count": len(asked)},
            action="Check that the box is still in the printers' network and SNMP was not switched off.",
            who_fixes="you",
        )
    if long:
        return Result(
            key="printers.silent",
            light="printers",
            state="warning",
            sentence="Not heard of for three days or more: {printers}.",
            fields={"count": len(long), "printers": listed(long)},
            action="Check that it is switched on and connected, or archive it if it is gone.",
            who_fixes="you",
        )
    return Result(
        key="printers.ok",
        light="printers",
        state="ok",
        sentence="{count} printers are being watched.",
        fields={"count": len(asked)},
    )
