# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.collector.read.rows import happened
from appliance.model.reading import Reading

Read = Callable[..., Reading]
NOW = "2026-11-21T12:00:00.000Z"


def test_status_and_display(read: Read) -> None:
    found = read(
        "hrprinter.1.1|2|5\nhrprinter.2.1|4x|2480\ndevice.5.1|2|3",
        "console.2.1.1|4|Toner low\nconsole.2.1.2|4|\nconsole.2.1.3|4|Tray 2 empty",
    ).status
    assert (found.printer, found.device) == ("warmup", "warning")
    assert found.errors == ["lowToner", "jammed", "inputTrayMissing"]
    assert found.display == ["Toner low", "Tray 2 empty"]


def test_a_status_that_is_not_there_is_none(read: Read) -> None:
    found = read("sys.3.0|67|1").status
    assert (found.printer, found.device, found.errors, found.display) == (None, None, [], [])


@pytest.mark.parametrize(
    ("ticks", "uptime", "time"),
    [
        (100_000, 160_000, "2026-11-21T11:50:00.000Z"),
        (160_000, 160_000, NOW),
        (0, 160_000, None),
        (None, 160_000, None),
        (100_000, None, None),
        (200_000, 160_000, None),  # sysUpTime began anew since
        (-5, 160_000, None),
    ],
)
def test_when_an_alert_happened(ticks: int | None, uptime: int | None, time: str | None) -> None:
    assert happened(ticks, uptime, NOW) == time


def test_alerts(read: Read) -> None:
    [alert, odd] = read(
        "sys.3.0|67|160000",
        "alert.2.1.3|2|3\nalert.3.1.3|2|3\nalert.4.1.3|2|8\nalert.5.1.3|2|2\nalert.6.1.3|2|-1\nalert.7.1.3|2|808",
        "alert.8.1.3|4|Tray 2 empty\nalert.9.1.3|67|100000",
        "alert.2.1.9|2|0\nalert.7.1.9|2|4242",
        "alert.8.1.11|4|a row of words alone",
    ).alerts
    assert (alert.index, alert.code, alert.code_name) == (3, 808, "inputMediaSupplyEmpty")
    assert (alert.severity, alert.training, alert.group, alert.group_index) == (
        "critical",
        "untrained",
        "input",
        2,
    )
    assert (alert.location, alert.description, alert.ticks) == (-1, "Tray 2 empty", 100000)
    assert alert.time == "2026-11-21T11:50:00.000Z"
    assert (odd.code, odd.code_name, odd.severity, odd.time) == (4242, "unknown", "other", None)


def test_trays_bins_covers_and_storage(read: Read) -> None:
    found = read(
        "input.2.1.1|2|3\ninput.8.1.1|2|8\ninput.9.1.1|2|500\ninput.10.1.1|2|-3\ninput.11.1.1|2|9",
        "input.12.1.1|4|PLAIN\ninput.13.1.1|4|Tray 1\ninput.19.1.1|2|5",
        "output.2.1.1|2|4\noutput.5.1.1|2|-2\noutput.19.1.1|2|3\noutput.20.1.1|2|4",
        "cover.2.1.1|4|Front\ncover.3.1.1|2|3",
        "storage.2.1|6|1.3.6.1.2.1.25.2.1.2\nstorage.3.1|4|RAM\nstorage.4.1|2|1024\nstorage.5.1|2|4096",
    )
    [tray], [bin_], [cover], [ram] = found.inputs, found.outputs, found.covers, found.storage
    assert (tray.index, tray.type, tray.capacity_unit) == ("1.1", "sheetFeedAutoRemovableTray", "sheets")
    assert (tray.max_capacity, tray.current_level, tray.media_name, tray.name) == (500, -3, "PLAIN", "Tray 1")
    assert tray.status == ["unavailableAndOnRequest", "nonCriticalAlerts"]
    assert (tray.security, tray.version) == ("notPresent", None)
    assert (bin_.type, bin_.remaining_capacity) == ("unRemovableBin", -2)
    assert (bin_.stacking_order, bin_.page_delivery_orientation) == ("firstToLast", "faceDown")
    assert (cover.description, cover.status) == ("Front", "coverOpen")
    assert (ram.index, ram.type, ram.descr, ram.allocation_units, ram.size, ram.used) == (
        "1",
        "ram",
        "RAM",
        1024,
        4096,
        None,
    )
