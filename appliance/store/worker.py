# SPDX-License-Identifier: Apache-2.0
"""The database in one thread, so that an event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from appliance.model.errors import Fault
from appliance.store.database import open_database, wrapped

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs functions of this package one after the other, in the order they were asked for. The database is
    opened by the first of them, and again by the next if that failed."""

    def __init__(self, path: Path | str, write: bool = True) -> None:
        self._path = Path(path)
        self._write = write
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._closed = False

    async def run(
        self, fn: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`fn(db, *args)`; what it raises comes out here, sqlite3's errors as StoreError. An iterator must be
        used up inside `fn`. Cancelled before its turn it never runs; cancelled later it still runs to its
        end."""
        if self._closed:
            raise Fault("The database was closed while something still wanted it")
        return await asyncio.wrap_future(self._thread.submit(self._call, lambda db: fn(db, *args, **kwargs)))

    async def close(self) -> None:
        """Waits for what was asked for before, then closes. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        done = self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(done))

    def _call(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with wrapped(self._path):
            if self._db is None:
                self._db = open_database(self._path, write=self._write)
            try:
                result = fn(self._db)
                if self._db.in_transaction:
                    raise Fault("A transaction was left open; it was undone")
                return result
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
