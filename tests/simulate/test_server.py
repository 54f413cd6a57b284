# SPDX-License-Identifier: Apache-2.0
"""The whole of it over the wire: net-snmp's tools ask, and sources, delays, losses and counts are right."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.collector.wire import snmprec
from appliance.collector.wire.message import GET, V2C, decode_message, encode_request
from appliance.simulate import command

from .conftest import KYOCERA, ROOT, Lan

Start = Callable[..., Lan]

NAME = "1.3.6.1.2.1.1.5.0"
UPTIME = "1.3.6.1.2.1.1.3.0"
OFFICEJET = ROOT / "tests/printers/hp-officejet-pro-8610/walk.snmprec"
SWITCH = ROOT / "tests/other_devices/switch-24-port/walk.snmprec"


def get(*oids: str, request_id: int = 1) -> bytes:
    return encode_request(V2C, b"public", GET, request_id, oids)


def oids_in(text: str) -> list[str]:
    return re.findall(r"^\.(1\.[0-9.]+) = (?!No more variables)", text, re.MULTILINE)


def oids_of(recording: Path) -> list[str]:
    return [v.oid for v in snmprec.load(recording.read_text("utf-8"))]


def test_net_snmp_walks_the_same_objects_in_each_way(lan: Start) -> None:
    running = lan(str(KYOCERA), str(OFFICEJET))
    wanted = oids_of(KYOCERA)
    assert oids_in(running.snmp("snmpwalk", "1.3", version="1")) == wanted
    assert oids_in(running.snmp("snmpwalk", "1.3")) == wanted
    for repetitions in ("1", "10", "50", "250"):
        assert oids_in(running.snmp("snmpbulkwalk", f"-Cr{repetitions}", "1.3")) == wanted
    assert oids_in(running.snmp("snmpbulkwalk", "1.3", number=1)) == oids_of(OFFICEJET)


def test_net_snmp_gets_values_and_errors(lan: Start) -> None:
    running = lan(str(KYOCERA))
    text = running.snmp("snmpget", NAME, UPTIME, "1.3.6.1.2.1.1.99.0", "1.3.6.1.2.1.2.2.1.1.77")
    assert '"KM910A6E"' in text
    assert f".{UPTIME} = 4:20:10:20.17" in text
    assert "No Such Object" in text
    assert "No Such Instance" in text
    assert "noSuchName" in running.snmp("snmpget", NAME, "1.3.6.1.2.1.1.99.0", version="1")
    assert oids_in(running.snmp("snmpgetnext", UPTIME, "1.3.6.1.2.1.43")) == [
        "1.3.6.1.2.1.1.4.0",
        "1.3.6.1.2.1.43.5.1.1.1.1",
    ]
    bulk = running.snmp("snmpbulkget", "-Cn1", "-Cr2", UPTIME, "1.3.6.1.2.1.1.1", "1.3.6.1.2.1.1.4")
    assert [oid[-3:] for oid in oids_in(bulk)] == ["4.0", "1.0", "4.0", "2.0", "5.0"]
    assert "Timeout" in running.snmp("snmpget", NAME, community="private")


def test_nothing_can_be_set(lan: Start) -> None:
    running = lan(str(KYOCERA))
    assert "notWritable" in running.snmp("snmpset", NAME, "s", "other")
    assert "noSuchName" in running.snmp("snmpset", NAME, "s", "other", version="1")
    assert "KM910A6E" in running.snmp("snmpget", NAME)
    assert running.statistics()["devices"][running.host()]["requests"]["set"] == 2


def test_each_reply_leaves_from_the_address_that_was_asked(lan: Start) -> None:
    running = lan(f"{KYOCERA},times=40")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        asked = {(running.host(n), running.port): n + 1 for n in range(40)}
        for address, number in asked.items():
            sock.sendto(get(NAME, request_id=number), address)
        while asked:
            data, source = sock.recvfrom(2048)
            assert decode_message(data).request_id == asked.pop(source)


def test_a_wrong_source_is_another_address(lan: Start) -> None:
    running = lan(f"{KYOCERA},lie=wrong-source")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(get(NAME), (running.host(), running.port))
        assert sock.recvfrom(2048)[1] == (running.host(1), running.port)


def test_a_loop_and_a_lie_are_seen_by_net_snmp(lan: Start) -> None:
    running = lan(f"{KYOCERA},lie=loop", f"{KYOCERA},lie=wrong-id", f"{KYOCERA},lie=oversized")
    assert "OID not increasing" in running.snmp("snmpwalk", "1.3")
    assert "Timeout" in running.snmp("snmpget", NAME, number=1)
    data = running.ask(get(NAME), 2)
    assert data is not None
    assert len(data) > 65_000


def test_files_stand_where_they_are_put(lan: Start) -> None:
    running = lan(str(KYOCERA), f"{OFFICEJET},at=127.78.250.9", str(SWITCH))
    for host, name in (
        (running.host(), "KM910A6E"),
        ("127.78.250.9", "HP3BEE02"),
        ("127.78.250.10", "sw-eg-01"),
    ):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((host, running.port))
            sock.send(get(NAME))
            assert decode_message(sock.recv(2048)).varbinds[0].value == name.encode()


def test_ipv6_has_a_socket_of_its_own(lan: Start) -> None:
    running = lan(str(KYOCERA), f"{OFFICEJET},at=::1")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("::1", running.port))
        sock.send(get(NAME))
        assert decode_message(sock.recv(2048)).varbinds[0].value == b"HP3BEE02"
    assert running.ask(get(NAME)) is not None


def test_slow_asleep_and_down(lan: Start) -> None:
    running = lan(f"{KYOCERA},delay=0.3", f"{KYOCERA},sleep=1.5", f"{KYOCERA},down")
    start = time.monotonic()
    assert running.ask(get(NAME), 0)
    assert time.monotonic() - start >= 0.3
    start = time.monotonic()
    assert running.ask(get(NAME), 1, timeout=10)
    assert time.monotonic() - start >= 1.5
    start = time.monotonic()
    assert running.ask(get(NAME), 1)
    assert time.monotonic() - start < 1.5
    assert running.ask(get(NAME), 2, timeout=0.3) is None


def test_jitter_spreads_the_answers() -> None:
    station = command.load([f"{KYOCERA},delay=0.1,jitter=0.3"])[0]
    waits = [answer[0] for n in range(1, 50) if (answer := station.ask(get(NAME, request_id=n), 0))]
    assert len(waits) == 49
    assert 0.1 <= min(waits) < 0.2 < 0.3 < max(waits) <= 0.4


def test_loss_is_the_share_it_says(lan: Start) -> None:
    running = lan(f"{KYOCERA},loss=0.5")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((running.host(), running.port))
        for number in range(1, 401):
            sock.send(get(NAME, request_id=number))
        # The counts come behind the last request, on the same socket of the simulator's loop.
        deadline = time.monotonic() + 10
        while (total := running.statistics()["total"])["packets_received"] < 400:
            assert time.monotonic() < deadline
    assert 120 < total["packets_sent"] < 280


def test_a_burst_restarts_it(lan: Start) -> None:
    running = lan(f"{KYOCERA},restart-on-burst=20")
    assert running.ask(get(NAME))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((running.host(), running.port))
        for number in range(40):
            sock.send(get(NAME, request_id=number + 1))
        assert running.ask(get(NAME, request_id=99), timeout=0.3) is None
    counts = running.statistics()["devices"][running.host()]
    assert counts["restarts"] == 1
    assert counts["packets_sent"] == 20
    assert counts["most_per_second"] > 20


def test_live_moves_and_without_it_nothing_does(lan: Start) -> None:
    running = lan(str(KYOCERA), options=("--live",))
    first, last = (decode_message(running.ask(get(UPTIME)) or b"").varbinds[0].value for _ in range(2))
    deadline = time.monotonic() + 5
    while last == first:
        assert time.monotonic() < deadline
        last = decode_message(running.ask(get(UPTIME)) or b"").varbinds[0].value
    still = lan(str(KYOCERA))
    assert running.port != still.port
    assert decode_message(still.ask(get(UPTIME)) or b"").varbinds[0].value == 41822017


def test_counts_are_exact(lan: Start, tmp_path: Path) -> None:
    running = lan(str(KYOCERA), str(OFFICEJET), options=("--stats", str(tmp_path / "counts.json")))
    sent = received = 0
    for request in (get(NAME), get(NAME, UPTIME), encode_request(V2C, b"nobody", GET, 1, [NAME])):
        sent += len(request)
        received += len(running.ask(request, timeout=1 if b"public" in request else 0.2) or b"")
    running.ask(b"no SNMP at all", timeout=0.2)
    nowhere = [running.ask(get(NAME), 99, timeout=0.1), running.ask(get(NAME), 98, timeout=0.1)]
    assert nowhere == [None, None]
    counts = running.statistics()
    device = counts["devices"][running.host()]
    assert device["name"] == "kyocera-taskalfa-3554ci"
    assert device["requests"] == {"get": 3, "getnext": 0, "getbulk": 0, "set": 0, "other": 1}
    assert (device["packets_received"], device["packets_sent"]) == (4, 2)
    assert (device["bytes_received"], device["bytes_sent"]) == (sent + len(b"no SNMP at all"), received)
    assert (device["refused"], device["overlaps"]) == (2, 0)
    assert 1 <= device["most_per_second"] <= 4
    assert counts["devices"][running.host(1)]["packets_received"] == 0
    assert counts["unserved"] == {"packets": 2, "bytes": 2 * len(get(NAME)), "addresses": 2}
    running.close()
    written = json.loads((tmp_path / "counts.json").read_text())
    assert written == counts


@pytest.mark.parametrize("how", ["", ",delay=0.2"])
def test_two_requests_at_once_are_an_overlap_and_a_retry_is_none(lan: Start, how: str) -> None:
    running = lan(f"{KYOCERA}{how}", str(OFFICEJET))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((running.host(), running.port))
        for burst in ([1, 1], [2, 3]):
            # Held still, so that both have arrived before the first is answered.
            running.process.send_signal(signal.SIGSTOP)
            for number in burst:
                sock.send(get(NAME, request_id=number))
            running.process.send_signal(signal.SIGCONT)
            for _ in burst:
                sock.recv(2048)
    assert running.statistics()["devices"][running.host()]["overlaps"] == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        # One after the other, and at two devices at a time, is no overlap.
        sock.settimeout(5)
        for number in range(1, 100):
            sock.sendto(get(NAME, request_id=number), (running.host(1), running.port))
            sock.recv(2048)
    assert running.statistics()["devices"][running.host(1)]["overlaps"] == 0


def test_a_thousand_addresses_answer_from_one_process(lan: Start) -> None:
    running = lan(f"{KYOCERA},times=1000")
    first = int.from_bytes(socket.inet_aton(running.host()), "big")
    start = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        sock.settimeout(10)
        sources = set()
        for at in range(0, 1000, 50):
            for number in range(at, at + 50):
                address = socket.inet_ntoa((first + number).to_bytes(4, "big"))
                sock.sendto(get(NAME, request_id=number + 1), (address, running.port))
            sources |= {sock.recvfrom(2048)[1] for _ in range(50)}
    assert len(sources) == 1000
    assert time.monotonic() - start < 5


def test_a_core_gives_five_thousand_answers_a_second(lan: Start) -> None:
    """CPU time of the simulator, so that a busy machine does not matter."""
    running = lan(str(KYOCERA))
    requests = [get(*oids_of(KYOCERA)[at : at + 20], request_id=at + 1) for at in range(0, 500, 20)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((running.host(), running.port))
        before = cpu_seconds(running.process.pid)
        for _ in range(100):
            for request in requests:
                sock.send(request)
            for _ in requests:
                sock.recv(2048)
    spent = cpu_seconds(running.process.pid) - before
    assert spent < 100 * len(requests) / 5_000


def cpu_seconds(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
