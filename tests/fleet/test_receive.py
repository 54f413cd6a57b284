# SPDX-License-Identifier: Apache-2.0
"""What can never be taken is refused with a reason; nothing raises, whatever comes."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.model import messages
from contract.samples import BOX, EXAMPLES, STREAM
from fleet.receive import Arrival, Refused, Taken, decode

NUMBERED = {"stream": STREAM, "seq": "41"}


def _arrival(name: str = "readings", **changes: Any) -> Arrival:
    value = EXAMPLES[name]
    base = {
        "topic": f"v1/acme/{BOX}/{messages.TOPIC[value.schema]}",
        "payload": msgspec.json.encode(value),
        "properties": {"schema": value.schema, **NUMBERED},
        "retained": False,
        "received": "2026-11-21T08:00:00.000Z",
    }
    return Arrival(**{**base, **changes})


def _body(**changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(EXAMPLES["readings"]), **changes})


@pytest.mark.parametrize("name", ["readings", "event", "state", "will", "heartbeat"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_example_is_taken(name: str, packed: bool) -> None:
    arrival = _arrival(name)
    if packed:
        body = zstandard.ZstdCompressor().compress(arrival.payload)
        arrival = msgspec.structs.replace(arrival, payload=body, properties={"enc": "zstd"})
    taken = decode(arrival, "acme")
    assert isinstance(taken, Taken), taken
    assert taken.message == EXAMPLES[name]


def _bomb(octets: int) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(b" " * octets)


_RECORD = msgspec.to_builtins(EXAMPLES["readings"])["records"][0]
_DEEP = b'{"x":' * 20_000 + b"1" + b"}" * 20_000


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("topic", {"topic": f"v1/acme/{BOX}/cmd"}),
        ("topic", {"topic": f"v1/other/{BOX}/t"}),
        ("topic", {"topic": f"v1/acme/{BOX}/t/deeper"}),
        ("topic", {"topic": "v1/acme//t"}),
        ("topic", {"topic": "?"}),
        ("octets", {"payload": b" " * (messages.MAX_BODY + 1)}),
        ("schema", {"properties": {**NUMBERED, "schema": "platen.readings/2"}}),
        ("says", {"payload": _body(schema="platen.readings/2")}),
        ("encoding", {"properties": {**NUMBERED, "enc": "gzip"}}),
        ("not zstd", {"properties": {**NUMBERED, "enc": "zstd"}}),
        ("unpacks", {"payload": _bomb(50_000_000), "properties": {**NUMBERED, "enc": "zstd"}}),
        ("follow", {"payload": b""}),
        ("follow", {"payload": b"\xff\xfe"}),
        ("follow", {"payload": b"[]"}),
        ("follow", {"payload": _body(seq="41")}),
        ("follow", {"payload": _DEEP[:60_000]}),
        ("follow", {"payload": zstandard.compress(_DEEP), "properties": {**NUMBERED, "enc": "zstd"}}),
        ("speaks for", {"payload": _body(box="PL-0000-0000")}),
        ("bounds", {"payload": _body(seq=0)}),
        ("bounds", {"payload": _body(seq=2**63)}),
        ("bounds", {"payload": _body(stream="")}),
        ("bounds", {"payload": _body(stream="s" * 65)}),
        ("says nothing", {"payload": _body(records=[{**_RECORD, "full": None}])}),
        ("no printer", {"payload": _body(records=[{**_RECORD, "printer": ""}])}),
        (
            "not a time",
            {"payload": _body(records=[{**_RECORD, "full": {**_RECORD["full"], "time": "noon"}}])},
        ),
    ],
)
def test_refused_with_a_reason_and_its_number(word: str, changes: dict[str, Any]) -> None:
    refused = decode(_arrival(**changes), "acme")
    assert isinstance(refused, Refused)
    assert word in refused.reason
    assert (refused.stream, refused.seq) == (STREAM, 41)
    assert len(refused.reason) < 300


def test_too_many_records() -> None:
    tiny = {
        **_RECORD,
        "full": None,
        "change": {"time": "2026-11-21T08:00:00Z", "clock": "synchronised", "address": ""},
    }
    body = zstandard.ZstdCompressor().compress(_body(records=[tiny] * 2_001))
    refused = decode(_arrival(payload=body, properties={**NUMBERED, "enc": "zstd"}), "acme")
    assert isinstance(refused, Refused)
    assert "records" in refused.reason


@pytest.mark.parametrize(
    "properties", [{}, {"stream": STREAM}, {"stream": STREAM, "seq": "-1"}, {"seq": "9" * 5000}]
)
def test_without_a_number_nobody_can_be_answered(properties: dict[str, str]) -> None:
    refused = decode(_arrival(payload=b"", properties=properties), "acme")
    assert isinstance(refused, Refused)
    assert refused.seq is None


def test_a_bomb_costs_little() -> None:
    bomb = _bomb(1_000_000_000)
    assert len(bomb) < messages.MAX_BODY
    tracemalloc.start()
    begin = time.process_time()
    refused = decode(_arrival(payload=bomb, properties={**NUMBERED, "enc": "zstd"}), "acme")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(refused, Refused)
    assert peak < 20_000_000
    assert time.process_time() - begin < 1


_GOOD = _arrival().payload
_PACKED = zstandard.ZstdCompressor().compress(_GOOD)


@settings(max_examples=400, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.tuples(
            st.sampled_from([_GOOD, _PACKED]),
            st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=3))),
        ),
    ),
    enc=st.sampled_from(["", "zstd", "x"]),
    topic=st.one_of(
        st.text(max_size=40), st.sampled_from([f"v1/acme/{BOX}/{t}" for t in ("t", "ev", "hb", "state")])
    ),
)
@example(data=b"{}", enc="", topic=f"v1/acme/{BOX}/hb")
def test_nothing_raises(data: Any, enc: str, topic: str) -> None:
    if isinstance(data, tuple):
        body, edits = bytearray(data[0]), data[1]
        for at, octets in edits:
            body[at % len(body) : at % len(body) + len(octets)] = octets
        data = bytes(body)
    result = decode(_arrival(topic=topic, payload=data, properties={"enc": enc} if enc else {}), "acme")
    assert isinstance(result, Taken | Refused)
