# SPDX-License-Identifier: Apache-2.0
"""Behaviours: how they are written, and what each does to a reply."""

from __future__ import annotations

import itertools

import pytest

from appliance.collector.wire.message import (
    GET,
    GETBULK,
    GETNEXT,
    V1,
    V2C,
    DecodeError,
    Message,
    decode_message,
    encode_request,
)
from appliance.collector.wire.value import INTEGER, OCTET_STRING, Varbind, oid_key
from appliance.model.errors import UsageError
from appliance.simulate import behaviour
from appliance.simulate.agent import Agent
from appliance.simulate.behaviour import LIES, Behaviour
from appliance.simulate.mib import Mib

TABLE = [Varbind(f"1.3.6.1.2.1.43.11.1.1.{c}.1.{r}", INTEGER, r) for c in (8, 9) for r in range(1, 41)]
MAC = Varbind("1.3.6.1.2.1.2.2.1.6.1", OCTET_STRING, bytes.fromhex("0017c8910a6e"))
MIB = Mib([MAC, *TABLE])


def octets(how: Behaviour, pdu_type: int, *oids: str, version: int = V2C, rows: int = 10) -> bytes | None:
    single = {} if pdu_type != GETBULK else {"max_repetitions": rows}
    return Agent(MIB, how).ask(encode_request(version, b"public", pdu_type, 7, oids, **single)).reply


def reply(how: Behaviour, pdu_type: int, *oids: str, version: int = V2C) -> Message:
    data = octets(how, pdu_type, *oids, version=version)
    assert data is not None
    return decode_message(data)


def walk(how: Behaviour, root: str, steps: int) -> list[str]:
    names = [root]
    for _ in range(steps):
        names.append(reply(how, GETNEXT, names[-1]).varbinds[0].oid)
    return names[1:]


def test_words_behind_a_file() -> None:
    file, how = behaviour.parse("a/walk.snmprec,delay=0.5,loss=0.25,v1,max-varbinds=20,lie=wrong-id")
    assert file == "a/walk.snmprec"
    assert how == Behaviour(delay=0.5, loss=0.25, v1=True, max_varbinds=20, lie="wrong-id")
    assert behaviour.parse("a") == ("a", Behaviour())
    assert behaviour.parse("a,no-bulk")[1].no_bulk == "silent"
    assert behaviour.parse("a,no-bulk=genErr")[1].no_bulk == "genErr"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,slow=1", "'slow'"),
        ("a,delay", "needs a value"),
        ("a,delay=long", "not a number"),
        ("a,delay=-1", "between 0 and 600"),
        ("a,loss=1.5", "between 0 and 1"),
        ("a,loss=nan", "between 0 and 1"),
        ("a,v1=yes", "takes no value"),
        ("a,lie=badly", "not one of"),
        ("a,beyond=never", "not one of"),
        ("a,max-varbinds=2.5", "not a number"),
        ("a,max-size=10", "between 64 and 65507"),
        ("a,", "''"),
    ],
)
def test_a_wrong_word_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        behaviour.parse(text)
    assert says in str(caught.value)
    assert caught.value.exit_status == 2


def test_help_names_every_behaviour_and_every_lie() -> None:
    text = behaviour.describe()
    for field in Behaviour.__struct_fields__:
        assert field.replace("_", "-") in text, field
    for name in LIES:
        assert f"    {name} " in text


def test_v1_only() -> None:
    assert octets(Behaviour(v1=True), GET, MAC.oid) is None
    assert reply(Behaviour(v1=True), GET, MAC.oid, version=V1).varbinds == [MAC]


def test_no_bulk() -> None:
    assert octets(Behaviour(no_bulk="silent"), GETBULK, "1.3") is None
    assert reply(Behaviour(no_bulk="genErr"), GETBULK, "1.3").error_status == 5
    assert reply(Behaviour(no_bulk="silent"), GETNEXT, "1.3").varbinds == [MAC]


def test_max_varbinds() -> None:
    oids = [v.oid for v in TABLE[:6]]
    assert reply(Behaviour(max_varbinds=5), GET, *oids).error_status == 1
    assert octets(Behaviour(max_varbinds=5, beyond="silent"), GET, *oids) is None
    assert reply(Behaviour(max_varbinds=6), GET, *oids).varbinds == TABLE[:6]
    assert len(reply(Behaviour(max_varbinds=5), GETBULK, "1.3").varbinds) == 5


def test_loop_never_ends_and_stays_where_it_is() -> None:
    names = walk(Behaviour(lie="loop"), "1.3", 400)
    assert set(names[200:]) < set(names[:200])
    assert any(oid_key(b) <= oid_key(a) for a, b in itertools.pairwise(names))


def test_backwards() -> None:
    names = walk(Behaviour(lie="backwards"), TABLE[10].oid, 5)
    assert names == [v.oid for v in TABLE[9:4:-1]]


def test_endless_grows_for_ever_inside_a_column() -> None:
    names = walk(Behaviour(lie="endless"), "1.3.6.1.2.1.43.11.1.1.8", 200)
    assert names == [f"1.3.6.1.2.1.43.11.1.1.8.1.{i}" for i in range(1, 201)]


def test_wrong_id_and_other_community() -> None:
    assert reply(Behaviour(lie="wrong-id"), GET, MAC.oid).request_id != 7
    assert reply(Behaviour(lie="other-community"), GET, MAC.oid).community == b"private"


def test_bulk_differs_from_get() -> None:
    how = Behaviour(lie="bulk-differs")
    assert reply(how, GET, MAC.oid).varbinds == [MAC]
    bulk = reply(how, GETBULK, "1.3").varbinds
    assert [v.oid for v in bulk] == [v.oid for v in MIB.varbinds[:10]]
    assert all(one != other for one, other in zip(bulk, MIB.varbinds, strict=False))


@pytest.mark.parametrize("lie", ["truncated", "garbage"])
def test_octets_that_are_no_reply(lie: str) -> None:
    data = octets(Behaviour(lie=lie), GET, MAC.oid)
    assert data
    with pytest.raises(DecodeError):
        decode_message(data)


def test_oversized_is_as_large_as_udp_can_carry() -> None:
    data = octets(Behaviour(lie="oversized"), GET, MAC.oid)
    assert data is not None
    assert 65_000 < len(data) <= 65_507
