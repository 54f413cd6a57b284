# SPDX-License-Identifier: Apache-2.0
"""The newest known state of one printer, whatever order its records arrive in. Pure.

A record that was sent again can arrive after later ones. Each section remembers the position of the record it
came from, and only a later one replaces it; so any order ends where the right order would have.
"""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.model.messages import Record
from appliance.model.reading import SECTIONS, PrinterFacts, Reading

Position = tuple[int, int, int]
"""(ordinal of the stream, sequence number, index within the message): the order in which the box wrote."""

_SCALARS = ("time", "clock", "address", "uptime_ticks")
_OF_FULL = ("schema", "traffic", "profile", "notes")


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """`reading` and where each of its parts came from: a section, a section's time ("time of meters"), "now" for
    the moment itself and "full" for what only full readings carry."""

    reading: Reading
    at: dict[str, Position]


def advance(latest: Latest | None, record: Record, position: Position) -> Latest:
    """`latest` with what `record` knows better. A record without `full` and `change` says nothing."""
    body = record.full or record.change
    if latest is None:
        empty = Reading(time=record.stamp.time, clock=record.stamp.clock, address="", printer=PrinterFacts())
        latest = Latest(reading=empty, at={})
    if body is None:
        return latest
    at = dict(latest.at)
    new: dict[str, Any] = {}
    times = dict(latest.reading.times)

    def wins(part: str) -> bool:
        if part in at and tuple(at[part]) >= position:
            return False
        at[part] = position
        return True

    for section in SECTIONS if record.full else record.change.sections if record.change else ():
        if wins(section):
            new[section] = getattr(body, section)
    for section in SECTIONS:
        if (record.full or section in body.times) and wins(f"time of {section}"):
            times.pop(section, None)
            if section in body.times:
                times[section] = body.times[section]
    if wins("now"):
        new |= {name: getattr(body, name) for name in _SCALARS}
    if record.full and wins("full"):
        new |= {name: getattr(record.full, name) for name in _OF_FULL}
    return Latest(reading=msgspec.structs.replace(latest.reading, times=times, **new), at=at)
