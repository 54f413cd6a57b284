# SPDX-License-Identifier: Apache-2.0
"""`platen discover`, in a simulated office."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance import cli
from appliance.collector import search
from appliance.host import links
from appliance.model.errors import NameUnknown, TargetError
from tests.collector.office import NET_SNMP, Office

Result = tuple[int, str, str]


async def discover(office: Office, *words: str) -> Result:
    """(exit status, stdout, stderr) of the command."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance.cli", "discover", "--port", str(office.port), *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def test_a_table_for_people() -> None:
    office = Office()
    office.stand(1, "kyocera-ecosys-m5526cdw")
    office.stand(2, "switch-24-port")
    async with office:
        status, out, err = await discover(office, f"{office.at(1)}-{office.at(2)}", "--rate", "100")
    assert status == 0
    head, row = out.splitlines()
    assert head.split() == ["ADDRESS", "PRINTER", "SERIAL", "PAGES", "SUPPLIES"]
    assert row.startswith(office.at(1))
    assert "M5526cdw" in row
    assert "VUG8405163" in row
    assert "cyan" in row
    assert err.startswith("2 addresses asked at 100/s in ")
    assert "1 printer, 1 other device" in err


async def test_json_lines_for_programs() -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507")
    office.stand(2, "hp-laserjet-p2055dn", v1=True)
    office.stand(3, "linux-server")
    async with office:
        status, out, err = await discover(
            office, f"{office.at(1)}-{office.at(2)}", "--rate", "1000", "--json"
        )
    assert status == 0
    found = {line["address"]: line["printer"] for line in map(json.loads, out.splitlines())}
    assert {a: p["vendor"] for a, p in found.items()} == {office.at(1): "HP", office.at(2): "HP"}
    assert "\r" not in err, "progress is for terminals"


async def test_an_answering_non_printer_costs_at_most_100_octets() -> None:
    office = Office()
    names = ("linux-server", "switch-24-port", "ups-1500", "ip-camera", "nas-4-bay", "projector")
    for n, name in enumerate((*names, "windows-print-server"), 1):
        office.stand(n, name)
    async with office:
        status, out, _ = await discover(office, f"{office.at(1)}-{office.at(7)}", "--rate", "1000")
    assert (status, out) == (1, "")
    assert {n: office.octets(n) for n in office.stations if office.octets(n) > 100} == {}


async def test_a_second_look_finds_what_hides_behind_a_general_agent() -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507", object_id=NET_SNMP)
    office.stand(2, "linux-server")
    async with office:
        status, out, _ = await discover(office, f"{office.at(1)}-{office.at(2)}", "--rate", "1000", "--json")
        assert (status, out) == (1, "")
        status, out, _ = await discover(
            office, f"{office.at(1)}-{office.at(2)}", "--rate", "1000", "--second-look"
        )
        assert status == 0
        assert out.count(office.prefix) == 1
        assert office.stations[2].counts.requests["getnext"] == 1


async def test_the_excluded_and_the_public_are_never_asked() -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507")
    office.stand(2, "brother-hl-l6400dw")
    async with office:
        status, out, _ = await discover(
            office, f"{office.prefix}.0/29", "--exclude", office.at(2), "--rate", "1000"
        )
        assert status == 0
        assert out.count(office.prefix) == 1
        assert office.packets(2) == 0
        for words, code in (
            (("8.8.8.8",), "public-address"),
            (("10.0.0.9-10.0.0.1",), "range-reversed"),
            (("10.0.0.0/8",), "range-too-large"),
            (("10.0.0.300",), "bad-target"),
            ((office.at(1), "--exclude", "nonsense!"), "bad-target"),
            ((office.at(1), "--exclude", office.at(1)), "bad-usage"),
            ((office.at(1), "--rate", "0"), "bad-usage"),
            ((office.at(1), "--port", "70000"), "bad-usage"),
        ):
            status, out, err = await discover(office, *words)
            assert (status, out) == (2, ""), words
            assert err.startswith(f"platen: {code}: "), err
            assert err.count("\n") == 1


async def test_nobody_answers() -> None:
    async with Office() as office:
        status, out, err = await discover(office, f"{office.at(1)}-{office.at(3)}", "--rate", "1000")
        assert (status, out) == (1, "")
        assert "no printers" in err
        status, out, err = await discover(office, "no-such-printer.invalid")
        assert status == 1
        assert err.startswith("platen: name-unknown: ")


async def test_communities_are_tried_in_turn_and_never_shown() -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507", community="s3cret")
    office.stand(2, "brother-hl-l6400dw")
    words = [
        f"{office.at(1)}-{office.at(2)}",
        "--rate",
        "1000",
        "--community",
        "public",
        "--community",
        "s3cret",
    ]
    async with office:
        status, out, err = await discover(office, *words)
    assert status == 0
    assert out.count(office.prefix) == 2
    assert "s3cret" not in out + err


async def test_the_default_rate_is_gentle() -> None:
    """20 addresses a second: 30 of them take more than a second, and no second sees more than 25 questions."""
    office = Office()
    stations = [office.stand(n, "linux-server") for n in range(1, 31)]
    async with office:
        began = time.monotonic()
        _, _, err = await discover(office, f"{office.at(1)}-{office.at(30)}")
        took = time.monotonic() - began
    assert took > 1.4
    assert "30 addresses asked at 20/s" in err
    assert sum(s.counts.packets_received for s in stations) == 30


async def test_names_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "printer.example": ["10.1.2.3", "fd00::5"],
        "six.example": ["fd00::5"],
        "public.example": ["93.184.216.34"],
    }

    async def getaddrinfo(host: str, port: object, **_: object) -> list[tuple[object, ...]]:
        if host not in rows:
            raise OSError("unknown")
        return [(2, 2, 17, "", (address, 0)) for address in rows[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    spans, errors = await search.resolve(["printer.example", "six.example", "10.0.0.1", "gone.example"])
    assert sorted(str(s) for s in spans) == ["10.0.0.1", "10.1.2.3", "fd00::5"]
    assert [type(e) for e in errors] == [NameUnknown]
    with pytest.raises(TargetError, match=r"public\.example is 93"):
        await search.resolve(["public.example"])


def test_the_way_from_the_command_line_is_short() -> None:
    """Nothing heavy is loaded to say what was typed wrong."""
    code = (
        "import sys; from appliance.cli import main; status = main(['discover', '8.8.8.8']);"
        "heavy = {'pysnmp', 'pyroute2', 'aiohttp', 'paho', 'cryptography'};"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip() == "2 []"


async def test_without_a_target_the_attached_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507")
    network = ipaddress.IPv4Network(f"{office.at(0)}/29")
    own = ipaddress.IPv4Address(office.at(2))
    monkeypatch.setattr(links, "attached", lambda: [links.Link("eth0", own, network, network)])
    async with office:
        words = ["discover", "--port", str(office.port), "--rate", "100", "--timeout", "1", "--retries", "0"]
        assert await asyncio.to_thread(cli.main, words) == 0
    said = capsys.readouterr()
    assert "M507" in said.out
    assert said.err.startswith("5 addresses asked")


async def test_no_network_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(links, "attached", list)
    assert await asyncio.to_thread(cli.main, ["discover"]) == 2
    assert capsys.readouterr().err.startswith("platen: no-network: There is no attached network")


async def test_a_community_of_other_octets_than_utf8() -> None:
    office = Office()
    office.stand(1, "hp-laserjet-m507", community="gr\xfcn")
    async with office:
        # As a terminal with UTF-8 passes it on.
        status, out, _ = await discover(office, office.at(1), "--rate", "100", "--community", "gr\xfcn")
    assert status == 0
    assert "M507" in out
