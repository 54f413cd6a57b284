# SPDX-License-Identifier: Apache-2.0
"""The log of writes is read as it was written, and replayed to what the machine's disk was."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.system import blocklog
from tests.system.blocklog import DISCARD, FLUSH, FUA, SECTOR, BadLog, Replay

SECTORS = 64
_anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _entry(sector: int, kind: int, octets: bytes) -> tuple[int, int, bytes]:
    data = b"".join(bytes([o]) * SECTOR for o in octets)[: (SECTORS - sector) * SECTOR]
    return (0, FLUSH, b"") if kind == FLUSH else (sector, kind, data)


entries = st.lists(
    st.builds(
        _entry,
        st.integers(0, SECTORS - 1),
        st.sampled_from([0, FUA, FLUSH]),
        st.binary(min_size=1, max_size=9),
    ),
    max_size=30,
)


def card(folder: Path) -> Path:
    path = folder / "card"
    path.write_bytes(b"\xff" * SECTOR * SECTORS)
    return path


@_anywhere
@given(entries, st.data())
def test_a_prefix_is_what_a_disk_would_hold(
    tmp_path: Path, rows: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    blocklog.write(tmp_path / "log", rows)
    replay = Replay(tmp_path / "log", card(tmp_path))
    stops = sorted(data.draw(st.sets(st.integers(0, len(rows)))))
    disk = bytearray(b"\xff" * SECTOR * SECTORS)
    done = 0
    for stop in stops:
        replay.to(stop)
        for sector, _, octets in rows[done:stop]:
            disk[sector * SECTOR : sector * SECTOR + len(octets)] = octets
        done = stop
        assert (tmp_path / "card").read_bytes() == disk
    replay.close()


@_anywhere
@given(entries)
def test_what_is_written_is_what_is_read(tmp_path: Path, rows: list[tuple[int, int, bytes]]) -> None:
    blocklog.write(tmp_path / "log", rows)
    found = blocklog.read(tmp_path / "log")
    assert [(e.sector, e.flags, e.count * SECTOR) for e in found] == [(s, f, len(d)) for s, f, d in rows]
    for number in range(len(rows) + 1):
        pending = blocklog.in_flight(found, number)
        last = max((n for n in range(number) if rows[n][1] & FLUSH), default=-1)
        assert pending == [e for e in found[last + 1 : number] if not e.flags & FUA]


@_anywhere
@given(st.binary(max_size=4000), st.integers(0, 3000))
def test_no_octets_do_more_than_be_refused(tmp_path: Path, octets: bytes, at: int) -> None:
    blocklog.write(tmp_path / "log", [(1, 0, b"a" * SECTOR), (0, FLUSH, b"")])
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(whole[:at] + octets + whole[at + len(octets) :])
    try:
        found = blocklog.read(tmp_path / "log")
    except BadLog:
        return
    size = (tmp_path / "log").stat().st_size
    assert all(e.flags & DISCARD or e.at + e.count * SECTOR <= size for e in found)


def test_writes_that_the_first_sector_does_not_know_of_yet_count(tmp_path: Path) -> None:
    rows = [(1, 0, b"a" * SECTOR), (0, FLUSH, b""), (2, 0, b"b" * SECTOR)]
    blocklog.write(tmp_path / "log", rows)
    with (tmp_path / "log").open("r+b") as file:
        file.seek(16)
        file.write(struct.pack("<Q", 1))
    assert len(blocklog.read(tmp_path / "log")) == 3
    os.truncate(tmp_path / "log", (tmp_path / "log").stat().st_size - 1)
    assert len(blocklog.read(tmp_path / "log")) == 2


def test_a_log_that_ends_before_what_it_tells_of_is_refused(tmp_path: Path) -> None:
    blocklog.write(tmp_path / "log", [(1, 0, b"a" * SECTOR)])
    os.truncate(tmp_path / "log", 600)
    with pytest.raises(BadLog):
        blocklog.read(tmp_path / "log")


def test_a_discard_leaves_the_old_data_and_has_none_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    blocklog.write(log, [(1, 0, b"a" * SECTOR)])
    with log.open("ab") as file:
        file.write(struct.pack("<QQQQ", 1, 4, DISCARD, 0).ljust(SECTOR, b"\0"))
        file.write(struct.pack("<QQQQ", 2, 1, 0, 0).ljust(SECTOR, b"\0") + b"b" * SECTOR)
    replay = Replay(log, card(tmp_path))
    replay.to(3)
    assert (tmp_path / "card").read_bytes()[SECTOR : 3 * SECTOR] == b"a" * SECTOR + b"b" * SECTOR


def test_zeros_over_a_hole_take_no_room(tmp_path: Path) -> None:
    blocklog.write(tmp_path / "log", [(0, 0, bytes(SECTOR * 4096)), (8, 0, b"a" * SECTOR)])
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", SECTOR * 8192)
    Replay(tmp_path / "log", tmp_path / "sparse").to(2)
    found = (tmp_path / "sparse").stat()
    assert found.st_size == SECTOR * 8192
    assert found.st_blocks <= 16
    with (tmp_path / "sparse").open("rb") as file:
        file.seek(8 * SECTOR)
        assert file.read(2) == b"aa"


@given(entries, st.integers(0, 99), st.integers(0, 8))
def test_losses_are_seeded_bounded_and_different(
    rows: list[tuple[int, int, bytes]], seed: int, most: int
) -> None:
    pending = [blocklog.Entry(s, max(len(d) // SECTOR, 1), 0, n) for n, (s, _, d) in enumerate(rows)]
    found = list(blocklog.losses(pending, random.Random(seed), most))
    assert found == list(blocklog.losses(pending, random.Random(seed), most))
    assert len(found) <= most
    assert len({frozenset(f) for f in found}) == len(found)
    assert all(f and f <= set(pending) for f in found)
    if pending and most > 1:
        assert found
