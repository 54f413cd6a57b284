# SPDX-License-Identifier: Apache-2.0
"""When something happened, and how well the box knew the time."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from appliance.model.reading import Clock


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A moment. `time` RFC 3339 in UTC by the box's wall clock; `mono` seconds since this boot, which no clock
    change moves; `boot_id` names the boot `mono` counts from."""

    time: str
    clock: Clock
    boot_id: str
    mono: float


def rfc3339(seconds: float) -> str:
    """Unix time to RFC 3339 with milliseconds, e.g. "2026-11-21T11:10:30.250Z"."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """RFC 3339 to Unix time. ValueError where it is not one."""
    return datetime.fromisoformat(text).timestamp()
