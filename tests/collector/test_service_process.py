# SPDX-License-Identifier: Apache-2.0
"""The collector as a process: killed, stopped, started twice."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.host import control
from appliance.model.errors import PlatenError
from tests.collector.office import PRINTERS, Office, configure, consistent, query

KILLS = 12


@asynccontextmanager
async def process(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.collector", "--state", str(folder), "--run", str(folder / "run"),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def ask(folder: Path, method: str, **parameters: object) -> dict[str, object]:
    """An answer, as soon as the service is there to give one."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await control.call(
                folder / "run" / "collector.sock", f"platen.collector.{method}", parameters
            )
        except PlatenError as e:
            if e.code != "service-down" or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def settled(folder: Path, printers: int) -> None:
    deadline = time.monotonic() + 40
    while True:
        status = await ask(folder, "Status")
        scan = status["scan"]
        if status["answering"] == printers and isinstance(scan, dict) and not scan["running"]:
            return
        assert time.monotonic() < deadline, status
        await asyncio.sleep(0.2)


@pytest.mark.timeout(180)
async def test_killed_at_any_moment(tmp_path: Path) -> None:
    """It comes back, and at the end every reading is there exactly once, in the store and for the dealer."""
    seeded = random.Random(20_261_121)
    office = Office()
    for n, name in enumerate(PRINTERS[:8], 1):
        station = office.stand(n, name)
        station.live = None
    async with office:
        configure(tmp_path / "platen.db", office)
        for _ in range(KILLS):
            async with process(tmp_path) as child:
                # Half of them fall into the discovery, the others between polls and commits.
                await asyncio.sleep(seeded.uniform(0.4, 4.0))
                if child.returncode is not None:
                    assert child.stderr is not None
                    pytest.fail((await child.stderr.read()).decode())
                child.send_signal(signal.SIGKILL)
                assert await child.wait() == -signal.SIGKILL
        async with process(tmp_path) as child:
            await ask(tmp_path, "Scan")
            await settled(tmp_path, 8)
            for (printer,) in query(tmp_path / "platen.db", "SELECT id FROM printer"):
                await ask(tmp_path, "PollNow", printer=printer)
            child.terminate()
            assert await asyncio.wait_for(child.wait(), 5.0) == 0
    assert query(tmp_path / "platen.db", "PRAGMA integrity_check") == [("ok",)]
    consistent(tmp_path / "platen.db")
    assert len(query(tmp_path / "platen.db", "SELECT id FROM printer")) == 8
    assert office.overlaps() == 0


async def test_stopping_writes_what_waits(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, PRINTERS[0])
    # One that never answers is being asked when the signal comes.
    office.stand(2, PRINTERS[1], down=True)
    async with office:
        configure(tmp_path / "platen.db", office, store__commit_s=900, snmp__timeout_ms=20_000)
        async with process(tmp_path) as child:
            await settled(tmp_path, 1)
            rows = len(query(tmp_path / "platen.db", "SELECT * FROM contact"))
            assert rows == 1
            (before,) = query(tmp_path / "platen.db", "SELECT last_seen FROM contact")[0]
            deadline = time.monotonic() + 20
            while not (await ask(tmp_path, "Status"))["unwritten"]:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            began = time.monotonic()
            child.terminate()
            assert await child.wait() == 0
            assert time.monotonic() - began < 5.0
            assert query(tmp_path / "platen.db", "SELECT last_seen FROM contact")[0] != (before,)
    assert not (tmp_path / "run" / "collector.sock").exists()
    consistent(tmp_path / "platen.db")


async def test_a_second_one_does_not_start(tmp_path: Path) -> None:
    office = Office()
    async with office:
        configure(tmp_path / "platen.db", office, discovery__ranges=[office.at(1)])
        async with process(tmp_path):
            await ask(tmp_path, "Status")
            async with process(tmp_path) as second:
                assert second.stderr is not None
                said = (await second.stderr.read()).decode()
                assert await second.wait() == 1
    assert "already-running" in said


async def test_a_damaged_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "platen.db").write_bytes(b"not a database" * 100)
    async with process(tmp_path) as child:
        assert child.stderr is not None
        said = (await child.stderr.read()).decode()
        assert await child.wait() == 70
    assert "database-damaged" in said
    assert (tmp_path / "platen.db").read_bytes() == b"not a database" * 100
