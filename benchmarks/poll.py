# SPDX-License-Identifier: Apache-2.0
"""`platen bench poll`: 300 known objects of a printer with 1,034, beside pysnmp's high-level GET.

Both ask for the same objects in the same packets. cpu_s and wall_s are of POLLS polls after a first one, without the
start of the interpreter; packets and bytes are counted by the responder, the first poll left out.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.wire import message, snmprec
from appliance.collector.wire.value import MISSING, Varbind, under
from benchmarks._apart import Responder, Stopwatch, ratios, recording, side

PRINTER = "printers/bench-1034/walk.snmprec"
PEER = "pysnmp get_cmd"
POLLS = 20
OBJECTS = 300
ROOTS = ["1.3.6.1.2.1.1", "1.3.6.1.2.1.2", "1.3.6.1.2.1.25", "1.3.6.1.2.1.43", "1.3.6.1.4.1"]
# What a reading is made of; addresses, routes and protocol counters are not.
WHOLE = ["1.3.6.1.2.1", "1.3.6.1.4.1"]


def run(args: argparse.Namespace | None = None) -> dict[str, Any]:
    """{name, ours, peer, ratio}, and `one_poll` and `first_read` of ours for the budgets. `args` may carry `polls`."""
    polls = getattr(args, "polls", None) or POLLS
    path = recording(PRINTER)
    planned = plan(snmprec.load(path.read_text()))
    with Responder([str(path)]) as responder:
        job = {
            "address": f"{responder.network}.1",
            "port": responder.port,
            "oids": [v.oid for v in planned],
            "sizes": [message.value_size(v) for v in planned],
        }
        job["batches"] = batches(job, responder)
        figures = {}
        for name in ("ours", "peer", "peer_reused"):
            once = responder.measure(__name__, name, {**job, "polls": 0})
            said = responder.measure(__name__, name, {**job, "polls": polls})
            figures[name] = {k: v - once[k] if k in ("packets", "bytes") else v for k, v in said.items()}
        read = responder.measure(__name__, "first_read", job)
    ours, peer = figures["ours"], figures["peer"]
    return {
        "name": "poll",
        "ours": {"polls": polls, "objects": OBJECTS, **ours},
        "peer": {"name": PEER, "polls": polls, **peer, "prebuilt": figures["peer_reused"]},
        "ratio": {**ratios(ours, peer), "cpu_s_prebuilt": ratios(ours, figures["peer_reused"])["cpu_s"]},
        "one_poll": {
            "packets": ours["packets"] / polls,
            "bytes": ours["bytes"] / polls,
            "cpu_ms": round(1000 * ours["cpu_s"] / polls, 3),
        },
        "first_read": read,
    }


def plan(varbinds: list[Varbind]) -> list[Varbind]:
    """The OBJECTS objects that a poll asks for."""
    wanted = [v for root in ROOTS for v in varbinds if under(v.oid, root) and v.tag not in MISSING]
    return wanted[:OBJECTS]


def batches(job: dict[str, Any], responder: Responder) -> list[list[str]]:
    """What our asker puts into each packet, so that the peer can do the same."""
    made: list[list[str]] = []

    async def ask() -> None:
        asker = SnmpAsker(job["address"], port=job["port"])
        send = asker.ask

        async def noting(pdu_type: int, oids: Any, **more: Any) -> Any:
            made.append(list(oids))
            return await send(pdu_type, oids, **more)

        asker.ask = noting  # type: ignore[method-assign]
        await asker.get(job["oids"], sizes=job["sizes"])
        await asker.close()

    asyncio.run(ask())
    return made


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """A new asker, and so a new socket, for each poll, as the box does it."""

    async def poll() -> int:
        asker = SnmpAsker(job["address"], port=job["port"])
        found = await asker.get(job["oids"], sizes=job["sizes"])
        await asker.close()
        return sum(v.tag not in MISSING for v in found)

    async def go() -> dict[str, Any]:
        found = await poll()
        watch = Stopwatch()
        for _ in range(job["polls"]):
            found = min(found, await poll())
        return {**watch.read(), "found": found, "missed": len(job["oids"]) - found}

    return asyncio.run(go())


def peer(job: dict[str, Any], *, reused: bool = False) -> dict[str, Any]:
    """One engine and one target for all polls, as its documentation advises. `reused`: with objects built once and
    without MIB look-up, the fastest it goes."""
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
        target = await UdpTransportTarget.create((job["address"], job["port"]), timeout=2, retries=2)
        prebuilt = [[ObjectType(ObjectIdentity(o)) for o in batch] for batch in job["batches"]]
        community, context = CommunityData("public", mpModel=1), ContextData()

        async def poll() -> int:
            found = 0
            for batch, made in zip(job["batches"], prebuilt, strict=True):
                asked = made if reused else [ObjectType(ObjectIdentity(o)) for o in batch]
                error, status, _, varbinds = await get_cmd(
                    engine, community, target, context, *asked, lookupMib=not reused
                )
                assert not error, error
                assert not status, status
                found += len(varbinds)
            return found

        found = await poll()
        watch = Stopwatch()
        for _ in range(job["polls"]):
            found = min(found, await poll())
        said = {**watch.read(), "found": found, "missed": len(job["oids"]) - found}
        engine.close_dispatcher()
        return said

    return asyncio.run(go())


def peer_reused(job: dict[str, Any]) -> dict[str, Any]:
    return peer(job, reused=True)


def first_read(job: dict[str, Any]) -> dict[str, Any]:
    """Everything the printer has, by walking."""

    async def go() -> dict[str, Any]:
        asker = SnmpAsker(job["address"], port=job["port"])
        watch = Stopwatch()
        found = await asker.walk(WHOLE)
        await asker.close()
        return {**watch.read(), "found": len(found)}

    return asyncio.run(go())


if __name__ == "__main__":
    side({"ours": ours, "peer": peer, "peer_reused": peer_reused, "first_read": first_read})
