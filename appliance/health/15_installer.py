# SPDX-License-Identifier: Apache-2.0
"""Could what the installer wrote into platen.toml on the card be used?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result | None:
    card = facts.card
    if card is None or not card.problems:
        return None
    first = card.problems[0]
    key = f"{first.key}: " if first.key else ""
    return Result(
        key="installer.partly" if card.using == "file" else "installer.mistakes",
        light="network",
        state="warning",
        sentence="platen.toml on the card has mistakes ({count}); the rest of it is in force. Line {line}: {mistake}"
        if card.using == "file"
        else "platen.toml on the card has mistakes ({count}), so none of it is in force. Line {line}: {mistake}",
        fields={
            "count": len(card.problems),
            "line": first.line,
            "mistake": f"{key}{first.en}",
            "mistake_de": f"{key}{first.de}",
        },
        action="Correct the file on the card; platen-errors.txt beside it names each mistake. Then restart the box.",
        who_fixes="you",
    )
