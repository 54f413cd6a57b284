# SPDX-License-Identifier: Apache-2.0
"""The control socket: how one service asks another for something, on this machine only.

The wire format is Varlink's (https://varlink.org/Method-Call): each message is one JSON object and a
NUL. `{"method": "platen.collector.Scan", "parameters": {...}}` is answered with `{"parameters": {...}}`
or `{"error": CODE, "parameters": {"sentence", "hint", "kind"}}`, where CODE is that of model.errors, or one
of `org.varlink.service`'s. Calls on one connection are answered in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from appliance import __version__
from appliance.host import journal
from appliance.host.journal import Message
from appliance.model.errors import AccessDenied, Fault, PlatenError, ServiceDown

Parameters = dict[str, Any]
Handler = Callable[[Parameters], Awaitable[Parameters]]

MOST_OCTETS = 1024 * 1024
"""The largest message, either way."""

MOST_CLIENTS = 32
"""Connections at a time; one more is told so and closed."""

IDLE_S = 60.0
"""A connection that sends nothing whole for so long, or does not fetch its answer, is closed."""

READABLE = "Status"
"""The method that tells how a service is and changes nothing."""

REFUSED_S = 1.0
"""One that will be refused has so long to say what it wanted."""

log = logging.getLogger(__name__)


class Server:
    """A control socket that listens until `close`."""

    def __init__(
        self, path: Path, handlers: Mapping[str, Handler], uids: frozenset[int], readers: frozenset[int]
    ) -> None:
        self.path = path
        self._handlers = dict(handlers)
        self._uids = uids
        self._readers = readers
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def close(self) -> None:
        """Stop listening, end what is being answered, remove the socket unless another server has replaced
        it."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _listen(self, sock: socket.socket, *, own: bool) -> None:
        # One that was passed to us stays: systemd listens on while we are away.
        self._inode = self.path.stat().st_ino if own else 0
        # From Python 3.13 on asyncio removes the socket by itself, systemd's too.
        keep: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=MOST_OCTETS, **keep)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except TimeoutError:
            writer.transport.abort()  # what it does not fetch must not be kept
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away; that is its own business
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _peer_uid(writer.get_extra_info("socket"))
        refusal = self._refusal(uid)
        while True:
            try:
                async with asyncio.timeout(IDLE_S if refusal is None else REFUSED_S):
                    line = await reader.readuntil(b"\0")
            except asyncio.LimitOverrunError:
                await _send(writer, _error(PlatenError("The message is too large", code="bad-message")))
                return
            if refusal is not None:
                # Only now: what is closed with octets unread is reset, and the answer with it.
                await _send(writer, _error(refusal))
                return
            try:
                call = msgspec.json.decode(memoryview(line)[:-1], type=_Call)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                await _send(writer, _error(PlatenError("That is not a method call", code="bad-message")))
                return
            answer = await self._answer(call, uid)
            if not call.oneway:
                await _send(writer, answer)

    def _refusal(self, uid: int) -> PlatenError | None:
        if uid not in self._uids | self._readers:
            return self._denied(uid)
        if len(self._connections) > MOST_CLIENTS:
            return ServiceDown("Too many clients at once", hint="Try again", code="service-busy")
        return None

    def _denied(self, uid: int) -> AccessDenied:
        log.warning(
            "uid %d may not use %s", uid, self.path.name, extra=journal.message(Message.ACCESS_DENIED)
        )
        return AccessDenied("This user may not control the box", hint="Use sudo")

    async def _answer(self, call: _Call, uid: int) -> Parameters:
        if call.method == "org.varlink.service.GetInfo":
            interfaces = sorted({"org.varlink.service", *(m.rpartition(".")[0] for m in self._handlers)})
            facts = {"vendor": "Platen", "product": "Platen", "version": __version__, "url": ""}
            return {"parameters": {**facts, "interfaces": interfaces}}
        handler = self._handlers.get(call.method)
        if handler is None:
            return {
                "error": "org.varlink.service.MethodNotFound",
                "parameters": {"method": call.method[:255]},
            }
        if uid not in self._uids and call.method.rpartition(".")[2] != READABLE:
            return _error(self._denied(uid))
        try:
            return {"parameters": await handler(call.parameters or {})}
        except PlatenError as e:
            return _error(e)
        except Exception:
            log.exception("%s failed", call.method)
            return _error(Fault(f"{call.method} failed", hint="The service's log says why"))


async def serve(
    path: Path,
    handlers: Mapping[str, Handler],
    *,
    uids: Collection[int] | None = None,
    readers: Collection[int] | None = None,
    mode: int | None = None,
    passed: socket.socket | None = None,
) -> Server:
    """Listen on `path` and answer each method of `handlers`. Callers are known by the kernel (SO_PEERCRED):
    root, this user, and `uids`; `readers` may call Status alone. A socket that a dead process left is
    replaced; where a live one answers, ServiceDown with the code "already-running". Its mode is 0o600, or
    0o660 where others may call. `passed`: what systemd listens on already; it is taken as it is."""
    allowed = frozenset({0, os.geteuid(), *(uids or ())})
    server = Server(path, handlers, allowed, frozenset(readers or ()))
    if passed is not None:
        passed.setblocking(False)
        await server._listen(passed, own=False)
        return server
    if mode is None:
        mode = 0o660 if uids or readers else 0o600
    if await _alive(path):
        raise ServiceDown(
            f"Another {path.stem} is already running on {path.parent}",
            hint="Stop it first",
            code="already-running",
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    # The mask decides the socket's mode at its birth, so that it is never open wider than meant.
    mask = os.umask(0o777 & ~mode)
    try:
        _bind(sock, path)
    except OSError as e:
        sock.close()
        raise Fault(
            f"The control socket {path} cannot be opened: {e.strerror or e}", hint="Check the directory"
        ) from e
    finally:
        os.umask(mask)
    await server._listen(sock, own=True)
    return server


async def call(
    path: Path, method: str, parameters: Parameters | None = None, timeout_s: float = 5
) -> Parameters:
    """The answer's parameters. An error at the other end is raised here as what it was there; ServiceDown
    where nobody listens ("service-down"), or does not answer within `timeout_s` ("service-slow")."""
    service = path.stem
    try:
        async with asyncio.timeout(timeout_s), _connect(path) as (reader, writer):
            writer.write(msgspec.json.encode({"method": method, "parameters": parameters or {}}) + b"\0")
            await writer.drain()
            line = await reader.readuntil(b"\0")
        reply = msgspec.json.decode(line[:-1], type=_Reply)
    except TimeoutError:
        raise ServiceDown(
            f"The {service} did not answer within {timeout_s:g} s",
            hint="Try again in a moment",
            code="service-slow",
        ) from None
    except (OSError, asyncio.IncompleteReadError):
        raise ServiceDown(f"The {service} is not running") from None
    except (asyncio.LimitOverrunError, msgspec.DecodeError, UnicodeDecodeError):
        raise Fault(f"The {service} answered something that is not an answer") from None
    if reply.error is not None:
        raise _raised(reply.error, reply.parameters or {})
    return reply.parameters or {}


def _bind(sock: socket.socket, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    sock.bind(str(path))


class _Call(msgspec.Struct):
    method: str
    parameters: Parameters | None = None
    oneway: bool = False


class _Reply(msgspec.Struct):
    parameters: Parameters | None = None
    error: str | None = None


async def _send(writer: asyncio.StreamWriter, message: Parameters) -> None:
    data = msgspec.json.encode(message)
    if len(data) >= MOST_OCTETS:
        data = msgspec.json.encode(_error(Fault("The answer is too large to send")))
    writer.write(data + b"\0")
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def _error(e: PlatenError) -> Parameters:
    return {"error": e.code, "parameters": {"sentence": e.sentence, "hint": e.hint, "kind": type(e).__name__}}


def _raised(code: str, parameters: Parameters) -> PlatenError:
    """The error that `_error` wrote down, of its own class where this process knows it."""
    kinds = {"PlatenError": PlatenError}
    todo = [PlatenError]
    while todo:
        for kind in todo.pop().__subclasses__():
            kinds[kind.__name__] = kind
            todo.append(kind)
    if "sentence" not in parameters:
        return Fault(f"The service answered {code}", hint="The two ends are of different versions")
    kind = kinds.get(str(parameters.get("kind")), PlatenError)
    return kind(str(parameters["sentence"]), hint=str(parameters.get("hint", "")), code=code)


def _peer_uid(sock: socket.socket) -> int:
    ucred = struct.Struct("3i")  # pid, uid, gid (unix(7))
    return int(ucred.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, ucred.size))[1])


@contextlib.asynccontextmanager
async def _connect(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=MOST_OCTETS)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _alive(path: Path) -> bool:
    try:
        async with asyncio.timeout(1), _connect(path):
            return True
    except TimeoutError:
        return True  # somebody holds it, however slow
    except OSError:
        return False
