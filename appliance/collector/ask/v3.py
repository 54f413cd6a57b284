# SPDX-License-Identifier: Apache-2.0
"""SNMPv3 with the user-based security model (RFC 3414, 3826, 7860), by pysnmp.

pysnmp keeps users by name, so each set of keys has an engine of its own, which all printers with these keys share for
the life of the process. An engine reads its MIB files when it is made: that happens in a thread, not in the loop.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pyasn1.error import PyAsn1Error  # type: ignore[import-untyped]
from pysnmp.carrier.asyncio.dgram import udp, udp6  # type: ignore[import-untyped]
from pysnmp.entity import config  # type: ignore[import-untyped]
from pysnmp.entity.engine import SnmpEngine  # type: ignore[import-untyped]
from pysnmp.entity.rfc3413 import cmdgen  # type: ignore[import-untyped]
from pysnmp.error import PySnmpError  # type: ignore[import-untyped]
from pysnmp.proto import errind  # type: ignore[import-untyped]
from pysnmp.proto.api import v2c  # type: ignore[import-untyped]

from appliance.collector.ask import ladder, walk
from appliance.collector.wire import message
from appliance.collector.wire.message import Message
from appliance.collector.wire.value import MISSING, OBJECT_IDENTIFIER, Value, Varbind
from appliance.model.errors import AccessRefused, BadReply, NoAnswer, PrinterError
from appliance.model.reading import Traffic

AuthProtocol = Literal["MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512"]
PrivProtocol = Literal["DES", "3DES", "AES", "AES-192", "AES-256", "AES-192-C", "AES-256-C"]
"""As net-snmp names them: "-C" is the key extension that Cisco and many printers use."""

MOST_IDLE = 4
"""Engines kept for sets of keys that nobody uses at the moment."""
OVERHEAD = 200
"""Octets around the varbinds: header, engine ids, user, digest, salt, context."""
PROBE = "1.3.6.1.6.3.10.2.1.3.0"
"""snmpEngineTime: what is asked without privacy or context, only to learn which of them was wrong."""


class Keys(NamedTuple):
    """One user. A missing `auth_key` or `priv_key` means the level without it."""

    user: str
    auth_protocol: str | None
    auth_key: str | None
    priv_protocol: str | None
    priv_key: str | None

    @property
    def level(self) -> str:
        return "authPriv" if self.priv_protocol else "authNoPriv" if self.auth_protocol else "noAuthNoPriv"

    def __repr__(self) -> str:
        return f"Keys(user={self.user!r}, {self.level})"


class V3Asker:
    """Implements Asker (ask.asker) and Line (ask.line)."""

    has_bulk = True
    overhead = OVERHEAD

    def __init__(
        self,
        address: str,
        *,
        port: int = 161,
        user: str,
        auth_protocol: AuthProtocol | None = None,
        auth_key: str | None = None,
        priv_protocol: PrivProtocol | None = None,
        priv_key: str | None = None,
        context: str = "",
        timeout_s: float = 2.0,
        retries: int = 2,
        quirks: Iterable[str] = (),
    ) -> None:
        """`address` is numeric. ValueError where it is not, or where the keys make no level of RFC 3414."""
        ipaddress.ip_address(address)
        if (auth_protocol is None) != (auth_key is None) or (priv_protocol is None) != (priv_key is None):
            raise ValueError("a protocol and its key come together")
        if priv_protocol and not auth_protocol:
            raise ValueError("privacy needs authentication")
        if auth_protocol not in {None, *_AUTH} or priv_protocol not in {None, *_PRIV}:
            raise ValueError(f"protocols are {', '.join(_AUTH)} and {', '.join(_PRIV)}")
        if not 1 <= len(user.encode()) <= 32 or len(context.encode()) > 32:
            raise ValueError("a user has 1 to 32 octets, a context up to 32 (RFC 3411, SnmpAdminString)")
        if any(k is not None and len(k) < 8 for k in (auth_key, priv_key)):
            raise ValueError("a key has eight characters at least (RFC 3414, 11.2)")
        self.address = address
        self.port = port
        self.quirks = set(quirks)
        self.faults: Counter[str] = Counter()
        self.bulk_checked = False
        self.answered = False
        self._keys = Keys(user, auth_protocol, auth_key, priv_protocol, priv_key)
        self._context = context
        self._timeout_s = timeout_s
        self._retries = retries
        self._session: _Session | None = None
        self._line: _Line | None = None
        self._counts = _Counts()
        self._lock = asyncio.Lock()

    @property
    def traffic(self) -> Traffic:
        return Traffic(
            packets_sent=self._counts.packets_sent,
            packets_received=self._counts.packets_received,
            bytes_sent=self._counts.bytes_sent,
            bytes_received=self._counts.bytes_received,
        )

    async def get(self, oids: Sequence[str], *, sizes: Sequence[int] = ()) -> list[Varbind]:
        return await ladder.get(self, oids, sizes)

    async def walk(self, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
        return await walk.walk(self, roots, most)

    async def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._session is not None:
            self._session.leave()
            self._session = None

    async def ask(
        self, pdu_type: int, oids: Sequence[str], *, max_repetitions: int = 0, tries: int | None = None
    ) -> Message:
        """The response to one request, whatever its error status. AccessRefused says which of user, keys and
        context it was; NoAnswer and BadReply as for v1 and v2c."""
        async with self._lock:
            renewed = False
            left = 1 + self._retries if tries is None else tries
            while True:
                line = await self._open()
                before, known = self._counts.packets_received, line.heard
                said = await line.send(pdu_type, oids, max_repetitions, self._context)
                if isinstance(said, Message):
                    self.answered = True
                    return said
                heard = self._counts.packets_received > before
                if known and heard and not renewed and isinstance(said, _STALE):
                    # The agent has another engine id or clock than it had: an exchanged or restarted printer.
                    # What pysnmp knows of it is of no use any more.
                    renewed = True
                    await self._renew()
                    continue
                if not isinstance(said, errind.RequestTimedOut):
                    raise self._refusal(said)
                left -= 1
                if left <= 0:
                    raise await self._silence(line)

    async def _open(self) -> _Line:
        if self._session is None:
            self._session = await _session(self._keys)
            self._session.users += 1
        if self._line is None:
            self._line = _Line(self._session, self.address, self.port, self._timeout_s, self._counts)
        return self._line

    async def _renew(self) -> None:
        if self._session is not None and _sessions.get((self._session.loop, self._keys)) is self._session:
            del _sessions[self._session.loop, self._keys]
        await self.close()

    async def _silence(self, line: _Line) -> PrinterError:
        """What it means that nothing came: many agents drop without a word what they cannot decrypt, and what is for
        a context they do not have."""
        keys, where = self._keys, f"{self.address} (port {self.port})"
        nothing = NoAnswer(f"{where} did not answer SNMPv3")
        if self.answered or not line.heard:
            return nothing
        if self._context and isinstance(await line.send(message.GET, [PROBE], 0, ""), Message):
            return AccessRefused(
                f"{where} has no context {self._context!r}",
                hint="Check the context name",
                code="unknown-context",
            )
        if keys.priv_protocol:
            open_keys = keys._replace(priv_protocol=None, priv_key=None)
            session = await _session(open_keys)
            session.users += 1
            probe = _Line(session, self.address, self.port, self._timeout_s, self._counts)
            said = await probe.send(message.GET, [PROBE], 0, "")
            probe.close()
            session.leave()
            if isinstance(said, (Message, errind.UnsupportedSecurityLevel)):
                return self._refusal(errind.DecryptionError())
            if not isinstance(said, errind.RequestTimedOut):
                return self._refusal(said)
        return NoAnswer(
            f"{where} speaks SNMPv3, but does not answer the user {keys.user!r}",
            hint="Check the user, its keys and the context name",
        )

    def _refusal(self, said: errind.ErrorIndication) -> AccessRefused | BadReply:
        where = f"{self.address} (port {self.port})"
        for kind, code, sentence in _REFUSALS:
            if isinstance(said, kind):
                text = sentence.format(
                    where=where, user=self._keys.user, level=self._keys.level, context=self._context
                )
                return AccessRefused(text, hint=_HINTS[code], code=code)
        return BadReply(f"{where} answers SNMPv3 with what cannot be used ({type(said).__name__})")


_AUTH = {
    "MD5": config.USM_AUTH_HMAC96_MD5,
    "SHA": config.USM_AUTH_HMAC96_SHA,
    "SHA-224": config.USM_AUTH_HMAC128_SHA224,
    "SHA-256": config.USM_AUTH_HMAC192_SHA256,
    "SHA-384": config.USM_AUTH_HMAC256_SHA384,
    "SHA-512": config.USM_AUTH_HMAC384_SHA512,
}
_PRIV = {
    "DES": config.USM_PRIV_CBC56_DES,
    "3DES": config.USM_PRIV_CBC168_3DES,
    "AES": config.USM_PRIV_CFB128_AES,
    "AES-192": config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES-256": config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    "AES-192-C": config.USM_PRIV_CFB192_AES,
    "AES-256-C": config.USM_PRIV_CFB256_AES,
}
_STALE = (
    errind.RequestTimedOut,
    errind.NotInTimeWindow,
    errind.UnknownEngineID,
    errind.EngineIDMismatch,
)
_HINTS = {
    "unknown-user": "Check the user name",
    "wrong-authentication-key": "Check the authentication key and protocol",
    "wrong-privacy-key": "Check the privacy key and protocol",
    "wrong-security-level": "Give the user the keys at the printer that it has here",
    "unknown-context": "Check the context name",
    "not-in-time-window": "Restart the printer: its SNMPv3 clock runs backwards",
}
_REFUSALS: list[tuple[type[errind.ErrorIndication], str, str]] = [
    (errind.UnknownUserName, "unknown-user", "{where} has no SNMPv3 user {user!r}"),
    (errind.WrongDigest, "wrong-authentication-key", "{where} has another authentication key for {user!r}"),
    (errind.AuthenticationFailure, "wrong-authentication-key", "{where} signs with another key than that of {user!r}"),
    (errind.DecryptionError, "wrong-privacy-key", "{where} has another privacy key for {user!r}"),
    (errind.UnsupportedSecurityLevel, "wrong-security-level", "{where} does not offer {level} to {user!r}"),
    (errind.NoSuchContext, "unknown-context", "{where} has no context {context!r}"),
    (errind.NotInTimeWindow, "not-in-time-window", "{where} keeps refusing our clock"),
]  # fmt: skip


class _Counts:
    """UDP payload of one asker."""

    def __init__(self) -> None:
        self.packets_sent = self.packets_received = self.bytes_sent = self.bytes_received = 0


class _Session:
    """One engine with one user, in one event loop."""

    def __init__(self, engine: Any, keys: Keys, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.keys = keys
        self.loop = loop
        self.users = 0
        self.lines: dict[tuple[str, int], list[_Line]] = {}
        self.heard: set[tuple[str, int]] = set()

    def transport(self, domain: Any) -> None:
        """Open the socket of this family, once."""
        if config.get_transport(self.engine, domain) is None:
            kind = _Udp6 if domain == udp6.DOMAIN_NAME else _Udp
            config.add_transport(self.engine, domain, kind(self).open_client_mode())

    def leave(self) -> None:
        """One user less; nobody else will come to a session that was replaced."""
        self.users -= 1
        if self.users <= 0 and _sessions.get((self.loop, self.keys)) is not self:
            self.close()
        _sweep_out()

    def close(self) -> None:
        if not self.loop.is_closed():
            self.engine.close_dispatcher()


_sessions: dict[tuple[asyncio.AbstractEventLoop, Keys], _Session] = {}
_making: dict[tuple[asyncio.AbstractEventLoop, Keys], asyncio.Future[_Session]] = {}
_names = itertools.count()


async def _session(keys: Keys) -> _Session:
    """The session of these keys in this loop, made in a thread where there is none yet."""
    loop = asyncio.get_running_loop()
    found = _sessions.get((loop, keys))
    if found is not None:
        return found
    making = _making.get((loop, keys))
    if making is None:
        making = asyncio.ensure_future(_make(keys, loop))
        _making[loop, keys] = making
        making.add_done_callback(lambda _: _making.pop((loop, keys), None))
    return await asyncio.shield(making)


async def _make(keys: Keys, loop: asyncio.AbstractEventLoop) -> _Session:
    session = _Session(await asyncio.to_thread(_engine, keys), keys, loop)
    _sessions[loop, keys] = session
    return session


def _engine(keys: Keys) -> Any:
    engine = SnmpEngine()
    builder = engine.get_mib_builder()
    builder.load_modules("SNMPv2-TM", "SNMP-TARGET-MIB", "SNMP-USER-BASED-SM-MIB", "TRANSPORT-ADDRESS-MIB")
    config.add_v3_user(
        engine,
        keys.user,
        _AUTH[keys.auth_protocol] if keys.auth_protocol else config.USM_AUTH_NONE,
        keys.auth_key,
        _PRIV[keys.priv_protocol] if keys.priv_protocol else config.USM_PRIV_NONE,
        keys.priv_key,
    )
    config.add_target_parameters(engine, "keys", keys.user, keys.level)
    return engine


def _sweep_out() -> None:
    """Close what belongs to loops that are gone, and the oldest idle sessions."""
    for key in [k for k in _sessions if k[0].is_closed()]:
        del _sessions[key]
    idle = [k for k, s in _sessions.items() if s.users <= 0]
    for key in idle[: max(0, len(idle) - MOST_IDLE)]:
        _sessions.pop(key).close()


class _Line:
    """One agent within a session."""

    def __init__(self, session: _Session, address: str, port: int, timeout_s: float, counts: _Counts) -> None:
        self.counts = counts
        self._session = session
        self._timeout_s = timeout_s
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        domain = udp6.DOMAIN_NAME if family == socket.AF_INET6 else udp.DOMAIN_NAME
        try:
            peer = socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][
                4
            ]
        except OSError as e:
            raise NoAnswer(f"There is no way to {address}: {e.strerror or e}") from None
        self.peer = (str(peer[0]), int(peer[1]))
        session.transport(domain)
        self._name = f"a{next(_names)}"
        config.add_target_address(
            session.engine, self._name, domain, peer, "keys", timeout=timeout_s * 100, retryCount=0
        )
        session.lines.setdefault(self.peer, []).append(self)

    @property
    def heard(self) -> bool:
        """Whether anything ever came from this agent in this session."""
        return self.peer in self._session.heard

    def close(self) -> None:
        others = self._session.lines.get(self.peer, [])
        if self in others:
            others.remove(self)
            config.delete_target_address(self._session.engine, self._name)
        if not others:
            self._session.lines.pop(self.peer, None)

    async def send(
        self, pdu_type: int, oids: Sequence[str], max_repetitions: int, context: str
    ) -> Message | errind.ErrorIndication:
        """One try."""
        answer: asyncio.Future[Message | errind.ErrorIndication] = self._session.loop.create_future()
        pdu = _PDUS[pdu_type]()
        api = v2c.apiBulkPDU if pdu_type == message.GETBULK else v2c.apiPDU
        api.set_defaults(pdu)
        if pdu_type == message.GETBULK:
            api.set_non_repeaters(pdu, 0)
            api.set_max_repetitions(pdu, max_repetitions)
        api.set_varbinds(pdu, [(v2c.ObjectIdentifier(tuple(map(int, o.split(".")))), v2c.null) for o in oids])
        try:
            cmdgen.CommandGenerator().send_pdu(
                self._session.engine, self._name, None, context, pdu, _answered, answer
            )
            async with asyncio.timeout(2 * self._timeout_s + 5):
                return await answer
        except (PySnmpError, PyAsn1Error, TimeoutError) as e:
            # pysnmp's own clock ends a request in time; the other one is for when that has stopped.
            return errind.RequestTimedOut() if isinstance(e, TimeoutError) else errind.OtherError("not sent")


_PDUS: dict[int, Callable[[], Any]] = {
    message.GET: v2c.GetRequestPDU,
    message.GETNEXT: v2c.GetNextRequestPDU,
    message.GETBULK: v2c.GetBulkRequestPDU,
}


def _answered(
    engine: Any,
    handle: Any,
    indication: Any,
    pdu: Any,
    answer: asyncio.Future[Message | errind.ErrorIndication],
) -> None:
    if answer.done():
        return
    if indication:
        known = isinstance(indication, errind.ErrorIndication)
        answer.set_result(indication if known else errind.OtherError(str(indication)))
        return
    varbinds = [_varbind(name, value) for name, value in v2c.apiPDU.get_varbinds(pdu)]
    status = int(v2c.apiPDU.get_error_status(pdu))
    index = int(v2c.apiPDU.get_error_index(pdu, muteErrors=True))
    answer.set_result(Message(3, b"", message.RESPONSE, 0, status, index, varbinds))


def _varbind(name: Any, value: Any) -> Varbind:
    outer = value.tagSet.superTags[-1]
    tag = outer.tagClass | outer.tagId
    plain: Value
    if tag in MISSING:
        plain = None
    elif tag == OBJECT_IDENTIFIER:
        plain = ".".join(map(str, value))
    elif hasattr(value, "asOctets"):
        plain = bytes(value.asOctets())
    else:
        plain = int(value)
    return Varbind(".".join(map(str, name)), tag, plain)


class _Guarded:
    """Counts what passes for each agent, and lets in nothing but SNMPv3 messages of agents that were asked: pysnmp's
    parser, written for friendlier networks, raises whatever it likes."""

    _session: _Session
    _callback_function: Any
    loop: asyncio.AbstractEventLoop

    def send_message(self, outgoing: bytes, address: Any) -> None:
        for line in self._session.lines.get((str(address[0]), int(address[1])), ())[:1]:
            line.counts.packets_sent += 1
            line.counts.bytes_sent += len(outgoing)
        super().send_message(outgoing, address)  # type: ignore[misc]

    def datagram_received(self, datagram: bytes, address: Any) -> None:
        peer = (str(address[0]), int(address[1]))
        lines = self._session.lines.get(peer, [])
        for line in lines[:1]:
            self._session.heard.add(peer)
            line.counts.packets_received += 1
            line.counts.bytes_received += len(datagram)
        if lines and len(datagram) <= message.MOST_OCTETS and b"\x02\x01\x03" in datagram[2:9]:
            self.loop.call_soon(self._deliver, address, datagram)

    def _deliver(self, address: Any, datagram: bytes) -> None:
        try:
            self._callback_function(self, address, datagram)
        except Exception:
            # Whatever it was, the request it might have answered ends by its time.
            return

    def error_received(self, error: OSError) -> None:
        return


class _Udp(_Guarded, udp.UdpAsyncioTransport):  # type: ignore[misc]  # pysnmp has no types
    def __init__(self, session: _Session) -> None:
        udp.UdpAsyncioTransport.__init__(self)
        self._session = session


class _Udp6(_Guarded, udp6.Udp6AsyncioTransport):  # type: ignore[misc]  # pysnmp has no types
    def __init__(self, session: _Session) -> None:
        udp6.Udp6AsyncioTransport.__init__(self)
        self._session = session
