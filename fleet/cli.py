# SPDX-License-Identifier: Apache-2.0
"""`platen-fleet`: the portal as a process, ear and pages together."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from appliance.model.errors import PlatenError, UsageError

LEAST_DAYS = 30
"""As long as a message may lie at the broker."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said, checked."""

    state: Path
    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path
    tenant: str
    listen_host: str
    listen_port: int
    keep_days: int


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT. Exit status 0, 2 bad usage, 1 or 70 as the error says."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        asyncio.run(serve(parse(arguments)))
    except PlatenError as error:
        print(f"platen-fleet: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def parse(arguments: list[str] | None) -> Options:
    """UsageError for addresses that cannot be meant; argparse's own exit for the rest."""
    parser = argparse.ArgumentParser(
        prog="platen-fleet", description="The dealer's portal: takes, keeps and shows."
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where the database is kept")
    parser.add_argument("--broker", required=True, metavar="HOST:PORT", help="the MQTT broker")
    parser.add_argument(
        "--ca", type=Path, required=True, metavar="FILE", help="authority that signed the broker"
    )
    parser.add_argument("--cert", type=Path, required=True, metavar="FILE", help="the portal's certificate")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the portal's private key")
    parser.add_argument("--tenant", required=True, help="the account whose boxes are taken")
    parser.add_argument("--listen", default="127.0.0.1:8632", metavar="HOST:PORT", help="where the pages are")
    parser.add_argument(
        "--keep-days", type=int, default=400, metavar="N", help="how long readings are kept (default 400)"
    )
    said = parser.parse_args(arguments)
    host, port = _endpoint(said.broker, "--broker")
    listen_host, listen_port = _endpoint(said.listen, "--listen")
    if not _loopback(listen_host):
        raise UsageError(
            f"The portal has no logins yet and shows its pages on this machine only, not on {listen_host}",
            hint="Use 127.0.0.1, and a proxy that asks for a password in front of it",
            code="public-address",
        )
    if not said.tenant or set(said.tenant) & set("/+#") or len(said.tenant) > 64:
        raise UsageError(f"{said.tenant[:64]!r} is not an account", hint="Without /, + and #")
    if not LEAST_DAYS <= said.keep_days <= 36_500:
        raise UsageError(f"--keep-days takes {LEAST_DAYS} to 36500, not {said.keep_days}")
    return Options(
        state=said.state,
        host=host,
        port=port,
        ca=said.ca,
        certificate=said.cert,
        key=said.key,
        tenant=said.tenant,
        listen_host=listen_host,
        listen_port=listen_port,
        keep_days=said.keep_days,
    )


async def serve(options: Options) -> None:
    """Ear and pages until a signal."""
    from aiohttp import web

    from fleet.ingest import Broker, Ingest
    from fleet.store import Reader
    from fleet.web.app import make_app

    try:
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{options.state} cannot be made: {error.strerror}") from None
    database = options.state / "fleet.db"
    broker = Broker(
        host=options.host, port=options.port, ca=options.ca, certificate=options.certificate, key=options.key
    )
    ingest = Ingest(broker, options.tenant, database, keep_days=options.keep_days)
    ingest.start()
    try:
        runner = web.AppRunner(make_app(Reader(database), ingest, options.tenant), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, options.listen_host, options.listen_port, shutdown_timeout=2).start()
        except OSError as error:
            raise UsageError(
                f"{options.listen_host}:{options.listen_port} cannot be listened on: {error.strerror or error}",
                hint="Choose another with --listen",
            ) from None
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        _notify("READY=1")
        await stopped.wait()
        _notify("STOPPING=1")
        await runner.cleanup()
    finally:
        await asyncio.to_thread(ingest.stop)


def _endpoint(text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65_535):
        raise UsageError(f"{option} takes HOST:PORT, not {text[:80]!r}")
    return host, int(port)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _notify(state: str) -> None:
    """sd_notify(3), for systemd and for whoever else started us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address.replace("@", "\0", 1))
        except OSError:
            logging.getLogger("platen.fleet").debug("nobody waits at %s", address)


if __name__ == "__main__":
    raise SystemExit(main())
