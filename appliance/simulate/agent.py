# SPDX-License-Identifier: Apache-2.0
"""From a request to the reply, as RFC 3416 (v2c) and RFC 1157 (v1) say. Pure; time and sockets are elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from appliance.collector.wire import ber
from appliance.collector.wire.message import (
    GET,
    GETBULK,
    GETNEXT,
    NO_ERROR,
    NO_SUCH_NAME,
    RESPONSE,
    TOO_BIG,
    V1,
    DecodeError,
    Message,
    decode_message,
    encode_varbind,
    patch_request,
)
from appliance.collector.wire.value import COUNTER64, END_OF_MIB_VIEW
from appliance.simulate.behaviour import Behaviour, Reply, Step
from appliance.simulate.mib import Mib

SET = 0xA3
NOT_WRITABLE = 17
GEN_ERR = 5
# The three length fields around the varbinds grow by two octets each on the way to a full datagram.
_LENGTHS = 6


class Asked(NamedTuple):
    """A request as it is counted: `pdu_type` is 0 where the octets are none. `reply` is None for silence."""

    pdu_type: int
    known: bool
    reply: bytes | None


class Agent:
    """Answers for one device."""

    def __init__(self, mib: Mib, behaviour: Behaviour) -> None:
        self.mib = mib
        self.behaviour = behaviour
        self._lie = behaviour.lying
        self._community = behaviour.community.encode()

    def ask(self, data: bytes) -> Asked:
        """What one datagram brings forth."""
        try:
            message = decode_message(data)
            pdu_type = message.pdu_type
        except DecodeError:
            found = _as_set(data)
            if found is None:
                return Asked(0, False, None)
            message, pdu_type = found, SET
        if message.community != self._community or (self.behaviour.v1 and message.version != V1):
            return Asked(pdu_type, False, None)
        reply = self._reply(message, pdu_type)
        return Asked(pdu_type, True, None if reply is None else self._octets(message, reply))

    def _reply(self, message: Message, pdu_type: int) -> Reply | None:
        b = self.behaviour
        if pdu_type == SET:
            return self._refused(message, NO_SUCH_NAME if message.version == V1 else NOT_WRITABLE, 1)
        if b.max_varbinds and pdu_type != GETBULK and len(message.varbinds) > b.max_varbinds:
            return self._too_big(message) if b.beyond == "tooBig" else None
        if pdu_type == GET:
            return self._get(message)
        if pdu_type == GETNEXT:
            return self._getnext(message)
        if pdu_type == GETBULK and message.version != V1:
            if b.no_bulk:
                return self._refused(message, GEN_ERR, 1) if b.no_bulk == "genErr" else None
            return self._getbulk(message)
        return None

    def _octets(self, message: Message, reply: Reply) -> bytes:
        if self._lie and self._lie.reply:
            reply = self._lie.reply(message, reply)
        octets = _encode(message, reply)
        if len(octets) > self.behaviour.max_size and message.pdu_type != GETBULK and not reply.error_status:
            octets = _encode(message, self._too_big(message))
        return self._lie.octets(octets) if self._lie and self._lie.octets else octets

    def _get(self, message: Message) -> Reply:
        index, octets, mib = self.mib.index, self.mib.octets, self.mib
        body = []
        for number, (oid, _, _) in enumerate(message.varbinds, 1):
            at = index.get(oid)
            if message.version == V1 and (at is None or mib.varbinds[at].tag == COUNTER64):
                return self._refused(message, NO_SUCH_NAME, number)
            body.append(octets[at] if at is not None else encode_varbind(oid, mib.missing(oid), None))
        return Reply(message.community, message.request_id, NO_ERROR, 0, body)

    def _getnext(self, message: Message) -> Reply:
        body = []
        for number, (oid, _, _) in enumerate(message.varbinds, 1):
            step = self._step(oid, message.version)
            if step is None and message.version == V1:
                return self._refused(message, NO_SUCH_NAME, number)
            body.append(step.octets if step else encode_varbind(oid, END_OF_MIB_VIEW, None))
        return Reply(message.community, message.request_id, NO_ERROR, 0, body)

    def _getbulk(self, message: Message) -> Reply:
        """RFC 3416, 4.2.3: first the non-repeaters, then rows of the repeaters until the datagram is full."""
        single = min(max(message.error_status, 0), len(message.varbinds))
        room = self.behaviour.max_size - _LENGTHS
        room -= len(
            patch_request(message.version, message.community, RESPONSE, message.request_id, b"", 0, 0)
        )
        names = [v.oid for v in message.varbinds]
        body: list[bytes] = []
        most = self.behaviour.max_varbinds or 1 << 16

        def put(names: list[str]) -> tuple[list[str], bool]:
            """One row. Where it goes on, and whether it was whole and not all of it beyond the end."""
            nonlocal room
            onward: list[str] = []
            alive = False
            for name in names:
                step = self._step(name, message.version)
                octets = step.octets if step else encode_varbind(name, END_OF_MIB_VIEW, None)
                room -= len(octets)
                if room < 0 or len(body) >= most:
                    return onward, False
                body.append(octets)
                onward.append(step.name if step else name)
                alive = alive or step is not None
            return onward, alive

        put(names[:single])
        row, goes_on = names[single:], bool(names[single:]) and room > 0
        for _ in range(max(message.error_index, 0)):
            if not goes_on:
                break
            row, goes_on = put(row)
        return Reply(message.community, message.request_id, NO_ERROR, 0, body)

    def _step(self, oid: str, version: int) -> Step | None:
        mib = self.mib
        if self._lie and self._lie.step:
            return self._lie.step(mib, oid)
        at = mib.after_in_v1(oid) if version == V1 else mib.after(oid)
        return Step(mib.oids[at], mib.octets[at]) if at < len(mib.oids) else None

    def _refused(self, message: Message, error: int, number: int) -> Reply:
        """An error that hands the request's own varbinds back."""
        body = [encode_varbind(*v) for v in message.varbinds]
        return Reply(message.community, message.request_id, error, number, body)

    def _too_big(self, message: Message) -> Reply:
        if message.version == V1:
            return self._refused(message, TOO_BIG, 0)
        return Reply(message.community, message.request_id, TOO_BIG, 0, [])


def _encode(message: Message, reply: Reply) -> bytes:
    return patch_request(
        message.version,
        reply.community,
        RESPONSE,
        reply.request_id,
        b"".join(reply.body),
        reply.error_status,
        reply.error_index,
    )


def _as_set(data: bytes) -> Message | None:
    """A SET, which the codec refuses to know, read as if it were a GET."""
    try:
        at, end = ber.read_header(data, 0, len(data), 0x30)
        _, at = ber.read_integer(data, at, end)
        _, at = ber.read_header(data, at, end, 0x04)
        if at >= end or data[at] != SET:
            return None
        return decode_message(data[:at] + bytes((GET,)) + data[at + 1 :])
    except DecodeError:
        return None
