# SPDX-License-Identifier: Apache-2.0
"""What every request passes before a page sees it: host, origin, size, and the headers of every answer.

A page on the local network is within reach of every website its user visits: by DNS rebinding (the Host check
answers it) and by forms sent across sites (Origin, Sec-Fetch-Site, SameSite and a token answer that).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable

from aiohttp import web

MOST_BODY = 64 * 1024
MOST_LINE = 2048
MOST_FIELD = 4096
MOST_HEADERS = 64
MOST_QUERY = 16
MOST_FIELDS = 64
HANDLER_S = 30.0
BODY_S = 15.0
UPLOAD_S = 3_600.0
IDLE_S = 20.0
MOST_CONNECTIONS = 128
MOST_PER_SOURCE = 32

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # "no-referrer" would make browsers send "Origin: null" with our own forms, and over plain http, where there
    # is no Sec-Fetch-Site, nothing would then tell our form from a stranger's. This tells other sites as little.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Server": "platen",
}


class Refused(Exception):
    """A request that no page may see. `code` names the error page."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Names:
    """The names this machine goes by. Others in a Host header mean that a stranger's name points at us."""

    def __init__(self, extra: Iterable[str] = ()) -> None:
        host = socket.gethostname().lower().rstrip(".")
        short = host.split(".")[0]
        self._names = {host, short, f"{short}.local", *(n.lower().rstrip(".") for n in extra)} - {""}

    def allow(self, host: str | None, local: str | None) -> bool:
        """`host` as in the Host header, `local` the address that the connection came in on."""
        name = hostname(host)
        if name is None:
            return False
        if name in self._names and name != "localhost":
            return True
        here = _address(local)
        if name == "localhost":
            return here is not None and here.is_loopback
        return here is not None and _address(name) == here


def hostname(host: str | None) -> str | None:
    """Host header without its port: a lower-case name or a bare address. None where it is neither."""
    if not host or len(host) > 255:
        return None
    if host.startswith("["):
        name, closing, port = host[1:].partition("]")
        whole = closing and (not port or (port[0] == ":" and port[1:].isdigit()))
        return name.lower() if whole else None
    name, colon, port = host.partition(":")
    if colon and not port.isdigit():
        return None
    return name.lower().rstrip(".") or None


def check_host(request: web.Request, names: Names) -> None:
    """Refused(421) unless the request names this machine."""
    if not names.allow(request.headers.get("Host"), local_address(request)):
        raise Refused(421, "wrong-host")


def check_origin(request: web.Request) -> None:
    """Refused(403) where a browser says that a changing request came from another site."""
    if request.method in ("GET", "HEAD"):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Refused(403, "other-site")
    origin = request.headers.get("Origin")
    if (
        origin is not None
        and origin.lower() != f"{request.scheme}://{request.headers.get('Host', '').lower()}"
    ):
        raise Refused(403, "other-site")


def check_query(request: web.Request) -> None:
    """Refused(400) for a query of more fields than any page has."""
    if request.raw_path.count("&") > MOST_QUERY or "\0" in request.path:
        raise Refused(400, "bad-request")


def check_token(sent: object, expected: str | None) -> None:
    """Refused(403) unless the form carried the token of this session."""
    if not expected or not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Refused(403, "form-expired")


def local_address(request: web.Request) -> str | None:
    """The address of ours that the connection came in on."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else None


def source(request: web.Request) -> str:
    """Who asks, for throttling: the IPv4 address, or the /64 of an IPv6 one, which one machine has all of."""
    address = _address(request.remote)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or "local")


def _address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address((text or "").split("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


class Connection(web.RequestHandler):
    """One browser's connection; refused when its source, or all of them together, hold too many. One whose request
    does not arrive in IDLE_S, dripping headers included, is closed by aiohttp."""

    __slots__ = ("_count", "_peer")

    def __init__(self, server: web.Server, count: Counter[str], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            max_line_size=MOST_LINE,
            max_field_size=MOST_FIELD,
            max_headers=MOST_HEADERS,
            keepalive_timeout=IDLE_S,
            lingering_time=2.0,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None; its annotation does not
        )
        self._count = count
        self._peer: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        name = str(peer[0]) if isinstance(peer, tuple) and peer else "local"
        if self._count[name] >= MOST_PER_SOURCE or self._count.total() >= MOST_CONNECTIONS:
            transport.close()
            return
        self._peer = name
        self._count[name] += 1
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._peer is None:
            return
        self._count[self._peer] -= 1
        if not self._count[self._peer]:
            del self._count[self._peer]
        super().connection_lost(exc)
