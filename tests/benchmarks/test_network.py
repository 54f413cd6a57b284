# SPDX-License-Identifier: Apache-2.0
"""The budgets of asking, measured as `platen bench` measures them: counted by the responder, beside pysnmp."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import poll, sweep


@pytest.fixture(scope="module")
def polled() -> dict[str, Any]:
    return poll.run()


@pytest.fixture(scope="module")
def swept() -> dict[str, Any]:
    return sweep.run()


def test_300_objects_take_14_packets_and_13_kb(polled: dict[str, Any]) -> None:
    assert polled["ours"]["found"] == polled["peer"]["found"] == 300
    assert polled["one_poll"]["packets"] <= 14
    assert polled["one_poll"]["bytes"] <= 13_000


def test_a_poll_costs_50_times_less_cpu_than_pysnmp(polled: dict[str, Any]) -> None:
    assert polled["ratio"]["cpu_s"] >= 50, polled
    assert polled["ratio"]["packets"] == 1.0


def test_a_first_read_of_1034_objects_takes_60_packets(polled: dict[str, Any]) -> None:
    assert polled["first_read"]["found"] == 1034
    assert polled["first_read"]["packets"] <= 60


def test_a_24_takes_3_seconds_with_none_missed(swept: dict[str, Any]) -> None:
    assert swept["ours"]["missed"] == 0
    assert swept["ours"]["wall_s"] < 3


def test_what_an_address_costs(swept: dict[str, Any]) -> None:
    assert swept["bytes_of_a_silent_address"] == 86
    assert swept["bytes_of_a_server"] <= 100


@pytest.mark.parametrize("name", ["polled", "swept"])
def test_the_object_has_its_shape(name: str, request: pytest.FixtureRequest) -> None:
    said = request.getfixturevalue(name)
    assert {"name", "ours", "peer", "ratio"} <= said.keys()
    assert {"wall_s", "cpu_s", "rss_mb", "packets", "bytes", "found", "missed"} <= said["ours"].keys()
    assert {"name", "wall_s", "cpu_s", "rss_mb", "packets", "bytes"} <= said["peer"].keys()
    assert {"wall_s", "cpu_s", "rss_mb", "packets", "bytes"} <= said["ratio"].keys()
