# SPDX-License-Identifier: Apache-2.0
"""`platen query`: read one printer, or a recording of one, and show what it says."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.model.errors import (
    NameUnknown,
    NoAnswer,
    RecordingError,
    TargetError,
    UsageError,
)

if TYPE_CHECKING:
    from appliance.collector.ask.asker import Asker
    from appliance.collector.ask.v3 import AuthProtocol, PrivProtocol
    from appliance.collector.visit import Visit
    from appliance.model.clock import Stamp

MOST_RECORDING = 64 * 1024 * 1024
WALK_ADDRESS = "0.0.0.0"
"""What a recording is read from: it does not say."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "host", nargs="?", metavar="HOST[:PORT]", help="an address or a name; port 161 by default"
    )
    parser.add_argument(
        "--walk", metavar="FILE", help="replay a recording (.snmprec) instead of asking the network"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, platen.reading/1")
    parser.add_argument("--raw", action="store_true", help="every object as it was answered, OID = value")
    parser.add_argument(
        "--profiles", metavar="DIR", help="further profiles; a file masks a built-in one of its name"
    )
    add_access(parser)


def add_access(parser: argparse.ArgumentParser) -> None:
    """How one printer is asked; `askers` takes what comes of it."""
    parser.add_argument("--snmp", choices=("1", "2c", "3"), help="version; 2c and then 1 by default")
    parser.add_argument("--community", default="public", metavar="C", help="for versions 1 and 2c (public)")
    parser.add_argument(
        "--timeout", type=float, default=2.0, metavar="S", help="wait so long for an answer (2)"
    )
    parser.add_argument("--retries", type=int, default=2, metavar="N", help="ask again so often (2)")
    v3 = parser.add_argument_group(
        "SNMPv3",
        "Keys come from a file, from the environment (PLATEN_AUTH_KEY, PLATEN_PRIV_KEY) or a prompt.",
    )
    v3.add_argument("--user", metavar="NAME", help="security name")
    v3.add_argument("--auth", default="sha256", choices=AUTH, help="authentication (sha256)")
    v3.add_argument("--auth-key-file", metavar="FILE", help="first line is the authentication key")
    v3.add_argument("--priv", default="aes128", choices=PRIV, help="privacy (aes128)")
    v3.add_argument("--priv-key-file", metavar="FILE", help="first line is the privacy key")
    v3.add_argument(
        "--context", default="", metavar="NAME", help='context name; some HP answer only in "Jetdirect"'
    )


AUTH = ("none", "md5", "sha", "sha224", "sha256", "sha384", "sha512")
PRIV = ("none", "des", "aes128", "aes192", "aes256")


def run(args: argparse.Namespace) -> int:
    """Exit status 0. PlatenError otherwise, which carries its own."""
    if (args.host is None) == (args.walk is None):
        raise UsageError("Either HOST or --walk FILE is needed", hint="'platen query --help' shows how")
    if args.profiles is not None and not Path(args.profiles).is_dir():
        raise UsageError(f"{args.profiles} is not a folder of profiles")
    visit = asyncio.run(_visit(args))
    if args.json:
        import msgspec

        sys.stdout.write(msgspec.json.encode(visit.reading).decode() + "\n")
    elif args.raw:
        from appliance.collector.wire import snmprec

        sys.stdout.writelines(f"{line}\n" for line in snmprec.dump(visit.raw))
    else:
        from appliance.collector.page import page

        sys.stdout.write(page(visit.reading))
    return 0


async def _visit(args: argparse.Namespace) -> Visit:
    from appliance.collector.read.profile import BUILT_IN, DEALER, load_profiles
    from appliance.collector.visit import first_read

    profiles = load_profiles(*([BUILT_IN, DEALER, Path(args.profiles)] if args.profiles else []))
    for refused in profiles.refused:
        print(f"platen: {refused}", file=sys.stderr)
    stamp = _now()
    if args.walk is not None:
        return await first_read(recording(args.walk), profiles, now=stamp)
    host, port = split_port(args.host)
    address = await asyncio.to_thread(resolve, host, port)
    failed: NoAnswer | None = None
    for asker in askers(args, address, port):
        try:
            return await first_read(asker, profiles, now=stamp)
        except NoAnswer as e:
            failed = failed or e
        finally:
            await asker.close()
    assert failed is not None
    raise failed


def recording(path: str) -> Asker:
    """Asks a recording. RecordingError where it cannot be read or is none."""
    from appliance.collector.ask.replay import ReplayAsker
    from appliance.collector.wire import snmprec

    try:
        with open(path, "rb") as file:
            data = file.read(MOST_RECORDING + 1)
    except OSError as e:
        raise RecordingError(f"{path} cannot be read: {e.strerror}", hint="") from None
    if len(data) > MOST_RECORDING:
        raise RecordingError(f"{path} is larger than {MOST_RECORDING >> 20} MiB")
    text = data.decode("utf-8", "surrogateescape")
    varbinds = snmprec.load(text, name=Path(path).name)
    if not varbinds:
        raise RecordingError(f"{path} holds no objects")
    return ReplayAsker(varbinds, address=WALK_ADDRESS)


def split_port(text: str) -> tuple[str, int]:
    """HOST[:PORT] as its two parts; an IPv6 address with a port stands in brackets."""
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise TargetError(f"{text!r} is not HOST:PORT")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise TargetError(f"{text!r} ends where the port should stand")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise TargetError(f"{port!r} is not a port", hint="Ports go from 1 to 65535")
    return host, int(port or 161)


def resolve(host: str, port: int) -> str:
    """The one address of HOST that may be asked."""
    import ipaddress
    import socket

    from appliance.model.targets import allowed, parse

    found = parse(host)
    if not isinstance(found, str):
        if len(found) > 1:
            raise TargetError(
                f"{host} holds {len(found)} addresses", hint="'platen discover' looks at ranges"
            )
        return str(found.first)
    try:
        answers = socket.getaddrinfo(found, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise NameUnknown(f"The name {found} is not known") from None
    addresses = [ipaddress.ip_address(str(a[4][0]).partition("%")[0]) for a in answers]
    for address in addresses:
        if allowed(address):
            return str(address)
    raise TargetError(f"{found} is {addresses[0]}, which is not in a private network", code="public-address")


def askers(args: argparse.Namespace, address: str, port: int) -> list[Asker]:
    """Who asks, in the order they are tried: version 2c and then 1, unless a version was named. UsageError for
    arguments of `add_access` that cannot be."""
    from appliance.collector.access import check_patience

    check_patience(args.timeout, args.retries)
    if not 0 < len(args.community) <= 255:
        raise UsageError("--community takes a text of 1 to 255 characters")
    if args.snmp == "3":
        return [_v3(args, address, port)]
    from appliance.collector.ask.snmp import SnmpAsker

    return [
        SnmpAsker(
            address,
            port=port,
            community=args.community.encode("utf-8", "surrogateescape"),
            version=version,
            timeout_s=args.timeout,
            retries=args.retries,
        )
        for version in ((args.snmp,) if args.snmp else ("2c", "1"))
    ]


def _v3(args: argparse.Namespace, address: str, port: int) -> Asker:
    if not args.user:
        raise UsageError("SNMPv3 needs --user")
    from appliance.collector.ask.v3 import V3Asker

    auth = _AUTH.get(args.auth)
    priv = _PRIV.get(args.priv) if auth else None
    try:
        return V3Asker(
            address,
            port=port,
            user=args.user,
            auth_protocol=auth,
            auth_key=_secret(args.auth_key_file, "PLATEN_AUTH_KEY", "Authentication key") if auth else None,
            priv_protocol=priv,
            priv_key=_secret(args.priv_key_file, "PLATEN_PRIV_KEY", "Privacy key") if priv else None,
            context=args.context,
            timeout_s=args.timeout,
            retries=args.retries,
        )
    except ValueError as e:
        raise UsageError(f"These SNMPv3 parameters cannot be used: {e}") from None


def _secret(path: str | None, variable: str, prompt: str) -> str:
    """A key from its file, the environment or the terminal, in this order; never from the command line, which
    every process on the machine can read."""
    if path is not None:
        try:
            with open(path, encoding="utf-8") as file:
                return file.readline(1024).rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"{path} cannot be read") from None
    key = os.environ.get(variable)
    if key is None and sys.stdin.isatty():
        import getpass

        key = getpass.getpass(f"{prompt}: ")
    if not key:
        raise UsageError(f"SNMPv3 needs a key: {variable} is not set", hint="Or name a file that holds it")
    return key


def _now() -> Stamp:
    from appliance.host import clock

    return clock.now()


_AUTH: dict[str, AuthProtocol] = {
    "md5": "MD5",
    "sha": "SHA",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
_PRIV: dict[str, PrivProtocol] = {"des": "DES", "aes128": "AES", "aes192": "AES-192", "aes256": "AES-256"}
