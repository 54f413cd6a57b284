# SPDX-License-Identifier: Apache-2.0
"""Status, alerts, trays, bins, covers and storage: the tables of RFC 3805 and RFC 2790, row by row."""

from __future__ import annotations

from typing import Any

from appliance.collector.read import keywords
from appliance.collector.read.profile import Profile
from appliance.collector.read.values import Row, Values
from appliance.model.clock import rfc3339, unix
from appliance.model.reading import Alert, Cover, Input, Output, Status, Storage

HR_DEVICE_STATUS = "1.3.6.1.2.1.25.3.2.1.5"
HR_PRINTER_ENTRY = "1.3.6.1.2.1.25.3.5.1"
HR_STORAGE_ENTRY = "1.3.6.1.2.1.25.2.3.1"
HR_STORAGE_TYPES = "1.3.6.1.2.1.25.2.1"
CONSOLE_TEXT = "1.3.6.1.2.1.43.16.5.1.2"
COVER_ENTRY = "1.3.6.1.2.1.43.6.1.1"
INPUT_ENTRY = "1.3.6.1.2.1.43.8.2.1"
OUTPUT_ENTRY = "1.3.6.1.2.1.43.9.2.1"
ALERT_ENTRY = "1.3.6.1.2.1.43.18.1.1"

# Column of the table to (field, kind); a kind is "text", "integer" or a table of keywords.
INPUT_COLUMNS: dict[int, tuple[str, Any]] = {
    2: ("type", keywords.INPUT_TYPE),
    3: ("dim_unit", keywords.MEDIA_UNIT),
    4: ("media_dim_feed_dir_declared", "integer"),
    5: ("media_dim_x_feed_dir_declared", "integer"),
    6: ("media_dim_feed_dir_chosen", "integer"),
    7: ("media_dim_x_feed_dir_chosen", "integer"),
    8: ("capacity_unit", keywords.CAPACITY_UNIT),
    9: ("max_capacity", "integer"),
    10: ("current_level", "integer"),
    11: ("status", "status"),
    12: ("media_name", "text"),
    13: ("name", "text"),
    14: ("vendor_name", "text"),
    15: ("model", "text"),
    16: ("version", "text"),
    17: ("serial_number", "text"),
    18: ("description", "text"),
    19: ("security", keywords.PRESENT_ON_OFF),
    20: ("media_weight", "integer"),
    21: ("media_type", "text"),
    22: ("media_color", "text"),
    23: ("media_form_parts", "integer"),
    24: ("media_load_timeout", "integer"),
    25: ("next_index", "integer"),
}
OUTPUT_COLUMNS: dict[int, tuple[str, Any]] = {
    2: ("type", keywords.OUTPUT_TYPE),
    3: ("capacity_unit", keywords.CAPACITY_UNIT),
    4: ("max_capacity", "integer"),
    5: ("remaining_capacity", "integer"),
    6: ("status", "status"),
    7: ("name", "text"),
    8: ("vendor_name", "text"),
    9: ("model", "text"),
    10: ("version", "text"),
    11: ("serial_number", "text"),
    12: ("description", "text"),
    13: ("security", keywords.PRESENT_ON_OFF),
    14: ("dim_unit", keywords.MEDIA_UNIT),
    15: ("max_dim_feed_dir", "integer"),
    16: ("max_dim_x_feed_dir", "integer"),
    17: ("min_dim_feed_dir", "integer"),
    18: ("min_dim_x_feed_dir", "integer"),
    19: ("stacking_order", keywords.STACKING_ORDER),
    20: ("page_delivery_orientation", keywords.DELIVERY_ORIENTATION),
    21: ("bursting", keywords.PRESENT_ON_OFF),
    22: ("decollating", keywords.PRESENT_ON_OFF),
    23: ("page_collated", keywords.PRESENT_ON_OFF),
    24: ("offset_stacking", keywords.PRESENT_ON_OFF),
}
COVER_COLUMNS: dict[int, tuple[str, Any]] = {2: ("description", "text"), 3: ("status", keywords.COVER_STATUS)}
STORAGE_COLUMNS: dict[int, tuple[str, Any]] = {
    3: ("descr", "text"),
    4: ("allocation_units", "integer"),
    5: ("size", "integer"),
    6: ("used", "integer"),
    7: ("allocation_failures", "integer"),
}


def status(values: Values, profile: Profile, device: int | None, host: int) -> Status:
    """`device` is the printer's index in the Printer-MIB, `host` in the tables of RFC 2790."""
    errors = values.octets(f"{HR_PRINTER_ENTRY}.2.{host}")
    lines = [oid for rest, oid in values.under(CONSOLE_TEXT) if device is None or rest[0] == device]
    display = [t for oid in lines if (t := values.text(oid))]
    if not display:
        display = [t for oid in profile.display if (t := values.text(oid))]
    return Status(
        printer=keywords.name(keywords.PRINTER_STATUS, values.integer(f"{HR_PRINTER_ENTRY}.1.{host}")),
        device=keywords.name(keywords.DEVICE_STATUS, values.integer(f"{HR_DEVICE_STATUS}.{host}")),
        errors=keywords.detected_errors(errors) if errors else [],
        display=display,
    )


def alerts(values: Values, device: int | None, *, uptime: int | None, time: str) -> list[Alert]:
    """The alert table, oldest index first. Without a code and a severity a row is nothing."""
    found = []
    for row in _rows(values, ALERT_ENTRY, device):
        code, severity = row.integer(7), row.integer(2)
        if code is None and severity is None:
            continue
        ticks = row.integer(9)
        found.append(
            Alert(
                index=row.index[-1],
                code=code or 0,
                code_name=keywords.name(keywords.ALERT_CODE, code) or "unknown",
                severity=keywords.ALERT_SEVERITY.get(severity or 0, "other"),
                training=keywords.ALERT_TRAINING.get(row.integer(3) or 0, "unknown"),
                group=keywords.ALERT_GROUP.get(row.integer(4) or 0, "other"),
                group_index=_or(row.integer(5), -1),
                location=_or(row.integer(6), -1),
                description=row.text(8),
                ticks=ticks,
                time=happened(ticks, uptime, time),
            )
        )
    return found


def happened(ticks: int | None, uptime: int | None, time: str) -> str | None:
    """The moment of prtAlertTime, to the second. None where it cannot be told: 0 stands for "not known" with many
    agents, and after sysUpTime wrapped (497 days) or restarted, ticks lie in its future."""
    if not ticks or uptime is None or ticks < 0 or ticks > uptime:
        return None
    return rfc3339(round(unix(time) - (uptime - ticks) / 100))


def inputs(values: Values, device: int | None) -> list[Input]:
    return [Input(index=r.name, **_fields(r, INPUT_COLUMNS)) for r in _rows(values, INPUT_ENTRY, device)]


def outputs(values: Values, device: int | None) -> list[Output]:
    return [Output(index=r.name, **_fields(r, OUTPUT_COLUMNS)) for r in _rows(values, OUTPUT_ENTRY, device)]


def covers(values: Values, device: int | None) -> list[Cover]:
    return [Cover(index=r.name, **_fields(r, COVER_COLUMNS)) for r in _rows(values, COVER_ENTRY, device)]


def storage(values: Values) -> list[Storage]:
    """hrStorageTable; it has no device index."""
    found = []
    for row in _rows(values, HR_STORAGE_ENTRY, None):
        kind = (values.oid(row.oid(2)) or "").removeprefix(HR_STORAGE_TYPES + ".")
        word = keywords.STORAGE_TYPE.get(int(kind), "unknown") if kind.isascii() and kind.isdigit() else None
        found.append(Storage(index=row.name, type=word, **_fields(row, STORAGE_COLUMNS)))
    return found


def _rows(values: Values, entry: str, device: int | None) -> list[Row]:
    indices = values.indices(entry)
    return [Row(values, entry, i) for i in indices if device is None or len(i) == 1 or i[0] == device]


def _fields(row: Row, columns: dict[int, tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column, (field, kind) in columns.items():
        if kind == "integer":
            found[field] = row.integer(column)
        elif kind == "text":
            found[field] = row.text(column)
        elif kind == "status":
            found[field] = keywords.sub_unit_status(row.integer(column))
        else:
            found[field] = row.keyword(column, kind)
    return found


def _or(number: int | None, otherwise: int) -> int:
    return otherwise if number is None else number
