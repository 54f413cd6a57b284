# SPDX-License-Identifier: Apache-2.0
"""Which printer is due for what, and when to look again. Pure: time comes in as seconds of one monotonic clock.

Each printer has its own place in the interval, made from its id, so that any number of them spread evenly and keep
their places over restarts. A printer that does not answer is asked less and less, in the end only once per discovery.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Kind = Literal["status", "full"]

SILENT_AFTER = 3
"""Failures in a row that make a printer silent."""

RETRY_S = 120.0
"""A first failure is looked into this soon: most are a printer that sleeps or restarts."""

DOUBLINGS = 4
"""How often the interval of a silent printer doubles before only a discovery asks it."""

CATCH_UP_S = 12.0
"""After a start, or when the machine slept, what is overdue is asked spread over this long."""

GAP_S = 60.0
"""Nobody looked for so long: the machine slept."""


class Due(msgspec.Struct, frozen=True):
    printer: str
    kind: Kind


class Schedule:
    """The plan for all known printers. `take` hands out what is due; `done`, `failed` or `postpone` gives it back."""

    def __init__(self, *, status_s: float, full_s: float) -> None:
        self._status_s, self._full_s = status_s, full_s
        self._entries: dict[str, _Entry] = {}
        self._looked: float | None = None

    def __contains__(self, printer: str) -> bool:
        return printer in self._entries

    def add(
        self,
        printer: str,
        now: float,
        *,
        full_age: float | None = None,
        failures: int = 0,
        paused: bool = False,
    ) -> None:
        """Start with `printer`: its status within CATCH_UP_S, everything when `full_age` seconds are too old."""
        entry = _Entry(phase=phase(printer), failures=failures, paused=paused)
        entry.full_last = None if full_age is None else now - max(full_age, 0.0)
        self._entries[printer] = entry
        entry.status_at = now + self._catch_up(entry)
        self._place_full(entry, now)

    def pause(self, printer: str) -> None:
        self._entries[printer].paused = True

    def resume(self, printer: str, now: float) -> None:
        """Go on, starting now. Harmless where it was not paused."""
        entry = self._entries[printer]
        if entry.paused:
            entry.paused = False
            entry.status_at = now

    def wish(self, printer: str, now: float) -> None:
        """Ask it at the next opportunity, however long it was silent."""
        entry = self._entries[printer]
        entry.status_at = now

    def rest(self, printer: str) -> None:
        """Leave it until a wish: somebody else is at its address."""
        entry = self._entries[printer]
        entry.busy, entry.status_at = False, None
        entry.failures = max(entry.failures, SILENT_AFTER)

    def configure(self, now: float, *, status_s: float, full_s: float) -> None:
        """New intervals, in force at once."""
        if (status_s, full_s) == (self._status_s, self._full_s):
            return
        self._status_s, self._full_s = status_s, full_s
        for entry in self._entries.values():
            self._place_full(entry, now)
            if entry.status_at is None:
                continue
            last = entry.status_last
            entry.status_at = None if last is None else self._next_status(entry, last)
            if entry.status_at is None or entry.status_at <= now:
                entry.status_at = now + self._catch_up(entry)

    def take(self, now: float, most: int) -> list[Due]:
        """Up to `most` printers that are due, the longest overdue first. They are not handed out again before they
        are given back."""
        if self._looked is not None and not -1.0 <= now - self._looked <= GAP_S:
            self._woke(now)
        self._looked = now
        due = sorted(
            (at, printer)
            for printer, entry in self._entries.items()
            if (at := entry.at) is not None and at <= now
        )
        taken = []
        for _, printer in due[: max(most, 0)]:
            entry = self._entries[printer]
            entry.busy = True
            taken.append(Due(printer, "full" if entry.full_at <= now and not entry.failures else "status"))
        return taken

    def next_at(self) -> float | None:
        """When the next printer is due, or None where none will be."""
        return min((at for e in self._entries.values() if (at := e.at) is not None), default=None)

    def done(self, printer: str, kind: Kind, now: float) -> None:
        """It answered. A full reading counts as a status too."""
        entry = self._entries.get(printer)
        if entry is None:
            return
        entry.busy, entry.failures, entry.status_last = False, 0, now
        if kind == "full":
            entry.full_last = now
            self._place_full(entry, now)
        entry.status_at = self._next_status(entry, now)

    def failed(self, printer: str, now: float) -> int:
        """It did not answer as it should. The number of failures in a row."""
        entry = self._entries.get(printer)
        if entry is None:
            return 0
        entry.busy, entry.status_last = False, now
        entry.failures += 1
        entry.status_at = self._next_status(entry, now)
        return entry.failures

    def postpone(self, printer: str, until: float) -> None:
        """Not before `until`; nothing was asked."""
        entry = self._entries.get(printer)
        if entry is None:
            return
        entry.busy = False
        entry.status_at = until
        entry.full_at = max(entry.full_at, until)

    def release(self, printer: str, now: float) -> None:
        """It was not given back, which no visit should do: it waits for its next turn all the same."""
        entry = self._entries.get(printer)
        if entry is not None and entry.busy:
            self.postpone(printer, now + self._status_s)

    def _catch_up(self, entry: _Entry) -> float:
        return entry.phase * min(CATCH_UP_S, self._status_s)

    def _woke(self, now: float) -> None:
        """Time jumped: everything that would be due at once, or lies absurdly far away, finds a new place."""
        for entry in self._entries.values():
            self._place_full(entry, now)
            if entry.status_at is None:
                continue
            longest = self._status_s * 2 ** (DOUBLINGS + 1)
            if entry.status_at <= now - 1.0 or entry.status_at > now + longest:
                entry.status_at = now + self._catch_up(entry)

    def _place_full(self, entry: _Entry, now: float) -> None:
        """A full reading is never so urgent that all printers must give theirs in the same minute."""
        at = None if entry.full_last is None else _slot(entry.full_last, self._full_s, entry.phase)
        if at is None or at <= now or at > now + 2 * self._full_s:
            at = now + entry.phase * min(self._status_s, self._full_s)
        entry.full_at = at

    def _next_status(self, entry: _Entry, last: float) -> float | None:
        if not entry.failures:
            return _slot(last, self._status_s, entry.phase)
        doublings = entry.failures - SILENT_AFTER + 1
        if doublings <= 0:
            return last + min(RETRY_S, self._status_s)
        if doublings > DOUBLINGS:
            return None
        return last + self._status_s * (1 << doublings) * (0.75 + 0.5 * entry.phase)


class _Entry(msgspec.Struct):
    phase: float
    failures: int = 0
    paused: bool = False
    busy: bool = False
    status_last: float | None = None
    status_at: float | None = None
    full_last: float | None = None
    full_at: float = 0.0

    @property
    def at(self) -> float | None:
        """When it is due. A silent printer is not asked for everything before it answers again."""
        if self.busy or self.paused or self.status_at is None:
            return None
        return self.status_at if self.failures else min(self.status_at, self.full_at)


def phase(printer: str) -> float:
    """The place of a printer in its interval, from 0 up to 1: always the same, and unlike any other's."""
    return int.from_bytes(hashlib.blake2b(printer.encode(), digest_size=6).digest(), "big") / 2**48


def _slot(last: float, interval: float, phase: float) -> float:
    """The first of this phase's places that lies at least half an interval after `last`."""
    earliest = last + interval / 2
    offset = (earliest / interval - phase) % 1.0
    return earliest + (1.0 - offset) * interval if offset else earliest
