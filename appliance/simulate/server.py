# SPDX-License-Identifier: Apache-2.0
"""Sockets of the simulated devices.

Loopback addresses of IPv4, thousands if need be, share one socket on 0.0.0.0: IP_PKTINFO (ip(7)) tells which of
them was asked and makes the reply leave from it. Any other address has a socket of its own.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from appliance.model.errors import UsageError
from appliance.model.targets import Address
from appliance.simulate import behaviour as behaviours
from appliance.simulate import statistics
from appliance.simulate.agent import Agent
from appliance.simulate.behaviour import Behaviour
from appliance.simulate.live import Live
from appliance.simulate.mib import Mib

# Python 3.11's socket module lacks these names; the numbers are Linux's.
_IP_PKTINFO = 8
_SO_TIMESTAMPNS = 35
_PKTINFO = struct.Struct("=I4s4s")
_TIMESPEC = struct.Struct("=qq")
_ANCILLARY = 128
_BUFFER = 4 * 1024 * 1024
_AT_ONCE = 64
"""Datagrams taken from a socket before others get their turn."""


class Station:
    """One device at one address."""

    def __init__(
        self,
        name: str,
        address: Address,
        mib: Mib,
        behaviour: Behaviour,
        *,
        between_jobs: float | None = None,
    ) -> None:
        self.name, self.address, self.behaviour = name, address, behaviour
        moves = between_jobs is not None or behaviour.restart_on_burst > 0
        self.agent = Agent(mib.copy() if moves else mib, behaviour)
        self.counts = statistics.Counts()
        seed = f"{name} {address}"
        self.live = Live(self.agent.mib, seed, time.monotonic(), between_jobs) if moves else None
        self._random = Random(seed)
        self._silent_until = self._awake_at = self._last_asked = float("-inf")
        self._pending: dict[bytes, int] = {}
        self._last, self._answered_ns = b"", 0

    def ask(self, data: bytes, arrived_ns: int) -> tuple[float, bytes] | None:
        """(seconds from now, reply), or None for silence."""
        b, now = self.behaviour, time.monotonic()
        recent = self.counts.received(len(data), arrived_ns)
        asked = self.agent.ask(data) if not self.live else self._moved(data, now)
        self.counts.asked(asked.pdu_type, asked.known)
        if not asked.known or b.down or now < self._silent_until:
            return None
        # A request that came while the one before had no answer yet; the same one again is a retry.
        early = arrived_ns < self._answered_ns and data != self._last
        if early or (self._pending and data not in self._pending):
            self.counts.overlaps += 1
        if b.restart_on_burst and recent > b.restart_on_burst and self.live:
            self.counts.restarts += 1
            self._silent_until = now + behaviours.RESTART_S
            self.live.restarted(self._silent_until)
            return None
        if asked.reply is None:
            return None
        if b.prompt:
            return 0.0, asked.reply
        if b.loss and self._random.random() < b.loss:
            return None
        return b.delay + b.jitter * self._random.random() + self._asleep(now), asked.reply

    def holds(self, data: bytes) -> None:
        """The answer to this waits."""
        self._pending[data] = self._pending.get(data, 0) + 1

    def lets_go(self, data: bytes) -> None:
        """The answer to this leaves now."""
        self._pending[data] -= 1
        if not self._pending[data]:
            del self._pending[data]

    def answered(self, data: bytes, octets: int, at_ns: int) -> None:
        """The answer to this left at this moment of Unix time."""
        self._last, self._answered_ns = data, at_ns
        self.counts.sent(octets)

    def _moved(self, data: bytes, now: float) -> Any:
        assert self.live
        self.live.update(now)
        return self.agent.ask(data)

    def _asleep(self, now: float) -> float:
        """Seconds until a sleeping device has woken up."""
        if not self.behaviour.sleep:
            return 0.0
        if now - self._last_asked > behaviours.SLEEPS_AGAIN_S:
            self._awake_at = now + self.behaviour.sleep
        self._last_asked = now
        return max(self._awake_at - now, 0.0)


class Server:
    """Serves stations until closed. `async with Server(stations, port) as server`; `port` 0 takes a free one."""

    def __init__(self, stations: Iterable[Station], port: int) -> None:
        self.stations = list(stations)
        self.port = port
        self._by_address = {s.address.packed: s for s in self.stations}
        self._unserved = statistics.Unserved()
        self._sockets: list[socket.socket] = []

    async def __aenter__(self) -> Server:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Bind, and answer from the running loop. UsageError where an address is taken or not this machine's."""
        loop = asyncio.get_running_loop()
        shared = [s for s in self.stations if _shares(s.address)]
        try:
            if shared:
                sock = self._bind(socket.AF_INET, "0.0.0.0", shared[0].address)
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
                loop.add_reader(sock, self._read_shared, sock)
            for station in self.stations:
                if _shares(station.address):
                    continue
                family = socket.AF_INET if station.address.version == 4 else socket.AF_INET6
                sock = self._bind(family, str(station.address), station.address)
                loop.add_reader(sock, self._read_own, sock, station)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop answering. Replies that still wait are dropped."""
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def go_home(self) -> None:
        """Nobody prints any more."""
        for station in self.stations:
            if station.live:
                station.live.go_home(time.monotonic())

    def statistics(self) -> dict[str, Any]:
        """What was asked so far (statistics.report)."""
        counts = {str(s.address): (s.name, s.counts) for s in self.stations}
        return statistics.report(counts, self._unserved)

    def _bind(self, family: socket.AddressFamily, host: str, wanted: Address) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(sock)
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            sock.bind((host, self.port))
        except OSError as e:
            raise _cannot_listen(e, wanted, self.port) from None
        self.port = sock.getsockname()[1]
        return sock

    def _read_shared(self, sock: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, asker = sock.recvmsg(65_535, _ANCILLARY)
            except OSError:
                return
            arrived, asked = _ancillary(ancillary)
            station = self._by_address.get(asked)
            if station is None:
                self._unserved.received(asked, len(data))
                continue
            source = _moved_source(station)

            def send(reply: bytes, asker: Any = asker, source: bytes = source) -> None:
                info = _PKTINFO.pack(0, source, bytes(4))
                sock.sendmsg([reply], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, asker)

            self._answer(station, data, arrived, send)

    def _read_own(self, sock: socket.socket, station: Station) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, asker = sock.recvmsg(65_535, _ANCILLARY)
            except OSError:
                return

            def send(reply: bytes, asker: Any = asker) -> None:
                if station.behaviour.lying and station.behaviour.lying.source:
                    # Another address may not exist here; another port is as wrong a source.
                    with socket.socket(sock.family, socket.SOCK_DGRAM) as other:
                        other.sendto(reply, asker)
                else:
                    sock.sendto(reply, asker)

            self._answer(station, data, _ancillary(ancillary)[0], send)

    def _answer(self, station: Station, data: bytes, arrived: int, send: Callable[[bytes], None]) -> None:
        answer = station.ask(data, arrived)
        if answer is None:
            return
        wait, reply = answer
        if not wait:
            _send(station, data, reply, send)
            return

        def later() -> None:
            station.lets_go(data)
            if self._sockets:
                _send(station, data, reply, send)

        station.holds(data)
        asyncio.get_running_loop().call_later(wait, later)


def _send(station: Station, data: bytes, reply: bytes, send: Callable[[bytes], None]) -> None:
    # The moment before, because on loopback the next request can be here before sendmsg returns.
    now = time.time_ns()
    try:
        send(reply)
    except OSError:
        return  # the asker is gone, or its buffer full: a reply lost like any other
    station.answered(data, len(reply), now)


def _ancillary(messages: Sequence[tuple[int, int, bytes]]) -> tuple[int, bytes]:
    """(arrival in nanoseconds of Unix time, address that was asked)."""
    arrived, asked = 0, b""
    for level, kind, data in messages:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            arrived = seconds * 1_000_000_000 + nanoseconds
        elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            asked = data[8:12]  # ipi_addr, the destination in the packet's header
    return arrived or time.time_ns(), asked


def _moved_source(station: Station) -> bytes:
    lie = station.behaviour.lying
    return (station.address + 1 if lie and lie.source else station.address).packed


def _shares(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv4Address) and address.is_loopback


def _cannot_listen(error: OSError, address: Address, port: int) -> UsageError:
    where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"UDP port {port} is taken, so nothing can answer at {where}",
            hint="Give another one with --listen ADDR:PORT",
            code="address-in-use",
        )
    if error.errno == errno.EACCES:
        return UsageError(f"Port {port} is for root only", hint="Give one above 1023 with --listen ADDR:PORT")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"{address} is not an address of this machine",
            hint="Give a loopback address such as 127.0.0.1, or one that this machine has",
        )
    return UsageError(f"Nothing can answer at {where}: {error.strerror}")
