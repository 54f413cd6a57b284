# SPDX-License-Identifier: Apache-2.0
"""How often a box says that it is alive, and when its silence means something. Pure."""

from __future__ import annotations

from appliance.model.messages import Heartbeat
from appliance.model.settings import SETTINGS

LEAST_S = 900.0
MISSED = 3
"""Heartbeats are QoS 0: one may be lost, and the next be late."""

_ROW = SETTINGS["uplink.heartbeat_s"]
LONGEST_S = float(_ROW.maximum or 3_600)


def interval(before: Heartbeat | None, now: Heartbeat, known: float | None) -> float | None:
    """Seconds between heartbeats, from the last two and from what was `known`; None while it cannot be told.

    By the box's own monotonic clock, so that neither the line nor a clock that is set spoils it. A box that has just
    connected speaks up at once, so a shorter interval is believed only step by step."""
    if before is None or before.stamp.boot_id != now.stamp.boot_id or now.stamp.mono <= before.stamp.mono:
        return known
    seen = min(now.stamp.mono - before.stamp.mono, LONGEST_S)
    return seen if known is None else max(seen, 0.8 * known)


def patience(every: float | None) -> float:
    """Seconds of silence that a box is allowed."""
    return max(LEAST_S, MISSED * (every or 0.0))
