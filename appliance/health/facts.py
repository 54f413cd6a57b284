# SPDX-License-Identifier: Apache-2.0
"""What the checks judge by. None everywhere: could not be found out."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from appliance.model.clock import Stamp, unix
from appliance.model.messages import Software
from appliance.model.reading import Reading
from appliance.store.printers import Printer

T = TypeVar("T")


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """A PlatenError as the services report it."""

    code: str
    sentence: str
    hint: str = ""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The box's own. `not_after` RFC 3339."""

    not_after: str
    subject: str = ""
    issuer: str = ""


class Collector(msgspec.Struct, frozen=True, kw_only=True):
    """Of platen.collector.Status, what the checks need."""

    printers: int
    answering: int


class Uplink(msgspec.Struct, frozen=True, kw_only=True):
    """Of platen.uplink.Status, what the checks need. Moments RFC 3339."""

    state: Literal["off", "paused", "connecting", "connected", "waiting"]
    since: str | None = None
    host: str | None = None
    error: Error | None = None
    waiting: int = 0
    oldest: str | None = None
    last_ack: str | None = None
    certificate: Certificate | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Where the database lies, in MB of 10**6 octets. `memory`: the box's data partition could not be used, and
    what is stored is lost at a restart."""

    free_mb: int
    total_mb: int
    memory: bool = False


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One of platen.toml's, in both languages."""

    line: int
    key: str = ""
    en: str
    de: str


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What this start made of the files of dealer and installer. `using`: what the network is configured by;
    `personalisation`: why the dealer's were refused, "CODE: sentence. Hint."."""

    using: Literal["file", "kept", "automatic"]
    problems: list[Mistake] = []
    personalisation: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`collector` and `uplink`: their Status, by status(); None when they did not answer. `addresses`: the
    box's own, without loopback. `database_error`: what opening or reading it raised. `last_commit`: when it
    was last written (RFC 3339). `poll_s`: the setting poll.status_s. `readings` by printer id. `software`:
    what the update service last said; None where there is none. `card`: None where there is no card."""

    now: Stamp
    addresses: list[str] | None = None
    collector: Collector | None = None
    uplink: Uplink | None = None
    disk: Disk | None = None
    database_error: Error | None = None
    last_commit: str | None = None
    poll_s: int = 900
    printers: list[Printer] = []
    readings: dict[str, Reading] = {}
    software: Software | None = None
    card: Card | None = None

    def age_s(self, moment: str | None) -> float | None:
        """Seconds from `moment` to now, 0 where it lies ahead (a clock was set back); None where it is no
        moment."""
        left = self.left_s(moment)
        return None if left is None else max(0.0, -left)

    def left_s(self, moment: str | None) -> float | None:
        """Seconds from now to `moment`, negative once it is past; None where it is no moment."""
        try:
            return None if moment is None else unix(moment) - unix(self.now.time)
        except ValueError:
            return None


def status(answer: dict[str, Any], kind: type[T]) -> T | None:
    """A service's answer to Status as Collector or Uplink; None where it is not one."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        return None
