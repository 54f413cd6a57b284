# SPDX-License-Identifier: Apache-2.0
"""Takes messages from the broker: commit first, then answer the box, then the broker.

Two threads: paho's network loop, which only queues, and the one that decodes, stores and answers. If the portal
dies between any two steps, the broker or the box sends again, and the sequence number makes twice once.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
import time
from pathlib import Path

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from appliance.model import messages
from appliance.model.clock import rfc3339
from appliance.model.errors import CertificateMismatch, StoreError
from appliance.model.messages import Acknowledgement
from fleet.receive import Arrival, Refused, Taken, decode
from fleet.store import Writer

log = logging.getLogger("platen.fleet")

BATCH_S = 0.1
BATCH_MOST = 100
SESSION_S = 14 * 86_400
MOST_SEQS = 500
PRUNE_S = 86_400.0


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is and how the portal proves itself (paths of PEM files)."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    client_id: str = "portal"


class _Queued(msgspec.Struct, frozen=True):
    arrival: Arrival
    mid: int
    qos: int
    connection: int


class Ingest:
    """The portal's ear. `start` returns at once and connecting goes on for ever; `stop` stores what was queued."""

    def __init__(self, broker: Broker, tenant: str, database: Path, *, keep_days: int = 400) -> None:
        self._broker = broker
        self._tenant = tenant
        self._database = database
        self._keep_s = keep_days * 86_400
        self._next_prune = 0.0
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
        self._stopping = threading.Event()
        self._connection = 0
        self.connected = False
        self.error: str | None = None
        self._client = self._make_client()

    def start(self) -> None:
        """Opens the database (StoreError) and begins."""
        self._writer = Writer(self._database)
        self._thread.start()
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = SESSION_S
        connect.ReceiveMaximum = 2 * BATCH_MOST
        self._client.connect_async(
            self._broker.host, self._broker.port, keepalive=60, clean_start=False, properties=connect
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Ends both threads; what was taken is stored and answered."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(10)
        self._client.disconnect()
        self._client.loop_stop()
        self._writer.close()

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.tls_set_context(context(self._broker))
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(
        self,
        client: Client,
        _: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.error = f"The broker refused: {reason}"
            log.warning("%s", self.error)
            return
        self._connection += 1
        self.connected, self.error = True, None
        options = SubscribeOptions(qos=1)
        topics = [t for t in messages.TOPIC.values() if t != "ack"]
        client.subscribe([(f"v1/{self._tenant}/+/{t}", options) for t in topics])
        log.info("connected to %s:%d", self._broker.host, self._broker.port)

    def _on_connect_fail(self, client: Client, _: object) -> None:
        if self.error is None:
            log.warning("no connection to %s:%d, trying again", self._broker.host, self._broker.port)
        # paho does not say why: the name, the port, or a certificate that one side does not accept.
        self.error = f"No secure connection to {self._broker.host}:{self._broker.port} could be made."

    def _on_disconnect(
        self,
        client: Client,
        _: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.connected = False
        if not self._stopping.is_set():
            self.error = f"The connection ended: {reason}"
            log.warning("%s", self.error)

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        said = getattr(message.properties, "UserProperty", [])
        arrival = Arrival(
            topic=topic,
            payload=bytes(message.payload),
            properties=dict(said[:16]),
            retained=bool(message.retain),
            received=rfc3339(time.time()),
        )
        self._queue.put(_Queued(arrival, message.mid, message.qos, self._connection))

    def _work(self) -> None:
        while True:
            batch, last = self._collect()
            if batch:
                try:
                    self._store(batch)
                except Exception:  # the ear must outlive whatever one batch holds; the boxes send it again
                    log.exception("a batch of %d messages was not taken", len(batch))
            if last:
                return
            self._prune(time.monotonic())

    def _prune(self, now: float) -> None:
        if now < self._next_prune:
            return
        self._next_prune = now + PRUNE_S
        try:
            gone = self._writer.prune(rfc3339(time.time() - self._keep_s))
        except StoreError as error:
            log.error("%s", error)
        else:
            log.info("%d old records removed", gone)

    def _collect(self) -> tuple[list[_Queued], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        batch, end = [first], time.monotonic() + BATCH_S
        while len(batch) < BATCH_MOST:
            try:
                item = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _store(self, batch: list[_Queued]) -> None:
        decoded = [decode(item.arrival, self._tenant) for item in batch]
        for result in decoded:
            if isinstance(result, Refused):
                log.warning("refused a message of box %s: %s", result.box or "?", result.reason)
        for answer in self._take(decoded):
            self._answer(answer)
        for item in batch:
            if item.qos and item.connection == self._connection:
                self._client.ack(item.mid, item.qos)

    def _take(self, batch: list[Taken | Refused]) -> list[Acknowledgement]:
        wait = 1.0
        while True:
            try:
                return self._writer.take(batch, rfc3339(time.time()))
            except StoreError as error:
                # A full disk or a lock: nothing was answered, so nothing is lost; the broker holds the rest back.
                self.error = str(error)
                log.error("%s", error)
                if self._stopping.wait(wait):
                    raise
                wait = min(wait * 2, 30.0)

    def _answer(self, answer: Acknowledgement) -> None:
        for part in split(answer):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = "application/json"
            properties.UserProperty = [("schema", messages.ACKNOWLEDGEMENT)]
            properties.MessageExpiryInterval = 7 * 86_400
            topic = f"v1/{self._tenant}/{part.box}/{messages.TOPIC[messages.ACKNOWLEDGEMENT]}"
            self._client.publish(topic, msgspec.json.encode(part), qos=1, properties=properties)


def split(answer: Acknowledgement) -> list[Acknowledgement]:
    """`answer` in parts of at most MOST_SEQS numbers, so that none outgrows a message."""
    seqs, refused = answer.seqs, list(answer.refused.items())
    count = max(len(seqs), len(refused))
    return [
        msgspec.structs.replace(
            answer, seqs=seqs[i : i + MOST_SEQS], refused=dict(refused[i : i + MOST_SEQS])
        )
        for i in range(0, count, MOST_SEQS)
    ]


def context(broker: Broker) -> ssl.SSLContext:
    """TLS 1.2 or newer with our certificate. CertificateMismatch where the files do not serve."""
    try:
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(broker.ca))
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_cert_chain(str(broker.certificate), str(broker.key))
    except (OSError, ValueError) as error:
        raise CertificateMismatch(
            f"The portal's certificate files do not serve: {error}", hint="Check --ca, --cert and --key"
        ) from None
    return made
