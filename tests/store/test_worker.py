# SPDX-License-Identifier: Apache-2.0
"""The thread that has the database."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from appliance.model.errors import DatabaseDamaged, Fault, SettingError, StoreError
from appliance.store import settings
from appliance.store.worker import Worker


async def test_one_after_the_other_in_one_thread(path: Path) -> None:
    worker = Worker(path)
    order: list[int] = []

    def note(db: sqlite3.Connection, n: int) -> int:
        order.append(n)
        return threading.get_ident()

    threads = await asyncio.gather(*(worker.run(note, n) for n in range(20)))
    assert order == list(range(20))
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()
    assert await worker.run(settings.put, "snmp.retries", "4", source="you") == 4
    await worker.close()


async def test_errors_come_through(path: Path) -> None:
    worker = Worker(path)
    with pytest.raises(SettingError):
        await worker.run(settings.put, "snmp.retries", "many", "you")
    with pytest.raises(StoreError) as caught:
        await worker.run(lambda db: db.execute("SELECT nothing"))
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert await worker.run(settings.version) == 0
    await worker.close()


async def test_a_database_that_cannot_be_opened_is_tried_again(path: Path) -> None:
    path.write_bytes(b"junk")  # noqa: ASYNC240 - a test may wait for its own disk
    worker = Worker(path)
    with pytest.raises(DatabaseDamaged):
        await worker.run(settings.version)
    path.unlink()  # noqa: ASYNC240
    assert await worker.run(settings.version) == 0
    await worker.close()


async def test_an_open_transaction_is_undone_and_told(path: Path) -> None:
    worker = Worker(path)
    with pytest.raises(Fault, match="left open"):
        await worker.run(lambda db: db.execute("BEGIN IMMEDIATE"))
    await worker.run(settings.put, "snmp.retries", 1, "you")

    def raises(db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        raise ValueError

    with pytest.raises(ValueError):
        await worker.run(raises)
    await worker.run(settings.put, "snmp.retries", 0, "you")
    await worker.close()


async def test_cancelled_means_wholly_or_not_at_all(path: Path) -> None:
    worker = Worker(path)
    await worker.run(settings.version)
    started, go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        started.set()
        assert go_on.wait(10)
        settings.put(db, "snmp.retries", 5, "you")

    running = asyncio.ensure_future(worker.run(slow))
    queued = asyncio.ensure_future(worker.run(settings.put, "snmp.port", 1161, "you"))
    await asyncio.to_thread(started.wait, 10)
    for task in (running, queued):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    go_on.set()
    found = await worker.run(settings.load)
    assert (found["snmp.retries"], found["snmp.port"]) == (5, 161)
    await worker.close()


async def test_close_waits_for_what_was_asked_for(path: Path) -> None:
    worker = Worker(path)
    go_on = threading.Event()

    def slow(db: sqlite3.Connection) -> int:
        assert go_on.wait(10)
        return settings.version(db)

    running = asyncio.ensure_future(worker.run(slow))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(worker.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    assert await running == 0
    await closing
    await worker.close()
    assert not Path(f"{path}-wal").exists()  # noqa: ASYNC240
    with pytest.raises(Fault):
        await worker.run(settings.version)


async def test_closing_one_never_used(path: Path) -> None:
    worker = Worker(path)
    await worker.close()
    assert not path.exists()  # noqa: ASYNC240
