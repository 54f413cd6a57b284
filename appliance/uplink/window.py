# SPDX-License-Identifier: Apache-2.0
"""Which rows of the outbox are on their way, and which to send again. Pure.

At most `size` rows are unanswered at a time. A row the portal has not acknowledged in time is sent again, less
and less often while the portal stays silent: it may be down for a day, and the line may be metered.
"""

from __future__ import annotations

import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds until rows are sent again: at first, and at most after the portal stayed silent. `soon_s`: at first,
    of a row that the broker had nobody to give to."""

    soon_s: float = 2.0
    first_s: float = 60.0
    most_s: float = 900.0


class Window:
    """The rows sent since this connection began, by sequence number."""

    def __init__(self, size: int, patience: Patience) -> None:
        self._most = size
        self._patience = patience
        self._sent: dict[int, float] = {}
        self._unheard: set[int] = set()
        self._wait, self._soon = patience.first_s, patience.soon_s
        self.size = size
        self.highest = 0
        """The last row that was sent on this connection; the next one is after it."""

    def open(self, size: int | None = None) -> None:
        """A new connection: everything unanswered is sent again, from the oldest. `size`: what the broker allows."""
        self._sent.clear()
        self._unheard.clear()
        self._soon = self._patience.soon_s
        self.highest = 0
        self.size = max(1, min(self._most, size or self._most))

    @property
    def free(self) -> int:
        """How many more rows may be sent now."""
        return max(0, self.size - len(self._sent))

    @property
    def unanswered(self) -> list[int]:
        """What was sent and not acknowledged, in order."""
        return sorted(self._sent)

    def sent(self, seq: int, now: float) -> None:
        """The row was handed over (again)."""
        self._sent[seq] = now
        self._unheard.discard(seq)
        self.highest = max(self.highest, seq)

    def unheard(self, seq: int) -> None:
        """The broker took it, and the portal was not there to hear it: after a crash of the broker, which forgets its
        sessions, the box is often back first."""
        if seq in self._sent:
            self._unheard.add(seq)

    def answered(self, seqs: list[int]) -> None:
        """The portal has these for good, or will never take them."""
        known = [seq for seq in seqs if self._sent.pop(seq, None) is not None]
        if known:
            self._wait, self._soon = self._patience.first_s, self._patience.soon_s
        self._unheard.difference_update(seqs)

    def overdue(self, now: float) -> list[int]:
        """What to send again now, oldest first. Asking doubles the wait, up to its limit."""
        late = [seq for seq in self.unanswered if now - self._sent[seq] >= self._patience_with(seq)]
        unheard = self._unheard.intersection(late)
        if unheard:
            self._soon = min(self._soon * 2, self._patience.most_s)
        if len(late) > len(unheard):
            self._wait = min(self._wait * 2, self._patience.most_s)
        return late

    def _patience_with(self, seq: int) -> float:
        return self._soon if seq in self._unheard else self._wait
