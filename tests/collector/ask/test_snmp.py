# SPDX-License-Identifier: Apache-2.0
"""v1 and v2c askers against agents that behave and agents that do not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.collector.ask.snmp import SnmpAsker
from appliance.collector.ask.walk import MOST_TROUBLES
from appliance.collector.wire import ber, message
from appliance.collector.wire.message import Message, encode_response
from appliance.collector.wire.value import (
    COUNTER32,
    INTEGER,
    MISSING,
    NO_SUCH_INSTANCE,
    NULL,
    OCTET_STRING,
    Varbind,
    oid_key,
    under,
)
from appliance.model.errors import AccessRefused, BadReply, NoAnswer
from tests.collector.ask.agent import Tree, agent, printer, reply

ROOTS = ["1.3.6.1.2.1.1", "1.3.6.1.2.1.43", "1.3.6.1.4.1"]
BOTH = pytest.mark.parametrize("version", ["1", "2c"])


def asker(port: int, **more: Any) -> SnmpAsker:
    return SnmpAsker("127.0.0.1", port=port, **{"timeout_s": 0.1, "retries": 1, **more})


def inside(varbinds: list[Varbind], roots: list[str] = ROOTS) -> list[Varbind]:
    return [v for v in varbinds if any(under(v.oid, r) for r in roots)]


# --- agents that behave


@BOTH
async def test_a_walk_finds_everything_once_and_in_order(version: Any) -> None:
    tree = Tree(printer())
    async with agent(tree) as port:
        ask = asker(port, version=version)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert not ask.faults
        assert ask.quirks == set()
        traffic = ask.traffic
        assert traffic.packets_sent == traffic.packets_received == len(tree.asked)
        await ask.close()


async def test_v1_walks_several_columns_at_once() -> None:
    tree = Tree(printer(rows=4, columns=9))
    async with agent(tree) as port:
        ask = asker(port, version="1")
        found = await ask.walk(["1.3.6.1.2.1.43"])
        assert found == inside(tree.varbinds, ["1.3.6.1.2.1.43"])
        assert len(tree.asked) < len(found) / 2
        assert max(len(m.varbinds) for m in tree.asked) > 8
        await ask.close()


async def test_1034_objects_are_walked_in_at_most_60_packets() -> None:
    names = [f"1.3.6.1.2.1.43.11.1.1.{c}.1.{r}" for c in range(1, 48) for r in range(1, 23)]
    tree = Tree([Varbind(n, OCTET_STRING, b"x" * 4) for n in names])
    async with agent(tree) as port:
        ask = asker(port)
        assert len(await ask.walk(["1.3.6.1.2.1.1", "1.3.6.1.2.1.25", "1.3.6.1.2.1.43"])) == 1034
        assert ask.traffic.packets_sent + ask.traffic.packets_received <= 60
        await ask.close()


@BOTH
async def test_roots_that_hold_nothing_are_no_fault(version: Any) -> None:
    tree = Tree(printer())
    async with agent(tree) as port:
        ask = asker(port, version=version)
        assert await ask.walk(["1.3.6.1.2.1.2", "1.3.6.1.2.1.25", "1.3.6.1.5"]) == []
        assert not ask.faults
        await ask.close()


@BOTH
async def test_an_instance_as_a_root_is_found(version: Any) -> None:
    tree = Tree(printer())
    async with agent(tree) as port:
        ask = asker(port, version=version)
        found = await ask.walk(["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.43.5.1.1.2"])
        assert [v.oid for v in found] == ["1.3.6.1.2.1.1.2.0", "1.3.6.1.2.1.43.5.1.1.2.1"]
        await ask.close()


@BOTH
async def test_a_walk_stops_at_most(version: Any) -> None:
    tree = Tree(printer())
    async with agent(tree) as port:
        ask = asker(port, version=version)
        assert await ask.walk(ROOTS, most=10) == inside(tree.varbinds)[:10]
        await ask.close()


@BOTH
async def test_get_keeps_the_order_and_says_what_is_missing(version: Any) -> None:
    tree = Tree(printer())
    names = [v.oid for v in tree.varbinds]
    asked = [names[7], "1.3.6.1.2.1.1.99.0", *reversed(names), names[0], "1.3.6.1.2.1.43.99.1"]
    async with agent(tree) as port:
        ask = asker(port, version=version)
        got = await ask.get(asked)
        assert [v.oid for v in got] == asked
        missing = NULL if version == "1" else NO_SUCH_INSTANCE
        assert got == [tree.by_oid.get(o) or Varbind(o, missing, None) for o in asked]
        assert await ask.get([]) == []
        await ask.close()


async def test_300_known_objects_take_12_packets() -> None:
    varbinds = [
        Varbind(
            f"1.3.6.1.2.1.43.11.1.1.{c}.1.{r}",
            COUNTER32 if c % 3 else OCTET_STRING,
            70_000 if c % 3 else b"y" * 9,
        )
        for c in range(1, 16)
        for r in range(1, 21)
    ]
    tree = Tree(varbinds)
    async with agent(tree) as port:
        ask = asker(port)
        sizes = [message.value_size(v) for v in varbinds]
        assert await ask.get([v.oid for v in varbinds], sizes=sizes) == varbinds
        traffic = ask.traffic
        assert traffic.packets_sent + traffic.packets_received <= 14
        assert traffic.bytes_sent + traffic.bytes_received <= 13_000
        assert max(len(m.varbinds) for m in tree.asked) <= 60
        await ask.close()


async def test_ipv6() -> None:
    tree = Tree(printer())
    async with agent(tree, host="::1") as port:
        ask = SnmpAsker("::1", port=port, timeout_s=0.5)
        assert (await ask.get(["1.3.6.1.2.1.1.1.0"]))[0].value == b"system 1"
        await ask.close()


keys = st.lists(st.integers(0, 3), min_size=1, max_size=5).map(lambda k: "1.3.6.1." + ".".join(map(str, k)))


@settings(max_examples=40, deadline=None)
@given(
    names=st.sets(keys, max_size=40),
    roots=st.sets(st.sampled_from(["1.3.6.1.0", "1.3.6.1.1", "1.3.6.1.3.2"])),
)
@BOTH
def test_any_tree_is_walked_whole(version: Any, names: set[str], roots: set[str]) -> None:
    # An instance is never below another one.
    leaves = [n for n in names if not any(o != n and under(o, n) for o in names)]
    leaves = [n for n in leaves if not any(under(r, n) for r in roots)]
    tree = Tree([Varbind(n, INTEGER, 1) for n in leaves])
    ordered = sorted(roots, key=oid_key)

    async def go() -> None:
        async with agent(tree) as port:
            ask = asker(port, version=version)
            assert await ask.walk(ordered) == inside(tree.varbinds, ordered)
            await ask.close()

    asyncio.run(go())


# --- agents that cannot do everything


@pytest.mark.parametrize("most", [1, 3, 10])
@BOTH
async def test_too_big_halves_and_is_remembered(version: Any, most: int) -> None:
    tree = Tree(printer(), most_varbinds=most)
    names = [v.oid for v in tree.varbinds]
    async with agent(tree) as port:
        ask = asker(port, version=version)
        assert await ask.get(names) == tree.varbinds
        remembered = next(q for q in ask.quirks if q.startswith("max-varbinds-"))
        assert 1 <= int(remembered.rsplit("-", 1)[1]) <= most
        before = len(tree.asked)
        again = asker(port, version=version, quirks=ask.quirks)
        assert await again.get(names) == tree.varbinds
        assert all(len(m.varbinds) <= most for m in tree.asked[before:])
        await ask.close()
        await again.close()


async def test_small_responses_are_walked_too() -> None:
    tree = Tree(printer(), most_octets=300)
    async with agent(tree) as port:
        ask = asker(port)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert "no-bulk" not in ask.quirks
        await ask.close()


class NoBulk(Tree):
    """silent, genErr or too big at every GETBULK"""

    def __init__(self, how: int | None) -> None:
        super().__init__(printer())
        self.how = how

    def __call__(self, request: Message) -> Any:
        if request.pdu_type != message.GETBULK:
            return super().__call__(request)
        self.asked.append(request)
        return None if self.how is None else self.error(request, self.how, 0)


@pytest.mark.parametrize("how", [None, message.TOO_BIG, message.GEN_ERR])
async def test_agents_without_getbulk_are_walked_by_steps(how: int | None) -> None:
    tree = NoBulk(how)
    async with agent(tree) as port:
        ask = asker(port)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert "no-bulk" in ask.quirks
        before = len(tree.asked)
        again = asker(port, quirks=ask.quirks)
        assert await again.walk(ROOTS) == inside(tree.varbinds)
        assert not [m for m in tree.asked[before:] if m.pdu_type == message.GETBULK]
        await ask.close()
        await again.close()


class Skips(Tree):
    """GETBULK leaves out each fifth object."""

    def answer(self, request: Message) -> bytes:
        made = super().answer(request)
        if request.pdu_type != message.GETBULK:
            return made
        said = message.decode_message(made).varbinds
        return reply(request, [v for i, v in enumerate(said) if i % 5 != 3])


async def test_getbulk_that_leaves_rows_out_is_found_out() -> None:
    tree = Skips(printer())
    async with agent(tree) as port:
        ask = asker(port)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert "no-bulk" in ask.quirks
        assert ask.faults["bulk-lies"] == 1
        await ask.close()


class Broken(Tree):
    """genErr at some objects, with or without an index, in every kind of request."""

    def __init__(self, bad: set[str], *, indexed: bool) -> None:
        super().__init__(printer())
        self.bad, self.indexed = bad, indexed

    def answer(self, request: Message) -> bytes:
        if request.pdu_type == message.GETBULK:
            cursor, bad = request.varbinds[0].oid, False
            for _ in range(request.error_index):
                cursor = self.next(cursor).oid
                bad = bad or cursor in self.bad
            return self.error(request, message.GEN_ERR, int(self.indexed)) if bad else super().answer(request)
        for i, v in enumerate(request.varbinds, 1):
            meant = self.next(v.oid).oid if request.pdu_type == message.GETNEXT else v.oid
            if meant in self.bad:
                return self.error(request, message.GEN_ERR, i if self.indexed else 0)
        return super().answer(request)


@pytest.mark.parametrize("indexed", [True, False])
@BOTH
async def test_gen_err_costs_the_object_only(version: Any, indexed: bool) -> None:
    bad = {"1.3.6.1.2.1.1.4.0", "1.3.6.1.2.1.43.11.1.1.3.1.2", "1.3.6.1.2.1.43.5.1.1.9.1"}
    tree = Broken(bad, indexed=indexed)
    async with agent(tree) as port:
        ask = asker(port, version=version)
        got = await ask.get([v.oid for v in tree.varbinds])
        assert {v.oid for v in got if v.tag in MISSING} == bad
        walked = await ask.walk(ROOTS)
        assert walked == [v for v in inside(tree.varbinds) if v.oid not in bad]
        assert not [q for q in ask.quirks if q.startswith("max-varbinds")]
        await ask.close()


async def test_an_object_that_silences_the_agent_costs_itself_only() -> None:
    tree = Tree(printer())
    poison = "1.3.6.1.2.1.43.11.1.1.3.1.2"
    async with agent(lambda m: None if poison in [v.oid for v in m.varbinds] else tree(m)) as port:
        ask = asker(port, timeout_s=0.03)
        got = await ask.get([v.oid for v in tree.varbinds])
        assert [v.oid for v in got if v.tag in MISSING] == [poison]
        assert not [q for q in ask.quirks if q.startswith("max-varbinds")]
        await ask.close()


async def test_too_many_at_once_silences_some_agents() -> None:
    tree = Tree(printer())
    async with agent(lambda m: None if len(m.varbinds) > 6 else tree(m)) as port:
        ask = asker(port, timeout_s=0.03)
        await ask.get(["1.3.6.1.2.1.1.2.0"])
        assert await ask.get([v.oid for v in tree.varbinds]) == tree.varbinds
        assert "max-varbinds-4" in ask.quirks
        await ask.close()


async def test_an_agent_that_dies_of_a_large_question_gets_smaller_ones_the_next_time() -> None:
    tree = Tree(printer())
    dead = False

    def fragile(m: Message) -> bytes | None:
        nonlocal dead
        dead = dead or len(m.varbinds) > 40
        return None if dead else tree(m)

    async with agent(fragile) as port:
        names = [v.oid for v in tree.varbinds]
        ask = asker(port, timeout_s=0.03)
        await ask.get(names[:3], sizes=[3, 3, 3])
        with pytest.raises(NoAnswer):
            await ask.get(names, sizes=[3] * len(names))
        assert dead
        dead = False
        again = asker(port, quirks=ask.quirks)
        assert await again.get(names, sizes=[3] * len(names)) == tree.varbinds
        await ask.close()
        await again.close()


async def test_answers_cut_short_are_asked_for_again() -> None:
    tree = Tree(printer())
    async with agent(lambda m: reply(m, message.decode_message(tree(m)).varbinds[:5])) as port:
        ask = asker(port)
        assert await ask.get([v.oid for v in tree.varbinds]) == tree.varbinds
        await ask.close()


# --- time, loss and strangers


async def test_nobody_there_is_said_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    ask = asker(port, timeout_s=5, retries=0)
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="does not listen"):
        await ask.get(["1.3.6.1.2.1.1.2.0"])
    assert time.monotonic() - began < 1
    await ask.close()


async def test_silence_ends_after_the_tries() -> None:
    heard: list[Message] = []
    async with agent(heard.append) as port:  # type: ignore[arg-type]
        ask = asker(port, timeout_s=0.05, retries=2)
        with pytest.raises(NoAnswer, match="3 times"):
            await ask.get(["1.3.6.1.2.1.1.2.0"])
        assert len(heard) == 3
        assert len({m.request_id for m in heard}) == 1
        with pytest.raises(NoAnswer):
            await ask.walk(ROOTS)
        await ask.close()


async def test_loss_is_outlived() -> None:
    tree = Tree(printer())
    count = 0

    def lossy(request: Message) -> bytes | None:
        nonlocal count
        count += 1
        return None if count % 3 == 2 else tree(request)

    async with agent(lossy) as port:
        ask = asker(port, timeout_s=0.03, retries=2)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert ask.quirks == set()
        await ask.close()


async def test_a_late_answer_to_the_first_try_counts_and_its_twin_does_not() -> None:
    tree = Tree(printer())
    held: list[bytes] = []

    def late(request: Message) -> list[bytes] | None:
        held.append(tree(request))
        return None if len(held) == 1 else held[-2:]

    async with agent(late) as port:
        ask = asker(port, timeout_s=0.05, retries=1)
        assert (await ask.get(["1.3.6.1.2.1.1.1.0"]))[0].value == b"system 1"
        assert (await ask.get(["1.3.6.1.2.1.1.2.0"]))[0].value == b"system 2"
        assert ask.faults["wrong-id"] >= 1
        await ask.close()


async def test_replies_with_another_id_or_kind_or_version_are_let_be() -> None:
    tree = Tree(printer())

    def liar(m: Message) -> list[bytes]:
        wrong = [Varbind("1.3.6.1.2.1.1.1.0", OCTET_STRING, b"wrong")]
        return [
            encode_response(m.version, m.community, m.request_id ^ 1, 0, 0, wrong),
            encode_response(message.V1, m.community, m.request_id, 0, 0, wrong),
            message.encode_request(m.version, m.community, message.GET, m.request_id, ["1.3.6.1.2.1.1.1.0"]),
            tree(m),
        ]

    async with agent(liar) as port:
        ask = asker(port)
        assert (await ask.get(["1.3.6.1.2.1.1.1.0"]))[0].value == b"system 1"
        assert ask.faults == {"wrong-id": 1, "no-response": 2}
        assert ask.traffic.packets_received == 4
        await ask.close()


@pytest.mark.parametrize("stranger", ["127.0.0.1", "127.0.0.2"])
async def test_replies_from_another_port_or_address_are_let_be(stranger: str) -> None:
    tree = Tree(printer())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((stranger, 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
            served.setblocking(False)
            served.bind(("127.0.0.1", 0))
            ask = asker(served.getsockname()[1], timeout_s=2)

            def answer() -> None:
                data, source = served.recvfrom(2_000)
                request = message.decode_message(data)
                other.sendto(
                    reply(request, [Varbind("1.3.6.1.2.1.1.1.0", OCTET_STRING, b"stranger")]), source
                )
                served.sendto(tree(request), source)

            asyncio.get_running_loop().add_reader(served, answer)
            try:
                got = await ask.get(["1.3.6.1.2.1.1.1.0"])
            finally:
                asyncio.get_running_loop().remove_reader(served)
            assert got[0].value == b"system 1"
            assert ask.faults == {"wrong-source": 1}
            await ask.close()


async def test_one_request_is_in_flight() -> None:
    tree = Tree(printer())
    open_now = most = 0

    async with agent(tree) as port:
        ask = asker(port)
        send = ask._send

        def counting(*args: Any) -> str:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            asyncio.get_running_loop().call_soon(lambda: None)
            return send(*args)

        ask._send = counting  # type: ignore[method-assign]
        take = ask._take

        def taking(*args: Any) -> None:
            nonlocal open_now
            open_now -= 1
            take(*args)

        ask._take = taking  # type: ignore[method-assign]
        await asyncio.gather(
            ask.get([v.oid for v in tree.varbinds]), ask.walk(ROOTS), ask.get(["1.3.6.1.2.1.1.1.0"])
        )
        assert most == 1
        await ask.close()


async def test_a_cancelled_question_leaves_the_line_usable() -> None:
    tree = Tree(printer())
    silent = True
    async with agent(lambda m: None if silent else tree(m)) as port:
        ask = asker(port, timeout_s=5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask.get(["1.3.6.1.2.1.1.1.0"])
        silent = False
        assert (await ask.get(["1.3.6.1.2.1.1.1.0"]))[0].value == b"system 1"
        await ask.close()


# --- agents made to break it: each ends, in bounded packets, with one error or with what was true

JUNK = [
    b"\x00",
    b"\x30",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x80\x00\x00",
    b"\x30\x82\xff\xff" + b"\x30\x82\xff\xfb" * 300,
    b"\xff" * 60_000,
    b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
@pytest.mark.parametrize("what", ["get", "walk"])
async def test_junk_only_is_a_bad_reply(junk: bytes, what: str) -> None:
    heard: list[Message] = []

    def handler(request: Message) -> list[bytes]:
        heard.append(request)
        return [junk]

    async with agent(handler) as port:
        ask = asker(port, timeout_s=0.02)
        with pytest.raises(BadReply):
            await (ask.get([v.oid for v in printer()]) if what == "get" else ask.walk(ROOTS))
        assert len(heard) < 60
        await ask.close()


async def test_junk_before_the_truth_does_no_harm() -> None:
    tree = Tree(printer())
    async with agent(lambda m: [*JUNK, tree(m)]) as port:
        ask = asker(port, timeout_s=1, retries=0)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        await ask.close()


async def test_5000_varbinds_are_refused_and_smaller_answers_taken() -> None:
    tree = Tree(printer())
    flood = ber.wrap(0x30, bytes.fromhex("06032b0601020101")) * 5_000

    def handler(m: Message) -> bytes:
        if m.pdu_type == message.GETBULK:
            return message.patch_request(m.version, m.community, message.RESPONSE, m.request_id, flood)
        return tree(m)

    async with agent(handler) as port:
        ask = asker(port, timeout_s=0.03)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert "no-bulk" in ask.quirks
        await ask.close()


def _always(status: int, index: Any) -> Any:
    def handler(m: Message) -> bytes:
        at = index(m) if callable(index) else index
        return Tree.error(m, status, at)

    return handler


ENDLESS_ERRORS = {
    "tooBig": _always(message.TOO_BIG, 0),
    "genErr": _always(message.GEN_ERR, 0),
    "genErr, first": _always(message.GEN_ERR, 1),
    "genErr, last": _always(message.GEN_ERR, lambda m: len(m.varbinds)),
    "an index beyond": _always(message.GEN_ERR, 9_999),
    "a negative index": _always(message.GEN_ERR, -1),
    "a status nobody knows": _always(99, 1),
    "a negative status": _always(-5, 1),
    "no varbinds": lambda m: reply(m, []),
    "another object": lambda m: reply(m, [Varbind("1.3.6.1.9.9", INTEGER, 1)] * len(m.varbinds)),
    "the first one many times": lambda m: reply(m, [Varbind("1.3.6.1.2.1.1.1.0", INTEGER, 1)] * 4_000),
}


@pytest.mark.parametrize("name", ENDLESS_ERRORS)
@BOTH
async def test_errors_for_ever_end_in_a_bad_reply(version: Any, name: str) -> None:
    heard: list[Message] = []

    def handler(m: Message) -> bytes:
        heard.append(m)
        return ENDLESS_ERRORS[name](m)

    names = [f"1.3.6.1.2.1.43.1.{i}" for i in range(300)]
    async with agent(handler) as port:
        ask = asker(port, version=version, timeout_s=1)
        with pytest.raises(BadReply):
            await ask.get(names)
        assert len(heard) < 40
        heard.clear()
        if name == "another object":
            assert await ask.walk(ROOTS) == []
        elif name == "the first one many times":
            assert [v.oid for v in await ask.walk(ROOTS)] == ["1.3.6.1.2.1.1.1.0"]
        else:
            with pytest.raises(BadReply):
                await ask.walk(ROOTS)
        assert len(heard) < 200
        await ask.close()


@BOTH
async def test_no_such_name_for_every_index_in_turn(version: Any) -> None:
    heard: list[Message] = []

    def handler(m: Message) -> bytes:
        heard.append(m)
        return Tree.error(m, message.NO_SUCH_NAME, len(heard) % len(m.varbinds) + 1)

    names = [f"1.3.6.1.2.1.43.1.{i}" for i in range(100)]
    async with agent(handler) as port:
        ask = asker(port, version=version)
        assert [v.tag for v in await ask.get(names)] == [NULL] * 100
        assert len(heard) <= 110
        assert sum(len(m.varbinds) for m in heard) < 250
        heard.clear()
        assert await ask.walk(ROOTS) == []
        assert len(heard) < 30
        await ask.close()


async def test_authorization_error_is_a_refusal() -> None:
    async with agent(_always(message.AUTHORIZATION_ERROR, 0)) as port:
        ask = asker(port)
        with pytest.raises(AccessRefused):
            await ask.get(["1.3.6.1.2.1.1.1.0"])
        with pytest.raises(AccessRefused):
            await ask.walk(ROOTS)
        await ask.close()


class Loops(Tree):
    """After one object it starts again at an earlier one, for ever."""

    def __init__(self, at: str, to: str) -> None:
        super().__init__(printer())
        self.at, self.to = at, to

    def next(self, oid: str) -> Varbind:
        return self.by_oid[self.to] if oid == self.at else super().next(oid)


@BOTH
async def test_a_loop_is_left_and_the_rest_is_read(version: Any) -> None:
    tree = Loops("1.3.6.1.2.1.43.11.1.1.3.1.2", "1.3.6.1.2.1.43.5.1.1.1.1")
    async with agent(tree) as port:
        ask = asker(port, version=version)
        assert await ask.walk(ROOTS) == inside(tree.varbinds)
        assert ask.faults["loops"] >= 1
        assert len(tree.asked) < 120
        await ask.close()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda oid: oid,  # itself
        lambda oid: "1.3.6.1.2.1.1.1.0",  # always the same
        lambda oid: ".".join(oid.split(".")[:-1]),  # backwards
        lambda oid: "0.0",
    ],
)
@BOTH
async def test_an_agent_that_runs_in_circles_ends(version: Any, wrong: Any) -> None:
    heard: list[Message] = []

    def handler(m: Message) -> bytes:
        heard.append(m)
        times = m.error_index if m.pdu_type == message.GETBULK else 1
        return reply(m, [Varbind(wrong(v.oid), INTEGER, 1) for v in m.varbinds for _ in range(times)])

    async with agent(handler) as port:
        ask = asker(port, version=version)
        with contextlib.suppress(BadReply):
            assert len(await ask.walk(["1.3.6.1.2.1.2", "1.3.6.1.2.1.43"])) == 0
        assert len(heard) <= 4 * MOST_TROUBLES
        assert ask.faults["loops"] >= 1
        await ask.close()


@BOTH
async def test_an_agent_without_end_stops_at_most(version: Any) -> None:
    def handler(m: Message) -> bytes:
        out: list[Varbind] = []
        for v in m.varbinds:
            oid = v.oid
            for _ in range(m.error_index if m.pdu_type == message.GETBULK else 1):
                arcs = oid.split(".")
                oid = ".".join([*arcs[:-1], str(int(arcs[-1]) + 1)]) if len(arcs) > 12 else oid + ".1.1.1.1.1"
                out.append(Varbind(oid, INTEGER, 1))
        return reply(m, out)

    async with agent(handler) as port:
        ask = asker(port, version=version, timeout_s=1)
        assert len(await ask.walk(["1.3.6.1.2.1.43"], most=500)) == 500
        assert ask.traffic.packets_sent <= 510
        await ask.close()


async def test_ever_deeper_oids_end() -> None:
    def handler(m: Message) -> bytes | None:
        longest = m.varbinds[0].oid + ".1"
        return None if longest.count(".") > 127 else reply(m, [Varbind(longest, INTEGER, 1)])

    async with agent(handler) as port:
        ask = asker(port, timeout_s=0.02)
        found = await ask.walk(["1.3.6.1.2.1.43"])
        assert 100 < len(found) <= 128
        await ask.close()


arcs = st.sampled_from([0, 1, 2, 40, 2**31, 2**32 - 1])
any_oids = st.one_of(
    st.sampled_from([v.oid for v in printer()]),
    st.lists(arcs, max_size=6).map(lambda a: "1.3.6.1.2.1.43" + "".join(f".{x}" for x in a)),
)
any_varbinds = st.builds(
    Varbind, any_oids, st.sampled_from([NULL, NO_SUCH_INSTANCE, 0x82]), st.none()
) | st.builds(Varbind, any_oids, st.just(INTEGER), st.integers(-5, 5))
any_replies = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.tuples(st.integers(-1, 20), st.integers(-1, 20), st.lists(any_varbinds, max_size=20)),
)


@settings(max_examples=60, deadline=None)
@given(script=st.lists(any_replies, min_size=1, max_size=12))
@BOTH
def test_an_agent_of_any_whim_ends(version: Any, script: list[Any]) -> None:
    """It answers whatever it likes, in a circle: a result in MIB order or a named error, in bounded packets."""
    heard = 0

    def handler(m: Message) -> bytes | None:
        nonlocal heard
        said = script[heard % len(script)]
        heard += 1
        if said is None or isinstance(said, bytes):
            return said or None
        return encode_response(m.version, m.community, m.request_id, *said)

    async def go() -> None:
        nonlocal heard
        async with agent(handler) as port:
            ask = asker(port, version=version, timeout_s=0.002, retries=1)
            try:
                found = await ask.walk(ROOTS, most=200)
                keys = [oid_key(v.oid) for v in found]
                assert keys == sorted(set(keys))
                assert found == inside(found)
            except (NoAnswer, BadReply, AccessRefused):
                pass
            assert heard < 1_500
            heard = 0
            asked = [v.oid for v in printer()]
            with contextlib.suppress(NoAnswer, BadReply, AccessRefused):
                assert [v.oid for v in await ask.get(asked)] == asked
            assert heard < 1_500
            await ask.close()

    asyncio.run(go())


@pytest.mark.fuzz
@BOTH
async def test_mutated_answers_never_break_an_asker(version: Any) -> None:
    """Each answer with some octets changed, seeded: every get and walk ends with a result or a named error."""
    import random

    rng = random.Random(7)
    tree = Tree(printer())

    def handler(m: Message) -> bytes:
        data = bytearray(tree.answer(m))
        if rng.random() < 0.6:
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(20, len(data))] = rng.randrange(256)
        return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)

    names = [v.oid for v in tree.varbinds]
    ends = {"result": 0, "error": 0}
    async with agent(handler) as port:
        for _ in range(60):
            ask = asker(port, version=version, timeout_s=0.004)
            for question in (ask.get(names), ask.walk(ROOTS)):
                try:
                    await question
                    ends["result"] += 1
                except (NoAnswer, BadReply, AccessRefused):
                    ends["error"] += 1
            assert ask.traffic.packets_sent < 3_000
            await ask.close()
    assert ends["result"] > 0
