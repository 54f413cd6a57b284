# SPDX-License-Identifier: Apache-2.0
"""Asking many addresses one question: one socket of each family, no state for a question on its way.

The request id carries the address: a reply counts when its id and its source agree. Those that stay silent to v2c are
asked once more in v1, which most agents speak beside it. A silent address costs 86 octets, an answering one about 96.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
from array import array
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Literal, NamedTuple

from appliance.collector.wire import message
from appliance.collector.wire.message import DecodeError
from appliance.collector.wire.value import Varbind
from appliance.model.targets import Address

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
PRINTER_MIB = "1.3.6.1.2.1.43"

BUFFER = 4 << 20
"""Datagrams to addresses whose hardware address is not known yet wait in the send buffer: with the usual one most of
an attached network would never be asked."""
MOST_IN_A_ROW = 32
"""Sent before others get their turn."""
MOST_READ = 256
FULL_SPEED = 10_000

_ID_FIRST = 0x0100_0000
_ID_SPAN = 0x7E00_0000
# Ids of always four octets: every question is as long as every other.


class Answer(NamedTuple):
    """`version` is the one it answered first: "1" may also mean that the v2c question was lost."""

    address: Address
    version: Literal["1", "2c"]
    varbinds: list[Varbind]
    rtt_s: float


class Progress(NamedTuple):
    """`asked` of `total` questions are out; both count the second pass once it is known."""

    asked: int
    total: int


async def sweep(
    addresses: Iterable[Address],
    *,
    port: int = 161,
    community: bytes = b"public",
    rate: float = FULL_SPEED,
    timeout_s: float = 1.0,
    question: Literal["sysObjectID", "printer"] = "sysObjectID",
    versions: tuple[Literal["1", "2c"], ...] = ("2c", "1"),
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncIterator[Answer]:
    """Each address that answers, once, as it answers; `rate` questions a second at the most. "sysObjectID" asks for
    that object, "printer" for the first object of the Printer-MIB, which any printer has (RFC 3805). `timeout_s` is
    how long a pass waits for answers after its last question."""
    run = _Sweep(list(dict.fromkeys(addresses)), port, community, question)
    try:
        asker = asyncio.ensure_future(run.ask(versions, rate, timeout_s, on_progress))
        try:
            while (answer := await run.answers.get()) is not None:
                yield answer
            await asker
        finally:
            asker.cancel()
            await asyncio.gather(asker, return_exceptions=True)
    finally:
        run.close()


class _Sweep:
    def __init__(self, addresses: list[Address], port: int, community: bytes, question: str) -> None:
        self.answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._addresses = addresses
        self._port = port
        self._base = random.randrange(_ID_SPAN)
        self._sent_at = array("d", bytes(8 * len(addresses)))
        self._answered = bytearray(len(addresses))
        self._unanswered = len(addresses)
        self._complete = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[int, socket.socket] = {}
        self._versions: dict[Literal["1", "2c"], int] = {"1": message.V1, "2c": message.V2C}
        pdu_type = message.GET if question == "sysObjectID" else message.GETNEXT
        oid = SYS_OBJECT_ID if question == "sysObjectID" else PRINTER_MIB
        # The id is the only thing that differs between two questions.
        self._templates = {
            name: message.encode_request(number, community, pdu_type, _ID_FIRST, [oid])
            for name, number in self._versions.items()
        }
        self._id_at = self._templates["2c"].index(_ID_FIRST.to_bytes(4, "big"))
        self._under = None if question == "sysObjectID" else PRINTER_MIB + "."

    async def ask(
        self,
        versions: tuple[Literal["1", "2c"], ...],
        rate: float,
        timeout_s: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        try:
            asked = 0
            for version in versions:
                silent = [i for i in range(len(self._addresses)) if not self._answered[i]]
                total = asked + len(silent)
                started = self._loop.time()
                for number, index in enumerate(silent):
                    wait = started + number / rate - self._loop.time()
                    if wait > 0:
                        await asyncio.sleep(wait)
                    elif number % MOST_IN_A_ROW == 0:
                        await asyncio.sleep(0)
                    await self._send(index, version)
                    asked += 1
                    if on_progress is not None:
                        on_progress(Progress(asked, total))
                # Late answers are waited for; not at all where every address has answered.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_s if self._unanswered else 0):
                        await self._complete.wait()
        finally:
            self.answers.put_nowait(None)

    async def _send(self, index: int, version: Literal["1", "2c"]) -> None:
        address = self._addresses[index]
        sock = self._sockets.get(address.version) or self._open(address.version)
        template = self._templates[version]
        request_id = _ID_FIRST + (self._base + index) % _ID_SPAN
        at = self._id_at
        data = template[:at] + request_id.to_bytes(4, "big") + template[at + 4 :]
        for _ in range(50):
            self._sent_at[index] = self._loop.time()
            try:
                sock.sendto(data, (str(address), self._port))
            except OSError as e:
                # A full send buffer empties by itself; what cannot be reached stays silent.
                if e.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    return
                await asyncio.sleep(0.02)
            else:
                return

    def _open(self, family: int) -> socket.socket:
        sock = socket.socket(
            socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        )
        for forced, usual in ((32, socket.SO_SNDBUF), (33, socket.SO_RCVBUF)):
            # SO_SNDBUFFORCE and SO_RCVBUFFORCE go beyond the system's limit where we may.
            try:
                sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER)
            except OSError:
                sock.setsockopt(socket.SOL_SOCKET, usual, BUFFER)
        self._loop.add_reader(sock, self._readable, sock)
        self._sockets[family] = sock
        return sock

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(MOST_READ):
            try:
                data, source = sock.recvfrom(65_535)
            except OSError:
                return
            self._take(data, source)

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            reply = message.decode_message(data)
        except DecodeError:
            return
        index = (reply.request_id - _ID_FIRST - self._base) % _ID_SPAN
        if (
            reply.pdu_type != message.RESPONSE
            or not _ID_FIRST <= reply.request_id < _ID_FIRST + _ID_SPAN
            or index >= len(self._addresses)
            or self._answered[index]
            or not self._sent_at[index]
            or source[0] != str(self._addresses[index])
            or source[1] != self._port
        ):
            return
        self._answered[index] = 1
        self._unanswered -= 1
        if not self._unanswered:
            self._complete.set()
        varbinds = reply.varbinds
        if self._under is not None:
            varbinds = [v for v in varbinds if v.oid.startswith(self._under)]
        version: Literal["1", "2c"] = "1" if reply.version == message.V1 else "2c"
        rtt = self._loop.time() - self._sent_at[index]
        self.answers.put_nowait(Answer(self._addresses[index], version, varbinds, rtt))

    def close(self) -> None:
        for sock in self._sockets.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets.clear()
