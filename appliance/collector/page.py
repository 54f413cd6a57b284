# SPDX-License-Identifier: Apache-2.0
"""A reading as a person reads it on a terminal. Pure: Reading in, text out. Nothing a printer says can move the
cursor: control characters are dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.model.meters import order
from appliance.model.reading import Alert, Input, Output, Reading, Storage, Supply

BAR = 20
NARROW = " "
"""Between groups of three digits (SI brochure, 5.4.4)."""


def page(reading: Reading) -> str:
    """All of it, one paragraph a section; a section without rows is left out."""
    parts = [
        _head(reading),
        _rows("Meters", _meters(reading), right=(1,)),
        _rows("Supplies", [_supply(s) for s in reading.supplies], right=(2,)),
        _rows("Alerts", [_alert(a) for a in sorted(reading.alerts, key=lambda a: a.severity != "critical")]),
        _rows("Trays", [_tray(i) for i in reading.inputs]),
        _rows("Bins", [_bin(o) for o in reading.outputs]),
        _rows("Covers", [[c.description or c.index, c.status or ""] for c in reading.covers]),
        _rows("Storage", [_storage(s) for s in reading.storage if s.size]),
        _foot(reading),
    ]
    return "\n\n".join("\n".join(map(plain, p)) for p in parts if p) + "\n"


def plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())


def number(value: int) -> str:
    """Digits in groups of three."""
    return f"{value:,}".replace(",", NARROW)


def bar(percent: int | None) -> str:
    """A gauge of 20 characters; dots where the level is not known."""
    if percent is None:
        return "·" * BAR
    full = max(round(percent * BAR / 100), 1 if percent else 0)
    return "█" * full + "░" * (BAR - full)


def _head(reading: Reading) -> list[str]:
    facts, status = reading.printer, reading.status
    rows = [
        ("Printer", " ".join(filter(None, (facts.vendor, facts.model))) or "unknown make and model"),
        ("Address", reading.address),
        ("Serial", facts.serial),
        ("MAC", facts.mac),
        ("Name", facts.hostname),
        ("Location", facts.location),
        ("Contact", facts.contact),
        ("Asset", facts.asset_number),
        ("Firmware", ", ".join(" ".join(filter(None, (f.name, f.version))) for f in facts.firmware)),
        ("Colour", {True: "yes", False: "no", None: None}[facts.color]),
        ("Status", ", ".join(filter(None, (status.printer, status.device, *status.errors)))),
        ("Display", " / ".join(filter(None, status.display))),
    ]
    return aligned([(name, text) for name, text in rows if text])


def _meters(reading: Reading) -> list[list[str]]:
    return [
        [m.name, number(m.value), m.unit, "derived" if m.derived else ""]
        for m in sorted(reading.meters, key=lambda m: order(m.name))
    ]


def _supply(supply: Supply) -> list[str]:
    name = supply.description or " ".join(filter(None, (supply.color, supply.type)))
    if supply.class_ == "receptacleThatIsFilled":
        name += " (space left)"
    known = {"some": "some", "unknown": "?"}.get(supply.basis, "")
    level = f"{supply.percent} %" if supply.percent is not None else known
    raw = ""
    if (
        supply.level is not None
        and supply.capacity is not None
        and supply.level >= 0 < supply.capacity != 100
    ):
        raw = f"{number(supply.level)} of {number(supply.capacity)} {supply.unit or ''}".rstrip()
    state = "" if supply.state in ("ok", "unknown") else supply.state.replace("_", " ").upper()
    return [name, bar(supply.percent), level, state, raw]


def _alert(alert: Alert) -> list[str]:
    return [alert.severity, alert.code_name, alert.description or "", alert.time or ""]


def _tray(tray: Input) -> list[str]:
    return [
        tray.name or tray.description or tray.index,
        _level(tray.current_level, tray.max_capacity, tray.capacity_unit),
        tray.media_name or "",
    ]


def _bin(out: Output) -> list[str]:
    left = _level(out.remaining_capacity, out.max_capacity, out.capacity_unit)
    return [out.name or out.description or out.index, left]


def _level(level: int | None, capacity: int | None, unit: str | None) -> str:
    words = {None: "", -1: "no limit", -2: "unknown", -3: "some"}
    have = words.get(level, "unknown") if level is None or level < 0 else number(level)
    return (
        f"{have} of {number(capacity)} {unit or ''}".strip() if have and capacity and capacity > 0 else have
    )


def _storage(storage: Storage) -> list[str]:
    unit = storage.allocation_units or 1
    size, used = (n * unit // 2**20 for n in (storage.size or 0, storage.used or 0))
    return [storage.descr or storage.type or storage.index, f"{number(used)} of {number(size)} MiB"]


def _foot(reading: Reading) -> list[str]:
    t = reading.traffic
    lines = [f"Read {reading.time} with the profile {reading.profile or 'generic'}"]
    if t.packets_sent:
        lines[0] += (
            f", {number(t.packets_sent + t.packets_received)} packets,"
            f" {number(t.bytes_sent + t.bytes_received)} bytes both ways"
        )
    return [*lines, *(f"Note: {n.text} ({n.code})" for n in reading.notes)]


def _rows(title: str, rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    return [title, *("  " + line for line in aligned(rows, right))] if rows else []


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines of equal columns; those of `right` end together."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    ends = set(right)
    return [
        "  ".join(
            c.rjust(w) if i in ends else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
