# SPDX-License-Identifier: Apache-2.0
"""Do the readings reach the dealer?"""

from __future__ import annotations

from appliance.health.facts import Facts, Uplink
from appliance.health.result import Result

LATE_S = 3_600
"""What waits longer than this should have been acknowledged."""

CRITICAL_S = 3 * 86_400


def check(facts: Facts) -> Result:
    up = facts.uplink
    if up is None:
        return Result(
            key="portal.dead",
            light="portal",
            state="critical",
            sentence="The part of the box that reports to the dealer does not answer.",
            action="It restarts by itself; if this stays, switch the box off and on, then call the dealer.",
            who_fixes="dealer",
        )
    if up.state == "off":
        return Result(
            key="portal.off",
            light="portal",
            state="ok",
            sentence="No dealer is set: nothing leaves the building.",
        )
    if up.state == "paused":
        return Result(
            key="portal.paused",
            light="portal",
            state="warning",
            sentence="Reporting to the dealer is paused; {waiting} messages wait.",
            fields={"waiting": up.waiting},
            action="Resume it under reports.",
            who_fixes="you",
        )
    waits = facts.age_s(up.oldest) or 0.0
    if up.state != "connected":
        return _apart(facts, up, waits)
    if waits > LATE_S:
        return Result(
            key="portal.unacknowledged",
            light="portal",
            state="warning",
            sentence="The dealer has not acknowledged {waiting} messages, the oldest {hours} h old.",
            fields={"waiting": up.waiting, "hours": int(waits // 3600)},
            action="Nothing is lost. Tell the dealer that their side does not take the messages.",
            who_fixes="dealer",
        )
    return Result(
        key="portal.ok",
        light="portal",
        state="ok",
        sentence="Connected to {host}.",
        fields={"host": up.host or ""},
    )


def _apart(facts: Facts, up: Uplink, waits: float) -> Result:
    gone = max(waits, facts.age_s(up.since) or 0.0)
    if up.error is not None and up.error.code == "certificate-mismatch":
        return Result(
            key="portal.certificate",
            light="portal",
            state="critical",
            sentence="The dealer's server could not prove who it is, so nothing was sent: {reason}.",
            fields={"host": up.host or "", "reason": up.error.sentence},
            action="The dealer has to check the address and the certificate authority.",
            who_fixes="dealer",
        )
    if up.error is None and gone < LATE_S:
        return Result(
            key="portal.connecting",
            light="portal",
            state="ok",
            sentence="Connecting to {host}.",
            fields={"host": up.host or ""},
        )
    return Result(
        key="portal.unreachable",
        light="portal",
        state="critical" if gone > CRITICAL_S else "warning",
        sentence="No connection to {host}: {reason}. {waiting} messages wait.",
        fields={
            "host": up.host or "",
            "reason": up.error.sentence if up.error else "no answer",
            "waiting": up.waiting,
        },
        action="Nothing is lost. Check that the network lets the box out to the dealer's server.",
        who_fixes="you",
    )
