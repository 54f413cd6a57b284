# SPDX-License-Identifier: Apache-2.0
"""Every way in which the simulator misbehaves: an asker reads the truth, or ends with one named error."""

from __future__ import annotations

import ipaddress
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.wire import message, snmprec
from appliance.collector.wire.value import Varbind, under
from appliance.model.errors import BadReply, NoAnswer
from appliance.simulate.behaviour import LIES, Behaviour
from appliance.simulate.mib import Mib
from appliance.simulate.server import Server, Station

ROOT = Path(__file__).parents[3]
RECORDING = ROOT / "tests/printers/brother-mfc-l8900cdw/walk.snmprec"
ROOTS = ["1.3.6.1.2.1.1", "1.3.6.1.2.1.2", "1.3.6.1.2.1.25", "1.3.6.1.2.1.43", "1.3.6.1.4.1"]
TRUTH = [v for v in snmprec.load(RECORDING.read_text()) if any(under(v.oid, r) for r in ROOTS)]
BOTH = pytest.mark.parametrize("version", ["1", "2c"])


@asynccontextmanager
async def device(**how: Any) -> AsyncIterator[tuple[str, Server]]:
    address = ipaddress.ip_address(
        f"127.{192 + os.getpid() % 60}.{random.randrange(256)}.{random.randrange(2, 250)}"
    )
    station = Station("test", address, Mib(snmprec.load(RECORDING.read_text())), Behaviour(**how))
    async with Server([station], 0) as server:
        yield str(address), server


def asker(address: str, server: Server, **more: Any) -> SnmpAsker:
    return SnmpAsker(address, port=server.port, **{"timeout_s": 0.1, "retries": 1, **more})


async def read(ask: SnmpAsker) -> tuple[list[Varbind], list[Varbind]]:
    walked = await ask.walk(ROOTS)
    got = await ask.get([v.oid for v in TRUTH], sizes=[message.value_size(v) for v in TRUTH])
    await ask.close()
    return walked, got


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"delay": 0.02, "jitter": 0.02},
        {"v1": True},
        {"no_bulk": "silent"},
        {"no_bulk": "genErr"},
        {"max_varbinds": 10},
        {"max_varbinds": 10, "beyond": "silent"},
        {"max_varbinds": 1},
        {"max_size": 484},
        {"lie": "other-community"},
        {"lie": "bulk-differs"},
    ],
    ids=str,
)
@BOTH
async def test_the_truth_is_read(version: Any, how: dict[str, Any]) -> None:
    async with device(**how) as (address, server):
        if how.get("v1") and version == "2c":
            with pytest.raises(NoAnswer):
                await read(asker(address, server, version=version, timeout_s=0.2, retries=0))
            return
        # Where silence is part of it, it is not waited for long; else nothing is asked twice, however busy we are.
        silent = "silent" in how.values()
        walked, got = await read(asker(address, server, version=version, timeout_s=0.2 if silent else 5))
        assert walked == TRUTH
        assert got == TRUTH
        assert silent or server.statistics()["total"]["overlaps"] == 0


@BOTH
async def test_loss_is_outlived(version: Any) -> None:
    async with device(loss=0.1) as (address, server):
        walked, got = await read(asker(address, server, version=version, timeout_s=0.03, retries=4))
        assert walked == TRUTH
        assert got == TRUTH


async def test_what_was_learnt_saves_packets_the_next_time() -> None:
    async with device(max_varbinds=10, no_bulk="silent") as (address, server):
        first = asker(address, server)
        await read(first)
        assert "no-bulk" in first.quirks
        again = asker(address, server, quirks=first.quirks)
        walked, got = await read(again)
        assert walked == got == TRUTH
        assert again.traffic.packets_sent < first.traffic.packets_sent
        assert again.traffic.packets_sent == again.traffic.packets_received


ERRORS = {
    "wrong-id": NoAnswer,
    "wrong-source": NoAnswer,
    "truncated": BadReply,
    "oversized": BadReply,
    "garbage": BadReply,
}


@pytest.mark.parametrize("lie", LIES)
@BOTH
async def test_a_lie_ends_in_bounded_packets(version: Any, lie: str) -> None:
    async with device(lie=lie) as (address, server):
        ask = asker(address, server, version=version, timeout_s=0.03)
        error = ERRORS.get(lie)
        if error is not None:
            with pytest.raises(error):
                await ask.walk(ROOTS, most=1_000)
        else:
            walked = await ask.walk(ROOTS, most=1_000)
            if lie != "endless":
                assert walked == [v for v in TRUTH if v in set(walked)]
            if lie == "loop":
                assert len(walked) > 0.6 * len(TRUTH)
            if walked != TRUTH:
                assert ask.quirks & {"walk-incomplete", "loops"}
        sent = server.statistics()["total"]["packets_received"]
        assert sent <= 1_100 if lie == "endless" else sent <= 500
        assert (
            ask.faults or lie in ("other-community", "endless") or (lie == "bulk-differs" and version == "1")
        )
        await ask.close()
