# SPDX-License-Identifier: Apache-2.0
"""One discovery of the service as others see it, live: how far it is and what it met."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from appliance.collector.search import Search

MOST_FOUND = 3_000
"""Entries kept, so that a report fits a message of the control socket; beyond it devices are only counted."""

Verdict = Literal["printer", "known", "other", "silent", "failed"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One address. `printer` is the box's id of it. `sentence` says what it is in words."""

    address: str
    printer: str | None = None
    vendor: str | None = None
    model: str | None = None
    verdict: Verdict
    code: str
    sentence: str


class Scan(msgspec.Struct):
    """`started` and `finished` are RFC 3339. `stopped`: a person ended it early."""

    rate: int
    started: str
    total: int = 0
    finished: str | None = None
    stopped: bool = False
    search: Search | None = None
    found: dict[str, Entry] = {}
    more: int = 0

    def note(self, entries: Iterable[Entry]) -> None:
        """One entry per address; a later one takes its place."""
        for entry in entries:
            if entry.address in self.found or len(self.found) < MOST_FOUND:
                self.found[entry.address] = entry
            else:
                self.more += 1

    def summary(self) -> dict[str, object]:
        """What Status shows."""
        asked = self.search.asked if self.search else 0
        running = self.finished is None
        # Printers that are known already are not asked again; for the one who watches they are done.
        return {
            "running": running,
            "asked": self.total - self.search.total + asked if self.search else 0 if running else self.total,
            "total": self.total,
            "rate": self.rate,
            "started": self.started,
            "finished": self.finished,
            "stopped": self.stopped,
            "eta_s": round(self.search.eta_s) if self.search and running else None,
            "printers": sum(e.verdict in ("printer", "known") for e in self.found.values()),
        }

    def report(self) -> dict[str, object]:
        """What ScanStatus answers: the summary, and every address."""
        return {
            **self.summary(),
            "found": [msgspec.to_builtins(e) for e in self.found.values()],
            "more": self.more,
        }


NONE: dict[str, object] = {
    "running": False,
    "asked": 0,
    "total": 0,
    "rate": 0,
    "started": None,
    "finished": None,
    "stopped": False,
    "eta_s": None,
    "printers": 0,
    "found": [],
    "more": 0,
}
"""The report before the first discovery."""
