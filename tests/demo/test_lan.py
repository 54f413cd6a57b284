# SPDX-License-Identifier: Apache-2.0
"""The simulated office holds what the demo promises."""

from __future__ import annotations

from pathlib import Path

from appliance.simulate import behaviour, command
from demo import lan


def test_the_office_is_as_large_and_as_mixed_as_promised() -> None:
    printers = [h for h in lan.LAN if h.recording.startswith("printers/")]
    assert len(printers) == lan.printers() >= 14
    assert len({h.recording.split("/")[1].split("-")[0] for h in printers}) >= 7
    assert len(lan.LAN) - len(printers) >= 5
    how = [behaviour.parse("x," + h.how)[1] for h in lan.LAN if h.how]
    assert any(b.delay for b in how)
    assert any(b.loss for b in how)
    assert any(b.v1 for b in how)


def test_every_device_loads_at_its_own_address() -> None:
    stations = command.load(list(lan.arguments()))
    assert [str(s.address) for s in stations] == [str(lan.NETWORK[h.number]) for h in lan.LAN]
    assert len({s.name for s in stations}) == len(stations)


def test_other_recordings_stand_behind_the_office(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"walk-{number:03}.snmprec").write_text("1.3.6.1.2.1.1.1.0|4|a device\n")
    stations = command.load(list(lan.arguments(walks=tmp_path)))
    extra = stations[len(lan.LAN) :]
    assert str(extra[0].address) == "127.77.0.101"
    assert str(extra[-1].address) == "127.77.0.254"
