# SPDX-License-Identifier: Apache-2.0
"""Is the part that reads the printers alive?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result:
    if facts.collector is None:
        return Result(
            key="collector.dead",
            light="software",
            state="critical",
            sentence="The part of the box that reads printers does not answer.",
            action="It restarts by itself; if this stays, switch the box off and on, then call the dealer.",
            who_fixes="dealer",
        )
    return Result(key="collector.ok", light="software", state="ok", sentence="The box is reading printers.")
