# SPDX-License-Identifier: Apache-2.0
"""From the outbox to the portal, once each, whatever dies in between. Broker, portal and uplink are real processes."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import time
from typing import Any

import msgspec
import pytest

from appliance.host import clock, control, software
from appliance.model.messages import Rollback, Software
from appliance.store import ledger, outbox, printers, readings
from appliance.store.printers import Printer
from tests.uplink.peers import Box, Street, until
from tests.webui import sample


async def _arrived(
    street: Street, box: Box, messages: int, records: int, timeout_s: float = 60
) -> dict[str, Any]:
    """Waits until the box has nothing left, then checks that the portal has everything, and once."""
    await until(lambda: box.waiting() == 0, timeout_s)
    counts = street.portal.counts()
    assert {k: counts[k] for k in ("messages", "records", "missing", "refused")} == {
        "messages": messages,
        "records": records,
        "missing": 0,
        "refused": 0,
    }
    status = street.portal.status()
    assert status is not None
    totals = {p["total"] for p in status["printers"] if p["box"] == box.id}
    assert totals == {box.reported}, "the newest change wins"
    return counts


async def test_everything_arrives_and_is_listed(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    await until(street.portal.connected)
    box = street.box()
    for _ in range(30):
        box.report()
    box.event()
    box.start()
    counts = await _arrived(street, box, 31, 90)
    assert counts["duplicates"] == 0
    assert counts["events"] == 1

    status = await box.status()
    assert status["state"] == "connected"
    assert status["error"] is None
    assert status["last_ack"]
    assert status["certificate"]["subject"] == box.id
    assert status["waiting"] == 0

    entries = ledger.entries(box.db, limit=500)
    rows = [e for e in entries if e.seq is not None]
    assert sorted(e.seq for e in rows) == list(range(1, 32))
    assert all(e.acknowledged and e.attempts == 1 for e in rows)
    others = {(e.schema, e.topic.rpartition("/")[2]) for e in entries if e.seq is None}
    assert {("platen.state/1", "state"), ("platen.heartbeat/1", "hb")} <= others
    wills = [
        e
        for e in entries
        if e.schema == "platen.state/1" and b'"online":false' in (ledger.entry(box.db, e.id).json or b"")
    ]
    assert wills, "the will leaves the building with the first packet, so it is listed"

    shown = street.portal.status()["boxes"][0]
    assert shown["online"] is True
    assert shown["version"]


async def test_stopping_is_orderly_and_a_pause_holds_everything_back(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    box = street.box()
    box.start()
    await box.reaches("connected")
    box.set("uplink.paused", True)
    await box.reaches("paused")
    box.report()
    for _ in range(5):
        assert box.waiting() == 1
        await asyncio.sleep(0.1)  # holding back has to last, there is nothing to poll for
    box.set("uplink.paused", False)
    await _arrived(street, box, 1, 3)
    box.set("uplink.host", "")
    await box.reaches("off")
    assert box.stop() == 0


async def test_a_broker_that_vanishes_costs_nothing_but_time(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    box = street.box()
    box.report()
    box.start()
    await until(lambda: box.waiting() == 0)
    for end in (street.broker.kill, street.broker.stop):
        end()
        status = await box.shows("broker-unreachable")
        assert status["state"] in ("waiting", "connecting")
        for _ in range(40):
            box.report()
        assert box.waiting() == 40
        street.broker.start()
        await until(lambda: box.waiting() == 0, 40)
    await _arrived(street, box, 81, 243)


async def test_a_broker_that_freezes_is_noticed(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    box = street.box()
    box.start()
    await box.reaches("connected")
    assert street.broker.process is not None
    street.broker.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(30):
            box.report()
        status = await box.shows("broker-unreachable", 30)
        assert box.waiting() == 30
        assert "answer" in status["error"]["sentence"]
    finally:
        street.broker.process.send_signal(signal.SIGCONT)
    await _arrived(street, box, 30, 90)


async def test_a_silent_portal_is_waited_for(street: Street) -> None:
    """The broker takes everything; only the portal's answer empties the outbox."""
    street.broker.start()
    box = street.box()
    for _ in range(50):
        box.report()
    box.start()
    await box.reaches("connected")
    await until(lambda: any(e.attempts > 1 for e in ledger.entries(box.db)))
    assert box.waiting() == 50
    sent = {e.seq for e in ledger.entries(box.db, limit=500) if e.seq is not None}
    assert sent == set(range(1, 21)), "a window of 20, no more"
    street.portal.start()
    await _arrived(street, box, 50, 150)


async def test_a_heartbeat_counts_what_the_checks_find(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    box = street.box()
    stamp, reading = clock.now(), sample.reading(1, time.time())
    printer = Printer(id="p0", address="10.0.0.1", last_seen=stamp.time, last_tried=stamp.time)
    printers.save(box.db, printer)
    empty = [msgspec.structs.replace(s, state="empty", percent=0) for s in reading.supplies]
    readings.save_full(box.db, "p0", stamp, msgspec.structs.replace(reading, supplies=empty))
    box.start()
    await box.reaches("connected")

    def problems() -> int | None:
        status = street.portal.status()
        text = street.portal.get(f"/boxes/{box.id}")[2] if status and status["boxes"] else ""
        found = re.search(r"its checks</dt><dd>(\d+)", text)
        return int(found[1]) if found else None

    assert await until(problems) >= 2, "an empty supply, and no collector that answers"


async def test_a_portal_that_comes_late_does_not_wait_a_minute(street: Street) -> None:
    """A broker that crashed has forgotten the portal's session: what the box sends first, nobody hears."""
    street.broker.start()
    box = street.box()
    box.report()
    box.start("tests.uplink.patient")
    await until(lambda: any(e.seq == 1 and e.attempts > 1 for e in ledger.entries(box.db)), 20)
    street.portal.start()
    await until(lambda: box.waiting() == 0, 25)
    await _arrived(street, box, 1, 3)


@pytest.mark.parametrize("victim", ["uplink", "portal", "broker"])
async def test_killed_at_any_moment_every_record_arrives_once(street: Street, victim: str) -> None:
    chance = random.Random(f"{victim} 20261121")
    street.broker.start()
    street.portal.start()
    box = street.box()
    box.start()
    growing = asyncio.create_task(_grow(box))
    process: Any = {"uplink": box, "portal": street.portal, "broker": street.broker}[victim]
    kills = 0
    while kills < 12:
        # From before the connection stands to well into sending.
        await asyncio.sleep(chance.uniform(0.05, 1.6))
        process.kill()
        process.start()
        kills += 1
    growing.cancel()
    counts = await _arrived(street, box, box.reported, 3 * box.reported)
    assert box.reported > 50
    assert counts["events"] == 0


async def test_nothing_leaves_that_the_ledger_cannot_note(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    await until(street.portal.connected)
    box = street.box()
    box.report()
    box.db.execute("BEGIN IMMEDIATE")
    box.start()
    await until(lambda: "connecting" in box.log.read_text())
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert street.portal.counts()["boxes"] == 0, "not even the birth or the will"
        await asyncio.sleep(0.1)  # the absence of something takes time to see
    box.db.execute("ROLLBACK")
    await _arrived(street, box, 1, 3)


async def _grow(box: Box) -> None:
    while True:
        box.report()
        await asyncio.sleep(0.05)


async def test_two_boxes_are_kept_apart(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    boxes = [street.box(), street.box()]
    for number, box in enumerate(boxes, 1):
        for _ in range(5 * number):
            box.report(printers=number)
        box.start()
    for box in boxes:
        await until(lambda box=box: box.waiting() == 0)
    status = street.portal.status()
    assert {b["box"]: b["printers"] for b in status["boxes"]} == {boxes[0].id: 1, boxes[1].id: 2}
    assert status["counts"]["records"] == 5 + 20


async def test_the_will_speaks_for_a_box_that_died_but_not_for_one_that_restarts(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    await until(street.portal.connected)
    box = street.box()
    seen: list[bool | None] = []

    def online() -> bool | None:
        boxes = (street.portal.status() or {"boxes": []})["boxes"]
        seen.append(boxes[0]["online"] if boxes else None)
        return seen[-1]

    box.start()
    await until(online)
    # Orderly and at once: back within the will's delay (2 s here), so nobody hears of it.
    assert box.stop() == 0
    seen.clear()
    box.start()
    await box.reaches("connected")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert online() is True
        await asyncio.sleep(0.1)  # the absence of something takes time to see
    box.kill()
    await until(lambda: online() is False)
    status = street.portal.status()
    assert status is not None
    assert status["boxes"][0]["last_heard"], "a will is the broker's word, not the box's"


async def test_retry_does_not_wait_for_the_back_off(street: Street) -> None:
    box = street.box()
    box.start("appliance.uplink")
    await box.shows("broker-unreachable")
    # With the real back-off a few failures make the wait long enough to see the difference.
    await until(lambda: _waits(box), 60)
    street.broker.start()
    await control.call(box.paths.socket("uplink"), "platen.uplink.Retry")
    await box.reaches("connected", 3)


async def _waits(box: Box) -> bool:
    status = await box.status()
    return bool(status["state"] == "waiting" and status["next_try_s"] > 3)


async def test_what_the_broker_stored_is_what_the_outbox_held(street: Street) -> None:
    street.broker.start()
    box = street.box()
    box.report()
    row = outbox.waiting(box.db)[0]
    box.start()
    street.portal.start()
    await until(lambda: box.waiting() == 0)
    entry = next(e for e in ledger.entries(box.db) if e.seq == row.seq)
    assert (entry.sha256, entry.size, entry.encoding) == (row.sha256, len(row.body), row.encoding)


async def test_news_of_the_software_reach_the_portal(street: Street) -> None:
    street.broker.start()
    street.portal.start()
    await until(street.portal.connected)
    box = street.box()
    back = Rollback(
        version="1.5.0", kept="1.4.0", cause="gate-page", sentence="No page", time=clock.now().time
    )
    software.write(box.paths.software, Software(version="1.4.0", slot="a"))
    box.start()

    def shown() -> str:
        return street.portal.get(f"/boxes/{box.id}")[2]

    await until(lambda: "Up and running" in shown())
    software.write(box.paths.software, Software(version="1.4.0", slot="a", rollback=back))
    await until(lambda: "Version 1.5.0 did not stay" in shown())
    assert "gate-page" in shown()
