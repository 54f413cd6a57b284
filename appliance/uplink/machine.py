# SPDX-License-Identifier: Apache-2.0
"""When to connect and when to wait. Pure: time comes in as monotonic seconds, chance as a function.

    off ────── no broker is set          connecting ── an attempt is under way
    paused ─── somebody said so          connected ─── the broker took us
                                         waiting ───── until `next_try`

Waiting times have full jitter: a random share of a ceiling that doubles from `first_s` to `most_s`. The
ceiling falls back only after a connection held for `stable_s`, so a broker that accepts and kicks is not hammered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from appliance.model.errors import LinkError

State = Literal["off", "paused", "connecting", "connected", "waiting"]
Action = Literal["connect", "disconnect"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: the first ceiling, the last one, and how long a connection must hold to be called stable."""

    first_s: float = 1.0
    most_s: float = 900.0
    stable_s: float = 300.0


class Machine:
    """The state of one connection. Every method returns what to do now, in order.

    A connection is known by `generation`, which grows with every "connect"; news of an older one is ignored.
    """

    def __init__(self, backoff: Backoff, chance: Callable[[], float]) -> None:
        self._backoff = backoff
        self._chance = chance  # uniform in [0, 1)
        self.state: State = "off"
        self.error: LinkError | None = None
        self.generation = 0
        self.failures = 0
        self.since = 0.0
        self.next_try: float | None = None

    def configure(self, *, wanted: bool, paused: bool, changed: bool, now: float) -> list[Action]:
        """`wanted`: a broker is set. `changed`: where to, or with which keys, is not what it was."""
        aim: State | None = "off" if not wanted else "paused" if paused else None
        if aim is not None:
            actions = self._hang_up()
            if self.state != aim:
                self._enter(aim, now)
            self.failures, self.error = 0, None
            return actions
        if self.state in ("off", "paused") or changed:
            actions = self._hang_up()
            self.failures, self.error = 0, None
            return [*actions, self._dial(now)]
        return []

    def connected(self, generation: int, now: float) -> list[Action]:
        """The broker accepted."""
        if generation == self.generation and self.state == "connecting":
            self._enter("connected", now)
            self.error = None
        return []

    def lost(self, generation: int, error: LinkError | None, now: float) -> list[Action]:
        """The attempt failed or the connection ended, for `error`."""
        if generation != self.generation or self.state not in ("connecting", "connected"):
            return []
        if self.state == "connected" and now - self.since >= self._backoff.stable_s:
            self.failures = 0
        ceiling = min(self._backoff.most_s, self._backoff.first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        self.error = error
        self._enter("waiting", now)
        self.next_try = now + self._chance() * ceiling
        return []

    def tick(self, now: float) -> list[Action]:
        """Time has passed."""
        if self.state == "waiting" and self.next_try is not None and now >= self.next_try:
            return [self._dial(now)]
        return []

    def retry(self, now: float) -> list[Action]:
        """A person does not want to wait. The ceiling stays: patience of people is no news from the broker."""
        return [self._dial(now)] if self.state == "waiting" else []

    def stop(self, now: float) -> list[Action]:
        """The service ends."""
        actions = self._hang_up()
        self._enter("off", now)
        return actions

    def _dial(self, now: float) -> Action:
        self.generation += 1
        self._enter("connecting", now)
        return "connect"

    def _hang_up(self) -> list[Action]:
        return ["disconnect"] if self.state in ("connecting", "connected") else []

    def _enter(self, state: State, now: float) -> None:
        self.state = state
        self.since = now
        self.next_try = None
