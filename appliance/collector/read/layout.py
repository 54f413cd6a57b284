# SPDX-License-Identifier: Apache-2.0
"""Which objects a reading is made of: the columns of the MIBs' tables, by section. Everything else in these MIBs
(channels, interpreters, console lights, most of localisation) is not asked for."""

from __future__ import annotations

from typing import NamedTuple

from appliance.collector.read import identity, meters, rows, supplies
from appliance.collector.wire.value import Varbind


class Table(NamedTuple):
    """Columns of the table at `entry` that `section` is read from. `per_device`: its index begins with
    hrDeviceIndex of the printer; `host`: it is a table of RFC 2790, where that may be another number."""

    section: str
    entry: str
    columns: tuple[int, ...]
    per_device: bool = True
    host: bool = False


TABLES = (
    Table("printer", identity.IF_ENTRY, (identity.IF_TYPE, identity.IF_PHYS_ADDRESS), per_device=False),
    Table("storage", rows.HR_STORAGE_ENTRY, (2, *rows.STORAGE_COLUMNS), per_device=False),
    Table("printer", identity.HR_DEVICE_ENTRY, (2, 3), host=True),
    Table("status", identity.HR_DEVICE_ENTRY, (5,), host=True),
    Table("status", rows.HR_PRINTER_ENTRY, (1, 2), host=True),
    Table("printer", identity.PRT_GENERAL, (1, 2, 16, 17, 18, 19)),
    Table("covers", rows.COVER_ENTRY, tuple(rows.COVER_COLUMNS)),
    Table("printer", identity.PRT_LOCALIZATION, (4,)),
    Table("inputs", rows.INPUT_ENTRY, tuple(rows.INPUT_COLUMNS)),
    Table("outputs", rows.OUTPUT_ENTRY, tuple(rows.OUTPUT_COLUMNS)),
    Table("meters", meters.MARKER_ENTRY, (3, 4, 6)),
    Table("supplies", supplies.SUPPLIES_ENTRY, (3, 4, 5, 6, 7, 8, 9)),
    Table("supplies", supplies.COLORANT_ENTRY, (4,)),
    Table("status", rows.CONSOLE_TEXT.rpartition(".")[0], (2,)),
    Table("alerts", rows.ALERT_ENTRY, (2, 3, 4, 5, 6, 7, 8, 9)),
)


def roots() -> list[str]:
    """What a first read walks, in MIB order: whole tables where most columns are wanted, else single columns."""
    wanted: list[str] = []
    for table in TABLES:
        if table.entry in (identity.IF_ENTRY, identity.PRT_LOCALIZATION, supplies.COLORANT_ENTRY):
            wanted += [f"{table.entry}.{c}" for c in table.columns]
        elif table.entry not in wanted:
            wanted.append(table.entry)
    return wanted


def section_of(varbind: Varbind, device: int | None, host: int) -> str | None:
    """The section this object of the MIBs belongs to; None where no reading needs it."""
    for table in _BY_PREFIX.get(_prefix(varbind.oid), ()):
        if varbind.oid.startswith(table.entry + "."):
            rest = varbind.oid[len(table.entry) + 1 :].split(".")
            if int(rest[0]) in table.columns:
                mine = host if table.host else device
                # Some agents leave the device out of the index of their supplies.
                short = len(rest) < 2 or (len(rest) == 2 and table.section == "supplies")
                foreign = table.per_device and mine is not None and not short and int(rest[1]) != mine
                if not foreign:
                    return table.section
    return None


def _prefix(oid: str) -> str:
    return ".".join(oid.split(".", 9)[:9])


_BY_PREFIX: dict[str, list[Table]] = {}
for _table in TABLES:
    _BY_PREFIX.setdefault(_prefix(_table.entry), []).append(_table)
