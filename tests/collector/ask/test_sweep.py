# SPDX-License-Identifier: Apache-2.0
"""Sweeps of loopback addresses."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from appliance.collector.ask.sweep import PRINTER_MIB, SYS_OBJECT_ID, Answer, Progress, sweep
from appliance.collector.wire import message
from appliance.collector.wire.message import Message
from appliance.collector.wire.value import INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, Varbind
from tests.collector.ask.agent import Tree, reply

BROTHER = Varbind(SYS_OBJECT_ID, OBJECT_IDENTIFIER, "1.3.6.1.4.1.2435.2.3.9.1")
NET_SNMP = Varbind(SYS_OBJECT_ID, OBJECT_IDENTIFIER, "1.3.6.1.4.1.8072.3.2.10")
Handle = Callable[[str, Message], "bytes | list[bytes] | None"]


def network() -> list[ipaddress.IPv4Address]:
    """The hosts of a /24 within 127.0.0.0/8 that no other test run uses."""
    second, third = 64 + os.getpid() % 128, random.randrange(256)
    return list(ipaddress.ip_network(f"127.{second}.{third}.0/24").hosts())  # type: ignore[arg-type]


class Lan:
    """Agents on many loopback addresses of one port; counts what passes, both ways."""

    def __init__(self) -> None:
        self.port = 0
        self.heard: dict[str, list[Message]] = {}
        self.octets: dict[str, int] = {}


@asynccontextmanager
async def lan(addresses: Iterable[object], handle: Handle) -> AsyncIterator[Lan]:
    loop = asyncio.get_running_loop()
    made = Lan()
    sockets: list[socket.socket] = []

    def serve(address: str, sock: socket.socket) -> None:
        while True:
            try:
                data, source = sock.recvfrom(65_535)
            except OSError:
                return
            request = message.decode_message(data)
            made.heard.setdefault(address, []).append(request)
            made.octets[address] = made.octets.get(address, 0) + len(data)
            out = handle(address, request)
            for packet in [out] if isinstance(out, bytes) else out or []:
                made.octets[address] += len(packet)
                sock.sendto(packet, source)

    try:
        for address in map(str, addresses):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sockets.append(sock)
            sock.bind((address, made.port))
            made.port = sock.getsockname()[1]
            loop.add_reader(sock, serve, address, sock)
        yield made
    finally:
        for sock in sockets:
            loop.remove_reader(sock)
            sock.close()


async def found(addresses: Iterable[Any], **more: Any) -> dict[str, Answer]:
    answers = [a async for a in sweep(addresses, **{"timeout_s": 0.2, **more})]
    assert len({a.address for a in answers}) == len(answers)
    return {str(a.address): a for a in answers}


def says(varbind: Varbind) -> Handle:
    return lambda _, request: Tree([varbind]).answer(request)


async def test_a_24_is_swept_in_3_seconds_with_none_missed() -> None:
    hosts = network()
    there = hosts[::3]
    async with lan(there, says(NET_SNMP)) as made:
        began = time.monotonic()
        answers = await found(hosts, port=made.port, timeout_s=1)
        assert time.monotonic() - began < 3
        assert answers.keys() == {str(a) for a in there}
        assert all(a.version == "2c" and a.varbinds == [NET_SNMP] and a.rtt_s < 1 for a in answers.values())
        # An answering device that is no printer costs at most 100 octets.
        assert max(made.octets.values()) <= 100


async def test_a_silent_address_costs_86_octets() -> None:
    hosts = network()[:3]
    async with lan(hosts, lambda *_: None) as made:
        assert await found(hosts, port=made.port) == {}
        assert set(made.octets.values()) == {86}
        assert [m.version for m in made.heard[str(hosts[0])]] == [message.V2C, message.V1]


async def test_v1_agents_are_found_in_the_second_pass() -> None:
    hosts = network()[:8]
    async with lan(hosts[2:5], lambda a, m: says(BROTHER)(a, m) if m.version == message.V1 else None) as made:
        answers = await found(hosts, port=made.port)
        assert answers.keys() == {str(a) for a in hosts[2:5]}
        assert {a.version for a in answers.values()} == {"1"}


async def test_a_lost_question_is_asked_again() -> None:
    hosts = network()[:20]
    seen: set[str] = set()

    def lossy(address: str, request: Message) -> bytes | None:
        first = address not in seen
        seen.add(address)
        return None if first else Tree([BROTHER]).answer(request)

    async with lan(hosts, lossy) as made:
        assert len(await found(hosts, port=made.port)) == len(hosts)


async def test_the_second_look_asks_for_the_printer_mib() -> None:
    hosts = network()[:2]
    row = Varbind(PRINTER_MIB + ".5.1.1.1.1", INTEGER, 7)
    beyond = Varbind("1.3.6.1.4.1.8072.1.0", INTEGER, 1)
    async with lan(hosts, lambda a, m: Tree([row if a == str(hosts[0]) else beyond]).answer(m)) as made:
        answers = await found(hosts, port=made.port, question="printer")
        assert [answers[str(h)].varbinds for h in hosts] == [[row], []]


async def test_an_error_is_an_answer_too() -> None:
    hosts = network()[:1]
    async with lan(hosts, lambda a, m: Tree.error(m, message.NO_SUCH_NAME, 1)) as made:
        answers = await found(hosts, port=made.port)
        assert answers[str(hosts[0])].varbinds == [Varbind(SYS_OBJECT_ID, NULL, None)]


async def test_the_rate_is_kept() -> None:
    hosts = network()[:10]
    async with lan(hosts, says(BROTHER)) as made:
        began = time.monotonic()
        assert len(await found(hosts, port=made.port, rate=50)) == 10
        assert time.monotonic() - began >= 9 / 50


async def test_progress_counts_both_passes() -> None:
    hosts = network()[:6]
    steps: list[Progress] = []
    async with lan(hosts[:2], says(BROTHER)) as made:
        await found(hosts, port=made.port, on_progress=steps.append)
    assert steps[0] == (1, 6)
    assert steps[-1] == (10, 10)
    assert [s.asked for s in steps] == list(range(1, 11))


async def test_replies_of_strangers_twins_and_junk_do_not_count() -> None:
    hosts = network()[:4]
    there, forged = str(hosts[0]), str(hosts[3])

    def handle(address: str, m: Message) -> list[bytes]:
        true = Tree([BROTHER]).answer(m)
        other = m._replace(request_id=m.request_id + 3)  # that of an address which stays silent
        return [
            b"junk",
            b"\x30\x84\xff\xff\xff\xff",
            reply(other, [Varbind(SYS_OBJECT_ID, OCTET_STRING, b"forged")]),
            reply(m._replace(request_id=-5), [BROTHER]),
            reply(m._replace(request_id=0x7FFFFFFF), [BROTHER]),
            message.encode_request(m.version, m.community, message.GET, m.request_id, [SYS_OBJECT_ID]),
            true,
            true,
        ]

    async with lan([there], handle) as made:
        answers = await found(hosts, port=made.port)
        assert answers.keys() == {there}
        assert forged not in answers
        assert answers[there].varbinds == [BROTHER]


async def test_an_address_named_twice_is_asked_once() -> None:
    hosts = network()[:2]
    async with lan(hosts, says(BROTHER)) as made:
        await found([*hosts, *hosts], port=made.port)
        assert [len(m) for m in made.heard.values()] == [1, 1]


async def test_both_families_and_what_cannot_be_reached() -> None:
    async with lan(["::1"], says(BROTHER)) as made:
        unreachable = ipaddress.ip_address("fd00:dead:beef::1")
        answers = await found([ipaddress.ip_address("::1"), unreachable], port=made.port)
        assert answers.keys() == {"::1"}


async def test_a_sweep_left_early_leaves_nothing_open() -> None:
    hosts = network()
    before = len(os.listdir("/proc/self/fd"))
    async with lan(hosts[:5], says(BROTHER)) as made:
        serving = len(os.listdir("/proc/self/fd"))
        going = sweep(hosts, port=made.port, rate=100)
        async for _ in going:
            break
        await going.aclose()  # type: ignore[attr-defined]
        assert len(os.listdir("/proc/self/fd")) == serving
        await asyncio.sleep(0)
        heard = sum(map(len, made.heard.values()))
        assert heard < 254
    assert len(os.listdir("/proc/self/fd")) == before


async def test_nothing_to_ask() -> None:
    assert await found([]) == {}


async def test_a_full_send_buffer_loses_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = network()[:60]
    refused: set[object] = set()
    send = socket.socket.sendto

    class Full(socket.socket):
        def sendto(self, data: Any, peer: Any) -> int:  # type: ignore[override]
            if peer not in refused:
                refused.add(peer)
                raise BlockingIOError(11, "again")
            return send(self, data, peer)

    async with lan(hosts, says(BROTHER)) as made:
        monkeypatch.setattr("appliance.collector.ask.sweep.socket.socket", Full)
        assert len(await found(hosts, port=made.port)) == 60
    assert len(refused) == 60
