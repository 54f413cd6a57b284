# SPDX-License-Identifier: Apache-2.0
"""`platen bench sweep`: who answers in a /24, at full speed, beside pysnmp's high-level GET and, where it is
installed, onesixtyone, which is written in C and asks once, in v1 only.

Both of the first two ask every address for sysObjectID in v2c and the silent ones again in v1, waiting a second.
Packets and bytes are counted by the responder, those to addresses where nothing stands included.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from appliance.collector.ask.sweep import FULL_SPEED, SYS_OBJECT_ID, sweep
from benchmarks._apart import Responder, Stopwatch, ratios, recording, side

PEER = "pysnmp get_cmd"
TIMEOUT_S = 1
AT_ONCE = 256
"""What the peer may have in flight: a whole /24."""
STATIONS = [
    ("printers/bench-1034/walk.snmprec", "at=NETWORK.10,times=20"),
    ("printers/brother-mfc-l8900cdw/walk.snmprec", "at=NETWORK.60,times=10,delay=0.2"),
    ("printers/hp-laserjet-p2055dn/walk.snmprec", "at=NETWORK.100,times=8,v1"),
    ("other_devices/linux-server/walk.snmprec", "at=NETWORK.150,times=30"),
    ("other_devices/switch-24-port/walk.snmprec", "at=NETWORK.220,times=5"),
]
THERE = 73


def run(args: argparse.Namespace | None = None) -> dict[str, Any]:
    """{name, ours, peer, ratio}, and what one address costs. `args` is not looked at."""
    words = [f"{recording(file)},{how}" for file, how in STATIONS]
    with Responder(words) as responder:
        job = {"network": f"{responder.network}.0/24", "port": responder.port}
        ours = responder.measure(__name__, "ours", job)
        silent = responder.counted()["unserved_bytes"]
        server = responder.device(f"{responder.network}.150")
        peer = responder.measure(__name__, "peer", job)
        others = {}
        if shutil.which("onesixtyone"):
            others["onesixtyone"] = responder.measure(__name__, "onesixtyone", job)
    return {
        "name": "sweep",
        "ours": {"addresses": 254, **ours},
        "peer": {"name": PEER, "addresses": 254, **peer, **({"others": others} if others else {})},
        "ratio": ratios(ours, peer),
        "bytes_of_a_silent_address": silent / (254 - THERE),
        "bytes_of_a_server": server["bytes_received"] + server["bytes_sent"],
    }


def hosts(job: dict[str, Any]) -> list[ipaddress.IPv4Address]:
    return list(ipaddress.IPv4Network(job["network"]).hosts())


def ours(job: dict[str, Any]) -> dict[str, Any]:
    async def go() -> dict[str, Any]:
        asked = hosts(job)
        watch = Stopwatch()
        found = {
            a.address async for a in sweep(asked, port=job["port"], rate=FULL_SPEED, timeout_s=TIMEOUT_S)
        }
        return {**watch.read(), "found": len(found), "missed": THERE - len(found)}

    return asyncio.run(go())


def peer(job: dict[str, Any]) -> dict[str, Any]:
    from pysnmp.hlapi.v3arch.asyncio import (  # type: ignore[import-untyped]
        CommunityData,
        ContextData,
        ObjectIdentity,
        ObjectType,
        SnmpEngine,
        UdpTransportTarget,
        get_cmd,
    )

    async def go() -> dict[str, Any]:
        engine = SnmpEngine()
        asked = hosts(job)
        found: set[object] = set()
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(address: object, version: int) -> None:
            async with turns:
                target = await UdpTransportTarget.create(
                    (str(address), job["port"]), timeout=TIMEOUT_S, retries=0
                )
                error, *_ = await get_cmd(
                    engine,
                    CommunityData("public", mpModel=version),
                    target,
                    ContextData(),
                    ObjectType(ObjectIdentity(SYS_OBJECT_ID)),
                )
                if not error:
                    found.add(address)

        watch = Stopwatch()
        for version in (1, 0):
            await asyncio.gather(*(ask(a, version) for a in asked if a not in found))
        said = {**watch.read(), "found": len(found), "missed": THERE - len(found)}
        engine.close_dispatcher()
        return said

    return asyncio.run(go())


def onesixtyone(job: dict[str, Any]) -> dict[str, Any]:
    import resource

    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "hosts"
        listed.write_text("".join(f"{a}\n" for a in hosts(job)))
        watch = Stopwatch()
        # Not stopped by its exit status, which tells nothing.
        done = subprocess.run(
            ["onesixtyone", "-i", str(listed), "-p", str(job["port"]), "-w", "1", "public"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said: dict[str, Any] = watch.read()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = set(re.findall(r"^(\d+\.\d+\.\d+\.\d+) \[", done.stdout, re.MULTILINE))
    # Its memory cannot be told: a forked child is charged with what its parent had.
    said |= {"cpu_s": round(used.ru_utime + used.ru_stime, 5)}
    del said["rss_mb"]
    return {**said, "found": len(found), "missed": THERE - len(found)}


if __name__ == "__main__":
    side({"ours": ours, "peer": peer, "onesixtyone": onesixtyone})
