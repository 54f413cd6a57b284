# SPDX-License-Identifier: Apache-2.0
"""Meters: prtMarkerTable (RFC 3805) and vendors' own counters, under the names of model.meters."""

from __future__ import annotations

from collections import defaultdict

from appliance.collector.read import sources
from appliance.collector.read.keywords import COUNTER_UNIT
from appliance.collector.read.profile import MeterRule, MeterTable, Profile
from appliance.collector.read.values import Row, Values
from appliance.model.meters import order
from appliance.model.reading import Meter

MARKER_ENTRY = "1.3.6.1.2.1.43.10.2.1"
COUNTER_UNIT_COLUMN, LIFE_COUNT, PROCESS_COLORANTS = 3, 4, 6


def meters(values: Values, profile: Profile, device: int | None) -> list[Meter]:
    """What the printer counts, total first. The profile's own total goes before prtMarkerLifeCount; of rules for
    one meter the first that yields a value counts. What is not reported is absent."""
    found: dict[str, Meter] = {}
    for rule in profile.meters:
        meter = _ruled(values, rule) if rule.name not in found else None
        if meter is not None:
            found[rule.name] = meter
    for table in profile.meter_tables:
        for meter in _tabled(values, table):
            found.setdefault(meter.name, meter)
    standard = _life_count(values, device)
    if standard is not None:
        found.setdefault("total", standard)
    return sorted(found.values(), key=lambda m: order(m.name))


def marker_rows(values: Values, device: int | None) -> list[Row]:
    return [
        Row(values, MARKER_ENTRY, index)
        for index in values.indices(MARKER_ENTRY)
        if device is None or len(index) == 1 or index[0] == device
    ]


def _life_count(values: Values, device: int | None) -> Meter | None:
    """prtMarkerLifeCount. Of several markers the one that counted most: in a tandem engine each colour is a marker
    and counts the pages it took part in, so that a sum would count a page four times."""
    counted: list[tuple[int, str, str]] = []
    for row in marker_rows(values, device):
        value = row.integer(LIFE_COUNT)
        if value is not None and 0 <= value != sources.NO_COUNT:
            unit = row.keyword(COUNTER_UNIT_COLUMN, COUNTER_UNIT) or "unknown"
            counted.append((value, unit, row.oid(LIFE_COUNT)))
    if not counted:
        return None
    value, unit, oid = max(counted, key=lambda c: c[0])
    if len(counted) > 1:
        values.note("several-markers", f"{len(counted)} markers count; the total is the highest of them")
    return Meter(name="total", value=value, unit=unit, source=oid)


def _ruled(values: Values, rule: MeterRule) -> Meter | None:
    plus = [sources.number(values, s) for s in rule.add]
    minus = [sources.number(values, s) for s in rule.subtract]
    if None in plus or None in minus:
        return None
    value = sum(n for n in plus if n is not None) - sum(n for n in minus if n is not None)
    if value < 0:
        return None
    text = " + ".join(_place(s.oid, s.key) for s in rule.add)
    text = " - ".join([text, *(_place(s.oid, s.key) for s in rule.subtract)])
    derived = len(rule.add) + len(rule.subtract) > 1
    return Meter(name=rule.name, value=value, unit=rule.unit, source=text, derived=derived)


def _tabled(values: Values, table: MeterTable) -> list[Meter]:
    parts: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for rest, key_oid in values.under(table.keys):
        name = table.rows.get(values.text(key_oid) or "")
        oid = ".".join([table.values, *map(str, rest)])
        value = values.integer(oid) if name else None
        if name and value is not None and 0 <= value != sources.NO_COUNT:
            parts[name].append((oid, value))
    return [
        Meter(
            name=name,
            value=sum(value for _, value in found),
            unit=table.unit,
            source=" + ".join(oid for oid, _ in found),
            derived=len(found) > 1,
        )
        for name, found in parts.items()
    ]


def _place(oid: str, key: list[str]) -> str:
    return f"{oid}[{','.join(key)}]" if key else oid
