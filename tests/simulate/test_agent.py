# SPDX-License-Identifier: Apache-2.0
"""Requests and replies by the letter of RFC 3416 and RFC 1157, without a socket."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

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
from appliance.collector.wire.value import (
    COUNTER32,
    COUNTER64,
    END_OF_MIB_VIEW,
    INTEGER,
    NO_SUCH_INSTANCE,
    NO_SUCH_OBJECT,
    NULL,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    Varbind,
    oid_key,
)
from appliance.simulate.agent import SET, Agent
from appliance.simulate.behaviour import Behaviour
from appliance.simulate.mib import Mib

VARBINDS = [
    Varbind("1.3.6.1.2.1.1.1.0", OCTET_STRING, b"a device"),
    Varbind("1.3.6.1.2.1.1.2.0", OBJECT_IDENTIFIER, "1.3.6.1.4.1.1347.41"),
    Varbind("1.3.6.1.2.1.2.2.1.6.1", OCTET_STRING, bytes(6)),
    Varbind("1.3.6.1.2.1.2.2.1.6.2", OCTET_STRING, bytes(6)),
    Varbind("1.3.6.1.2.1.31.1.1.1.6.1", COUNTER64, 1 << 40),
    Varbind("1.3.6.1.2.1.43.10.2.1.4.1.1", COUNTER32, 4711),
    Varbind("1.3.6.1.2.1.43.11.1.1.9.1.1", INTEGER, -3),
]
OIDS = [v.oid for v in VARBINDS]


def ask(
    pdu_type: int, *oids: str, version: int = V2C, single: int = 0, rows: int = 0, **how: object
) -> Message:
    agent = Agent(Mib(VARBINDS), Behaviour(**how))  # type: ignore[arg-type]
    request = encode_request(
        version, b"public", pdu_type, 17, oids, non_repeaters=single, max_repetitions=rows
    )
    reply = agent.ask(request).reply
    assert reply is not None
    assert len(reply) <= agent.behaviour.max_size
    message = decode_message(reply)
    assert (message.version, message.community, message.request_id) == (version, b"public", 17)
    return message


def test_get_gives_the_objects_in_the_order_of_the_question() -> None:
    assert ask(GET, OIDS[5], OIDS[0]).varbinds == [VARBINDS[5], VARBINDS[0]]


def test_get_tells_a_missing_instance_from_a_missing_object() -> None:
    reply = ask(GET, "1.3.6.1.2.1.2.2.1.6.9", "1.3.6.1.2.1.99.1.0", OIDS[0])
    assert [v.tag for v in reply.varbinds] == [NO_SUCH_INSTANCE, NO_SUCH_OBJECT, OCTET_STRING]
    assert reply.error_status == 0


def test_v1_get_of_a_missing_object_is_no_such_name_with_its_index() -> None:
    reply = ask(GET, OIDS[0], "1.3.6.1.2.1.99.1.0", version=V1)
    assert (reply.error_status, reply.error_index) == (2, 2)
    assert [v.oid for v in reply.varbinds] == [OIDS[0], "1.3.6.1.2.1.99.1.0"]
    assert all(v.tag == NULL for v in reply.varbinds)


def test_v1_knows_no_counter64() -> None:
    assert ask(GET, OIDS[4], version=V1).error_status == 2
    assert ask(GETNEXT, OIDS[3], version=V1).varbinds == [VARBINDS[5]]
    assert ask(GETNEXT, OIDS[3]).varbinds == [VARBINDS[4]]


def test_getnext_beyond_the_end() -> None:
    assert ask(GETNEXT, OIDS[-1]).varbinds == [Varbind(OIDS[-1], END_OF_MIB_VIEW, None)]
    reply = ask(GETNEXT, OIDS[-1], version=V1)
    assert (reply.error_status, reply.error_index) == (2, 1)


def test_getbulk_walks_non_repeaters_once_and_the_rest_in_rows() -> None:
    reply = ask(GETBULK, "1.3.6.1.2.1.1.1", "1.3.6.1.2.1.1", "1.3.6.1.2.1.43", single=1, rows=2)
    assert [v.oid for v in reply.varbinds] == [OIDS[0], OIDS[0], OIDS[5], OIDS[1], OIDS[6]]


def test_getbulk_stops_when_a_whole_row_is_beyond_the_end() -> None:
    reply = ask(GETBULK, OIDS[-2], rows=50)
    assert [v.tag for v in reply.varbinds] == [INTEGER, END_OF_MIB_VIEW]
    assert reply.varbinds[1].oid == OIDS[-1]


def test_getbulk_without_repetitions_gives_the_non_repeaters_only() -> None:
    assert [v.oid for v in ask(GETBULK, "1.3", OIDS[3], single=1).varbinds] == [OIDS[0]]
    assert ask(GETBULK, "1.3").varbinds == []


def test_getbulk_is_cut_where_the_datagram_is_full() -> None:
    long = [Varbind(f"1.3.6.1.2.1.2.2.1.2.{i}", OCTET_STRING, bytes(100)) for i in range(1, 100)]
    agent = Agent(Mib(long), Behaviour())
    reply = agent.ask(encode_request(V2C, b"public", GETBULK, 1, ["1.3"], max_repetitions=99)).reply
    assert reply is not None
    assert 1472 - 130 < len(reply) <= 1472
    assert [v.oid for v in decode_message(reply).varbinds] == [v.oid for v in long][:12]


def test_v1_has_no_getbulk() -> None:
    request = encode_request(V1, b"public", GETBULK, 1, ["1.3"], max_repetitions=5)
    assert Agent(Mib(VARBINDS), Behaviour()).ask(request).reply is None


def test_a_get_that_does_not_fit_is_too_big() -> None:
    reply = ask(GET, *OIDS, max_size=100)
    assert (reply.error_status, reply.error_index, reply.varbinds) == (1, 0, [])
    reply = ask(GET, *OIDS[:4], max_size=110, version=V1)
    assert (reply.error_status, reply.error_index, len(reply.varbinds)) == (1, 0, 4)


def test_another_community_hears_nothing() -> None:
    agent = Agent(Mib(VARBINDS), Behaviour(community="intern"))
    assert agent.ask(encode_request(V2C, b"public", GET, 1, OIDS[:1])) == (GET, False, None)
    assert agent.ask(encode_request(V2C, b"intern", GET, 1, OIDS[:1])).reply is not None


def test_a_set_is_told_and_refused() -> None:
    agent = Agent(Mib(VARBINDS), Behaviour())
    for version, error in ((V2C, 17), (V1, 2)):
        request = encode_request(version, b"public", GET, 1, OIDS[:1])
        asked = agent.ask(request.replace(bytes((GET,)), bytes((SET,)), 1))
        assert asked.pdu_type == SET
        assert asked.reply is not None
        reply = decode_message(asked.reply)
        assert (reply.error_status, reply.error_index) == (error, 1)


def test_a_file_may_name_an_oid_of_nothing() -> None:
    mib = Mib([Varbind("1.3.6.1.2.1.1.2.0", OBJECT_IDENTIFIER, "")])
    assert mib.value("1.3.6.1.2.1.1.2.0") == "0.0"


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_whatever_arrives_ends_in_silence_or_a_reply(data: bytes) -> None:
    reply = Agent(Mib(VARBINDS), Behaviour()).ask(data).reply
    if reply is not None:
        decode_message(reply)


@settings(deadline=None)
@given(st.data())
def test_mutated_requests_end_in_silence_or_a_reply(data: st.DataObject) -> None:
    octets = bytearray(encode_request(V2C, b"public", GETBULK, 1, OIDS[:3], max_repetitions=3))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    reply = Agent(Mib(VARBINDS), Behaviour()).ask(bytes(octets)).reply
    if reply is not None:
        assert decode_message(reply).pdu_type == 0xA2


arcs = st.lists(st.integers(0, 300), min_size=0, max_size=4)


@settings(deadline=None)
@given(st.lists(arcs, min_size=1, max_size=30), arcs)
def test_getnext_is_the_smallest_object_behind(names: list[list[int]], asked: list[int]) -> None:
    oids = sorted({".".join(map(str, [1, 3, *a])) for a in names}, key=oid_key)
    oid = ".".join(map(str, [1, 3, *asked]))
    agent = Agent(Mib([Varbind(o, INTEGER, 1) for o in oids]), Behaviour())
    reply = agent.ask(encode_request(V2C, b"public", GETNEXT, 1, [oid])).reply
    assert reply is not None
    behind = [o for o in oids if oid_key(o) > oid_key(oid)]
    found = decode_message(reply).varbinds[0]
    assert found == (Varbind(behind[0], INTEGER, 1) if behind else Varbind(oid, END_OF_MIB_VIEW, None))


def test_octets_that_are_no_snmp_are_counted_as_such() -> None:
    assert Agent(Mib(VARBINDS), Behaviour()).ask(b"\x30\x03\x02\x01\x01") == (0, False, None)
    try:
        decode_message(b"\x30\x03\x02\x01\x01")
    except DecodeError:
        return
    raise AssertionError
