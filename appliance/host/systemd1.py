# SPDX-License-Identifier: Apache-2.0
"""What systemd says of units (org.freedesktop.systemd1)."""

from __future__ import annotations

import msgspec

from appliance.host.bus import Bus

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit. `active` ActiveState, `sub` SubState; `since`: when it became active, in seconds of CLOCK_MONOTONIC;
    `restarts` counts those systemd did by itself (Restart=)."""

    name: str
    active: str
    sub: str
    since: float = 0.0
    restarts: int = 0


async def unit(bus: Bus, name: str) -> Unit:
    """One unit, loaded or not. ServiceDown, BusError."""
    path = str((await bus.call(_NAME, _PATH, f"{_NAME}.Manager.LoadUnit", "s", name))[0])
    facts = await bus.properties(_NAME, path, f"{_NAME}.Unit")
    service = await bus.properties(_NAME, path, f"{_NAME}.Service") if name.endswith(".service") else {}
    return Unit(
        name=name,
        active=str(facts["ActiveState"]) if facts.get("LoadState") == "loaded" else "missing",
        sub=str(facts.get("SubState", "")),
        since=int(facts.get("ActiveEnterTimestampMonotonic", 0)) / 1e6,
        restarts=int(service.get("NRestarts", 0)),
    )
