# SPDX-License-Identifier: Apache-2.0
"""`platen discover` and `platen query`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.cli import Commands, Run, plain
from appliance.model.errors import RecordingError, TargetError, UsageError
from appliance.model.targets import Span, parse

if TYPE_CHECKING:
    from appliance.collector.ask.asker import Asker
    from appliance.collector.visit import Visit

WALK_ADDRESS = "0.0.0.0"  # what a recording is read from when it does not say
MOST_RECORDING = 64 * 1024 * 1024


def add(commands: Commands) -> None:
    _add_discover(commands)
    _add_query(commands)


def add_access(parser: argparse.ArgumentParser) -> None:
    """How to ask one printer; `asker` takes what comes of it."""
    how = parser.add_argument_group("how to ask")
    how.add_argument("--snmp", choices=("1", "2c", "3"), default="2c", help="version (default 2c)")
    how.add_argument(
        "--community", default="public", metavar="C", help="for versions 1 and 2c (default public)"
    )
    _add_patience(how)
    v3 = parser.add_argument_group(
        "SNMPv3", "Keys come from the environment, where no process list shows them."
    )
    v3.add_argument("--user", metavar="NAME", help="security name")
    v3.add_argument(
        "--auth", type=str.upper, choices=AUTH, default="SHA-256", help="authentication (default SHA-256)"
    )
    v3.add_argument(
        "--priv", type=str.upper, choices=PRIV, default="AES", help="privacy (default AES, of 128 bits)"
    )
    v3.add_argument(
        "--context", default="", metavar="NAME", help='context name; some HP answer only in "Jetdirect"'
    )


def _add_patience(how: argparse._ArgumentGroup) -> None:
    how.add_argument(
        "--timeout", type=_seconds, default=2.0, metavar="S", help="wait so long for an answer (default 2)"
    )
    how.add_argument("--retries", type=_count, default=2, metavar="N", help="ask again so often (default 2)")


AUTH = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "NONE")
PRIV = ("DES", "3DES", "AES", "AES-192", "AES-256", "AES-192-C", "AES-256-C", "NONE")
KEYS = "PLATEN_AUTH_KEY and PLATEN_PRIV_KEY hold the passphrases of SNMPv3."


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 120:
        raise argparse.ArgumentTypeError("takes 0.05 to 120 seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 10:
        raise argparse.ArgumentTypeError("takes 0 to 10")
    return value


def split_port(text: str) -> tuple[str, int]:
    """HOST[:PORT] to its two parts; an IPv6 address with a port stands in brackets. Port 161 where none is
    named."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise TargetError(f"{text!r} is not HOST:PORT")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port:
            raise TargetError(f"{text!r} ends where the port should stand")
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise TargetError(f"{port!r} is not a port", hint="Ports go from 1 to 65535")
    return host, int(port or 161)


async def resolve(host: str) -> str:
    """The one address that HOST is. TargetError where it is none or a range, NameUnknown where DNS has none."""
    target = parse(host)
    if isinstance(target, Span):
        if len(target) > 1:
            raise TargetError(
                f"{host} holds {len(target)} addresses", hint="'platen discover' looks at ranges"
            )
        return str(target.first)
    from appliance.collector import search

    spans, errors = await search.resolve([target])
    if errors:
        raise errors[0]
    return str(spans[0].first)


def asker(args: argparse.Namespace, address: str, port: int) -> Asker:
    """Who asks, as the arguments of `add_access` say."""
    if args.snmp == "3":
        return _v3(args, address, port)
    from appliance.collector.ask.snmp import SnmpAsker

    return SnmpAsker(
        address,
        port=port,
        community=args.community.encode("utf-8", "surrogateescape"),
        version=args.snmp,
        timeout_s=args.timeout,
        retries=args.retries,
    )


def _v3(args: argparse.Namespace, address: str, port: int) -> Asker:
    if not args.user:
        raise UsageError("SNMPv3 needs --user", hint=KEYS)
    from appliance.collector.ask.v3 import V3Asker

    auth, priv = (None if p == "NONE" else p for p in (args.auth, args.priv))
    if priv and not auth:
        raise UsageError("Privacy needs authentication", hint="Give --priv none too")
    return V3Asker(
        address,
        port=port,
        user=args.user,
        auth_protocol=auth,
        auth_key=_key("PLATEN_AUTH_KEY") if auth else None,
        priv_protocol=priv,
        priv_key=_key("PLATEN_PRIV_KEY") if priv else None,
        context=args.context,
        timeout_s=args.timeout,
        retries=args.retries,
    )


def _key(variable: str) -> str:
    key = os.environ.get(variable, "")
    if len(key) < 8:
        raise UsageError(f"{variable} holds no passphrase of 8 characters or more", hint=KEYS)
    return key


def load_recording(path: str) -> Asker:
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
    varbinds = snmprec.load(data.decode("utf-8", "surrogateescape"), name=Path(path).name)
    return ReplayAsker(varbinds, address=WALK_ADDRESS)


# --- query ---


def _add_query(commands: Commands) -> None:
    commands.add(
        "query",
        _query_arguments,
        summary="read everything one printer says of itself",
        text="""
            Asks one printer once, or replays a recording through the same code, and shows identity, status,
            meters, supplies, alerts, trays and storage, and what the asking cost in packets.

            Nothing is ever written to a printer.""",
        examples="""
            platen query 192.168.1.20
            platen query printer.example.org:1161 --snmp 1 --community secret
            PLATEN_AUTH_KEY=... PLATEN_PRIV_KEY=... platen query 10.0.0.9 --snmp 3 --user monitor
            platen query --walk kyocera.snmprec --json | jq .meters
            """,
        more=KEYS,
        status="0  it was read\n1  no answer, not a printer, access refused, or the name is not known",
    )


def _query_arguments(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument("host", nargs="?", metavar="HOST[:PORT]", help="an address or a name")
    parser.add_argument(
        "--walk", metavar="FILE", help="replay this recording (.snmprec) instead of asking the network"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, platen.reading/1")
    add_access(parser)
    return _query


async def _query(args: argparse.Namespace) -> int:
    if (args.host is None) == (args.walk is None):
        raise UsageError("Either HOST or --walk FILE is needed", hint="'platen query --help' shows how")
    if args.walk is not None:
        visit = await first_reading(load_recording(args.walk))
    else:
        host, port = split_port(args.host)
        visit = await first_reading(asker(args, await resolve(host), port))
    if args.json:
        sys.stdout.write(msgspec.json.encode(visit.reading).decode() + "\n")
    else:
        from appliance.cli_text import page

        print(page(visit.reading))
    return 0


async def first_reading(asker: Asker) -> Visit:
    """All that this printer says, without knowing it before."""
    from appliance.collector.read.profile import load_profiles
    from appliance.collector.visit import first_read
    from appliance.host import clock

    try:
        return await first_read(asker, load_profiles(), now=clock.now())
    finally:
        await asker.close()


# --- discover ---


def _add_discover(commands: Commands) -> None:
    commands.add(
        "discover",
        _discover_arguments,
        summary="find the printers of some addresses",
        text="""
            Asks every address of the TARGETs one question of 43 octets, at a gentle pace, and reads each
            printer that answers. Other devices are left alone after their first answer.

            A TARGET is an address, a range 192.168.1.1-192.168.2.254, a prefix 192.168.1.0/24, an IPv6
            address, or a DNS name. Only private addresses are asked. Without a TARGET the attached networks
            are searched.""",
        examples="""
            platen discover 192.168.1.0/24
            platen discover 10.1.0.0/16 --exclude 10.1.9.0/24 --rate 200
            platen discover 192.168.1.1-192.168.1.99 --json | jq -r .printer.model
            """,
        status="0  at least one printer was found\n1  none was found",
    )


def _discover_arguments(parser: argparse.ArgumentParser) -> Run:
    from appliance.collector import discover

    discover.add_arguments(parser)
    return discover.run


class Progress:
    """One line on a terminal, rewritten in place; nothing anywhere else."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        if self._shown:
            text = plain(text)
            print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def clear(self) -> None:
        if self._shown and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0
