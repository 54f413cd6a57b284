# SPDX-License-Identifier: Apache-2.0
"""SNMP v1 and v2c over UDP: one agent, one request in flight.

A reply counts when it comes from the address and port that were asked and carries the id of the request. Everything
else is counted and let be. A repeated request keeps its id, so that a late answer to the first is not lost.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from appliance.collector.ask import ladder, walk
from appliance.collector.wire import message
from appliance.collector.wire.message import DecodeError, Message
from appliance.collector.wire.value import Varbind
from appliance.model.errors import BadReply, NoAnswer
from appliance.model.reading import Traffic

MOST_AT_ONCE = 64
"""Datagrams taken from the socket before others get their turn."""
MOST_EARNED = 4
"""Further tries that an agent which used to answer has coming to it, on top of `retries`."""
REFUSED_PAUSE_S = 0.2


class SnmpAsker:
    """Implements Asker (ask.asker) and Line (ask.line)."""

    def __init__(
        self,
        address: str,
        *,
        port: int = 161,
        community: bytes = b"public",
        version: Literal["1", "2c"] = "2c",
        timeout_s: float = 2.0,
        retries: int = 2,
        quirks: Iterable[str] = (),
    ) -> None:
        """`address` is numeric; ValueError otherwise. With the quirk "v1" version 1 is spoken in any case."""
        ipaddress.ip_address(address)
        self.address = address
        self.port = port
        self.quirks = set(quirks)
        self.faults: Counter[str] = Counter()
        self.bulk_checked = False
        self._community = community
        self._version = message.V1 if version == "1" or "v1" in self.quirks else message.V2C
        self._timeout_s = timeout_s
        self._retries = retries
        self._earned = 0.0
        self._answered = False
        self._traffic = [0, 0, 0, 0]
        self._socket: socket.socket | None = None
        self._peer: tuple[str, int] | tuple[str, int, int, int] = (address, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._request_id = 0
        self._reply: asyncio.Future[Message | str] | None = None
        self._junk = False
        self._patient = False

    @property
    def traffic(self) -> Traffic:
        packets_sent, packets_received, bytes_sent, bytes_received = self._traffic
        return Traffic(
            packets_sent=packets_sent,
            packets_received=packets_received,
            bytes_sent=bytes_sent,
            bytes_received=bytes_received,
        )

    @property
    def version(self) -> Literal["1", "2c"]:
        """The version it speaks."""
        return "2c" if self._version == message.V2C else "1"

    @property
    def has_bulk(self) -> bool:
        return self._version != message.V1

    @property
    def overhead(self) -> int:
        return message.overhead(self._community)

    @property
    def answered(self) -> bool:
        return self._answered

    async def get(self, oids: Sequence[str], *, sizes: Sequence[int] = ()) -> list[Varbind]:
        return await ladder.get(self, oids, sizes)

    async def walk(self, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
        return await walk.walk(self, roots, most)

    async def close(self) -> None:
        if self._socket is not None:
            assert self._loop is not None
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def ask(
        self, pdu_type: int, oids: Sequence[str], *, max_repetitions: int = 0, tries: int | None = None
    ) -> Message:
        """The response to one request, whatever its error status. `tries` instead of 1 + retries. NoAnswer when
        none came, BadReply when all that came could not be read."""
        async with self._lock:
            sock = self._socket or self._open()
            assert self._loop is not None
            self._request_id = random.randint(0x0100_0000, 0x7FFF_FFFF)  # always four octets
            data = message.encode_request(
                self._version,
                self._community,
                pdu_type,
                self._request_id,
                oids,
                max_repetitions=max_repetitions,
            )
            if tries is None:
                tries = 1 + self._retries + int(self._earned)
            self._junk = False
            why = ""
            for left in reversed(range(tries)):
                self._reply = self._loop.create_future()
                # Junk cuts the waiting short, but after the last try there is time for the true answer behind it.
                self._patient = left == 0
                if why := self._send(sock, data):
                    break
                timer = self._loop.call_later(self._timeout_s, _settle, self._reply, "silent")
                try:
                    reply = await self._reply
                finally:
                    timer.cancel()
                    self._reply = None
                if isinstance(reply, Message):
                    self._earned = min(MOST_EARNED, self._earned + 0.25)
                    return reply
                self._earned = max(0.0, self._earned - 1)
                why = reply
                if why == "refused" and left:
                    await asyncio.sleep(min(REFUSED_PAUSE_S, self._timeout_s))
            raise self._failure("malformed" if self._junk else why, tries)

    def _failure(self, why: str, tries: int) -> NoAnswer | BadReply:
        where = f"{self.address} (port {self.port})"
        if why == "malformed":
            return BadReply(f"{where} answers with what is no SNMP message")
        if why == "refused":
            return NoAnswer(
                f"{where} does not listen there", hint="Switch SNMP on at the printer, or name its port"
            )
        if why == "silent":
            times = "once" if tries == 1 else f"{tries} times"
            return NoAnswer(f"{where} did not answer, asked {times} for {self._timeout_s:g} s")
        return NoAnswer(f"There is no way to {where}: {why}", hint="Check the network and the address")

    def _open(self) -> socket.socket:
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            # So that "nothing listens there" is heard at once, though the socket hears every address.
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
                # Resolves nothing; turns "%eth0" of a link-local address into a number.
                info = socket.getaddrinfo(
                    self.address, self.port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST
                )
                self._peer = info[0][4]  # type: ignore[assignment]  # an IPv6 socket address has four parts
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
                self._peer = (str(ipaddress.ip_address(self.address)), self.port)
        except OSError as e:
            sock.close()
            raise NoAnswer(f"There is no way to {self.address}: {e.strerror or e}") from None
        self._loop.add_reader(sock, self._readable)
        self._socket = sock
        return sock

    def _send(self, sock: socket.socket, data: bytes) -> str:
        """ "" or why it could not be sent. A full send buffer is a lost packet like others."""
        for _ in range(2):
            try:
                sock.sendto(data, self._peer)
            except BlockingIOError:
                return ""
            except OSError as e:
                _forget_errors(sock)  # it may be an older datagram's
                why = (e.strerror or str(e)).lower()
            else:
                self._traffic[0] += 1
                self._traffic[2] += len(data)
                return ""
        return why

    def _readable(self) -> None:
        sock = self._socket
        for _ in range(MOST_AT_ONCE):
            if sock is None:
                return
            try:
                data, source = sock.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError as e:
                _forget_errors(sock)
                if self._reply is not None and e.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH):
                    _settle(self._reply, "refused" if e.errno == errno.ECONNREFUSED else "silent")
                return
            self._traffic[1] += 1
            self._traffic[3] += len(data)
            self._take(data, source)

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        if source[:2] != self._peer[:2]:
            self.faults["wrong-source"] += 1
            return
        try:
            reply = message.decode_message(data)
        except DecodeError:
            self.faults["malformed"] += 1
            self._junk = True
            if self._reply is not None and not self._patient:
                _settle(self._reply, "malformed")
            return
        if reply.pdu_type != message.RESPONSE or reply.version != self._version:
            self.faults["no-response"] += 1
        elif self._reply is None or self._reply.done() or reply.request_id != self._request_id:
            self.faults["wrong-id"] += 1
        else:
            self._answered = True
            self._reply.set_result(reply)


_IP_RECVERR = 11
_IPV6_RECVERR = 25
_MSG_ERRQUEUE = 0x2000
# linux/in.h, linux/in6.h and linux/socket.h; Python names none of the three


def _settle(reply: asyncio.Future[Message | str], what: str) -> None:
    if not reply.done():
        reply.set_result(what)


def _forget_errors(sock: socket.socket) -> None:
    """Empty the queue of errors, or the socket stays readable for ever."""
    try:
        while True:
            sock.recvmsg(0, 512, _MSG_ERRQUEUE)
    except OSError:
        return
