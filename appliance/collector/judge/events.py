# SPDX-License-Identifier: Apache-2.0
"""What happened between two readings of one printer. What happens to the printer as a whole (found, moved, silent,
exchanged) is said by whoever recognises it.

alert.raised alert.cleared      rows of the alert table
supply.low .empty .near_full .full .replaced
meter.went-back                 a counter lower than before: a reset, a repaired board, or another printer
status.problem status.cleared   conditions of hrPrinterDetectedErrorState
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from appliance.model.messages import Severity
from appliance.model.reading import Alert, Reading, Supply, SupplyState
from appliance.model.supplies import LOW_PERCENT

Fields = dict[str, str | int | float | bool | None]
Happening = tuple[str, Severity, Fields]

REPLACED_RISE = 20
"""Percentage points that a gauge must rise for its supply to count as exchanged: shaking a cartridge gives less."""

RECOVERED = 5
"""Percentage points above the threshold at which a supply that was low is so no more."""

PROBLEMS: dict[str, Severity] = {
    "noPaper": "warning",
    "noToner": "critical",
    "doorOpen": "warning",
    "jammed": "critical",
    "offline": "warning",
    "serviceRequested": "critical",
    "inputTrayMissing": "warning",
    "outputTrayMissing": "warning",
    "markerSupplyMissing": "critical",
    "outputFull": "warning",
    "overduePreventMaint": "warning",
}
"""Conditions worth a word. Low paper, low toner and an empty tray among several are not: supplies and alerts say
what there is to say of them."""

_WORSE: dict[str, Severity] = {
    "low": "warning",
    "near_full": "warning",
    "empty": "critical",
    "full": "critical",
}


def events(
    old: Reading | None, new: Reading, standing: Mapping[str, SupplyState] | None = None
) -> list[Happening]:
    """(code, severity, fields) of what is different in `new`; of a first reading, what is wrong already. `standing`
    are the bad states of supplies that were said and are not over (`bad_states`), by index; where it is not given,
    those that `old` shows."""
    if standing is None:
        standing = bad_states(old, {}) if old is not None else {}
    return [*_alerts(old, new), *_supplies(old, new, standing), *_meters(old, new), *_status(old, new)]


def bad_states(new: Reading, before: Mapping[str, SupplyState]) -> dict[str, SupplyState]:
    """The bad states of supplies that stand after `new`, where `before` stood. One is over when the gauge is well
    above its threshold: gauges flicker."""
    found: dict[str, SupplyState] = {}
    for supply in new.supplies:
        was = before.get(supply.index)
        if supply.state in _WORSE and (was is None or _WORSE[was] != "critical"):
            found[supply.index] = supply.state
        elif was is not None and (
            supply.state == "unknown"
            or (supply.percent is not None and supply.percent < LOW_PERCENT + RECOVERED)
        ):
            found[supply.index] = was
    return found


def _alerts(old: Reading | None, new: Reading) -> list[Happening]:
    before = Counter(map(_key, old.alerts)) if old is not None else Counter()
    after = Counter(map(_key, new.alerts))
    found: list[Happening] = []
    for alert in new.alerts:
        key = _key(alert)
        if before[key]:
            before[key] -= 1
        elif old is not None or alert.severity == "critical":
            found.append(("alert.raised", _severity(alert), _alert_fields(alert)))
    for alert in old.alerts if old is not None else []:
        key = _key(alert)
        if after[key]:
            after[key] -= 1
        else:
            found.append(("alert.cleared", "info", _alert_fields(alert)))
    return found


def _key(alert: Alert) -> tuple[object, ...]:
    """What stays the same of an alert while it stands. Its index and time do not: some agents number the table anew
    at every change."""
    return alert.code, alert.severity, alert.group, alert.group_index, alert.location


def _severity(alert: Alert) -> Severity:
    return (
        "critical" if alert.severity == "critical" else "warning" if alert.severity == "warning" else "info"
    )


def _alert_fields(alert: Alert) -> Fields:
    return {
        "index": alert.index,
        "code": alert.code,
        "code_name": alert.code_name,
        "group": alert.group,
        "group_index": alert.group_index,
        "description": alert.description,
        "time": alert.time,
    }


def _supplies(old: Reading | None, new: Reading, standing: Mapping[str, SupplyState]) -> list[Happening]:
    before = {s.index: s for s in old.supplies} if old is not None else {}
    found: list[Happening] = []
    for supply in new.supplies:
        was, bad = before.get(supply.index), standing.get(supply.index)
        if was is not None and replaced(was, supply):
            found.append(("supply.replaced", "info", {**_supply_fields(supply), "from": was.percent}))
            bad = None
        # From empty to low is an improvement, not news.
        if (
            (severity := _WORSE.get(supply.state))
            and bad != supply.state
            and _WORSE.get(bad or "") != "critical"
        ):
            found.append((f"supply.{supply.state}", severity, _supply_fields(supply)))
    return found


def replaced(was: Supply, now: Supply) -> bool:
    """Whether another cartridge, drum or box is in its place: its serial is another, or it is much fuller (of a
    receptacle: emptier)."""
    if was.serial and now.serial and was.serial != now.serial:
        return True
    if was.percent is None or now.percent is None:
        return False
    return now.percent - was.percent >= REPLACED_RISE


def _supply_fields(supply: Supply) -> Fields:
    return {
        "supply": supply.index,
        "type": supply.type,
        "color": supply.color,
        "description": supply.description,
        "percent": supply.percent,
        "serial": supply.serial,
    }


def _meters(old: Reading | None, new: Reading) -> list[Happening]:
    before = {m.name: m for m in old.meters} if old is not None else {}
    return [
        ("meter.went-back", "warning", {"meter": m.name, "from": was.value, "to": m.value, "unit": m.unit})
        for m in new.meters
        if (was := before.get(m.name)) is not None
        and m.value < was.value
        and (m.unit, m.source) == (was.unit, was.source)
    ]


def _status(old: Reading | None, new: Reading) -> list[Happening]:
    before = set(old.status.errors) if old is not None else set()
    after = set(new.status.errors)
    found: list[Happening] = [
        ("status.problem", PROBLEMS[e], {"error": e}) for e in sorted(after - before) if e in PROBLEMS
    ]
    found += [("status.cleared", "info", {"error": e}) for e in sorted(before - after) if e in PROBLEMS]
    return found
