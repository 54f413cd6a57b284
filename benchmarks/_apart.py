# SPDX-License-Identifier: Apache-2.0
"""The processes of a benchmark on the network: one that answers and counts, and one for each side that asks."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.model.errors import Fault, UsageError

RECORDINGS = Path(__file__).parent.parent / "tests"
READY_S = 20
SIDE_S = 300


def recording(path: str) -> Path:
    """A recording of tests/, which come with the source. UsageError where they do not."""
    found = RECORDINGS / path
    if not found.is_file():
        raise UsageError(
            f"{found} is not there", hint="The benchmarks need the recordings of the source tree"
        )
    return found


class Responder:
    """The simulator in a process of its own. `stations` are its words, FILE,name=value,...; `with` it."""

    def __init__(self, stations: list[str]) -> None:
        self.network = f"127.{random.randrange(64, 192)}.{random.randrange(256)}"
        words = [s.replace("NETWORK", self.network) for s in stations]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "appliance.simulate", *words, "--listen", f"{self.network}.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        first = self._lines.readline()
        try:
            # The address may stand anywhere in the sentence; the port is behind it.
            self.port = int(first.split(f"{self.network}.")[1].split(":")[1].split()[0].rstrip(".,:;"))
        except (IndexError, ValueError):
            self.close()
            raise Fault(f"the responder did not start: {first.strip()!r}") from None
        deadline = time.monotonic() + READY_S
        while not self._handles_signal():
            if time.monotonic() > deadline:
                raise Fault("the responder does not count")
            time.sleep(0.01)

    def _handles_signal(self) -> bool:
        # Until it has its handler, SIGUSR1 would end it.
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) & 1 << (signal.SIGUSR1 - 1))

    def counted(self) -> dict[str, int]:
        """Packets and octets so far, both directions, those to addresses where nothing stands included."""
        said = self._statistics()
        total, unserved = said["total"], said["unserved"]
        return {
            "packets": total["packets_received"] + total["packets_sent"] + unserved["packets"],
            "bytes": total["bytes_received"] + total["bytes_sent"] + unserved["bytes"],
            "unserved_bytes": unserved["bytes"],
            "unserved_addresses": unserved["addresses"],
        }

    def device(self, address: str) -> dict[str, Any]:
        """What was counted at one address."""
        figures: dict[str, Any] = self._statistics()["devices"][address]
        return figures

    def _statistics(self) -> dict[str, Any]:
        os.kill(self._process.pid, signal.SIGUSR1)
        while not (line := self._lines.readline()).startswith("{"):
            if not line:
                raise Fault("the responder is gone")
        said: dict[str, Any] = json.loads(line)
        return said

    def measure(self, module: str, side: str, job: dict[str, Any]) -> dict[str, Any]:
        """What `side` of `module` says of itself, and what was counted here meanwhile."""
        before = self.counted()
        run = subprocess.run(
            [sys.executable, "-m", module, side],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
            timeout=SIDE_S,
            cwd=Path(__file__).parent.parent,
        )
        if run.returncode:
            raise Fault(f"{side} of {module} failed: {run.stderr.strip()[-400:]}")
        said: dict[str, Any] = json.loads(run.stdout)
        after = self.counted()
        return {
            **said,
            "packets": after["packets"] - before["packets"],
            "bytes": after["bytes"] - before["bytes"],
        }

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._lines.close()

    def __enter__(self) -> Responder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stopwatch:
    """Time of the loop alone: the interpreter's start, imports and the first turn, which fills caches, are over."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        """wall_s and cpu_s since it was made; rss_mb is the most the whole process ever had."""
        return {
            "wall_s": round(time.monotonic() - self._wall, 4),
            "cpu_s": round(time.process_time() - self._cpu, 5),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def side(sides: dict[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """The other end of `measure`: run the side that the command line names on the job in standard input."""
    print(json.dumps(sides[sys.argv[1]](json.load(sys.stdin))))


def ratios(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    """Peer's figure over ours, of each figure that both have."""
    return {
        k: round(peer[k] / v, 2)
        for k, v in ours.items()
        if k not in ("found", "missed")
        and isinstance(v, int | float)
        and v
        and isinstance(peer.get(k), int | float)
    }
