# SPDX-License-Identifier: Apache-2.0
"""Does the box's certificate still hold?"""

from __future__ import annotations

from appliance.health.facts import Facts
from appliance.health.result import Result

SOON_DAYS = 14
"""Renewal starts at two thirds of 90 days; this late, it has failed for two weeks."""


def check(facts: Facts) -> Result | None:
    if facts.uplink is None or facts.uplink.state == "off":
        return None
    certificate = facts.uplink.certificate
    if certificate is None:
        return Result(
            key="certificate.none",
            light="portal",
            state="critical",
            sentence="The box has no certificate to show the dealer's server.",
            action="The dealer has to issue one.",
            who_fixes="dealer",
        )
    left = facts.left_s(certificate.not_after)
    if left is None:
        return Result(
            key="certificate.unreadable",
            light="portal",
            state="unknown",
            sentence="The certificate's end is not known.",
        )
    days = int(left // 86_400)
    if left > SOON_DAYS * 86_400:
        return Result(
            key="certificate.ok",
            light="portal",
            state="ok",
            sentence="The certificate holds for {days} more days.",
            fields={"days": days},
        )
    return Result(
        key="certificate.expired" if left <= 0 else "certificate.soon",
        light="portal",
        state="critical" if left <= 0 else "warning",
        sentence="The box's certificate has expired."
        if left <= 0
        else "The box's certificate ends in {days} days.",
        fields={} if left <= 0 else {"days": days},
        action="The dealer has to renew it; readings wait on the box meanwhile.",
        who_fixes="dealer",
    )
