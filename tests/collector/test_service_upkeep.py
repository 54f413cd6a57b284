# SPDX-License-Identifier: Apache-2.0
"""What the collector does unasked: it forgets what is old, looks again at who was silent, learns what an agent
cannot take."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from appliance import cli
from appliance.collector import discovery, search, service
from appliance.collector.ask.asker import Asker
from appliance.collector.read import profile
from appliance.collector.visit import Visit
from appliance.collector.wire.message import GET, DecodeError, decode_message
from appliance.host import clock
from appliance.model.clock import Stamp
from appliance.model.errors import PlatenError
from appliance.store import events, settings
from appliance.store.database import open_database
from tests.collector.office import (
    HP,
    KYOCERA,
    NET_SNMP,
    Office,
    collecting,
    configure,
    discovered,
    query,
    until,
)

LONG_AGO = Stamp(time="2020-01-01T00:00:00Z", clock="synchronised", boot_id="b", mono=1.0)


@pytest.mark.parametrize("quality", ["synchronised", "unsynchronised"])
async def test_what_is_old_is_forgotten_by_a_clock_that_somebody_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quality: str
) -> None:
    monkeypatch.setattr(service, "TIDY_AFTER_S", 0.3)
    monkeypatch.setattr(clock, "quality", lambda: quality)
    database = tmp_path / "platen.db"
    office = Office()
    office.stand(1, HP)

    def old() -> list[tuple[object, ...]]:
        return query(database, "SELECT * FROM event WHERE time < '2021'")

    async with office:
        configure(database, office)
        with contextlib.closing(open_database(database)) as db:
            events.add(db, LONG_AGO, "box.started", "info", None, {})
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            if quality == "synchronised":
                await until(lambda: not old(), 10.0, "nobody tidies")
            else:
                await collector.tidy()
                assert old()


async def test_who_was_silent_at_the_first_search_is_asked_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A printer that slept, and one behind a general-purpose agent; nobody else is asked anything again."""
    monkeypatch.setattr(discovery, "SECOND_LOOK_S", 3.0)
    office = Office()
    office.stand(1, HP)
    office.stand(2, KYOCERA, down=True)
    office.stand(3, "switch-24-port")
    office.stand(4, HP, serial="OTHER1", object_id=NET_SNMP)
    office.stand(5, "linux-server", down=True)
    async with office:
        configure(tmp_path / "platen.db", office, poll__status_s=3_600)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert {k.row.address for k in collector.roster} == {office.at(1)}
            first, switch, asked = collector.discovery.scan, office.packets(3), office.packets(1)
            office.down(2, False)
            await until(lambda: len(collector.roster) == 3, 20.0)
            await discovered(collector)
            scan = collector.discovery.scan
            assert scan is not None
            assert scan is not first
            assert (office.packets(3), office.packets(1)) == (switch, asked)
            summary = scan.report()
            assert (summary["asked"], summary["total"], summary["printers"]) == (5, 5, 3)
            found = {e["address"]: e["verdict"] for e in summary["found"]}  # type: ignore[attr-defined]
            assert found[office.at(3)] == "other"
            # Once: who stays silent waits for the next discovery.
            assert not collector.discovery._memory.second_look
        async with collecting(tmp_path) as collector:
            assert not collector.discovery._memory.second_look, "nor after a restart"


async def test_a_second_look_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office()
    office.stand(1, HP, down=True)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
        office.down(1, False)
        monkeypatch.setattr(discovery, "SECOND_LOOK_S", 0.5)
        async with collecting(tmp_path) as collector:
            await until(lambda: len(collector.roster) == 1, 15.0)


async def test_other_ranges_end_the_search_of_the_old_ones(tmp_path: Path) -> None:
    office = Office()
    office.stand(1, HP)
    async with office:
        configure(
            tmp_path / "platen.db",
            office,
            discovery__ranges=[f"{office.at(2)}-{office.at(250)}"],
            discovery__rate=2,
        )
        async with collecting(tmp_path) as collector:
            await until(lambda: collector.discovery.running)
            await collector.worker.run(settings.put, "discovery.ranges", [office.at(1)], "you")
            await until(lambda: len(collector.roster) == 1, 15.0)
            await discovered(collector)
            assert collector.discovery._memory.finished is not None


async def test_nobody_is_asked_while_it_is_unclear_who_is_not_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "AGAIN_S", 0.5)
    office = Office()
    station = office.stand(1, HP)
    async with office:
        configure(tmp_path / "platen.db", office, discovery__exclude=["the-bosss-printer.invalid"])
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert [e.code for e in collector.discovery.problems] == ["name-unknown"]
            assert station.counts.packets_received == 0
            await collector.worker.run(settings.put, "discovery.exclude", [], "you")
            await until(lambda: len(collector.roster) == 1, 15.0)


async def test_one_printer_that_trips_us_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office()
    office.stand(1, HP)
    office.stand(2, KYOCERA)
    read = search.first_read

    async def tripping(asker: Asker, *rest: Any, **more: Any) -> Visit:
        if asker.address == office.at(1):
            raise ZeroDivisionError("ours")
        return await read(asker, *rest, **more)

    monkeypatch.setattr(search, "first_read", tripping)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            assert {k.row.address for k in collector.roster} == {office.at(2)}
            scan = collector.discovery.scan
            assert scan is not None
            failed = scan.found[office.at(1)]
            assert (failed.verdict, failed.code) == ("failed", "fault")
        words = ["discover", f"{office.at(1)}-{office.at(2)}", "--port", str(office.port), "--rate", "100"]
        assert await asyncio.to_thread(cli.main, words) == 0
    said = capsys.readouterr()
    assert "TASKalfa" in said.out
    assert said.err.startswith(
        f"platen: fault: {office.at(1)} could not be read because of a fault of ours. "
    )
    assert "Traceback" not in said.err


async def test_what_an_agent_cannot_take_is_remembered_though_it_fell_silent(tmp_path: Path) -> None:
    """It died of the second large question of one visit: the next one asks for less at a time."""
    office = Office()
    station = office.stand(1, KYOCERA)
    large: list[int] = []
    answer = station.ask

    def frail(data: bytes, arrived_ns: int) -> tuple[float, bytes] | None:
        with contextlib.suppress(DecodeError):
            message = decode_message(data)
            if message.pdu_type == GET and len(message.varbinds) > 30:
                large.append(len(message.varbinds))
                if len(large) > 1:
                    office.down(1)
        return answer(data, arrived_ns)

    async with office:
        configure(tmp_path / "platen.db", office, poll__status_s=3_600)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            [known] = collector.roster
            station.ask = frail  # type: ignore[method-assign]
            with pytest.raises(PlatenError):
                await collector.visit(known, "full")
            assert large
            assert known.plan is not None
            assert any(q.startswith("max-varbinds-") for q in known.plan.quirks), known.plan.quirks
            office.down(1, False)
            large.clear()
            await collector.visit(known, "full")
            assert not large
        async with collecting(tmp_path) as collector:
            [known] = collector.roster
            assert known.plan is not None
            assert any(q.startswith("max-varbinds-") for q in known.plan.quirks), "on disk"


async def test_a_dealers_profiles_are_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole one masks the built-in one of its name; a broken one is a problem that is shown, and masks nothing."""
    folder = tmp_path / "profiles.d"
    folder.mkdir()
    built_in = (profile.BUILT_IN / "hp.toml").read_text()
    (folder / "hp.toml").write_text(built_in.replace('vendor = "HP"', 'vendor = "Dealer\'s HP"', 1))
    (folder / "kyocera.toml").write_text("vendor = [")
    monkeypatch.setattr(profile, "DEALER", folder)
    office = Office()
    office.stand(1, HP)
    office.stand(2, KYOCERA)
    async with office:
        configure(tmp_path / "platen.db", office)
        async with collecting(tmp_path) as collector:
            await discovered(collector)
            vendors = {k.row.vendor for k in collector.roster}
            refused = [e.sentence for e in collector.profiles.refused]
    assert vendors == {"Dealer's HP", "Kyocera"}
    assert len(refused) == 1
    assert refused[0].startswith("kyocera.toml is not TOML")
