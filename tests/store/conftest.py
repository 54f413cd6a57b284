# SPDX-License-Identifier: Apache-2.0
"""A database with one printer, and readings to put into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.model.clock import Stamp, rfc3339
from appliance.model.reading import SECTIONS, Meter, PrinterFacts, Reading, Status, Supply
from appliance.store import printers
from appliance.store.database import open_database

BOOT = "0d6c4c2e-6a51-4d0e-9f39-1b8f3c1f7f55"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "platen.db"


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    found = open_database(path)
    yield found
    found.close()


@pytest.fixture
def printer(db: sqlite3.Connection) -> str:
    return add_printer(db)


def add_printer(db: sqlite3.Connection, n: int = 1, **more: Any) -> str:
    """A printer of that number; its id."""
    made = printers.Printer(id=printers.new_id(), address=f"192.0.2.{n}", first_seen=moment(0), **more)
    printers.save(db, made)
    return made.id


def moment(seconds: float) -> str:
    """RFC 3339, `seconds` into a day of November 2026."""
    return rfc3339(1_795_651_200 + seconds)


def stamp(seconds: float, *, boot: str = BOOT) -> Stamp:
    return Stamp(time=moment(seconds), clock="synchronised", boot_id=boot, mono=seconds)


def full(seconds: float, total: int = 100, percent: int | None = 80) -> Reading:
    """Everything read at that moment."""
    return Reading(
        time=moment(seconds),
        clock="synchronised",
        address="192.0.2.1",
        printer=PrinterFacts(vendor="Example", model="X100", serial="S1"),
        status=Status(printer="idle", device="running", display=["Ready"]),
        meters=[Meter(name="total", value=total, unit="impressions", source="1.3.6.1.2.1.43.10.2.1.4.1.1")],
        supplies=[
            Supply(
                index="1.1",
                class_="supplyThatIsConsumed",
                type="toner",
                color="black",
                description="Black",
                part_number=None,
                serial=None,
                unit="percent",
                capacity=100,
                level=percent,
                percent=percent,
                state="ok",
                basis="measured",
            )
        ],
        times=dict.fromkeys(SECTIONS, moment(seconds)),
        uptime_ticks=int(seconds * 100),
        profile="example",
    )


def status_poll(seconds: float, total: int, *, percent: int | None = 80, printing: bool = False) -> Reading:
    """What a status poll reads, and nothing of the rest."""
    polled = ("status", "meters", "supplies", "alerts")
    made = full(seconds, total, percent)
    state = Status(printer="printing" if printing else "idle", device="running", display=["Ready"])
    return Reading(
        time=made.time,
        clock=made.clock,
        address=made.address,
        printer=PrinterFacts(),
        status=state,
        meters=made.meters,
        supplies=made.supplies,
        times=dict.fromkeys(polled, made.time),
        uptime_ticks=made.uptime_ticks,
        profile="example",
    )
