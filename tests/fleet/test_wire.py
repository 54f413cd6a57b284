# SPDX-License-Identifier: Apache-2.0
"""What the broker lets through, and what the portal answers, seen by a bare MQTT client with a real certificate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from appliance.model import messages
from appliance.model.messages import Acknowledgement, Readings
from contract.samples import EXAMPLES
from demo.pki import Authority, Pair
from tests.uplink.peers import TENANT, Street, until


class Bare:
    """A client that says what it likes."""

    def __init__(self, street: Street, pair: Pair, *, client_id: str) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.stored: dict[int, int] = {}
        self.ended = threading.Event()
        self.accepted = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client.tls_set(str(street.authority.certificate), str(pair.certificate), str(pair.key))
        self._client.on_message = lambda c, u, m: self.got.append((m.topic, bytes(m.payload)))
        self._granted: set[int] = set()
        self._client.on_subscribe = lambda c, u, mid, codes, p: self._granted.add(mid)
        self._client.on_publish = lambda c, u, mid, code, p: self.stored.update({mid: code.value})
        self._client.on_connect = lambda c, u, f, code, p: code.is_failure or self.accepted.set()
        self._client.on_disconnect = lambda *_: self.ended.set()
        self._client.connect("127.0.0.1", street.broker.port, clean_start=True)
        self._client.loop_start()

    async def subscribe(self, *topics: str) -> None:
        """Returns once the broker has answered: what is published before that, nobody hears."""
        _, mid = self._client.subscribe([(t, 1) for t in topics])
        await until(lambda: mid in self._granted, 5)

    async def publish(self, topic: str, body: bytes, said: dict[str, str] | None = None) -> int:
        """The broker's reason code."""
        properties = Properties(PacketTypes.PUBLISH)
        if said:
            properties.UserProperty = list(said.items())
        mid = self._client.publish(topic, body, qos=1, properties=properties).mid
        await until(lambda: mid in self.stored, 5)
        return self.stored[mid]

    def acks(self) -> list[Acknowledgement]:
        return [msgspec.json.decode(body, type=Acknowledgement) for t, body in self.got if t.endswith("/ack")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


Bares = Callable[..., Bare]


@pytest.fixture
def bare(street: Street) -> Iterator[Bares]:
    made: list[Bare] = []

    def make(name: str, *, client_id: str | None = None, pair: Pair | None = None) -> Bare:
        made.append(Bare(street, pair or street.authority.client(name), client_id=client_id or name))
        return made[-1]

    yield make
    for client in made:
        client.close()


NOT_AUTHORISED = 135


async def test_a_box_can_name_no_topic_but_its_own(street: Street, bare: Bares) -> None:
    street.broker.allow({"PL-A", "PL-B"})
    street.broker.start()
    box, other, portal = bare("PL-A"), bare("PL-B"), bare("portal")
    await until(lambda: box.accepted.is_set() and other.accepted.is_set() and portal.accepted.is_set())
    # Everything is granted in SUBACK; what counts is what is delivered.
    await other.subscribe("#", f"v1/{TENANT}/PL-A/#", "$SYS/#")
    await box.subscribe("#")
    await portal.subscribe(f"v1/{TENANT}/+/#")

    allowed = [f"v1/{TENANT}/PL-A/{t}" for t in ("state", "t", "ev", "hb", "res/7")]
    denied = [f"v1/{TENANT}/PL-A/{t}" for t in ("ack", "cfg", "cmd/reboot", "else", "t/deeper")]
    denied += [f"v1/{TENANT}/PL-B/{t}" for t in ("state", "t", "ev", "hb", "ack", "cmd/x", "res/1")]
    denied += ["v1/another/PL-A/t", "v1/PL-A/t", "t", "$SYS/x", f"v1/{TENANT}/PL-A"]
    for topic in allowed:
        assert await box.publish(topic, topic.encode()) in (0, 16), topic
    for topic in denied:
        assert await box.publish(topic, topic.encode()) == NOT_AUTHORISED, topic
    down = [f"v1/{TENANT}/PL-A/{t}" for t in ("ack", "cmd/scan", "cfg")]
    for topic in down:
        assert await portal.publish(topic, b"down") == 0
    for topic in (f"v1/{TENANT}/PL-A/t", "v1/another/PL-A/cmd/scan"):
        assert await portal.publish(topic, b"forged") == NOT_AUTHORISED
    await until(lambda: len(portal.got) >= len(allowed) + len(down) and len(box.got) >= len(down))
    # A last message that everybody would see behind anything that was wrongly let through.
    assert await portal.publish(f"v1/{TENANT}/PL-B/cmd/last", b"last") == 0
    await until(lambda: other.got)
    assert [t for t, _ in other.got] == [f"v1/{TENANT}/PL-B/cmd/last"]
    await until(lambda: len(portal.got) > len(allowed) + len(down))
    assert sorted(t for t, _ in portal.got) == sorted([*allowed, *down, f"v1/{TENANT}/PL-B/cmd/last"])
    assert sorted(t for t, _ in box.got) == sorted(down)


async def test_the_certificate_is_the_client_id(street: Street, bare: Bares) -> None:
    """A box that calls itself by another's id must not take over that one's session."""
    street.broker.allow({"PL-A", "PL-B"})
    street.broker.start()
    victim = bare("PL-A")
    await until(victim.accepted.is_set)
    thief = bare("PL-B", client_id="PL-A")
    await until(thief.accepted.is_set)
    assert await thief.publish(f"v1/{TENANT}/PL-A/t", b"x") == NOT_AUTHORISED
    assert await victim.publish(f"v1/{TENANT}/PL-A/t", b"x") in (0, 16)
    assert not victim.ended.is_set()


async def test_who_is_not_named_gets_nowhere(street: Street, bare: Bares, tmp_path: Path) -> None:
    street.broker.allow({"PL-A"})
    street.broker.start()
    stranger = bare("PL-X")
    await until(stranger.accepted.is_set)
    assert await stranger.publish(f"v1/{TENANT}/PL-X/t", b"x") == NOT_AUTHORISED
    forger = Authority(tmp_path / "forger").client("PL-A")
    with pytest.raises(OSError):  # noqa: PT012  # TLS 1.2 fails in the handshake, TLS 1.3 just after it
        found = bare("PL-A", pair=forger)
        await until(lambda: found.ended.is_set() or found.accepted.is_set())
        assert not found.accepted.is_set()
        raise OSError
    plus = bare("+")
    await until(lambda: plus.ended.is_set() or plus.accepted.is_set())
    if plus.accepted.is_set():
        assert await plus.publish(f"v1/{TENANT}/PL-A/t", b"x") == NOT_AUTHORISED


async def test_a_removed_box_is_shut_out_by_reload(street: Street, bare: Bares) -> None:
    street.broker.allow({"PL-A"})
    street.broker.start()
    box = bare("PL-A")
    await until(box.accepted.is_set)
    assert await box.publish(f"v1/{TENANT}/PL-A/t", b"x") in (0, 16)
    street.broker.allow(set())
    street.broker.reload()

    async def denied() -> bool:
        return await box.publish(f"v1/{TENANT}/PL-A/t", b"x") == NOT_AUTHORISED

    await until(denied)


def _body(seq: int, **changes: Any) -> bytes:
    example = EXAMPLES["readings"]
    assert isinstance(example, Readings)
    plain = msgspec.to_builtins(msgspec.structs.replace(example, box="PL-A", stream="s", seq=seq))
    return msgspec.json.encode({**plain, **changes})


def _said(seq: int, **more: str) -> dict[str, str]:
    return {"schema": messages.READINGS, "stream": "s", "seq": str(seq), **more}


async def test_the_portal_refuses_by_number_and_carries_on(street: Street, bare: Bares) -> None:
    street.broker.allow({"PL-A"})
    street.broker.start()
    street.portal.start()
    await until(street.portal.connected)
    box = bare("PL-A")
    await until(box.accepted.is_set)
    await box.subscribe(f"v1/{TENANT}/PL-A/ack")
    topic = f"v1/{TENANT}/PL-A/t"
    bomb = zstandard.ZstdCompressor(level=19).compress(b" " * 500_000_000)
    bad = [
        (1, bomb, _said(1, enc="zstd")),
        (2, b"\xff\x00", _said(2)),
        (3, _body(3), _said(3, schema="platen.readings/99")),
        (4, _body(4, box="PL-B"), _said(4)),
        (5, b"x" * 70_000, _said(5)),
        (6, _body(6)[:-5], _said(6)),
    ]
    for _, body, said in bad:
        assert await box.publish(topic, body, said) == 0
    assert await box.publish(topic, b"no number", None) == 0
    assert await box.publish(topic, _body(7), _said(7)) == 0
    assert await box.publish(topic, _body(7), _said(7)) == 0
    await until(lambda: any(7 in a.seqs for a in box.acks()))
    refused = {seq: why for a in box.acks() for seq, why in a.refused.items()}
    assert set(refused) == {"1", "2", "3", "4", "5", "6"}
    assert "unpacks" in refused["1"]
    assert "PL-B" in refused["4"]
    await until(lambda: street.portal.counts()["duplicates"] == 1)
    counts = street.portal.counts()
    assert (counts["messages"], counts["records"], counts["refused"]) == (1, 2, 6)
    page = street.portal.get("/boxes/PL-A")[2]
    assert "unpacks to more than" in page
    assert street.portal.child is not None
    assert street.portal.child.poll() is None


async def test_a_packet_over_the_brokers_limit_ends_the_connection_only(street: Street, bare: Bares) -> None:
    street.broker.allow({"PL-A"})
    street.broker.start()
    box = bare("PL-A")
    await until(box.accepted.is_set)
    box._client.publish(f"v1/{TENANT}/PL-A/t", b"x" * 300_000, qos=0)
    await until(box.ended.is_set)
    again = bare("PL-A")
    await until(again.accepted.is_set)
