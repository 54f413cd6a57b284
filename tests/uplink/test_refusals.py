# SPDX-License-Identifier: Apache-2.0
"""Certificates that do not match, accounts that are not ours, brokers that are not brokers: one sentence each,
nothing sent, tried again."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from appliance.store import ledger, outbox
from demo.broker import PORTAL, Broker, free_port
from demo.pki import Authority, install
from tests.uplink.peers import Box, Street, until

NOW = dt.datetime.now(dt.UTC)


def _nothing_left(box: Box) -> bool:
    return ledger.entries(box.db) == []


def _serve(street: Street, authority: Authority) -> None:
    """The broker with a certificate of `authority`, which must have made "broker"."""
    street.broker.prepare(authority)
    # Whom it accepts stays the same; only who it says it is changes.
    (street.broker.folder / "ca.crt").write_bytes(street.authority.certificate.read_bytes())
    street.broker.start()


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("another authority", "does not trust"),
        ("another name", "is for another"),
        ("expired", "has expired"),
        ("not valid yet", "not valid yet"),
    ],
)
async def test_a_broker_that_cannot_prove_who_it_is_gets_nothing(
    street: Street, tmp_path: Path, case: str, word: str
) -> None:
    if case == "another authority":
        authority = Authority(tmp_path / "other")
        authority.server()
    else:
        authority = street.authority
        hosts = ("broker.invalid", "192.0.2.1") if case == "another name" else ("localhost", "127.0.0.1")
        dates = {}
        if case == "expired":
            dates = {"start": NOW - dt.timedelta(days=9), "end": NOW - dt.timedelta(days=1)}
        if case == "not valid yet":
            dates = {"start": NOW + dt.timedelta(days=1), "end": NOW + dt.timedelta(days=9)}
        authority.server(hosts=hosts, **dates)
    box = street.box()
    _serve(street, authority)
    box.report()
    box.start()
    status = await box.shows("certificate-mismatch")
    assert word in status["error"]["sentence"]
    assert status["error"]["hint"]
    assert _nothing_left(box)
    # It is tried again: a broker that is put right is used without anybody's doing.
    street.broker.kill()
    street.authority.server()
    street.broker.prepare(street.authority)
    street.broker.start()
    await box.reaches("connected", 20)


@pytest.mark.parametrize("tls", ["tlsv1.2", "tlsv1.3"])
@pytest.mark.parametrize("case", ["another authority", "expired"])
async def test_a_certificate_the_broker_refuses_is_named(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str, case: str
) -> None:
    box = street.box()
    if tls == "tlsv1.2":
        # Mosquitto 2.0 has no upper bound, so the box's side has to have one.
        monkeypatch.setenv("OPENSSL_CONF", str(_openssl_conf(tmp_path)))
    street.broker.start()
    if case == "another authority":
        other = Authority(tmp_path / "other")
        pair = other.client(box.id)
        install(street.authority, pair, box.paths.keys)
    else:
        pair = street.authority.client(
            box.id, start=NOW - dt.timedelta(days=9), end=NOW - dt.timedelta(days=1)
        )
        install(street.authority, pair, box.paths.keys)
    box.report()
    box.start()
    status = await box.shows("certificate-mismatch")
    assert "certificate" in status["error"]["sentence"]
    assert box.waiting() == 1
    # New keys are noticed without a restart.
    install(street.authority, street.authority.client(box.id), box.paths.keys)
    await box.reaches("connected", 20)


def _openssl_conf(folder: Path) -> Path:
    path = folder / "openssl.cnf"
    path.write_text(
        "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n"
        "[limits]\nMaxProtocol = TLSv1.2\n"
    )
    return path


async def test_another_boxs_certificate_stays_at_home(street: Street) -> None:
    street.broker.start()
    box, other = street.box(), street.box()
    install(street.authority, other.pair, box.paths.keys)
    box.report()
    box.start()
    status = await box.shows("certificate-mismatch")
    assert other.id in status["error"]["sentence"]
    assert _nothing_left(box)


@pytest.mark.parametrize("missing", ["operational.key", "operational.crt", "ca.crt"])
async def test_missing_and_broken_key_files(street: Street, missing: str) -> None:
    street.broker.start()
    box = street.box()
    path = box.paths.keys / missing
    good = path.read_bytes()
    path.write_text("not PEM")
    box.start()
    status = await box.shows("certificate-mismatch")
    assert _nothing_left(box)
    path.unlink()
    await box.shows("certificate-mismatch")
    assert "PRIVATE" not in str(status)
    path.write_bytes(good)
    await box.reaches("connected", 20)


async def test_a_renewed_certificate_is_used_at_once(street: Street) -> None:
    street.broker.start()
    box = street.box()
    box.start()
    before = (await box.reaches("connected"))["since"]
    install(
        street.authority, street.authority.client(box.id, end=NOW + dt.timedelta(days=30)), box.paths.keys
    )

    async def again() -> bool:
        status = await box.status()
        return status["state"] == "connected" and status["since"] != before

    await until(again)
    not_after = (await box.status())["certificate"]["not_after"]
    assert not_after < (NOW + dt.timedelta(days=31)).isoformat()


async def test_answers_that_make_no_sense_change_nothing(street: Street) -> None:
    street.broker.start()
    box = street.box()
    box.report()
    box.start()
    await box.reaches("connected")
    assert box.child is not None
    process = box.child.pid
    portal = street.authority.client(PORTAL)
    client = Client(CallbackAPIVersion.VERSION2, client_id=PORTAL, protocol=MQTTProtocolVersion.MQTTv5)
    client.tls_set(str(street.authority.certificate), str(portal.certificate), str(portal.key))
    client.connect("127.0.0.1", street.broker.port)
    client.loop_start()
    stream = outbox.stream(box.db)
    good = {"schema": "platen.acknowledgement/1", "box": box.id, "stream": stream, "seqs": [], "time": "x"}
    nonsense = [
        b"",
        b"\xff\xfe",
        b'{"x":' * 9_000,
        b"x" * 70_000,
        json.dumps({**good, "seqs": [2**70, -1, 0]}).encode(),
        json.dumps({**good, "seqs": [1], "time": "\ud800"}).encode(),
        json.dumps({**good, "refused": {"9" * 5_000: "x", "-1": "y", "\u0661": "z", "1e3": "w"}}).encode(),
        json.dumps({**good, "seqs": [1], "stream": "another"}).encode(),
        json.dumps({**good, "seqs": [1], "box": "PL-0000-0000"}).encode(),
        json.dumps({**good, "seqs": [1], "schema": "platen.acknowledgement/2"}).encode(),
    ]
    try:
        for body in nonsense:
            client.publish(f"v1/{street.broker.tenant}/{box.id}/ack", body, qos=1).wait_for_publish(5)
        last = {**good, "refused": {"1": "No\nthank you"}}
        assert box.waiting() == 1
        client.publish(f"v1/{street.broker.tenant}/{box.id}/ack", json.dumps(last), qos=1).wait_for_publish(5)
        await until(lambda: box.waiting() == 0)
    finally:
        client.disconnect()
        client.loop_stop()
    entry = next(e for e in ledger.entries(box.db) if e.seq == 1)
    assert entry.refused == "No\nthank you"
    assert box.child.pid == process
    assert box.child.poll() is None


async def test_no_certificate_at_all(street: Street) -> None:
    street.broker.start()
    box = street.box()
    for path in box.paths.keys.iterdir():
        path.unlink()
    box.start()
    status = await box.shows("certificate-missing")
    assert status["certificate"] is None
    install(street.authority, box.pair, box.paths.keys)
    await box.reaches("connected", 20)


async def test_an_account_that_is_not_ours(street: Street) -> None:
    street.broker.start()
    box = street.box()
    box.set("uplink.tenant", "")
    box.report()
    box.start()
    await box.shows("account-missing")
    assert _nothing_left(box)
    box.set("uplink.tenant", "another")
    status = await box.shows("broker-refused")
    assert "account" in status["error"]["sentence"]
    assert box.waiting() == 1
    box.set("uplink.tenant", street.broker.tenant)
    await box.reaches("connected", 20)


async def test_a_box_the_broker_does_not_know(street: Street) -> None:
    street.broker.start()
    box = street.box(known=False)
    box.report()
    box.start()
    await box.shows("broker-refused")
    assert box.waiting() == 1


async def test_a_name_that_does_not_resolve(street: Street) -> None:
    box = street.box()
    box.set("uplink.host", "no-such-name.invalid")
    box.start()
    status = await box.shows("broker-unreachable")
    assert "does not resolve" in status["error"]["sentence"]
    box.set("uplink.host", "x" * 200)
    await until(lambda: _sentence(box, "does not resolve"))


async def _sentence(box: Box, word: str) -> bool:
    status = await box.status()
    return word in (status["error"] or {}).get("sentence", "")


@pytest.fixture
def listener() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        made.settimeout(10)
        yield made, made.getsockname()[1]


async def test_something_that_speaks_no_tls(street: Street, listener: tuple[socket.socket, int]) -> None:
    server, port = listener

    def answer() -> None:
        for _ in range(3):
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    box = street.box()
    box.set("uplink.port", port)
    box.start()
    status = await box.shows("broker-unreachable")
    assert "TLS" in status["error"]["sentence"]
    assert _nothing_left(box)


async def test_something_that_accepts_and_says_nothing(
    street: Street, listener: tuple[socket.socket, int]
) -> None:
    _, port = listener
    box = street.box()
    box.set("uplink.port", port)
    box.start()
    status = await box.shows("broker-unreachable", 15)
    assert "does not answer" in status["error"]["sentence"]
    assert _nothing_left(box)
    # A setting that changes in the middle of an attempt is not held up by it.
    street.broker.start()
    box.set("uplink.port", street.broker.port)
    await box.reaches("connected", 20)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_old_tls_is_not_spoken(street: Street, listener: tuple[socket.socket, int]) -> None:
    server, port = listener
    street.authority.server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(street.authority.folder / "broker.crt", street.authority.folder / "broker.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1

    def answer() -> None:
        for _ in range(3):
            try:
                peer, _ = server.accept()
                with context.wrap_socket(peer, server_side=True):
                    pass
            except OSError:
                pass

    threading.Thread(target=answer, daemon=True).start()
    box = street.box()
    box.set("uplink.port", port)
    box.start()
    status = await box.shows("broker-unreachable")
    assert "TLS 1.2" in status["error"]["sentence"]
    assert _nothing_left(box)


async def test_a_port_that_refuses(street: Street) -> None:
    box = street.box()
    box.set("uplink.port", free_port())
    box.start()
    status = await box.shows("broker-unreachable")
    assert "refuses connections" in status["error"]["sentence"]
    assert status["host"] == "127.0.0.1"


async def test_a_damaged_database_is_said_and_survived(street: Street) -> None:
    street.broker.start()
    box = street.box()
    box.report()
    box.db.close()
    for name in ("platen.db", "platen.db-wal", "platen.db-shm"):
        path = box.paths.state / name
        path.unlink(missing_ok=True)
    box.paths.database.write_bytes(b"this is no database" * 1000)
    box.start()
    status = await asyncio.wait_for(_trouble(box), 20)
    assert status["error"]["code"].startswith("database")
    assert box.paths.database.read_bytes() == b"this is no database" * 1000


async def _trouble(box: Box) -> dict:
    while True:
        status = await box.status()
        if status["error"]:
            return status
        await asyncio.sleep(0.05)


def test_names_that_would_widen_a_rule_are_refused(tmp_path: Path) -> None:
    from appliance.model.errors import UsageError
    from demo.broker import acl

    for bad in ("+", "#", "a/b", "", "a\nuser x", "a" * 65):
        with pytest.raises(UsageError):
            acl("acme", [bad])
        with pytest.raises(UsageError):
            acl(bad, ["PL-1"])
    assert Broker(tmp_path, tenant="acme", boxes=[]).port
