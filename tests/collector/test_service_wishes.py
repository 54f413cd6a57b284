# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the collector, and how it lives with limits: budget, disk, settings, idleness."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest

from appliance.collector import service
from appliance.collector.budget import Amount
from appliance.collector.service import mono
from appliance.collector.wishes import handlers
from appliance.store import readings, settings
from tests.collector.office import (
    BROTHER,
    HP,
    KYOCERA,
    MAC,
    PRINTERS,
    SERIAL,
    Office,
    codes,
    collecting,
    configure,
    consistent,
    discovered,
    look,
    polled,
    query,
    until,
)


async def test_the_budget_is_kept(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    office.stand(2, BROTHER)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            other = collector.roster.at(office.at(2))
            assert known is not None
            assert other is not None
            counts = office.stations[1].counts
            spent = collector.budget.spent(known.row.id, mono())
            # The sweep's own question belongs to nobody yet.
            assert counts.packets_received + counts.packets_sent - spent.packets in range(5)
            collector.budget.allowed = Amount(spent.packets, 1 << 30)
            asked = counts.packets_received
            status = await handlers(collector)["platen.collector.Status"]({})
            assert ("over-budget", known.row.id) in {
                (p["code"], p.get("printer")) for p in status["problems"]
            }
            assert status["budget"]["printers"][known.row.id]["packets_hour"] == spent.packets
            with pytest.raises(Exception, match="asked enough"):
                await handlers(collector)["platen.collector.PollNow"]({"printer": known.row.id})
            collector.budget.allowed = Amount(max(spent.packets, 1), 1 << 30)
            collector.ask_soon(known.row.id)
            await asyncio.sleep(0.5)
            assert counts.packets_received == asked
            collector.budget.allowed = Amount(1 << 20, 1 << 30)
            collector.ask_soon(known.row.id)
            await until(lambda: counts.packets_received > asked)
            await polled(collector, other)


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A problem is shown, printers are read on, and when there is room again everything newest is there."""
    monkeypatch.setattr(service, "BUSY_S", (0.1, 0.5))
    office = Office()
    for n, name in enumerate(PRINTERS[:4], 1):
        office.stand(n, name)
    database = tmp_path / "platen.db"
    async with office:
        configure(database, office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            await until(lambda: not collector.writer)
            stored = query(database, "SELECT printer, n, time FROM reading")
            await collector.worker.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
            # Grown by one transaction, so that the free pages are used up.
            for known in collector.roster:
                collector.writer.raw(known.row.id, "t", [(f"1.3.{i}", 4, bytes(200)) for i in range(2_000)])
                collector.writer.raw(
                    known.row.id, "t", [(f"1.3.{i}", 4, i.to_bytes(4, "big") * 50) for i in range(2_000)]
                )
                collector.ask_soon(known.row.id)
            await until(lambda: collector.store_problem is not None)
            status = await handlers(collector)["platen.collector.Status"]({})
            assert status["problems"][0]["code"] == "disk-full"
            assert status["unwritten"] > 0
            seen = [k.row.last_seen for k in collector.roster]
            await until(
                lambda: all(k.row.last_seen != t for k, t in zip(collector.roster, seen, strict=True)), 15.0
            )
            assert query(database, "SELECT printer, n, time FROM reading")[: len(stored)] == stored
            await collector.worker.run(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
            await until(lambda: collector.store_problem is None and not len(collector.writer), 30.0)
            status = await handlers(collector)["platen.collector.Status"]({})
            assert status["problems"] == []
            newest = {k.row.id: k.row.last_seen for k in collector.roster}
            on_disk = await collector.worker.run(readings.all_latest)
            assert all(on_disk[p].time >= t for p, t in newest.items() if t)
    consistent(database)


async def test_settings_are_in_force_at_once(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, poll__status_s=3_600)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            last = known.row.last_seen
            await collector.worker.run(settings.put, "poll.status_s", 5, "you")
            await until(lambda: known.row.last_seen != last, 10.0)
            # Whoever is excluded is not asked any more.
            await collector.worker.run(settings.put, "discovery.exclude", [office.at(1)], "you")
            await handlers(collector)["platen.collector.Reload"]({})
            await until(lambda: not collector._visits)
            asked = office.packets(1)
            collector.ask_soon(known.row.id)
            with pytest.raises(Exception, match="excluded"):
                await handlers(collector)["platen.collector.PollNow"]({"printer": known.row.id})
            with pytest.raises(Exception, match="excluded"):
                await handlers(collector)["platen.collector.Test"]({"address": office.at(1)})
            await asyncio.sleep(0.3)
            assert office.packets(1) == asked
            await collector.worker.run(settings.put, "discovery.exclude", [], "you")
            await until(lambda: office.packets(1) > asked, 10.0)


async def test_pause_name_and_place(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            wish = handlers(collector)["platen.collector.SetPrinter"]
            await wish(
                {"printer": known.row.id, "name": " Front desk ", "location": "1st floor", "paused": True}
            )
            asked = office.packets(1)
            collector.ask_soon(known.row.id)
            await asyncio.sleep(0.5)
            assert office.packets(1) == asked
            await wish({"printer": known.row.id, "location": None})
        async with collecting(tmp_path) as collector:
            known = collector.roster.at(office.at(1))
            assert known is not None
            assert (known.row.name, known.row.location, known.row.state) == ("Front desk", None, "paused")
            await handlers(collector)["platen.collector.SetPrinter"](
                {"printer": known.row.id, "paused": False}
            )
            await until(lambda: office.packets(1) > asked)
            for wrong in (
                {"printer": "nobody"},
                {"printer": 5},
                {},
                {"printer": known.row.id, "name": "a\nb"},
            ):
                with pytest.raises(Exception, match=r"no printer|not right|printable"):
                    await handlers(collector)["platen.collector.SetPrinter"](wrong)


async def test_a_test_reads_and_saves_nothing(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    office.stand(2, "hp-laserjet-p2055dn", v1=True)
    office.stand(3, "ups-1500")
    async with office:
        configure(tmp_path / "platen.db", office, discovery__ranges=[office.at(99)])
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            wish = handlers(collector)["platen.collector.Test"]
            answer = await wish({"address": office.at(1)})
            assert answer["reading"]["printer"]["vendor"] == "HP"
            assert (await wish({"address": office.at(2)}))["reading"]["meters"]
            with pytest.raises(Exception, match="not a printer"):
                await wish({"address": office.at(3)})
            with pytest.raises(Exception, match=r"did not answer|listen"):
                await wish({"address": office.at(98)})
            with pytest.raises(Exception, match="private"):
                await wish({"address": "8.8.8.8"})
            with pytest.raises(Exception, match="one address"):
                await wish({"address": f"{office.at(1)}-{office.at(2)}"})
            assert not len(collector.roster)
            assert not collector.writer
    assert office.overlaps() == 0


async def test_polls_go_on_while_it_looks(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            await collector.worker.run(settings.put, "discovery.rate", 5, "you")
            await collector.reload()
            wishes = handlers(collector)
            await wishes["platen.collector.Scan"]({"targets": [f"{office.prefix}.0/24"]})
            known = collector.roster.at(office.at(1))
            assert known is not None
            await polled(collector, known)
            scan = await wishes["platen.collector.ScanStatus"]({})
            assert scan["running"]
            assert 0 < scan["asked"] < scan["total"] == 254
            assert scan["rate"] == 5
            assert scan["eta_s"] > 30
            with pytest.raises(Exception, match="already running"):
                await wishes["platen.collector.Scan"]({})
            with pytest.raises(Exception, match="backwards"):
                await wishes["platen.collector.Scan"]({"targets": ["10.0.0.9-10.0.0.1"]})
            await wishes["platen.collector.ScanStop"]({})
            await discovered(collector)
            assert (await wishes["platen.collector.ScanStatus"]({}))["stopped"]


async def test_a_second_address_of_one_printer(tmp_path: Path) -> None:
    """Cable and radio: it is one printer, it does not move to and fro, and the second address costs little."""
    office = Office()
    office.stand(1, KYOCERA)
    async with office:
        ranges = [office.at(1), office.at(2)]
        configure(tmp_path / "platen.db", office, poll__status_s=600, discovery__ranges=ranges)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            office.stand(2, KYOCERA)
            await look(collector)
            assert [k.row.address for k in collector.roster] == [office.at(1)]
            before = office.octets(2)
            await look(collector)
            assert office.octets(2) - before <= 100
            scan = await handlers(collector)["platen.collector.ScanStatus"]({})
            assert {e["address"]: e["verdict"] for e in scan["found"]} == {
                office.at(1): "known",
                office.at(2): "known",
            }
            # When the first one falls silent, the second is where it lives.
            office.down(1)
            known = collector.roster.at(office.at(1))
            assert known is not None
            collector.roster.change(known, state="silent", failures=3)
            await look(collector)
            assert known.row.address == office.at(2)
    assert codes(tmp_path / "platen.db", known.row.id).count("printer.moved") == 1


async def test_contradicting_evidence_is_a_question(tmp_path: Path) -> None:
    """The same network card and model, another serial: nothing is merged, a person is asked."""
    office = Office()
    office.stand(1, KYOCERA)
    twin = office.stand(2, KYOCERA, serial="X9Z0001")
    mac = twin.agent.mib.index[MAC]
    twin.agent.mib.put(mac, office.stations[1].agent.mib.value(MAC) or b"")
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert len(collector.roster) == 2
            problems = (await handlers(collector)["platen.collector.Status"]({}))["problems"]
            assert [p["code"] for p in problems] == ["conflict"]
            assert "X9Z0001" in problems[0]["sentence"] or "R7F1Z04418" in problems[0]["sentence"]
            await look(collector)
            assert len(collector.roster) == 2
    assert codes(tmp_path / "platen.db").count("printer.conflict") == 1


async def test_a_printer_without_serial_and_card_stays_one(tmp_path: Path) -> None:
    """Its plan is lost, it is walked again, and it is still the printer at that address."""
    office = Office()
    station = office.stand(1, KYOCERA)
    for oid in (SERIAL, MAC, "1.3.6.1.4.1.1347.43.5.1.1.28.1"):
        if (at := station.agent.mib.index.get(oid)) is not None:
            station.agent.mib.put(at, b"")
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            assert {kind for kind, _ in known.row.evidence} <= {"model"}
            known.plan = None
            await polled(collector, known)
            assert known.plan is not None
            assert len(collector.roster) == 1


async def test_what_is_wrong_with_a_target_is_said_where_it_was_typed(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, discovery__ranges=[office.at(1), "no-such-printer.invalid"])
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            wishes = handlers(collector)
            problems = (await wishes["platen.collector.Status"]({}))["problems"]
            assert [p["code"] for p in problems] == ["name-unknown"]
            await look(collector, "other.invalid", office.at(2))
            found = (await wishes["platen.collector.ScanStatus"]({}))["found"]
            assert [(e["address"], e["verdict"], e["code"]) for e in found] == [
                ("other.invalid", "failed", "name-unknown"),
                (office.at(2), "silent", "no-answer"),
            ]
            await collector.worker.run(settings.put, "discovery.ranges", [office.at(1)], "you")
            await until(lambda: not collector.discovery.problems, 15.0)


async def test_nothing_is_due_nothing_is_done(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, poll__status_s=3_600, store__commit_s=30)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            await until(lambda: not collector.writer)
            before = resource.getrusage(resource.RUSAGE_SELF)
            await asyncio.sleep(3.0)
            after = resource.getrusage(resource.RUSAGE_SELF)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert busy < 0.15, f"{busy:.3f} s of CPU in 3 idle seconds"
