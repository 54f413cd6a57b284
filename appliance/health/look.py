# SPDX-License-Identifier: Apache-2.0
"""Gathers what the checks judge by, where it takes a database, a disk or a route to know."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from appliance.health.facts import Card, Disk
from appliance.model.reading import Reading
from appliance.store import printers, readings, settings
from appliance.store.database import Connection
from appliance.store.printers import Printer


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Of the database: `readings` by printer id, `poll_s` the setting poll.status_s."""

    printers: list[Printer]
    readings: dict[str, Reading]
    poll_s: int

    @property
    def last_tried(self) -> str | None:
        """When the collector last wrote that it asked somebody (RFC 3339)."""
        return max((p.last_tried for p in self.printers if p.last_tried), default=None)


def stored(db: Connection) -> Stored:
    """What is in the database now."""
    poll_s = settings.load(db)["poll.status_s"]
    assert isinstance(poll_s, int)
    return Stored(printers=printers.all_printers(db), readings=readings.all_latest(db), poll_s=poll_s)


def own_address() -> str | None:
    """The address that packets to elsewhere would leave with; None without a route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): the default route decides
            return str(sock.getsockname()[0])
        except OSError:
            return None


MOUNTED = Path("/run/platen-data")
"""On the box: what the data partition is ("card", "new", or "memory" where it could not be used)."""


def disk(folder: Path) -> Disk | None:
    """Room where `folder` lies; None where it cannot be told."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    free, total = (n * room.f_frsize // 10**6 for n in (room.f_bavail, room.f_blocks))
    try:
        memory = MOUNTED.read_bytes().strip() == b"memory"
    except OSError:
        memory = False
    return Disk(free_mb=free, total_mb=total, memory=memory)


_CARD_MOST = 64 * 1024


def card(run: Path) -> Card | None:
    """What provision said at this start, in the run directory `run`; None where it said nothing."""
    try:
        with open(run / "provision.json", "rb") as file:
            return msgspec.json.decode(file.read(_CARD_MOST), type=Card)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
