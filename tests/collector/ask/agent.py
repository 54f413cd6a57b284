# SPDX-License-Identifier: Apache-2.0
"""Agents for the tests: one that behaves, and a way to make it misbehave."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from appliance.collector.wire import message
from appliance.collector.wire.message import Message, encode_response
from appliance.collector.wire.value import (
    END_OF_MIB_VIEW,
    INTEGER,
    NO_SUCH_INSTANCE,
    OCTET_STRING,
    Varbind,
    oid_key,
)

Handler = Callable[[Message], "bytes | Sequence[bytes] | None"]


class Tree:
    """RFC 3416 by the book: GET, GETNEXT, GETBULK of some varbinds, with a largest response."""

    def __init__(
        self, varbinds: Sequence[Varbind], *, most_octets: int = 1_472, most_varbinds: int = 10_000
    ) -> None:
        self.varbinds = sorted(varbinds, key=lambda v: oid_key(v.oid))
        self.keys = [oid_key(v.oid) for v in self.varbinds]
        self.by_oid = {v.oid: v for v in self.varbinds}
        self.most_octets = most_octets
        self.most_varbinds = most_varbinds
        self.asked: list[Message] = []

    def __call__(self, request: Message) -> bytes:
        self.asked.append(request)
        return self.answer(request)

    def answer(self, request: Message) -> bytes:
        if len(request.varbinds) > self.most_varbinds:
            return self.error(request, message.TOO_BIG, 0)
        v1 = request.version == message.V1
        found: list[Varbind] = []
        if request.pdu_type == message.GETBULK:
            assert not v1
            cursors = [v.oid for v in request.varbinds]
            for _ in range(request.error_index):
                row = [self.next(c) for c in cursors]
                if self.size(request, found + row) > self.most_octets:
                    break
                found += row
                cursors = [v.oid for v in row]
            if not found:
                return self.error(request, message.TOO_BIG, 0)
            return reply(request, found)
        for index, asked in enumerate(request.varbinds, 1):
            got = self.next(asked.oid) if request.pdu_type == message.GETNEXT else self.by_oid.get(asked.oid)
            if v1 and (got is None or got.tag == END_OF_MIB_VIEW):
                return self.error(request, message.NO_SUCH_NAME, index)
            found.append(got or Varbind(asked.oid, NO_SUCH_INSTANCE, None))
        if self.size(request, found) > self.most_octets:
            return self.error(request, message.TOO_BIG, 0)
        return reply(request, found)

    def next(self, oid: str) -> Varbind:
        at = bisect_right(self.keys, oid_key(oid))
        return self.varbinds[at] if at < len(self.keys) else Varbind(oid, END_OF_MIB_VIEW, None)

    @staticmethod
    def size(request: Message, found: list[Varbind]) -> int:
        return message.overhead(request.community) + sum(
            message.varbind_size(v.oid, message.value_size(v)) for v in found
        )

    @staticmethod
    def error(request: Message, status: int, index: int) -> bytes:
        return encode_response(
            request.version, request.community, request.request_id, status, index, request.varbinds
        )


def reply(request: Message, varbinds: Sequence[Varbind]) -> bytes:
    return encode_response(request.version, request.community, request.request_id, 0, 0, varbinds)


@asynccontextmanager
async def agent(handler: Handler, *, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve `handler` on a free port, which is yielded. An exception in the handler fails the test."""
    failures: list[BaseException] = []

    class Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
            try:
                out = handler(message.decode_message(data))
            except Exception as e:
                failures.append(e)
                return
            for packet in [out] if isinstance(out, bytes) else out or []:
                self.transport.sendto(packet, source)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=(host, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
    if failures:
        raise failures[0]


def printer(rows: int = 4, columns: int = 9) -> list[Varbind]:
    """A small tree with the shapes that occur: scalars, a table of one row, of several rows, of two indices."""
    out = [Varbind(f"1.3.6.1.2.1.1.{i}.0", OCTET_STRING, f"system {i}".encode()) for i in range(1, 7)]
    out += [Varbind(f"1.3.6.1.2.1.43.5.1.1.{c}.1", INTEGER, c) for c in range(1, 20)]
    for c in range(1, columns + 1):
        out += [
            Varbind(f"1.3.6.1.2.1.43.11.1.1.{c}.1.{r}", OCTET_STRING, b"x" * (3 * r))
            for r in range(1, rows + 1)
        ]
    out += [Varbind(f"1.3.6.1.2.1.43.16.5.1.2.{d}.{r}", INTEGER, d * r) for d in (1, 2) for r in (1, 2, 3)]
    out += [Varbind(f"1.3.6.1.4.1.2435.2.3.9.{c}.{r}.0", INTEGER, c) for c in (1, 4, 100) for r in (1, 2)]
    return sorted(out, key=lambda v: oid_key(v.oid))
