# SPDX-License-Identifier: Apache-2.0
"""A real broker, a real portal and real uplinks as processes, for tests to start, stop and kill."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from appliance.host import clock, control
from appliance.host.identity import load_or_create
from appliance.host.paths import Paths
from appliance.model.messages import Record
from appliance.model.reading import Change, Meter, PrinterFacts, Reading
from appliance.store import outbox, settings
from appliance.store.database import open_database
from demo.broker import PORTAL, Broker, free_port
from demo.pki import Authority, Pair, install

ROOT = Path(__file__).parent.parent.parent
TENANT = "acme"


async def until(what: Callable[[], Any], timeout_s: float = 30, every_s: float = 0.05) -> Any:
    """Polls `what` (a function or a coroutine function) until it is true, and returns that."""
    end, last = time.monotonic() + timeout_s, None
    while time.monotonic() < end:
        last = what()
        if isinstance(last, Awaitable):
            last = await last
        if last:
            return last
        await asyncio.sleep(every_s)
    raise AssertionError(f"not within {timeout_s} s: {last!r}")


class Process:
    """A child of the test, with its output in a file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.child: subprocess.Popen[bytes] | None = None

    def run(self, command: list[str]) -> None:
        found = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, "PYTHONPATH": found, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
            self.child = None

    def stop(self) -> int:
        assert self.child is not None
        self.child.terminate()
        code = self.child.wait(15)
        self.child = None
        return code


class Portal(Process):
    def __init__(self, folder: Path, broker: Broker, authority: Authority) -> None:
        super().__init__(folder / "portal.log")
        self.folder = folder / "portal"
        self._broker = broker
        self._authority = authority
        self.port = free_port()
        if not (authority.folder / f"{PORTAL}.crt").exists():
            authority.client(PORTAL)

    def start(self) -> None:
        keys = self._authority.folder
        command = [sys.executable, "-m", "fleet.cli", "--state", str(self.folder), "--tenant", TENANT]
        command += ["--broker", f"127.0.0.1:{self._broker.port}", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--ca", str(keys / "ca.crt"), "--cert", str(keys / f"{PORTAL}.crt")]
        self.run([*command, "--key", str(keys / f"{PORTAL}.key")])

    def get(self, path: str, host: str | None = None) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    def status(self) -> dict[str, Any] | None:
        try:
            return json.loads(self.get("/status.json")[2])
        except (OSError, http.client.HTTPException):
            return None

    def connected(self) -> bool:
        status = self.status()
        return bool(status and status["broker"]["connected"])

    def counts(self) -> dict[str, int]:
        status = self.status()
        return status["counts"] if status else {}


class Box(Process):
    """One box's state and its uplink. The test plays the collector: `report` adds to the outbox."""

    def __init__(self, folder: Path, authority: Authority, broker: Broker | None) -> None:
        # A socket's path has to stay short.
        self._short = Path(tempfile.mkdtemp(prefix="pl-"))
        super().__init__(folder / "uplink.log")
        self.paths = Paths(folder / "state", self._short)
        self.paths.make()
        self.id = load_or_create(self.paths).box_id
        self.authority = authority
        self.pair: Pair = authority.client(self.id)
        install(authority, self.pair, self.paths.keys)
        self.db: sqlite3.Connection = open_database(self.paths.database)
        self.reported = 0
        if broker is not None:
            self.point_at(broker)

    def point_at(self, broker: Broker) -> None:
        self.set("uplink.port", broker.port)
        self.set("uplink.tenant", broker.tenant)
        self.set("uplink.heartbeat_s", 5)
        self.set("uplink.host", broker.host)

    def set(self, key: str, value: object) -> None:
        settings.put(self.db, key, value, "you")

    def start(self, module: str = "tests.uplink.quick") -> None:
        self.run(
            [sys.executable, "-m", module, "--state", str(self.paths.state), "--run", str(self.paths.run)]
        )

    def report(self, printers: int = 3) -> None:
        """One message with a record of each printer: the first full, later ones changes."""
        self.reported += 1
        records = [self._record(f"p{number}") for number in range(printers)]
        outbox.add_readings(self.db, self.id, records)

    def _record(self, printer: str) -> Record:
        stamp, total = clock.now(), self.reported
        meters = [Meter(name="total", value=total, unit="impressions", source="test")]
        times = {"meters": stamp.time}
        common: Any = {"time": stamp.time, "clock": stamp.clock, "address": "10.0.0.1", "meters": meters}
        if total == 1:
            facts = PrinterFacts(vendor="Kyocera", model="M1", serial=f"{self.id}-{printer}")
            full = Reading(**common, times=times, printer=facts)
            return Record(printer=printer, stamp=stamp, full=full)
        return Record(printer=printer, stamp=stamp, change=Change(**common, times=times))

    def event(self, code: str = "alert.raised") -> int:
        return outbox.add_event(
            self.db, self.id, clock.now(), code, "warning", "p0", {"number": self.reported}
        )

    def waiting(self) -> int:
        return outbox.count(self.db)[0]

    async def status(self) -> dict[str, Any]:
        try:
            return await control.call(self.paths.socket("uplink"), "platen.uplink.Status")
        except Exception:  # it is being killed and started all the time
            return {"state": "down", "error": None}

    async def state(self) -> str:
        return str((await self.status())["state"])

    async def reaches(self, state: str, timeout_s: float = 30) -> dict[str, Any]:
        async def there() -> bool:
            return await self.state() == state

        await until(there, timeout_s)
        return await self.status()

    async def shows(self, code: str, timeout_s: float = 20) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            status = await self.status()
            return status if (status["error"] or {}).get("code") == code else None

        found: dict[str, Any] = await until(there, timeout_s)
        return found

    def close(self) -> None:
        self.kill()
        self.db.close()
        shutil.rmtree(self._short, ignore_errors=True)


class Street:
    """Everything between a box and its dealer. `close` leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Mosquitto runs as its own account and has to reach its folder, so it does not lie below pytest's.
        self._apart = Path(tempfile.mkdtemp(prefix="platen-broker-"))
        self.authority = Authority(folder / "pki")
        self.broker = Broker(self._apart, tenant=TENANT, boxes=())
        self.broker.prepare(self.authority)
        self.portal = Portal(folder, self.broker, self.authority)
        self.boxes: list[Box] = []

    def box(self, *, known: bool = True) -> Box:
        folder = self.folder / f"box{len(self.boxes)}"
        folder.mkdir()
        box = Box(folder, self.authority, self.broker)
        self.boxes.append(box)
        if known:
            self.broker.allow({*self.broker.boxes, box.id})
            self.broker.reload()
        return box

    def close(self) -> None:
        for box in self.boxes:
            box.close()
        self.portal.kill()
        self.broker.kill()
        shutil.rmtree(self._apart, ignore_errors=True)
