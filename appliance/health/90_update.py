# SPDX-License-Identifier: Apache-2.0
"""Did the last update stay?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result


def check(facts: Facts) -> Result | None:
    software = facts.software
    if software is None:
        return None  # not a box with two copies of its software
    if software.rollback is not None:
        return Result(
            key="update.rolled_back",
            light="software",
            state="warning",
            sentence="The update to version {version} did not stay; version {kept} runs.",
            fields={"version": software.rollback.version, "kept": software.rollback.kept},
            action="The software page says why. The dealer has to provide a better version.",
            who_fixes="dealer",
        )
    if software.error is not None and software.operation == "idle":
        return Result(
            key="update.failed",
            light="software",
            state="warning",
            sentence="The last update could not be installed: {code}.",
            fields={"code": software.error.partition(":")[0]},
            action="The software page says why. What runs was not touched.",
            who_fixes="you",
        )
    if software.trial:
        return Result(
            key="update.trial",
            light="software",
            state="ok",
            sentence="Version {version} is being checked.",
            fields={"version": software.version},
        )
    return Result(
        key="update.ok",
        light="software",
        state="ok",
        sentence="Version {version} runs.",
        fields={"version": software.version},
    )
