# SPDX-License-Identifier: Apache-2.0
"""The collector against a simulated office and a real store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.collector import schedule, service
from appliance.collector.service import mono
from appliance.collector.wishes import handlers
from appliance.store import settings
from tests.collector.office import (
    BROTHER,
    HP,
    KYOCERA,
    LEXMARK,
    NET_SNMP,
    OTHERS,
    PRINTERS,
    Office,
    codes,
    collecting,
    configure,
    discovered,
    look,
    polled,
    query,
    told,
    until,
)


async def test_a_mixed_office(tmp_path: Path) -> None:
    """Every printer and nothing else; gently, never two requests at one device, and never an excluded address."""
    office = Office()
    for n, name in enumerate(PRINTERS, 1):
        office.stand(n, name)
    for n, name in enumerate(OTHERS, 41):
        office.stand(n, name)
    excluded = office.stand(70, KYOCERA, serial="NEVER")
    async with office:
        ranges = [f"{office.at(1)}-{office.at(80)}"]
        configure(
            tmp_path / "platen.db", office, discovery__ranges=ranges, discovery__exclude=[office.at(70)]
        )
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            scan = await handlers(collector)["platen.collector.ScanStatus"]({})
            await until(lambda: not collector.writer)
    verdicts = {entry["address"]: entry["verdict"] for entry in scan["found"]}
    assert {a for a, v in verdicts.items() if v == "printer"} == {
        office.at(n) for n in range(1, len(PRINTERS) + 1)
    }
    assert {a for a, v in verdicts.items() if v == "other"} == {
        office.at(n) for n in range(41, 41 + len(OTHERS))
    }
    assert len(verdicts) == len(PRINTERS) + len(OTHERS)
    assert (scan["asked"], scan["total"], scan["running"]) == (79, 79, False)
    assert all(office.octets(n) <= 100 for n in range(41, 41 + len(OTHERS)))
    assert excluded.counts.packets_received == 0
    assert office.overlaps() == 0
    records, said = told(tmp_path / "platen.db")
    first = {r.printer: r.full for r in reversed(records) if r.full}
    assert len(first) == len(PRINTERS)
    assert all(f is not None and f.printer.model for f in first.values())
    assert sum(e.code == "printer.found" for e in said) == len(PRINTERS)


async def test_a_new_printer_is_on_disk_soon(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, store__commit_s=600)
        async with collecting(tmp_path) as collector:
            await until(lambda: len(collector.roster))
            await until(lambda: query(tmp_path / "platen.db", "SELECT * FROM reading"), 2.0)


async def test_after_a_restart_known_printers_are_read_by_their_plans(tmp_path: Path) -> None:
    office = Office()
    names = PRINTERS[:12]
    for n, name in enumerate(names, 1):
        office.stand(n, name)
    async with office:
        configure(tmp_path / "platen.db", office, poll__status_s=900)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
        before = {n: dict(s.counts.requests) for n, s in office.stations.items()}
        octets = {n: office.octets(n) for n in office.stations}
        async with collecting(tmp_path) as collector:
            assert len(collector.roster) == len(names)
            started = mono()
            seen = {k.row.id: k.row.last_seen for k in collector.roster}
            await until(lambda: all(k.row.last_seen != seen[k.row.id] for k in collector.roster), 20.0)
            assert mono() - started <= 20.0
            assert collector.discovery.scan is None, "no discovery is due"
    for n, station in office.stations.items():
        after = station.counts.requests
        walked = after["getnext"] + after["getbulk"] - before[n]["getnext"] - before[n]["getbulk"]
        # Where an alert table moved meanwhile it is read again; nothing else is walked.
        assert walked <= 2, f"{station.name} was walked after a restart"
        assert office.octets(n) - octets[n] <= 2_600, station.name
    assert office.overlaps() == 0
    assert codes(tmp_path / "platen.db").count("printer.found") == len(names)


async def test_what_a_restart_reads_is_written_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only after store.commit_s: the page, the dealer and an update on trial wait for it."""
    monkeypatch.setattr(service, "FIRST_COMMIT_S", 2.0)
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, store__commit_s=900)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
        before = query(tmp_path / "platen.db", "SELECT max(last_seen) FROM contact")
        async with collecting(tmp_path):
            await until(
                lambda: query(tmp_path / "platen.db", "SELECT max(last_seen) FROM contact") != before, 20.0
            )


async def test_a_printer_that_moves_stays_itself(tmp_path: Path) -> None:
    office = Office()
    station = office.stand(1, KYOCERA)
    office.stand(2, HP)
    async with office:
        configure(tmp_path / "platen.db", office, discovery__ranges=[f"{office.at(1)}-{office.at(9)}"])
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            office.put(1, None)
            office.put(9, station)
            await look(collector)
            assert known.row.address == office.at(9)
            assert len(collector.roster) == 2
            await polled(
                collector, known, until_=lambda: known.row.state == "active" and not known.row.failures
            )
    assert codes(tmp_path / "platen.db", known.row.id).count("printer.moved") == 1


async def test_two_printers_swap_addresses(tmp_path: Path) -> None:
    office = Office()
    one, two = office.stand(1, KYOCERA), office.stand(2, HP)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            kyocera, hp = collector.roster.at(office.at(1)), collector.roster.at(office.at(2))
            assert kyocera is not None
            assert hp is not None
            office.put(1, two)
            office.put(2, one)
            swapped = (office.at(2), office.at(1))
            await polled(
                collector, kyocera, hp, until_=lambda: (kyocera.row.address, hp.row.address) == swapped
            )
            await polled(collector, kyocera, hp, until_=lambda: kyocera.row.state == hp.row.state == "active")
            assert len(collector.roster) == 2
            assert (kyocera.row.failures, hp.row.failures) == (0, 0)


async def test_an_exchanged_printer_is_another_one(tmp_path: Path) -> None:
    """Also of the same model: the serial tells."""
    office = Office()
    office.stand(1, KYOCERA)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            old = collector.roster.at(office.at(1))
            assert old is not None
            office.stand(1, KYOCERA, serial="NEW4711")
            await polled(collector, old, until_=lambda: len(collector.roster) == 2)
            new = collector.roster.at(office.at(1))
            assert new is not None
            assert new is not old
            assert (new.row.serial, old.row.serial) != (old.row.serial, new.row.serial)
            assert old.displaced
            assert old.row.state == "silent"
            await polled(collector, new)
            problems = (await handlers(collector)["platen.collector.Status"]({}))["problems"]
            assert [p["code"] for p in problems] == ["exchanged"]
        # The old one's readings stay its own.
        db = tmp_path / "platen.db"
        assert codes(db, old.row.id) == ["printer.found", "printer.exchanged"]
        assert codes(db, new.row.id) == ["printer.found"]
        async with collecting(tmp_path) as again:
            found = again.roster.at(office.at(1))
            assert found is not None
            await polled(again, found)
            assert len(again.roster) == 2
            displaced = again.roster.get(old.row.id)
            assert displaced is not None
            assert displaced.displaced


async def test_once_down_once_up(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    office.stand(2, BROTHER)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            office.down(1)
            await polled(collector, known, until_=lambda: known.row.state == "silent")
            assert known.row.failures >= schedule.SILENT_AFTER
            assert known.row.last_error == "no-answer"
            assert known.row.last_error_text is not None
            assert office.at(1) in known.row.last_error_text
            status = await handlers(collector)["platen.collector.Status"]({})
            assert (status["printers"], status["answering"], status["silent"]) == (2, 1, 1)
            assert [(p["code"], p["printer"]) for p in status["problems"]] == [("no-answer", known.row.id)]
            office.down(1, False)
            collector.ask_soon(known.row.id)
            await until(lambda: known.row.state == "active")
    assert codes(tmp_path / "platen.db", known.row.id) == [
        "printer.found",
        "printer.silent",
        "printer.answers",
    ]


async def test_a_silent_printer_comes_back_with_the_next_discovery(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            collector.rest(known.row.id)
            collector.roster.change(known, state="silent")
            await look(collector)
            await until(lambda: known.row.state == "active")
            assert len(collector.roster) == 1


async def test_the_wrong_community_then_the_right_one(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP, community="printers")
    office.stand(2, BROTHER)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert [k.row.address for k in collector.roster] == [office.at(2)]
            # As the page does it, from another connection; nobody tells the collector.
            await collector.worker.run(settings.put, "snmp.communities", ["public", "printers"], "you")
            await until(lambda: len(collector.roster) == 2, 30.0)
            await discovered(collector)
            known = collector.roster.at(office.at(1))
            assert known is not None
            assert known.row.community_index == 1
            # In another order it is found again, without being walked.
            walked = office.stations[1].counts.requests["getbulk"]
            await collector.worker.run(settings.put, "snmp.communities", ["printers", "public"], "you")
            await polled(
                collector, known, until_=lambda: known.row.community_index == 0 and not known.row.failures
            )
            assert office.stations[1].counts.requests["getbulk"] == walked
    assert "printers" not in repr(collector.access)


async def test_slow_lossy_and_lying_agents_hold_up_nobody(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, KYOCERA, delay=0.15, jitter=0.05)
    office.stand(2, HP, loss=0.1)
    office.stand(3, BROTHER, lie="loop")
    office.stand(4, LEXMARK, lie="garbage")
    office.stand(5, "oki-c650dn")
    async with office:
        configure(tmp_path / "platen.db", office, snmp__retries=3)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            good = collector.roster.at(office.at(5))
            assert good is not None
            assert collector.roster.at(office.at(1)) is not None
            await polled(collector, good)
            scan = await handlers(collector)["platen.collector.ScanStatus"]({})
    for entry in scan["found"]:
        if entry["verdict"] == "failed":
            assert re.fullmatch(r"[a-z-]+", entry["code"])
            assert entry["sentence"]
    assert all(s.counts.most_per_second < 400 for s in office.stations.values())


async def test_a_general_purpose_agent_gets_the_other_question_next_time(tmp_path: Path) -> None:
    """Never more than 100 octets at a discovery, and the printer behind such an agent is found at the second."""
    office = Office()
    office.stand(1, "linux-server")
    office.stand(2, HP, object_id=NET_SNMP)
    office.stand(3, "linux-server", object_id="1.3.6.1.4.1.99999.1")
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert not len(collector.roster)
            requests = office.stations[1].counts.requests
            assert (requests["get"], requests["getnext"]) == (1, 0)
            assert office.octets(1) <= 100
            # An unlisted number gets a second question at once, and no third.
            requests = office.stations[3].counts.requests
            assert (requests["get"], requests["getnext"]) == (1, 1)
            before = office.octets(1)
            await look(collector)
            assert [k.row.address for k in collector.roster] == [office.at(2)]
            requests = office.stations[1].counts.requests
            assert (requests["get"], requests["getnext"]) == (1, 1)
            assert office.octets(1) - before <= 100
            requests = office.stations[3].counts.requests
            assert (requests["get"], requests["getnext"]) == (2, 1)
            await look(collector)
            requests = office.stations[1].counts.requests
            assert (requests["get"], requests["getnext"]) == (2, 1)
        async with collecting(tmp_path) as collector:
            await look(collector)
            assert requests["getnext"] == 2, "it is remembered over a restart"
