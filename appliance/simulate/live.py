# SPDX-License-Identifier: Apache-2.0
"""A recording that goes on living: sysUpTime runs, jobs come, pages are counted, toner runs out and is replaced.

Everything follows from the seed and the time that has passed, so two runs of the same length agree.
"""

from __future__ import annotations

import math
from random import Random

from appliance.collector.wire.value import TIME_TICKS
from appliance.simulate.mib import Mib

UPTIME = "1.3.6.1.2.1.1.3.0"

SECONDS_BETWEEN_JOBS = 75.0
MOST_PAGES = 12
SECONDS_A_PAGE = 2.0
PAGES_A_CARTRIDGE = 6_000
"""What a supply lasts whose unit does not count pages."""

_WRAP = 1 << 32
_PRINTER = "1.3.6.1.2.1.25.3.5.1.1"
_DEVICE = "1.3.6.1.2.1.25.3.2.1.5"
_MARKER = "1.3.6.1.2.1.43.10.2.1"
_SUPPLIES = "1.3.6.1.2.1.43.11.1.1"
_COLORANT = "1.3.6.1.2.1.43.12.1.1.4"
_IDLE, _PRINTING, _DOWN = 3, 4, 5
_PAGE_UNITS = (7, 8)

_KYOCERA = "1.3.6.1.4.1.1347"
_HP = "1.3.6.1.4.1.11.2.3.9.4.2.1.4.1.2"
_EPSON = "1.3.6.1.4.1.1248.1.2.2.27"
_LEXMARK = "1.3.6.1.4.1.641"
_RICOH = "1.3.6.1.4.1.367.3.2.1.2.19"
_CANON = "1.3.6.1.4.1.1602.1.11.1.3.1.4"
_KONICA = "1.3.6.1.4.1.18334.1.1.1.5.7.2"
_XEROX = "1.3.6.1.4.1.253.8.53.13.2.1.6"
_SHARP = "1.3.6.1.4.1.2385.1.1.19.2.1.3"
_OKI = "1.3.6.1.4.1.2001.1.1.1.1.100.1.1.1.3.1"
_ZEBRA = "1.3.6.1.4.1.10642.200.17.6.0"
_BROTHER_COUNTER = "1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5.10.0"

COUNTS: dict[str, str] = {
    _KYOCERA + ".43.10.1.1.12.1.1": "total",
    _KYOCERA + ".42.2.5.1.1.1.1": "simplex",
    _KYOCERA + ".42.2.5.1.1.2.1": "duplex",
    _KYOCERA + ".42.2.5.1.1.3.1": "total",
    _KYOCERA + ".42.3.1.1.1.1.1": "print",
    _KYOCERA + ".42.3.1.1.1.1.2": "copy",
    _KYOCERA + ".42.3.1.2.1.1.1.1": "print.monochrome",
    _KYOCERA + ".42.3.1.2.1.1.1.3": "print.color",
    _KYOCERA + ".42.3.1.2.1.1.2.1": "copy.monochrome",
    _KYOCERA + ".42.3.1.2.1.1.2.3": "copy.color",
    _KYOCERA + ".42.3.1.3.1.1.2": "copy",
    _KYOCERA + ".46.10.1.1.5.3": "copy",
    _HP + ".5.0": "total",
    _HP + ".6.0": "monochrome",
    _HP + ".7.0": "color",
    _HP + ".22.0": "duplex",
    _EPSON + ".1.1.3.1.1": "monochrome",
    _EPSON + ".1.1.4.1.1": "color",
    _EPSON + ".1.1.30.1.1": "total",
    _EPSON + ".6.1.4.1.1.1": "print",
    _EPSON + ".6.1.4.1.1.2": "copy",
    _EPSON + ".6.1.5.1.1.1": "print.color",
    _EPSON + ".6.1.5.1.1.2": "copy.color",
    _LEXMARK + ".2.1.5.1.9.1": "total",
    _LEXMARK + ".6.4.2.1.1.4.1.1": "total",
    _LEXMARK + ".6.4.2.1.1.4.1.5": "monochrome",
    _LEXMARK + ".6.4.2.1.1.4.1.6": "color",
    _RICOH + ".1.0": "total",
    _RICOH + ".2.0": "print",
    _RICOH + ".4.0": "copy",
    _CANON + ".101": "total",
    _CANON + ".102": "total",
    _CANON + ".105": "color",
    _CANON + ".108": "monochrome",
    _CANON + ".109": "monochrome",
    _CANON + ".113": "monochrome",
    _CANON + ".123": "color",
    _CANON + ".124": "color",
    _CANON + ".301": "print",
    _CANON + ".501": "copy",
    _KONICA + ".1.1.0": "total",
    _KONICA + ".1.3.0": "duplex",
    _KONICA + ".1.5.0": "copy",
    _KONICA + ".2.1.5.1.1": "copy.monochrome",
    _KONICA + ".2.1.5.1.2": "print.monochrome",
    _KONICA + ".2.1.5.2.1": "copy.color",
    _KONICA + ".2.1.5.2.2": "print.color",
    _XEROX + ".1.20.1": "total",
    _XEROX + ".1.20.33": "color",
    _XEROX + ".1.20.34": "monochrome",
    _XEROX + ".11.20.3": "copy.monochrome",
    _XEROX + ".11.20.25": "copy.color",
    _SHARP + ".1.4.60": "print",
    _SHARP + ".1.4.61": "print.monochrome",
    _SHARP + ".1.4.63": "print.color",
    _SHARP + ".1.4.75": "duplex",
    _SHARP + ".4.4.60": "copy",
    _SHARP + ".4.4.61": "copy.monochrome",
    _SHARP + ".4.4.63": "copy.color",
    _SHARP + ".5.4.61": "monochrome",
    _SHARP + ".5.4.63": "color",
    _OKI: "total",
    _ZEBRA: "total",
}
"""Private counters that grow with the pages, and what each of them counts."""

# Ricoh says in a column of its own what each row counts.
_RICOH_TYPES = {
    10: "total",
    200: "copy",
    201: "copy.monochrome",
    203: "copy.color",
    400: "print",
    401: "print.monochrome",
    403: "print.color",
    870: "copy.monochrome",
    871: "copy.color",
}
_BROTHER_CODES = {0x00: "total", 0x01: "monochrome", 0x02: "color", 0x06: "duplex", 0x16: "total"}


class Live:
    """The moving parts of one device. Times in seconds of the same clock as `start`; `between_jobs` is how long it is
    idle between two, on average, or None where it prints nothing."""

    def __init__(
        self, mib: Mib, seed: str, start: float, between_jobs: float | None = SECONDS_BETWEEN_JOBS
    ) -> None:
        self._mib = mib
        self._random = Random(seed)
        self._booted, self._ticks = start, mib.value(UPTIME)
        self._counters = _counters(mib)
        self._supplies = _supplies(mib)
        self._color = len({v.value for v in mib.varbinds if v.oid.startswith(_COLORANT + ".")}) > 1
        self._status = next((at for oid, at in mib.index.items() if oid.startswith(_PRINTER + ".")), None)
        self._until = 0.0
        self._job: tuple[int, bool, bool, bool] | None = None
        broken = any(v.value == _DOWN for v in mib.varbinds if v.oid.startswith(_DEVICE + "."))
        idle = self._status is None or mib.varbinds[self._status].value == _IDLE
        # A printer that waits for toner or for a hand at its jam prints nothing; neither does what counts nothing.
        self._prints = bool(self._counters) and idle and not broken
        self._between = between_jobs or math.inf
        self._next = start + self._pause()

    def update(self, now: float) -> None:
        """Bring the device to `now`."""
        at = self._mib.index.get(UPTIME)
        if at is not None and isinstance(self._ticks, int) and self._mib.varbinds[at].tag == TIME_TICKS:
            self._mib.put(at, (self._ticks + int((now - self._booted) * 100)) % _WRAP)
        while self._prints:
            if self._job:
                if now < self._until:
                    return
                self._finish(*self._job)
            elif now < self._next:
                return
            else:
                self._start()

    def go_home(self, now: float) -> None:
        """Nobody prints after this; a job that runs is finished."""
        self.update(now)
        self._between = self._next = math.inf

    def restarted(self, now: float) -> None:
        """sysUpTime begins again at 0."""
        self._booted, self._ticks = now, 0

    def _pause(self) -> float:
        return self._between * self._random.expovariate(1.0)

    def _start(self) -> None:
        random = self._random
        pages = random.randint(1, MOST_PAGES)
        self._job = (
            pages,
            self._color and random.random() < 0.45,
            random.random() < 0.25,
            random.random() < 0.5,
        )
        self._until = self._next + pages * SECONDS_A_PAGE
        self._show(_PRINTING)

    def _finish(self, pages: int, color: bool, copied: bool, both_sides: bool) -> None:
        kind, work = "color" if color else "monochrome", "copy" if copied else "print"
        sides = "duplex" if both_sides else "simplex"
        counted = {"total", kind, work, f"{work}.{kind}", sides}
        for at, what in self._counters:
            value = self._mib.varbinds[at].value
            if isinstance(what, str):
                if what in counted and isinstance(value, int):
                    self._mib.put(at, (value + pages) % _WRAP)
                elif what in counted and isinstance(value, bytes) and value.isdigit():
                    self._mib.put(at, str(int(value) + pages).encode())
            elif isinstance(value, bytes):
                self._mib.put(at, _add_to_records(value, what, counted, pages))
        for supply in self._supplies:
            if color or not supply.colored:
                self._mib.put(supply.at, supply.use(pages))
        self._next = self._until + self._pause()
        self._job = None
        self._show(_IDLE)

    def _show(self, status: int) -> None:
        if self._status is not None:
            self._mib.put(self._status, status)


class _Supply:
    def __init__(self, at: int, level: int, capacity: int, pages: int, colored: bool) -> None:
        self.at, self.colored = at, colored
        self._left, self._capacity, self._a_page = float(level), capacity, capacity / pages

    def use(self, pages: int) -> int:
        """The level after so many pages; a cartridge that ran out has been replaced."""
        self._left -= pages * self._a_page
        if self._left <= 0:
            self._left = float(self._capacity)
        return max(round(self._left), 1)


def _supplies(mib: Mib) -> list[_Supply]:
    """What is consumed, measured and not empty. Black goes with every page, colours with the coloured ones."""
    found = []
    for oid, at in mib.index.items():
        if not oid.startswith(_SUPPLIES + ".9."):
            continue
        row = oid.removeprefix(_SUPPLIES + ".9.")
        level, capacity = mib.value(oid), mib.value(f"{_SUPPLIES}.8.{row}")
        if mib.value(f"{_SUPPLIES}.4.{row}") != 3 or not isinstance(level, int) or level <= 0:
            continue
        if not isinstance(capacity, int) or capacity < level:
            continue
        device = row.rpartition(".")[0]
        number = mib.value(f"{_SUPPLIES}.3.{row}")
        colorant = mib.value(f"{_COLORANT}.{device}.{number}") if isinstance(number, int) else None
        counts_pages = mib.value(f"{_SUPPLIES}.7.{row}") in _PAGE_UNITS
        pages = capacity if counts_pages else PAGES_A_CARTRIDGE
        found.append(_Supply(at, level, capacity, pages, colorant not in (None, b"black")))
    return found


def _counters(mib: Mib) -> list[tuple[int, str | dict[int, str]]]:
    """(position, what it counts), or (position, what each code counts) for Brother's records."""
    found: list[tuple[int, str | dict[int, str]]] = []
    a4 = next(
        (v.oid for v in mib.varbinds if v.oid.startswith(_KYOCERA + ".42.2.1.1.1.2.1.") and v.value == b"A4"),
        "",
    )
    sizes = {
        f"{_KYOCERA}.42.2.1.1.1.{column}.1.{a4.rpartition('.')[2]}": what
        for column, what in ((6, "total"), (7, "monochrome"), (8, "color"))
    }
    for oid, at in mib.index.items():
        if oid.startswith((_MARKER + ".4.", _MARKER + ".5.")):
            # Of several markers the first prints black and with it every page.
            found.append((at, "total" if oid.endswith(".1") else "color"))
        elif oid.startswith(_RICOH + ".5.1.9."):
            kind = mib.value(f"{_RICOH}.5.1.2.{oid.rpartition('.')[2]}")
            if isinstance(kind, int) and kind in _RICOH_TYPES:
                found.append((at, _RICOH_TYPES[kind]))
        elif oid == _BROTHER_COUNTER:
            found.append((at, _BROTHER_CODES))
        elif oid in COUNTS or oid in sizes:
            found.append((at, COUNTS.get(oid) or sizes[oid]))
    return found


def _add_to_records(table: bytes, codes: dict[int, str], counted: set[str], pages: int) -> bytes:
    """Brother's byte table: records of code, 01, width, value; 0xFF ends it."""
    out, at = bytearray(table), 0
    while at + 3 <= len(out) and out[at] != 0xFF:
        code, width = out[at], out[at + 2]
        if codes.get(code) in counted and at + 3 + width <= len(out):
            value = int.from_bytes(out[at + 3 : at + 3 + width], "big") + pages
            out[at + 3 : at + 3 + width] = (value % (1 << 8 * width)).to_bytes(width, "big")
        at += 3 + width
    return bytes(out)
