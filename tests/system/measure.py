# SPDX-License-Identifier: Apache-2.0
"""Figures of the box, each with the arithmetic that it comes from."""

from __future__ import annotations

import json

import msgspec

from tests.system.box import Box

_FIRST = """
import json, sqlite3, sys
db = sqlite3.connect("file:/var/lib/platen/platen.db?mode=ro", uri=True)
boot = open("/proc/sys/kernel/random/boot_id").read().strip()
rows = db.execute(
    "SELECT p.address, min(r.mono) FROM reading r JOIN printer p ON p.no = r.printer JOIN boot b ON b.no = r.boot"
    " WHERE b.boot_id IN (?, ?) GROUP BY p.address", (boot, boot.replace("-", ""))).fetchall()
print(json.dumps(rows))
"""


class Memory(msgspec.Struct, frozen=True):
    """MiB. `used` is what the box could not give to somebody else now, without the tests' agent."""

    total: float
    available: float
    agent: float

    @property
    def used(self) -> float:
        return self.total - self.available - self.agent


def memory(box: Box) -> Memory:
    """From /proc/meminfo: what is not available is in use. Page cache that could go does not count."""
    facts = {
        k: int(v.split()[0]) for k, v in (row.split(":") for row in box.run("cat /proc/meminfo").splitlines())
    }
    agent = int(box.run("systemctl show --value -p MemoryCurrent t.service"))
    return Memory(facts["MemTotal"] / 1024, facts["MemAvailable"] / 1024, agent / 1024 / 1024)


def written(box: Box) -> int:
    """Octets written to the card since it started, as the kernel counts them (Documentation/block/stat.rst)."""
    fields = box.run("sync; cat /sys/block/vda/stat").split()
    return int(fields[6]) * 512


def first_readings(box: Box) -> dict[str, float]:
    """Seconds from the collector's start to the first reading of each printer in this boot, by address."""
    start = int(box.run("systemctl show --value -p ExecMainStartTimestampMonotonic platen-collector")) / 1e6
    found: list[tuple[str, float]] = json.loads(box.python(_FIRST))
    return {address: mono - start for address, mono in found}


def show(line: str) -> None:
    """Figures stand in the output of a run that passes, too."""
    print(f"\n    {line}", flush=True)
