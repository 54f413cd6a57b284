# SPDX-License-Identifier: Apache-2.0
"""Is the database whole, and is it being written?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result:
    error = facts.database_error
    if error is not None:
        return Result(
            key=f"database.{error.code.removeprefix('database-').replace('-', '_')}",
            light="software",
            state="critical",
            sentence="{reason}.",
            fields={"code": error.code, "reason": error.sentence},
            action=f"{error.hint}." if error.hint else "",
            who_fixes="you" if error.code == "disk-full" else "dealer",
        )
    age = facts.age_s(facts.last_commit)
    asked = [p for p in facts.printers if p.state in ("active", "silent")]
    if facts.collector is not None and asked and age is not None and age > max(3 * facts.poll_s, 3_600):
        return Result(
            key="database.stale",
            light="software",
            state="warning",
            sentence="Nothing has been written down for {hours} h.",
            fields={"hours": int(age // 3600)},
            action="Switch the box off and on; if this returns, its card may be failing.",
            who_fixes="dealer",
        )
    return Result(key="database.ok", light="software", state="ok", sentence="The database is whole.")
