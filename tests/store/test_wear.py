# SPDX-License-Identifier: Apache-2.0
"""What a day costs the card, counted by the kernel."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import office, store

DISK = "/var/tmp"  # noqa: S108 - a disk, where tmp_path may be memory


def on_a_disk() -> bool:
    """Whether bytes written there are counted at all."""
    kinds = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    found = max((m for m in kinds if DISK.startswith(m[0])), key=lambda m: len(m[0]), default=["/", ""])
    return found[1] != "tmpfs"


pytestmark = pytest.mark.skipif(not on_a_disk(), reason=f"{DISK} is in memory")


def test_fifty_printers_for_a_day() -> None:
    found = store._measured(store.ours, 50, 24, DISK)
    assert found["polls"] == 50 * 96
    assert 20 * 50 < found["changes"] < 45 * 50
    assert found["bytes_per_printer_day"] < 1_000_000
    assert found["bytes"] <= 50_000_000


def test_the_benchmark_says_what_the_command_line_promises() -> None:
    found = store.run(argparse.Namespace(printers=4, hours=2, json=True))
    assert found["name"] == "store"
    assert "one row per value" in found["peer"]["name"]
    assert found["ratio"]["bytes"] == round(found["peer"]["bytes"] / found["ours"]["bytes"], 2)
    assert found["ratio"]["bytes"] > 2
    assert found["ratio"]["bytes_without_index"] > 0
    assert found["ours"]["polls"] == found["peer"]["polls"] == 4 * 8


def test_the_day_is_the_same_each_time_and_plausible() -> None:
    day = list(office.day(3, 24))
    assert day == list(office.day(3, 24))
    assert [p.at for p in day] == sorted(p.at for p in day)
    totals = [p.reading.meters[0].value for p in day if p.printer == 0]
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]
