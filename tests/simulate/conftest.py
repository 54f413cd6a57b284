# SPDX-License-Identifier: Apache-2.0
"""Simulated devices on a free port, in a process of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KYOCERA = ROOT / "tests/printers/kyocera-taskalfa-3554ci/walk.snmprec"


class Lan:
    """A running `platen simulate`; `host(n)` is the address of device n."""

    def __init__(self, words: tuple[str, ...], *options: str) -> None:
        # The port is free for all addresses at once, so two of these never share one.
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self.first = f"127.78.{worker}.10"
        command = [
            sys.executable,
            "-m",
            "appliance.simulate",
            *words,
            "--listen",
            f"{self.first}:0",
            *options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        match = re.match(r"listening at [0-9.]+:(\d+), ", self._line())
        assert match
        self.port = int(match[1])

    def host(self, number: int = 0) -> str:
        return f"{self.first.rpartition('.')[0]}.{10 + number}"

    def statistics(self) -> Any:
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self._line())

    def ask(self, data: bytes, number: int = 0, *, timeout: float = 2.0) -> bytes | None:
        """One datagram to a device, and its reply from that very address; None where none comes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((self.host(number), self.port))
            sock.send(data)
            with contextlib.suppress(TimeoutError):
                return sock.recv(65_535)
        return None

    def snmp(
        self, tool: str, *args: str, version: str = "2c", number: int = 0, community: str = "public"
    ) -> str:
        """What net-snmp's tool prints, errors included."""
        agent = f"{self.host(number)}:{self.port}"
        options = ["-v", version, "-c", community, "-t", "1", "-r", "0", "-m", "", "-O", "nQe"]
        run = subprocess.run([tool, *options, agent, *args], capture_output=True, timeout=60, check=False)
        return (run.stdout + run.stderr).decode("utf-8", "replace")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def _line(self) -> str:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        assert ready, "the simulator says nothing"
        return self.process.stdout.readline()


@pytest.fixture
def lan() -> Iterator[Callable[..., Lan]]:
    """`lan("FILE,...", ..., options=("--live",))` starts one; all are stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(*words: str, options: tuple[str, ...] = ()) -> Lan:
            running = Lan(words, *options)
            stack.callback(running.close)
            return running

        yield start
