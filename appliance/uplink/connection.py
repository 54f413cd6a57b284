# SPDX-License-Identifier: Apache-2.0
"""One MQTT 5 connection, from the handshake to its end, by paho. Never used twice.

paho keeps nothing here: each connection has a client of its own, and what it had not sent dies with it, because
the outbox still has it. Its threads call `news` and touch nothing else of ours.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from appliance.model.errors import LinkError
from appliance.uplink import faults
from appliance.uplink.certificate import Keys, context

SESSION_S = 7 * 86_400
RECEIVE_MAXIMUM = 20
MOST_INCOMING = 64 * 1024
VERDICT_S = 1.5
NOBODY_LISTENS = 0x10
"""Reason code "no matching subscribers" of PUBACK (MQTT 5, 3.4.2.1)."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, as whom."""

    host: str
    port: int
    tenant: str
    box: str
    keys: Keys

    def topic(self, last: str) -> str:
        """`last` below this box's own name."""
        return f"v1/{self.tenant}/{self.box}/{last}"


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One PUBLISH packet. `topic` in full; `expiry_s` None means never; `row` is (stream, seq) of the outbox;
    `delay_s` is for a will: how long the broker waits for us to come back."""

    topic: str
    schema: str
    body: bytes
    encoding: str
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    row: tuple[str, int] | None = None
    delay_s: int = 0


class Opened(msgspec.Struct, frozen=True):
    """The broker accepted us and our subscription; `receive_maximum` packets may be unanswered."""

    receive_maximum: int
    maximum_packet: int | None


class Stored(msgspec.Struct, frozen=True):
    """The broker has the publication `mid`, or will not have it; `heard`: it has somebody to give it to."""

    mid: int
    error: LinkError | None
    heard: bool = True


class Incoming(msgspec.Struct, frozen=True):
    """A message for this box; a body over MOST_INCOMING was dropped and is empty."""

    topic: str
    body: bytes


class Lost(msgspec.Struct, frozen=True):
    """The attempt failed or the connection ended. `silent`: nobody hung up, it just went dead."""

    error: LinkError
    silent: bool = False


News = Opened | Stored | Incoming | Lost


class Connection:
    """`start` returns at once; everything after that is told by `news`, from other threads, Lost exactly once
    and last, unless `close` came first. `before` runs after the broker proved who it is and before the first packet; if
    it raises, nothing was sent."""

    def __init__(
        self,
        endpoint: Endpoint,
        will: Publication,
        *,
        keepalive_s: int,
        connect_s: float,
        before: Callable[[], None],
        news: Callable[[News], None],
    ) -> None:
        self._endpoint = endpoint
        self._news = news
        self._before = before
        self._keepalive_s = keepalive_s
        self._lock = threading.Lock()
        self._ended = False
        self._alerts: list[ssl.SSLError] = []
        self._opened: Opened | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=endpoint.box,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = connect_s
        client.max_inflight_messages_set(RECEIVE_MAXIMUM + 1)
        client.will_set(
            will.topic, will.body, will.qos, will.retain, _properties(will, PacketTypes.WILLMESSAGE)
        )
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._client = client

    def start(self) -> None:
        """Begins to connect."""
        threading.Thread(target=self._connect, name="uplink-connect", daemon=True).start()

    def publish(self, publication: Publication) -> int:
        """Hands it over; returns the number that Stored will name. A dead connection takes it and loses it."""
        info = self._client.publish(
            publication.topic,
            publication.body,
            publication.qos,
            publication.retain,
            _properties(publication, PacketTypes.PUBLISH),
        )
        return info.mid

    def close(self, wait_s: float = 2.0) -> None:
        """Ends it, also in the middle of connecting; the broker is asked to publish the will in its time, so that a
        restart within the delay goes unnoticed. Blocks up to `wait_s` for what was handed over to leave."""
        with self._lock:
            self._ended = True
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=4))
        gone = threading.Thread(target=self._client.loop_stop, daemon=True)
        gone.start()
        gone.join(wait_s)
        if gone.is_alive():
            # paho waits for acknowledgements that will not come; without a socket it ends.
            self._shut()

    def _connect(self) -> None:
        endpoint = self._endpoint
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = SESSION_S
        connect.ReceiveMaximum = RECEIVE_MAXIMUM
        try:
            self._client.tls_set_context(context(endpoint.keys, self._alerts))
            self._client.connect(
                endpoint.host, endpoint.port, self._keepalive_s, clean_start=False, properties=connect
            )
        except Exception as error:
            # Whatever a library raises here means the same: no connection this time.
            self._shut()
            self._end(Lost(faults.explain(error, endpoint.host, endpoint.port)))
            return
        with self._lock:
            if not self._ended:
                self._client.loop_start()
                return
        self._shut()

    def _on_socket_open(self, client: Client, data: object, sock: Any) -> None:
        with self._lock:
            if self._ended:
                raise ConnectionAbortedError
        _verdict(sock)
        self._before()

    def _on_connect(
        self,
        client: Client,
        data: object,
        flags: ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._end(Lost(faults.reason(code.value, self._endpoint.host)))
            return
        self._opened = Opened(
            getattr(properties, "ReceiveMaximum", 65_535), getattr(properties, "MaximumPacketSize", None)
        )
        client.subscribe(self._endpoint.topic("ack"), qos=1)

    def _on_subscribe(
        self, client: Client, data: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        if any(code.is_failure for code in codes):
            self._end(Lost(faults.reason(143, self._endpoint.host)))
            self._shut()
        elif self._opened is not None:
            self._tell(self._opened)

    def _on_publish(
        self, client: Client, data: object, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        error = faults.reason(code.value, self._endpoint.host, publishing=True) if code.is_failure else None
        self._tell(Stored(mid, error, heard=code.value != NOBODY_LISTENS))

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            body = bytes(message.payload)
            self._tell(Incoming(message.topic, body if len(body) <= MOST_INCOMING else b""))

    def _on_disconnect(
        self,
        client: Client,
        data: object,
        flags: DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        host = self._endpoint.host
        if flags.is_disconnect_packet_from_server and code.value >= 0x80:
            self._end(Lost(faults.reason(code.value, host)))
        elif self._alerts:
            self._end(Lost(faults.explain(self._alerts[0], host, self._endpoint.port)))
        elif code.value == 141:
            self._end(Lost(faults.silent(host), silent=True))
        else:
            self._end(Lost(faults.closed(host)))

    def _tell(self, news: News) -> None:
        with self._lock:
            if not self._ended:
                self._news(news)

    def _end(self, news: Lost) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                self._news(news)

    def _shut(self) -> None:
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                # paho's name for it covers TLS and web sockets; ours is TLS.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # type: ignore[arg-type]


def _verdict(sock: ssl.SSLSocket) -> None:
    """Raises what the broker thinks of our certificate, before anything is sent. With TLS 1.3 our side of the handshake
    is over before the broker has looked at it; if it likes it, session tickets follow (RFC 8446 section 4.6.1), else
    an alert, which would be lost if we were writing already. A broker that sends neither gets the benefit of the
    doubt. MQTT's server never speaks first, so no octet of it is taken here."""
    if sock.version() == "TLSv1.3" and select.select([sock], [], [], VERDICT_S)[0]:
        try:
            if sock.recv(1) == b"":
                raise ConnectionResetError
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass


def _properties(publication: Publication, packet: int) -> Properties:
    made = Properties(packet)  # type: ignore[no-untyped-call]
    made.ContentType = "application/json"
    said = [("schema", publication.schema)]
    if publication.encoding:
        said.append(("enc", publication.encoding))
    if publication.row is not None:
        # Beside the body, so that a receiver can refuse by number what it cannot read.
        stream, seq = publication.row
        said += [("stream", stream), ("seq", str(seq))]
    made.UserProperty = said
    if publication.expiry_s is not None:
        made.MessageExpiryInterval = publication.expiry_s
    if packet == PacketTypes.WILLMESSAGE:
        made.WillDelayInterval = publication.delay_s
    return made
