# SPDX-License-Identifier: Apache-2.0
"""A working day of printers in an office, as polls: the same for everything that is measured beside each
other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from appliance.model.clock import Stamp, rfc3339
from appliance.model.reading import (
    SECTIONS,
    Alert,
    Cover,
    Firmware,
    Input,
    Meter,
    Output,
    PrinterFacts,
    Reading,
    Status,
    Storage,
    Supply,
)

MIDNIGHT = 1_795_651_200.0
"""2026-11-26 00:00 UTC, a Thursday."""

POLL_S = 900
POLLED = ("status", "meters", "supplies", "alerts")
"""What a status poll reads."""

PRINTS_IN_OFFICE_HOURS = 0.45
"""Chance that somebody printed since the last poll, from 8 to 18 h; otherwise one in fifty."""

BOOT = "3f0c1c9e-5d35-4c52-9a8e-0d8d8c0b6a11"


class Poll(NamedTuple):
    """`reading` is what the printer said, every section of it; a status poll reads POLLED only, unless
    `full`."""

    at: float
    printer: int
    reading: Reading
    full: bool


def day(printers: int, hours: int, *, seed: int = 1) -> Iterator[Poll]:
    """Polls of `printers`, each every quarter of an hour, evenly spread; the first of each day is in full."""
    dice = random.Random(seed)
    devices = [_Device(n, dice) for n in range(printers)]
    for turn in range(hours * 3600 // POLL_S):
        for n, device in enumerate(devices):
            at = MIDNIGHT + turn * POLL_S + n * POLL_S / printers
            if turn:
                device.live(at)
            full = turn % (86_400 // POLL_S) == 0
            yield Poll(at, n, device.reading(at, full=full), full)


def stamp(at: float) -> Stamp:
    """The box's clock at that moment."""
    return Stamp(time=rfc3339(at), clock="synchronised", boot_id=BOOT, mono=at - MIDNIGHT + 1000)


def values(reading: Reading, sections: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, value) of every object in these sections, for a store that has a row for each."""
    found: list[tuple[str, str]] = []
    for section in sections:
        part = msgspec.to_builtins(getattr(reading, section))
        rows = part if isinstance(part, list) else [part]
        for i, row in enumerate(rows):
            found += [(f"{section}.{i}.{k}", str(v)) for k, v in row.items() if v not in (None, [], "")]
    return found


class _Device:
    def __init__(self, n: int, dice: random.Random) -> None:
        self.n, self.dice = n, dice
        self.color = dice.random() < 0.6
        names = ["total", "total.monochrome", "total.duplex", "print", "copy", "scan"]
        names += (
            ["total.full_color", "print.full_color", "copy.full_color", "total.large"] if self.color else []
        )
        self.meters = {name: dice.randrange(10_000, 900_000) for name in names}
        self.supplies: dict[tuple[str, str | None], int] = {("wasteToner", None): dice.randrange(30, 100)}
        for color in ("black", "cyan", "magenta", "yellow") if self.color else ("black",):
            self.supplies |= {(kind, color): dice.randrange(20, 100) for kind in ("toner", "opc")}
        self.pages = 0
        self.state, self.alerts = "idle", 0
        self.boot = MIDNIGHT - dice.randrange(86_400, 40 * 86_400)

    def live(self, at: float) -> None:
        """A quarter of an hour goes by."""
        dice, hour = self.dice, (at - MIDNIGHT) % 86_400 / 3600
        busy = 8 <= hour < 18
        printed = dice.random() < (PRINTS_IN_OFFICE_HOURS if busy else 0.02)
        if printed:
            pages = 1 + int(dice.expovariate(1 / 12))
            self.pages += pages
            for name in self.meters:
                share = 1.0 if name in ("total", "print") else dice.choice((0.0, 0.3, 0.6))
                self.meters[name] += int(pages * share)
            while self.pages > 60:
                self.pages -= 60
                supply = dice.choice(list(self.supplies))
                self.supplies[supply] = max(self.supplies[supply] - 1, 0)
        asleep = "other" if not busy or dice.random() < 0.3 else "idle"
        self.state = "printing" if printed and dice.random() < 0.2 else asleep if not printed else "idle"
        if busy and dice.random() < 0.03:
            self.alerts = 0 if self.alerts else dice.choice((1, 2))

    def reading(self, at: float, *, full: bool) -> Reading:
        """What it says now."""
        time = rfc3339(at)
        return Reading(
            time=time,
            clock="synchronised",
            address=f"192.168.10.{self.n + 10}",
            printer=PrinterFacts(
                vendor="Example",
                model=f"MFP {'C' if self.color else 'M'}450",
                serial=f"XK{7_400_123 + self.n * 31}",
                mac=f"00:00:5e:00:53:{self.n % 256:02x}",
                hostname=f"PRN-{self.n:03}",
                location=f"Floor {self.n // 8}",
                contact="it@example.com",
                sys_object_id="1.3.6.1.4.1.99999.1.2",
                firmware=[Firmware("system", "2.14.7"), Firmware("engine", "1.08")],
                color=self.color,
            ),
            status=Status(
                printer=self.state,
                device="warning" if self.alerts else "running",
                errors=["lowToner"] if self.alerts else [],
                display=[{"idle": "Ready.", "other": "Sleeping...", "printing": "Processing..."}[self.state]],
            ),
            meters=[
                Meter(name=k, value=v, unit="impressions", source=f"1.3.6.1.4.1.99999.42.3.1.{i}.1.1")
                for i, (k, v) in enumerate(self.meters.items())
            ],
            supplies=[
                Supply(
                    index=f"1.{i}",
                    class_="receptacleThatIsFilled" if kind == "wasteToner" else "supplyThatIsConsumed",
                    type=kind,
                    color=color,
                    description=f"{color or 'Waste'} {kind} EX-{450 + i}",
                    part_number=f"1T02{i}X0NL0",
                    serial=f"S{self.n:04}{i:04}",
                    unit="impressions",
                    capacity=12_000,
                    level=120 * percent,
                    percent=percent,
                    state="ok" if percent > 10 else "low",
                    basis="measured",
                )
                for i, ((kind, color), percent) in enumerate(self.supplies.items(), 1)
            ],
            alerts=[
                Alert(
                    index=i,
                    code=1104,
                    code_name="markerTonerAlmostEmpty",
                    severity="warningUnaryChangeEvent",
                    training="untrained",
                    group="markerSupplies",
                    group_index=i,
                    location=-1,
                    description="Toner is running low",
                    ticks=8_640_000,
                    time=rfc3339(MIDNIGHT),
                )
                for i in range(1, self.alerts + 1)
            ],
            inputs=[
                Input(
                    index=f"1.{i}",
                    type="sheetFeedAutoRemovableTray",
                    dim_unit="micrometers",
                    capacity_unit="sheets",
                    media_dim_feed_dir_declared=297_000,
                    media_dim_x_feed_dir_declared=210_000,
                    max_capacity=500,
                    current_level=250,
                    status=["available"],
                    media_name="iso-a4-white",
                    name=f"Cassette {i}",
                    media_weight=80,
                    media_type="stationery",
                    media_color="white",
                    security="notPresent",
                )
                for i in range(1, 5)
            ],
            outputs=[
                Output(index=f"1.{i}", type="removableBin", name=f"Tray {i}", max_capacity=250)
                for i in (1, 2)
            ],
            covers=[
                Cover(index=f"1.{i}", description=f"Cover {i}", status="coverClosed") for i in range(1, 6)
            ],
            storage=[
                Storage(
                    index="1",
                    type="hrStorageRam",
                    descr="RAM",
                    allocation_units=1024,
                    size=2_000_000,
                    used=9_000,
                )
            ],
            times=dict.fromkeys(SECTIONS if full else POLLED, time),
            uptime_ticks=int((at - self.boot) * 100),
            profile="example",
        )
