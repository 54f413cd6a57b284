# SPDX-License-Identifier: Apache-2.0
"""Whether a version on trial has proved itself. Pure.

It compares with how things were right before the restart, never with an ideal: a box that had no portal and two
sleeping printers needs neither to keep an update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from appliance.host.systemd1 import Unit
from appliance.update.state import Before

STEADY_S = 20.0
"""A service that restarts every few seconds looks well in between."""

DEADLINE_S = 150.0
"""Readings of known printers come within 20 s of a start and the portal within a minute of the network; twice that,
and still far from the 230 s after which the initrd's dead man's switch restarts the box."""


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one look. `now` CLOCK_MONOTONIC, as of which `units` count. None: did not answer."""

    now: float
    units: Sequence[Unit]
    page: bool
    database: bool
    printers: int | None
    portal: bool


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One demand. `text`: what is still missing."""

    name: Literal["services", "page", "database", "printers", "portal"]
    good: bool
    text: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """good: confirm. bad: `cause` is the first demand that is not met. wait: look again."""

    word: Literal["good", "wait", "bad"]
    checks: Sequence[Check]
    cause: str | None = None


def needed(before: int | None) -> int:
    """How many printers have to answer: half of those that did. Broken reading shows as none or a few, while people
    switch printers off at any time; demanding more would take good updates back, less would keep bad ones."""
    return 0 if not before else (before + 1) // 2


def checks(sight: Sight, before: Before) -> list[Check]:
    """Every demand, in the order in which a cause explains the later ones."""
    shaky = [u.name for u in sight.units if not _steady(u, sight.now)]
    wanted, answering = needed(before.printers), sight.printers
    return [
        Check(name="services", good=bool(sight.units) and not shaky, text=", ".join(shaky)),
        Check(name="database", good=sight.database),
        Check(name="page", good=sight.page),
        Check(
            name="printers",
            # The collector has to answer even where there are no printers.
            good=answering is not None and answering >= wanted,
            text=f"{answering if answering is not None else '?'} of {wanted}",
        ),
        Check(name="portal", good=sight.portal or not before.portal),
    ]


def decide(sight: Sight, before: Before, *, elapsed_s: float, deadline_s: float = DEADLINE_S) -> Verdict:
    """The verdict `elapsed_s` after the gate began."""
    found = checks(sight, before)
    missing = next((c for c in found if not c.good), None)
    if missing is None:
        return Verdict(word="good", checks=found)
    if elapsed_s < deadline_s:
        return Verdict(word="wait", checks=found)
    return Verdict(word="bad", checks=found, cause=f"gate-{missing.name}")


def _steady(unit: Unit, now: float) -> bool:
    if unit.active != "active":
        return False
    # A socket is never "running"; a service that came back by itself has to hold out from then.
    return not unit.name.endswith(".service") or (unit.sub == "running" and now - unit.since >= STEADY_S)
