# SPDX-License-Identifier: Apache-2.0
"""A live device ages plausibly: meters only grow, add up as before, and toner falls until it is replaced."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from appliance.collector.wire import snmprec
from appliance.simulate.live import SECONDS_BETWEEN_JOBS, UPTIME, Live
from appliance.simulate.mib import Mib

PRINTERS = Path(__file__).parents[1] / "printers"
MARKER = "1.3.6.1.2.1.43.10.2.1"
HOUR = 3600.0


def device(name: str) -> Mib:
    return Mib(snmprec.load((PRINTERS / name / "walk.snmprec").read_text("utf-8")))


def aged(name: str, seconds: float, *, seed: str = "a") -> tuple[Mib, Mib]:
    """(before, after) of a device that has lived so long, looked at every ten minutes."""
    mib = device(name)
    live = Live(mib, seed, 0.0)
    for now in range(0, int(seconds), 600):
        live.update(float(now))
    live.update(seconds)
    return device(name), mib


def grown(before: Mib, after: Mib, oid: str) -> int:
    old, new = before.value(oid), after.value(oid)
    assert isinstance(old, int)
    assert isinstance(new, int)
    return new - old


def test_uptime_runs_and_wraps() -> None:
    mib = device("kyocera-taskalfa-3554ci")
    start = mib.value(UPTIME)
    assert isinstance(start, int)
    live = Live(mib, "a", 100.0, None)
    live.update(112.5)
    assert mib.value(UPTIME) == start + 1250
    live.update(100.0 + (1 << 32) / 100)
    assert mib.value(UPTIME) == start
    live.restarted(500.0)
    live.update(501.0)
    assert mib.value(UPTIME) == 100


def test_kyocera_counters_still_add_up() -> None:
    before, after = aged("kyocera-taskalfa-3554ci", 8 * HOUR)
    total = grown(before, after, MARKER + ".4.1.1")
    assert 8 * HOUR / SECONDS_BETWEEN_JOBS < total < 8 * HOUR / 2
    k = "1.3.6.1.4.1.1347"
    assert grown(before, after, k + ".43.10.1.1.12.1.1") == total
    assert sum(grown(before, after, f"{k}.42.3.1.1.1.1.{f}") for f in (1, 2)) == total
    assert sum(grown(before, after, f"{k}.42.3.1.2.1.1.{f}.{c}") for f in (1, 2) for c in (1, 3)) == total
    a4 = grown(before, after, k + ".42.2.1.1.1.6.1.3")
    assert a4 == total == sum(grown(before, after, f"{k}.42.2.1.1.1.{c}.1.3") for c in (7, 8))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hp-color-laserjet-mfp-m480", ("1.3.6.1.4.1.11.2.3.9.4.2.1.4.1.2", ["6.0", "7.0"])),
        ("epson-wf-c579r", ("1.3.6.1.4.1.1248.1.2.2.27.1.1", ["3.1.1", "4.1.1"])),
        (
            "konica-minolta-bizhub-c360i",
            ("1.3.6.1.4.1.18334.1.1.1.5.7.2.2.1.5", ["1.1", "1.2", "2.1", "2.2"]),
        ),
        ("xerox-versalink-c7130", ("1.3.6.1.4.1.253.8.53.13.2.1.6.1.20", ["33", "34"])),
        ("ricoh-im-c3000", ("1.3.6.1.4.1.367.3.2.1.2.19.5.1.9", ["2", "7"])),
        ("lexmark-ms431dn", ("1.3.6.1.4.1.641.6.4.2.1.1.4.1", ["5"])),
    ],
)
def test_private_parts_add_up_to_the_total(name: str, parts: tuple[str, list[str]]) -> None:
    before, after = aged(name, 4 * HOUR)
    total = grown(before, after, MARKER + ".4.1.1")
    assert total > 0
    assert sum(grown(before, after, f"{parts[0]}.{row}") for row in parts[1]) == total


def test_brothers_byte_table_counts_too() -> None:
    before, after = aged("brother-mfc-l8900cdw", 4 * HOUR)
    oid = "1.3.6.1.4.1.2435.2.3.9.4.2.1.5.5.10.0"
    old, new = before.value(oid), after.value(oid)
    assert isinstance(old, bytes)
    assert isinstance(new, bytes)
    assert len(old) == len(new)
    assert new[-1] == 0xFF

    def counts(table: bytes) -> dict[int, int]:
        return {table[i]: int.from_bytes(table[i + 3 : i + 7], "big") for i in range(0, len(table) - 1, 7)}

    total = grown(before, after, MARKER + ".4.1.1")
    change = {code: counts(new)[code] - value for code, value in counts(old).items()}
    assert change[0x00] == total == change[0x01] + change[0x02]
    assert 0 <= change[0x06] <= total


def test_a_counter_written_as_text_counts_too() -> None:
    mib = device("zebra-zt411")
    live = Live(mib, "a", 0.0)
    live.update(HOUR)
    labels = mib.value("1.3.6.1.4.1.10642.200.17.6.0")
    assert isinstance(labels, bytes)
    assert int(labels) > 102_955


def test_toner_falls_and_is_replaced_before_it_is_gone() -> None:
    mib = device("kyocera-ecosys-m5526cdw")
    live = Live(mib, "b", 0.0)
    oid = "1.3.6.1.2.1.43.11.1.1.9.1.2"  # magenta, thirty pages left
    levels = []
    for now in range(0, int(12 * HOUR), 60):
        live.update(float(now))
        level = mib.value(oid)
        assert isinstance(level, int)
        levels.append(level)
    assert levels[0] == 30
    assert min(levels) >= 1
    assert max(levels) > 2_500
    # Replaced once; otherwise it only falls.
    assert sum(b > a for a, b in itertools.pairwise(levels)) == 1


def test_what_waits_for_a_hand_prints_nothing() -> None:
    for name in ("kyocera-ecosys-p3155dn", "lexmark-cx625ade", "epson-am-m5500"):
        before, after = aged(name, 4 * HOUR)
        assert grown(before, after, MARKER + ".4.1.1") == 0
        assert grown(before, after, UPTIME) == int(4 * HOUR * 100)


def test_printing_shows_while_it_lasts() -> None:
    mib = device("hp-laserjet-m507")
    live, seen = Live(mib, "c", 0.0), set()
    for now in range(2 * int(HOUR)):
        live.update(float(now))
        seen.add(mib.value("1.3.6.1.2.1.25.3.5.1.1.1"))
    assert seen == {3, 4}


def test_the_same_seed_lives_the_same_life() -> None:
    one, other = aged("oki-c650dn", HOUR, seed="x")[1], aged("oki-c650dn", HOUR, seed="x")[1]
    assert one.varbinds == other.varbinds
    different = (
        aged("hp-laserjet-m507", 4 * HOUR, seed="x")[1],
        aged("hp-laserjet-m507", 4 * HOUR, seed="y")[1],
    )
    assert different[0].varbinds != different[1].varbinds


def test_where_everybody_went_home_nothing_more_is_printed() -> None:
    mib = device("kyocera-taskalfa-3554ci")
    start = mib.value(UPTIME)
    assert isinstance(start, int)
    live = Live(mib, "a", 0.0, 600.0)
    live.update(HOUR)
    printed = grown(device("kyocera-taskalfa-3554ci"), mib, MARKER + ".4.1.1")
    assert 0 < printed < HOUR / 60
    live.go_home(HOUR)
    live.update(HOUR + 60)  # the last job ends
    last = mib.value(MARKER + ".4.1.1")
    live.update(9 * HOUR)
    assert mib.value(MARKER + ".4.1.1") == last
    assert mib.value(UPTIME) == (start + int(9 * HOUR * 100)) % (1 << 32)
