# SPDX-License-Identifier: Apache-2.0
"""v1, v2c and v3 against Debian's snmpd, beside net-snmp's own walks."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from appliance.collector.ask.asker import Asker
from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.ask.v3 import V3Asker
from appliance.collector.wire.value import (
    COUNTER32,
    COUNTER64,
    GAUGE32,
    INTEGER,
    IP_ADDRESS,
    MISSING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    OPAQUE,
    TIME_TICKS,
    Value,
    Varbind,
)
from appliance.model.errors import AccessRefused, NoAnswer
from tests.collector.ask.conftest import AUTH_KEY, CONTEXT, PRIV_KEY, USERS, Snmpd, free_port

ROOTS = ["1.3.6.1.2.1.1", "1.3.6.1.2.1.2", "1.3.6.1.2.1.25.1", "1.3.6.1.2.1.25.2", "1.3.6.1.2.1.25.3"]
DESCRIPTION = b'"a test of SNMP"'
SYS_DESCR = "1.3.6.1.2.1.1.1.0"

GOOD: dict[str, Any] = {
    "user": "sha256aes",
    "auth_protocol": "SHA-256",
    "auth_key": AUTH_KEY,
    "priv_protocol": "AES",
    "priv_key": PRIV_KEY,
}


def v3(port: int, **more: Any) -> V3Asker:
    return V3Asker("127.0.0.1", port=port, **{"timeout_s": 1.0, "retries": 0, **GOOD, **more})


def user(name: str) -> dict[str, Any]:
    auth, priv = USERS[name]
    return {
        "user": name,
        "auth_protocol": auth,
        "auth_key": AUTH_KEY if auth else None,
        "priv_protocol": priv,
        "priv_key": PRIV_KEY if priv else None,
    }


def net_snmp_walk(snmpd: Snmpd, *arguments: str) -> dict[str, tuple[int, Value]]:
    """What net-snmp's walk found under ROOTS, in our own types."""
    found: dict[str, tuple[int, Value]] = {}
    for root in ROOTS:
        text = snmpd.net_snmp(*arguments, root, check=False)
        for name, said in re.findall(r"^\.([\d.]+) = (.*(?:\n(?!\.\d).*)*)", text, re.MULTILINE):
            said = said.strip()
            kind, _, rest = said.partition(": ")
            numbers = {
                "INTEGER": INTEGER,
                "Counter32": COUNTER32,
                "Gauge32": GAUGE32,
                "Counter64": COUNTER64,
                "Timeticks": TIME_TICKS,
            }
            if said == '""':
                found[name] = (OCTET_STRING, b"")
            elif kind in numbers:
                found[name] = (numbers[kind], int(rest))
            elif kind == "Hex-STRING":
                found[name] = (OCTET_STRING, bytes.fromhex(rest))
            elif kind == "OID":
                found[name] = (OBJECT_IDENTIFIER, rest.lstrip("."))
            elif kind == "IpAddress":
                found[name] = (IP_ADDRESS, bytes(map(int, rest.split("."))))
            elif kind == "Opaque" or kind.startswith("OPAQUE"):
                found[name] = (OPAQUE, b"")
            elif re.fullmatch(r"-?\d+", said):
                found[name] = (TIME_TICKS, int(said))
            elif not said.startswith("No "):
                raise AssertionError(f"{name} = {said!r}")
    return found


async def compare(snmpd: Snmpd, ask: Asker, *arguments: str) -> None:
    before = await asyncio.to_thread(net_snmp_walk, snmpd, *arguments)
    ours = {v.oid: (v.tag, v.value) for v in await ask.walk(ROOTS)}
    after = await asyncio.to_thread(net_snmp_walk, snmpd, *arguments)
    steady = {o for o in before.keys() & after.keys() if before[o] == after[o]}
    assert len(steady) > 100
    assert steady <= ours.keys()
    assert ours.keys() <= before.keys() | after.keys()
    assert {o: ours[o] for o in steady} == {o: before[o] for o in steady}
    assert {o: t for o, (t, _) in ours.items() if o in before} == {
        o: t for o, (t, _) in before.items() if o in ours
    }


# --- v1 and v2c


@pytest.mark.parametrize(("version", "tool"), [("1", "snmpwalk"), ("2c", "snmpbulkwalk")])
async def test_walks_are_those_of_net_snmp(snmpd: Snmpd, version: Any, tool: str) -> None:
    ask = SnmpAsker("127.0.0.1", port=snmpd.port, version=version)
    await compare(snmpd, ask, tool, f"-v{version}", "-cpublic")
    assert not ask.faults
    assert ask.quirks == set()
    await ask.close()


async def test_ipv6(snmpd: Snmpd) -> None:
    ask = SnmpAsker("::1", port=snmpd.port)
    assert (await ask.get([SYS_DESCR]))[0].value == DESCRIPTION
    await ask.close()


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_get_of_what_a_walk_found(snmpd: Snmpd, version: Any) -> None:
    ask = SnmpAsker("127.0.0.1", port=snmpd.port, version=version)
    walked = await ask.walk(["1.3.6.1.2.1.1"])
    asked = [v.oid for v in walked]
    got = await ask.get([*asked, "1.3.6.1.2.1.43.5.1.1.1.1"])
    assert [(v.oid, v.tag) for v in got[:-1]] == [(v.oid, v.tag) for v in walked]
    assert got[-1].tag in MISSING
    await ask.close()


async def test_a_wrong_community_is_silence(snmpd: Snmpd) -> None:
    ask = SnmpAsker("127.0.0.1", port=snmpd.port, community=b"wrong", timeout_s=0.2, retries=0)
    with pytest.raises(NoAnswer):
        await ask.get([SYS_DESCR])
    await ask.close()


# --- v3


async def test_a_v3_walk_is_that_of_net_snmp(snmpd: Snmpd) -> None:
    ask = v3(snmpd.port)
    words = ["-v3", "-usha256aes", "-lauthPriv", "-aSHA-256", f"-A{AUTH_KEY}", "-xAES", f"-X{PRIV_KEY}"]
    await compare(snmpd, ask, "snmpbulkwalk", *words)
    assert not ask.faults
    traffic = ask.traffic
    assert traffic.packets_sent == traffic.packets_received >= 6
    assert traffic.bytes_received > traffic.bytes_sent > 1_000
    await ask.close()


@pytest.mark.parametrize("name", USERS)
async def test_every_security_level_and_algorithm(snmpd: Snmpd, name: str) -> None:
    ask = v3(snmpd.port, **user(name))
    got = await ask.get([SYS_DESCR, "1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.99.0"])
    assert got[0] == Varbind(SYS_DESCR, OCTET_STRING, DESCRIPTION)
    assert got[1].tag == OBJECT_IDENTIFIER
    assert got[2].tag == TIME_TICKS
    assert got[3].tag in MISSING
    await ask.close()


async def test_v3_over_ipv6(snmpd: Snmpd) -> None:
    ask = V3Asker("::1", port=snmpd.port, timeout_s=1.0, retries=0, **GOOD)
    assert (await ask.get([SYS_DESCR]))[0].value == DESCRIPTION
    await ask.close()


async def test_a_context_has_a_name(snmpd: Snmpd) -> None:
    ask = v3(snmpd.port, context=CONTEXT)
    assert (await ask.get([SYS_DESCR]))[0].value == DESCRIPTION
    # The proxy behind this context shows less than the agent itself: it is the context that answers.
    assert await ask.walk(["1.3.6.1.6"]) == []
    await ask.close()


@pytest.mark.parametrize(
    ("wrong", "code", "word"),
    [
        ({"user": "nobody"}, "unknown-user", "no SNMPv3 user 'nobody'"),
        ({"auth_key": "not this key"}, "wrong-authentication-key", "another authentication key"),
        ({"auth_protocol": "SHA-512"}, "wrong-authentication-key", "another authentication key"),
        ({"priv_key": "not this key"}, "wrong-privacy-key", "another privacy key"),
        ({"priv_protocol": "DES"}, "wrong-privacy-key", "another privacy key"),
        ({"user": "authonly"}, "wrong-security-level", "does not offer authPriv"),
        ({"priv_protocol": None, "priv_key": None}, "authorization-error", "does not show"),
        ({"context": "nowhere"}, "unknown-context", "no context 'nowhere'"),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
async def test_what_was_wrong_is_said(
    snmpd: Snmpd, wrong: dict[str, Any], code: str, word: str, first: bool
) -> None:
    if not first:
        good = v3(snmpd.port)
        await good.get([SYS_DESCR])
        await good.close()
    ask = v3(snmpd.port, **wrong)
    with pytest.raises(AccessRefused, match=word) as caught:
        await ask.get([SYS_DESCR])
    assert caught.value.code == code
    assert AUTH_KEY not in str(caught.value)
    assert PRIV_KEY not in str(caught.value)
    assert "not this key" not in str(caught.value)
    await ask.close()


async def test_nobody_there_is_no_answer() -> None:
    ask = v3(free_port(), timeout_s=0.5)
    with pytest.raises(NoAnswer):
        await ask.get([SYS_DESCR])
    assert ask.traffic.packets_sent >= 1
    await ask.close()


async def test_the_same_user_with_other_keys_elsewhere(snmpd: Snmpd) -> None:
    """Two customers of one dealer both called their user the same."""
    wrong, right = v3(snmpd.port, auth_key="another printer's key"), v3(snmpd.port)
    results = await asyncio.gather(wrong.get([SYS_DESCR]), right.get([SYS_DESCR]), return_exceptions=True)
    assert isinstance(results[0], AccessRefused)
    assert not isinstance(results[1], BaseException)
    assert results[1][0].value == DESCRIPTION
    await wrong.close()
    await right.close()


async def test_a_restarted_and_an_exchanged_printer_are_read_on(make_snmpd: Callable[..., Snmpd]) -> None:
    printer = make_snmpd(engine="80001f8880aabbccdd00112233")
    ask = v3(printer.port)
    await ask.get([SYS_DESCR])
    assert printer.process is not None
    printer.process.terminate()
    printer.process.wait()
    await asyncio.to_thread(printer.start)
    assert (await ask.get([SYS_DESCR]))[0].value == DESCRIPTION
    printer.stop()
    old = ask._session
    printer.engine = "80001f8880ffeeddcc99887766"
    await asyncio.to_thread(printer.start)
    assert (await ask.get([SYS_DESCR]))[0].value == DESCRIPTION
    # The session that was given up left no socket and no timer behind.
    assert old is not None
    assert old is not ask._session
    assert old.engine.transport_dispatcher is None or old.engine.transport_dispatcher.loopingcall is None
    await ask.close()
    printer.stop()


async def test_engines_are_made_off_the_loop_and_shared(
    snmpd: Snmpd, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.collector.ask import v3 as module

    made: list[int] = []
    make = module._engine

    def counting(keys: module.Keys) -> Any:
        made.append(threading.get_ident())
        return make(keys)

    monkeypatch.setattr(module, "_engine", counting)
    monkeypatch.setattr(module, "_sessions", {})
    asks = [v3(snmpd.port) for _ in range(4)]
    await asyncio.gather(*(a.get([SYS_DESCR]) for a in asks))
    assert len(made) == 1
    assert made[0] != threading.get_ident()
    for a in asks:
        await a.close()


async def test_junk_does_not_reach_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    junk = [
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x03",
        b"\x30\x50\x02\x01\x03" + b"\x30\x80" * 2_000,
        b"a" * 60_000,
    ]
    failures: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))

    class Junk(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
            for packet in [*junk, data, data[:40]]:
                self.transport.sendto(packet, source)  # type: ignore[attr-defined]

    transport, _ = await loop.create_datagram_endpoint(Junk, local_addr=("127.0.0.1", 0))
    ask = v3(transport.get_extra_info("sockname")[1])
    try:
        with pytest.raises(NoAnswer):
            await ask.get([SYS_DESCR])
        assert ask.traffic.packets_received >= len(junk)
        assert failures == []
    finally:
        loop.set_exception_handler(None)
        transport.close()
        await ask.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_key": None},
        {"auth_protocol": None, "auth_key": None},
        {"auth_protocol": "ROT13"},
        {"priv_protocol": "ROT13"},
        {"auth_key": "short"},
        {"user": ""},
        {"user": "u" * 33},
        {"context": "ä" * 17},
    ],
)
def test_keys_that_make_no_level_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        v3(161, **wrong)
    assert PRIV_KEY not in str(caught.value)


async def test_an_agent_that_knows_no_v3_is_silent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        ask = v3(silent.getsockname()[1], timeout_s=0.5)
        with pytest.raises(NoAnswer, match="did not answer SNMPv3"):
            await ask.get([SYS_DESCR])
        await ask.close()
