# SPDX-License-Identifier: Apache-2.0
"""What each printer was asked within the last hour, in packets and octets, and how much it may be asked.

Pure: time comes in as seconds of one monotonic clock. Figures count UDP payload in both directions.
"""

from __future__ import annotations

import math

import msgspec

from appliance.model.reading import Traffic

HOUR_S = 3600.0
_PARTS = 12
_PART_S = HOUR_S / _PARTS


class Amount(msgspec.Struct, frozen=True):
    """Packets and octets of one hour, both directions."""

    packets: int = 0
    octets: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.packets + other.packets, self.octets + other.octets)

    def within(self, limit: Amount) -> bool:
        return self.packets < limit.packets and self.octets < limit.octets

    @classmethod
    def of(cls, traffic: Traffic) -> Amount:
        return cls(
            traffic.packets_sent + traffic.packets_received, traffic.bytes_sent + traffic.bytes_received
        )


STATUS = Amount(4, 1_300)
FULL = Amount(14, 13_000)
FIRST = Amount(60, 40_000)
"""What one visit of each kind takes of a large printer."""


def allowance(*, status_s: float, full_s: float) -> Amount:
    """What a printer may be asked per hour: twice the polls that the settings ask for, and two first readings."""
    status, full = math.ceil(HOUR_S / status_s), math.ceil(HOUR_S / full_s)
    return Amount(
        2 * (FIRST.packets + status * STATUS.packets + full * FULL.packets),
        2 * (FIRST.octets + status * STATUS.octets + full * FULL.octets),
    )


class Budget:
    """Measured traffic per printer over the last hour, to within five minutes. `allowed` may change at any time."""

    def __init__(self, allowed: Amount) -> None:
        self.allowed = allowed
        self._parts: dict[str, dict[int, Amount]] = {}

    def spend(self, printer: str, traffic: Traffic, now: float) -> None:
        amount = Amount.of(traffic)
        if amount == Amount():
            return
        parts = self._fresh(printer, now)
        part = int(now // _PART_S)
        parts[part] = parts.get(part, Amount()) + amount
        self._parts[printer] = parts

    def spent(self, printer: str, now: float) -> Amount:
        return sum(self._fresh(printer, now).values(), Amount())

    def total(self, now: float) -> Amount:
        """Of all printers together."""
        return sum((self.spent(p, now) for p in list(self._parts)), Amount())

    def wait_s(self, printer: str, now: float) -> float:
        """Seconds until the printer may be asked again; 0 while it is within what is allowed."""
        parts = self._fresh(printer, now)
        left = sum(parts.values(), Amount())
        free_at = now
        for part in sorted(parts):
            if left.within(self.allowed):
                break
            left = Amount(left.packets - parts[part].packets, left.octets - parts[part].octets)
            free_at = (part + _PARTS) * _PART_S
        return max(free_at - now, 0.0)

    def _fresh(self, printer: str, now: float) -> dict[int, Amount]:
        """What still counts. A part of the future (the clock began anew) does not."""
        newest = int(now // _PART_S)
        return {p: a for p, a in self._parts.get(printer, {}).items() if newest - _PARTS < p <= newest}
