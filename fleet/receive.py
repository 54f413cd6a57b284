# SPDX-License-Identifier: Apache-2.0
"""From what the broker delivered to a message, or to the reason why not. Pure, and bounded before it looks inside."""

from __future__ import annotations

import io

import msgspec
import zstandard

from appliance.model import messages
from appliance.model.clock import unix
from appliance.model.messages import Event, Heartbeat, Readings, State, Up

MOST_RECORDS = 2_000
_KINDS = {topic: schema for schema, topic in messages.TOPIC.items() if topic != "ack"}
_MOST_INTEGER = 2**63 - 1


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One PUBLISH packet. `properties` are its user properties, `received` RFC 3339."""

    topic: str
    payload: bytes
    properties: dict[str, str]
    retained: bool
    received: str


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A message of `box`; the topic, which the broker guards, and the body agree."""

    arrival: Arrival
    box: str
    message: Up


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A message that can never be taken, and why. `stream` and `seq` are known where the sender said them; without
    them nobody can be answered."""

    arrival: Arrival
    box: str | None
    reason: str
    stream: str | None = None
    seq: int | None = None


def decode(arrival: Arrival, tenant: str) -> Taken | Refused:
    """The message in `arrival`. Never raises: what cannot be read is refused with the reason."""
    box: str | None = None
    try:
        box, kind = _address(arrival.topic, tenant)
        message = _message(arrival, kind)
        _check(message, box)
    except _Refusal as refusal:
        stream, seq = _number(arrival.properties)
        return Refused(arrival=arrival, box=box, reason=str(refusal), stream=stream, seq=seq)
    return Taken(arrival=arrival, box=box, message=message)


class _Refusal(Exception):
    pass


def _address(topic: str, tenant: str) -> tuple[str, str]:
    levels = topic.split("/")
    if len(levels) != 4 or levels[:2] != ["v1", tenant] or not _is_name(levels[2]):
        raise _Refusal(f"No message belongs on the topic {topic[:120]!r}")
    if levels[3] not in _KINDS:
        raise _Refusal(f"No message belongs on the topic {topic[:120]!r}")
    return levels[2], _KINDS[levels[3]]


def _message(arrival: Arrival, schema: str) -> Up:
    if len(arrival.payload) > messages.MAX_BODY:
        raise _Refusal(
            f"{len(arrival.payload)} octets are more than the {messages.MAX_BODY} a message may have"
        )
    said = arrival.properties.get("schema", schema)
    if said != schema:
        raise _Refusal(f"The schema {said[:60]!r} is not {schema!r}")
    kind = messages.MESSAGES[schema]
    try:
        message = msgspec.json.decode(_unpack(arrival), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A validation error is a DecodeError too; its text names the field. Octets that are no UTF-8 are not.
        raise _Refusal(f"The body does not follow {schema}: {str(error)[:160]}") from None
    assert isinstance(message, Readings | Event | State | Heartbeat)
    if message.schema != schema:
        raise _Refusal(f"The body says {message.schema[:60]!r}, its topic {schema!r}")
    return message


def _unpack(arrival: Arrival) -> bytes:
    encoding = arrival.properties.get("enc", "")
    if encoding == "":
        return arrival.payload
    if encoding != "zstd":
        raise _Refusal(f"The encoding {encoding[:40]!r} is unknown")
    unpacker = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    try:
        with unpacker.stream_reader(io.BytesIO(arrival.payload)) as reader:
            body = reader.read(messages.MAX_DECODED + 1)
    except (zstandard.ZstdError, MemoryError):
        raise _Refusal("The body is not zstd") from None
    if len(body) > messages.MAX_DECODED:
        raise _Refusal(f"The body unpacks to more than {messages.MAX_DECODED} octets")
    return body


def _check(message: Up, box: str) -> None:
    if message.box != box:
        raise _Refusal(f"The body speaks for {message.box[:60]!r} on the topic of {box!r}")
    if isinstance(message, Readings | Event) and not (
        _is_name(message.stream) and 0 < message.seq <= _MOST_INTEGER
    ):
        raise _Refusal("The stream or the sequence number is out of bounds")
    if isinstance(message, Readings):
        if len(message.records) > MOST_RECORDS:
            raise _Refusal(
                f"{len(message.records)} records are more than the {MOST_RECORDS} a message may have"
            )
        for record in message.records:
            body = record.full or record.change
            if body is None or not _is_name(record.printer):
                raise _Refusal("A record names no printer or says nothing")
            _moment(body.time)
            if any(abs(meter.value) > _MOST_INTEGER for meter in body.meters or ()):
                raise _Refusal("A meter is out of bounds")
    else:
        _moment(message.stamp.time)
    if isinstance(message, Event) and message.printer is not None and not _is_name(message.printer):
        raise _Refusal("The event's printer is out of bounds")


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 64 and text.isprintable() and not set(text) & set("/+#")


def _moment(text: str) -> None:
    try:
        if len(text) <= 40 and text.endswith("Z"):
            unix(text)
            return
    except (ValueError, OverflowError):
        pass
    raise _Refusal(f"{text[:40]!r} is not a time in UTC")


def _number(properties: dict[str, str]) -> tuple[str | None, int | None]:
    """Stream and sequence number as the sender put them beside the body: all there is when the body is broken."""
    stream, seq = properties.get("stream", ""), properties.get("seq", "")
    if not _is_name(stream) or not (seq.isascii() and seq.isdigit() and len(seq) <= 18):
        return None, None
    return stream, int(seq)
