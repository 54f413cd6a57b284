# SPDX-License-Identifier: Apache-2.0
"""A printer from the first walk to the thousandth poll: what is asked, what comes of it, and what it costs."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.collector.ask.replay import ReplayAsker
from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.read.plan import Plan
from appliance.collector.read.profile import BUILT_IN, Profiles, load_profiles
from appliance.collector.visit import Visit, first_read, poll
from appliance.collector.wire import snmprec
from appliance.collector.wire.value import COUNTER32, INTEGER, OCTET_STRING, TIME_TICKS, Varbind, under
from appliance.model.clock import Stamp
from appliance.model.errors import BadReply, NoAnswer, NotAPrinter, PrinterExchanged
from appliance.model.reading import SECTIONS, Reading, Traffic, merge
from appliance.simulate.command import load
from appliance.simulate.server import Server
from tests.collector.office import Office

PRINTERS = Path(__file__).parents[1] / "printers"
OTHERS = Path(__file__).parents[1] / "other_devices"
MFP = "kyocera-taskalfa-3554ci"

SERIAL = "1.3.6.1.2.1.43.5.1.1.17.1"
CONFIG_CHANGES = "1.3.6.1.2.1.43.5.1.1.1.1"
LEVEL = "1.3.6.1.2.1.43.11.1.1.9.1"
CAPACITY = "1.3.6.1.2.1.43.11.1.1.8.1"
DESCRIPTION = "1.3.6.1.2.1.43.11.1.1.6.1"
SUPPLIES = "1.3.6.1.2.1.43.11"
ALERTS = "1.3.6.1.2.1.43.18.1.1"
LIFE_COUNT = "1.3.6.1.2.1.43.10.2.1.4.1.1"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def at(minute: int) -> Stamp:
    return Stamp(
        time=f"2026-11-21T12:{minute:02}:00.000Z", clock="synchronised", boot_id="b", mono=60.0 * minute
    )


def recorded(name: str, where: Path = PRINTERS) -> dict[str, Varbind]:
    return {v.oid: v for v in snmprec.load((where / name / "walk.snmprec").read_text("utf-8"))}


class Printer:
    """A printer in memory: change `objects`, then ask it again. `deaf` are roots it gives no answer to."""

    def __init__(self, objects: dict[str, Varbind], deaf: Sequence[str] = ()) -> None:
        self.objects, self.deaf = objects, list(deaf)
        self.asked: list[str] = []
        self.walked: list[str] = []
        self.address, self.quirks = "192.0.2.9", set[str]()

    @property
    def traffic(self) -> Traffic:
        return Traffic(packets_sent=len(self.asked), packets_received=len(self.asked))

    async def get(self, oids: Sequence[str], *, sizes: Sequence[int] = ()) -> list[Varbind]:
        self.asked += oids
        self._hear(oids)
        return await ReplayAsker(self.objects.values(), address="").get(oids)

    async def walk(self, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
        self.walked += roots
        self._hear(roots)
        return await ReplayAsker(self.objects.values(), address="").walk(roots, most=most)

    async def close(self) -> None: ...

    def _hear(self, oids: Sequence[str]) -> None:
        if any(under(o, d) for o in oids for d in self.deaf):
            raise NoAnswer("192.0.2.9 does not answer")

    def set(self, oid: str, value: int | bytes, tag: int = INTEGER) -> None:
        self.objects[oid] = Varbind(oid, OCTET_STRING if isinstance(value, bytes) else tag, value)

    def forget(self) -> None:
        self.asked, self.walked = [], []


class Known:
    """A printer, its plan and what is known of it, as the service keeps them."""

    def __init__(self, printer: Printer, profiles: Profiles, visit: Visit) -> None:
        self.printer, self.profiles, self.visit, self.reading = printer, profiles, visit, visit.reading
        self.minute = 0
        printer.forget()

    async def poll(self, kind: str = "status") -> Visit:
        self.printer.forget()
        self.minute += 1
        self.visit = await poll(
            self.printer, self.visit.plan, self.profiles, kind, now=at(self.minute), previous=self.reading  # type: ignore[arg-type]
        )  # fmt: skip
        self.reading = merge(self.reading, self.visit.reading)
        return self.visit


@pytest.fixture
async def mfp(profiles: Profiles) -> Known:
    printer = Printer(recorded(MFP))
    return Known(printer, profiles, await first_read(printer, profiles, now=at(0)))


# --- polls ---


async def test_a_poll_says_what_the_first_read_said(mfp: Known) -> None:
    first, plan = mfp.reading, mfp.visit.plan
    visit = await mfp.poll("full")
    assert visit.plan is plan
    assert not visit.replanned
    assert not mfp.printer.walked
    for section in SECTIONS:
        assert getattr(mfp.reading, section) == getattr(first, section), section
        assert mfp.reading.times[section] == at(1).time


async def test_a_status_poll_reads_whole_sections_of_the_little_it_asks(mfp: Known) -> None:
    first, plan = mfp.reading, mfp.visit.plan
    visit = await mfp.poll("status")
    assert len(mfp.printer.asked) < 35
    assert not mfp.printer.walked
    assert visit.plan is plan
    assert set(visit.reading.times) == {"status", "meters", "supplies", "alerts"}
    for section in set(SECTIONS) - {"meters"}:
        assert getattr(mfp.reading, section) == getattr(first, section), section


async def test_a_meter_that_was_not_asked_for_keeps_its_own_time(mfp: Known) -> None:
    mfp.printer.set("1.3.6.1.4.1.1347.43.10.1.1.12.1.1", 999_999)
    await mfp.poll("status")
    meters = {m.name: m for m in mfp.reading.meters}
    assert (meters["total"].value, meters["total"].time) == (999_999, None)
    older = [m for m in mfp.reading.meters if m.time is not None]
    assert older
    assert {m.time for m in older} == {at(0).time}
    await mfp.poll("status")
    assert {m.time for m in mfp.reading.meters} == {None, at(0).time}
    await mfp.poll("full")
    assert {m.time for m in mfp.reading.meters} == {None}


async def test_a_new_alert_is_seen_by_the_next_status_poll(mfp: Known) -> None:
    row = max(a.index for a in mfp.reading.alerts) + 1
    for column, value in ((2, 3), (3, 3), (4, 8), (5, 1), (6, -1), (7, 808)):
        mfp.printer.set(f"{ALERTS}.{column}.1.{row}", value)
    mfp.printer.set(f"{ALERTS}.9.1.{row}", 5, TIME_TICKS)
    before = mfp.reading.alerts
    visit = await mfp.poll("status")
    assert [a.code for a in mfp.reading.alerts] == [*(a.code for a in before), 808]
    assert [a.time for a in mfp.reading.alerts[:-1]] == [a.time for a in before]
    assert mfp.printer.walked == [ALERTS]
    plan = visit.plan
    assert (await mfp.poll("status")).plan is plan  # seen once, it costs nothing more
    assert not mfp.printer.walked
    await mfp.poll("full")
    assert not mfp.printer.walked
    assert mfp.reading.alerts[-1].code == 808


async def test_an_alert_that_goes_is_seen_too(mfp: Known) -> None:
    assert mfp.reading.alerts
    for oid in [o for o in mfp.printer.objects if under(o, ALERTS)]:
        del mfp.printer.objects[oid]
    await mfp.poll("status")
    assert mfp.reading.alerts == []
    assert not (await mfp.poll("full")).replanned


async def test_an_alert_keeps_its_moment(mfp: Known) -> None:
    before = mfp.reading.alerts
    for kind in ("status", "full", "status"):
        await mfp.poll(kind)
        assert mfp.reading.alerts == before


async def test_a_new_cartridge_brings_its_own_words(mfp: Known) -> None:
    """Capacity and name are kept between polls; a level that rises says that they are worth another look."""
    old = mfp.reading.supplies[0]
    for prefix, value in ((LEVEL, 29_000), (CAPACITY, 30_000), (DESCRIPTION, b"TK-8375C XL")):
        mfp.printer.set(f"{prefix}.1", value)
    await mfp.poll("status")
    new = mfp.reading.supplies[0]
    assert (old.description, old.percent) != (new.description, new.percent)
    assert (new.description, new.capacity, new.percent) == ("TK-8375C XL", 30_000, 97)
    mfp.printer.set(f"{LEVEL}.1", 28_500)
    await mfp.poll("status")
    assert (mfp.reading.supplies[0].description, mfp.reading.supplies[0].percent) == ("TK-8375C XL", 95)


# --- shape and identity ---


async def test_a_changed_shape_is_walked_again(mfp: Known) -> None:
    for oid in [o for o in mfp.printer.objects if under(o, SUPPLIES) and o.endswith(".5")]:
        del mfp.printer.objects[oid]
    visit = await mfp.poll("status")
    assert visit.replanned
    assert len(mfp.reading.supplies) == 4
    assert set(visit.reading.times) == set(SECTIONS)


async def test_what_was_missing_for_a_moment_comes_back(mfp: Known) -> None:
    lost = {o: v for o, v in mfp.printer.objects.items() if under(o, SUPPLIES)}
    mfp.printer.objects = {o: v for o, v in mfp.printer.objects.items() if o not in lost}
    await mfp.poll("status")
    assert mfp.reading.supplies == []
    mfp.printer.objects |= lost
    await mfp.poll("full")
    assert len(mfp.reading.supplies) == 5
    assert not (await mfp.poll("full")).replanned


async def test_a_new_tray_is_found_by_the_next_full_poll(mfp: Known) -> None:
    trays = len(mfp.reading.inputs)
    mfp.printer.set("1.3.6.1.2.1.43.8.2.1.18.1.99", b"Tray 99")
    mfp.printer.set(CONFIG_CHANGES, 4_711, COUNTER32)
    assert not (await mfp.poll("status")).replanned
    assert not (await mfp.poll("status")).replanned
    assert (await mfp.poll("full")).replanned
    assert len(mfp.reading.inputs) == trays + 1
    assert not (await mfp.poll("full")).replanned


@pytest.mark.parametrize("kind", ["status", "full"])
async def test_another_printer_at_the_address(mfp: Known, kind: str) -> None:
    mfp.printer.set(SERIAL, b"SOMEBODY1")
    with pytest.raises(PrinterExchanged) as caught:
        await mfp.poll(kind)
    assert caught.value.code == "printer-exchanged"
    assert isinstance(caught.value, BadReply)


async def test_another_printer_that_has_nothing_of_the_plan(mfp: Known) -> None:
    mfp.printer.objects = recorded("epson-wf-c579r")
    with pytest.raises(PrinterExchanged):
        await mfp.poll("status")
    mfp.printer.objects = recorded("zebra-zt411")
    with pytest.raises(PrinterExchanged):
        await mfp.poll("status")


async def test_a_changed_profile_is_walked_for(mfp: Known, tmp_path: Path) -> None:
    body = (BUILT_IN / "kyocera.toml").read_text()
    (tmp_path / "kyocera.toml").write_text(body.replace('vendor = "Kyocera"', 'vendor = "Mine"'))
    mfp.profiles = load_profiles(BUILT_IN, tmp_path)
    assert (await mfp.poll("status")).replanned
    assert mfp.reading.printer.vendor == "Mine"
    assert not (await mfp.poll("status")).replanned


def test_a_plan_survives_being_stored(mfp: Known) -> None:
    data = mfp.visit.plan.encode()
    assert Plan.decode(data) == mfp.visit.plan
    assert Plan.decode(data).kept() == mfp.visit.plan.kept()
    assert len(data) < 16_384


@pytest.mark.parametrize("data", [b"", b"\x80", b"rubbish", msgspec.msgpack.encode({"version": 99})])
def test_what_is_not_a_plan_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        Plan.decode(data)


# --- what fails ---


@pytest.mark.parametrize("kind", ["status", "full"])
async def test_one_section_that_is_lost_leaves_the_others(mfp: Known, kind: str) -> None:
    before = mfp.reading
    mfp.printer.deaf = [SUPPLIES]
    mfp.printer.set(LIFE_COUNT, 5, COUNTER32)
    visit = await mfp.poll(kind)
    assert "supplies" not in visit.reading.times
    assert "meters" in visit.reading.times
    assert [n.code for n in visit.reading.notes] == ["section-lost"]
    assert mfp.reading.supplies == before.supplies
    assert mfp.reading.times["supplies"] == at(0).time
    mfp.printer.deaf = []
    await mfp.poll(kind)
    assert mfp.reading.times["supplies"] == at(2).time


async def test_a_first_read_that_loses_a_table(profiles: Profiles) -> None:
    printer = Printer(recorded(MFP), deaf=["1.3.6.1.2.1.43.9"])
    known = Known(printer, profiles, await first_read(printer, profiles, now=at(0)))
    assert "outputs" not in known.reading.times
    assert known.reading.supplies
    printer.deaf = []
    await known.poll("full")
    assert known.reading.outputs
    assert known.visit.replanned


async def test_silence(profiles: Profiles, mfp: Known) -> None:
    mfp.printer.deaf = ["1.3"]
    with pytest.raises(NoAnswer):
        await mfp.poll("status")
    with pytest.raises(NoAnswer):
        await first_read(mfp.printer, profiles, now=at(0))


@pytest.mark.parametrize("name", sorted(p.name for p in OTHERS.iterdir() if p.is_dir()))
async def test_other_devices_are_told_apart_with_few_questions(profiles: Profiles, name: str) -> None:
    device = Printer(recorded(name, OTHERS))
    with pytest.raises(NotAPrinter):
        await first_read(device, profiles, now=at(0))
    assert len(device.walked) <= 3


# --- over the wire, counted by the one who answers ---


@asynccontextmanager
async def answering(name: str) -> AsyncIterator[tuple[Server, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Server(load([str(PRINTERS / name / "walk.snmprec")], f"127.0.0.1:{port}"), port) as server:
        yield server, port


async def wire(port: int, version: str = "2c") -> SnmpAsker:
    return SnmpAsker("127.0.0.1", port=port, version=version, timeout_s=5.0)  # type: ignore[arg-type]


def counted(server: Server, before: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """(packets, octets) both ways since `before`."""
    [station] = server.stations
    c = station.counts
    packets, octets = c.packets_received + c.packets_sent, c.bytes_received + c.bytes_sent
    return packets - before[0], octets - before[1]


async def read(
    port: int, profiles: Profiles, known: Visit | None, kind: str, previous: Reading | None
) -> Visit:
    asker = await wire(port)
    try:
        if known is None:
            return await first_read(asker, profiles, now=at(0))
        return await poll(asker, known.plan, profiles, kind, now=at(1), previous=previous)  # type: ignore[arg-type]
    finally:
        await asker.close()


@pytest.mark.parametrize(
    "name", ["bench-1034", MFP, "lexmark-cx625ade", "konica-minolta-bizhub-c360i", "oki-c650dn"]
)
async def test_what_a_printer_costs(profiles: Profiles, name: str) -> None:
    async with answering(name) as (server, port):
        first = await read(port, profiles, None, "", None)
        packets, octets = counted(server)
        assert packets <= 60
        assert (first.reading.traffic.packets_sent + first.reading.traffic.packets_received) == packets
        t = first.reading.traffic
        assert t.bytes_sent + t.bytes_received == octets
        mark = counted(server)
        status = await read(port, profiles, first, "status", first.reading)
        packets, octets = counted(server, mark)
        assert packets <= 4
        assert octets <= 1_300
        mark = counted(server)
        full = await read(port, profiles, status, "full", merge(first.reading, status.reading))
        packets, octets = counted(server, mark)
        assert packets <= 14
        assert octets <= 13_000
        assert not full.replanned
        for section in SECTIONS:
            assert getattr(full.reading, section) == getattr(first.reading, section), section


async def test_version_1_has_no_words_for_what_is_missing(profiles: Profiles) -> None:
    async with answering(MFP) as (server, port):
        asker = await wire(port, "1")
        first = await first_read(asker, profiles, now=at(0))
        mark = counted(server)
        await poll(asker, first.plan, profiles, "status", now=at(1), previous=first.reading)
        await asker.close()
        packets, octets = counted(server, mark)
        assert packets <= 4
        assert octets <= 1_300


@pytest.mark.parametrize(("lie", "code"), [("loop", "loops"), ("endless", "walk-incomplete")])
async def test_what_may_be_missing_is_noted(profiles: Profiles, lie: str, code: str) -> None:
    office = Office()
    office.stand(1, "brother-mfc-l8900cdw", lie=lie)
    async with office:
        asker = SnmpAsker(office.at(1), port=office.port, timeout_s=0.5)
        first = await first_read(asker, profiles, now=at(0))
        known = await poll(asker, first.plan, profiles, "full", now=at(1), previous=first.reading)
        await asker.close()
    assert code in {n.code for n in first.reading.notes}
    assert code in {n.code for n in known.reading.notes}
