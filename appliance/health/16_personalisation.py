# SPDX-License-Identifier: Apache-2.0
"""Was what the dealer wrote onto the card taken in?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result | None:
    if facts.card is None or not facts.card.personalisation:
        return None
    code, _, reason = facts.card.personalisation.partition(": ")
    return Result(
        key="personalisation.refused",
        light="portal",
        state="warning",
        sentence="What the dealer wrote onto the card was not taken in ({code}): {reason}",
        fields={"code": code, "reason": reason},
        action="The dealer has to make the card anew for this box.",
        who_fixes="dealer",
    )
