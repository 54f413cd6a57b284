# SPDX-License-Identifier: Apache-2.0
"""A reading as a person reads it on a terminal. Pure: Reading in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from appliance.cli import plain
from appliance.model import meters
from appliance.model.reading import Alert, Input, Reading, Supply

_BAR = 20


def page(reading: Reading) -> str:
    """Everything that matters of it, on some thirty lines of up to about 100 columns."""
    parts = [
        _head(reading),
        _meters(reading),
        _supplies(reading),
        _alerts(reading),
        _inputs(reading),
        _foot(reading),
    ]
    return "\n\n".join(plain_lines(p) for p in parts if p)


def line(reading: Reading) -> str:
    """One printer of a list."""
    facts = reading.printer
    name = " ".join(filter(None, (facts.vendor, facts.model)))
    low = [s for s in reading.supplies if s.state in ("low", "empty", "full", "near_full")]
    words = [
        reading.status.printer or "",
        *(f"{_supply_name(s)} {s.state.replace('_', ' ')}" for s in low[:3]),
    ]
    return plain(
        f"{reading.address:<15}  {name[:36]:<36}  {facts.serial or '-':<16}  {', '.join(filter(None, words))}"
    )


def table(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as aligned lines, two spaces between columns; those of `right` are aligned to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))] if rows else []
    ends = set(right)
    return [
        "  ".join(
            c.rjust(w) if n in ends else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def plain_lines(text: str) -> str:
    return "\n".join(plain(line) for line in text.split("\n"))


def _head(reading: Reading) -> str:
    facts, status = reading.printer, reading.status
    rows = [
        ("Printer", " ".join(filter(None, (facts.vendor, facts.model))) or "of unknown model"),
        ("Address", reading.address),
        ("Name", facts.hostname),
        ("Serial", facts.serial),
        ("MAC", facts.mac),
        ("Location", facts.location),
        ("Contact", facts.contact),
        ("Asset", facts.asset_number),
        ("Firmware", ", ".join(" ".join(filter(None, (f.name, f.version))) for f in facts.firmware[:4])),
        ("Status", ", ".join(filter(None, (status.printer, *status.errors)))),
        ("Display", " / ".join(filter(str.strip, status.display))),
    ]
    return "\n".join(table([(n, v) for n, v in rows if v]))


def _meters(reading: Reading) -> str:
    if not reading.meters:
        return ""
    found = sorted(reading.meters, key=lambda m: meters.order(m.name))
    rows = [(m.name, f"{m.value:,}".replace(",", " "), m.unit, "derived" if m.derived else "") for m in found]
    return "\n".join(["Meters", *("  " + row for row in table(rows, right=[1]))])


def _supplies(reading: Reading) -> str:
    rows = [
        (_supply_name(s), _bar(s), _level(s), s.state.replace("_", " "), s.part_number or "")
        for s in reading.supplies
    ]
    return "\n".join(["Supplies", *("  " + row for row in table(rows, right=[2]))]) if rows else ""


def _supply_name(supply: Supply) -> str:
    return (supply.description or " ".join(filter(None, (supply.color, supply.type))))[:40]


def _bar(supply: Supply) -> str:
    if supply.percent is None:
        return "·" * _BAR
    full = round(supply.percent * _BAR / 100)
    return "█" * full + "░" * (_BAR - full)


def _level(supply: Supply) -> str:
    if supply.percent is not None:
        what = " free" if supply.class_ == "receptacleThatIsFilled" else ""
        return f"{'about ' if supply.basis == 'coarse' else ''}{supply.percent} %{what}"
    return "some" if supply.basis == "some" else "?"


def _alerts(reading: Reading) -> str:
    def row(alert: Alert) -> tuple[str, str, str]:
        return alert.severity, alert.code_name, alert.description or ""

    rows = [row(a) for a in reading.alerts[:20]]
    return "\n".join(["Alerts", *("  " + r for r in table(rows))]) if rows else ""


def _inputs(reading: Reading) -> str:
    def row(tray: Input) -> tuple[str, str, str]:
        level, most = tray.current_level, tray.max_capacity
        known = {-3: "some", 0: "empty"}.get(
            level if level is not None else -2, "?" if (level or -2) < 0 else str(level)
        )
        return (
            tray.name or tray.description or f"tray {tray.index}",
            tray.media_name or "",
            (f"{known} of {most}" if most is not None and most > 0 else known),
        )

    rows = [row(t) for t in reading.inputs]
    return "\n".join(["Trays", *("  " + r for r in table(rows))]) if rows else ""


def _foot(reading: Reading) -> str:
    return "\n".join(_notes(reading))


def _notes(reading: Reading) -> Iterator[str]:
    for note in reading.notes[:10]:
        yield f"Note: {note.code}: {note.text}"
    t = reading.traffic
    if t.packets_sent:
        packets, octets = t.packets_sent + t.packets_received, t.bytes_sent + t.bytes_received
        cost = f"{packets} packets, {octets} bytes both ways"
        yield f"Read at {reading.time} with {cost}; profile {reading.profile or '-'}."
    else:
        yield f"Replayed from a recording; profile {reading.profile or '-'}."
