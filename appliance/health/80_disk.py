# SPDX-License-Identifier: Apache-2.0
"""Is there room left?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result

LOW_MB = 500
"""Months of readings, and a snapshot before an update."""

CRITICAL_MB = 50


def check(facts: Facts) -> Result:
    if facts.disk is None:
        return Result(
            key="disk.unknown", light="software", state="unknown", sentence="The disk could not be looked at."
        )
    if facts.disk.memory:
        return Result(
            key="disk.memory",
            light="software",
            state="critical",
            sentence="The box's memory card cannot be used. Nothing is kept when the box restarts.",
            action="Have the card exchanged. Until then the box works, but forgets everything at a restart.",
            who_fixes="dealer",
        )
    free = facts.disk.free_mb
    if free >= LOW_MB:
        return Result(
            key="disk.ok",
            light="software",
            state="ok",
            sentence="{free_mb} MB are free.",
            fields={"free_mb": free},
        )
    return Result(
        key="disk.full" if free < CRITICAL_MB else "disk.low",
        light="software",
        state="critical" if free < CRITICAL_MB else "warning",
        sentence="Only {free_mb} MB are left on the disk.",
        fields={"free_mb": free},
        action="Keep readings for fewer days, or use a larger card. What is stored is not lost.",
        who_fixes="you",
    )
