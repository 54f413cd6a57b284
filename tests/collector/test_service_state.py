# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from appliance.collector import state
from appliance.collector.state import Memory, Neighbour
from appliance.model.clock import Stamp, rfc3339

HOUR = 3_600.0


def stamp(wall: float, mono: float, boot: str = "b") -> Stamp:
    return Stamp(time=rfc3339(1_800_000_000 + wall), clock="synchronised", boot_id=boot, mono=mono)


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "discovery.json"
    assert state.load(file) == Memory()
    memory = Memory(
        finished=stamp(0, 5),
        neighbours={"10.0.0.1": Neighbour("1.3.6.1.4.1.8072.3.2.10", "sysObjectID", 1)},
        aliases={"10.0.0.2": "p"},
    )
    state.save(file, memory)
    assert state.load(file) == memory
    assert [f.name for f in tmp_path.iterdir()] == ["discovery.json"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"neighbours": 5}', b"\xff\xfe"])
def test_a_broken_file_costs_only_one_more_question(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "discovery.json"
    file.write_bytes(text)
    assert state.load(file) == Memory()
    state.save(file, Memory(aliases={"a": "p"}))
    assert state.load(file).aliases == {"a": "p"}


def test_no_room_is_no_reason_to_stop(tmp_path: Path) -> None:
    state.save(tmp_path / "gone" / "discovery.json", Memory())


def test_when_it_is_due() -> None:
    assert Memory().due_in_s(stamp(0, 0), 24 * HOUR) == 0
    memory = Memory(finished=stamp(0, 100))
    # Within one boot the wall clock does not matter.
    assert memory.due_in_s(stamp(-1e6, 100 + HOUR), 24 * HOUR) == 23 * HOUR
    assert memory.due_in_s(stamp(0, 100 + 25 * HOUR), 24 * HOUR) == 0
    # Over a restart it is all there is; set back, it is not believed.
    assert memory.due_in_s(stamp(2 * HOUR, 7, "c"), 24 * HOUR) == 22 * HOUR
    assert memory.due_in_s(stamp(-HOUR, 7, "c"), 24 * HOUR) == 0
