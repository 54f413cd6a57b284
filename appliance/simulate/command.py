# SPDX-License-Identifier: Apache-2.0
"""`platen simulate FILE.snmprec... [--listen ADDR:PORT]`: recordings that answer SNMP on this machine."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.collector.wire import snmprec
from appliance.model.errors import RecordingError, UsageError
from appliance.model.targets import Address
from appliance.simulate import behaviour, statistics
from appliance.simulate.live import SECONDS_BETWEEN_JOBS
from appliance.simulate.mib import Mib
from appliance.simulate.server import Server, Station

LISTEN = "127.0.0.1:1161"
MOST_OCTETS = 64 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes. `parser` should be made with RawDescriptionHelpFormatter."""
    parser.epilog = behaviour.describe() + "\n\n" + _SIGNALS
    parser.add_argument(
        "files", nargs="+", metavar="FILE.snmprec", help="a recording, with ,name=value,... behind"
    )
    parser.add_argument(
        "--listen",
        default=LISTEN,
        metavar="ADDR:PORT",
        help=f"where the first one answers (default {LISTEN})",
    )
    parser.add_argument(
        "--live", action="store_true", help="let time pass: uptime runs, jobs come, toner falls"
    )
    parser.add_argument(
        "--between-jobs",
        type=_seconds,
        default=SECONDS_BETWEEN_JOBS,
        metavar="SECONDS",
        help="with --live, how long a device is idle between two jobs, on average (default %(default)g)",
    )
    parser.add_argument(
        "--stats", type=Path, metavar="FILE", help="write what was asked to FILE when it ends"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted. UsageError or RecordingError where that cannot begin."""
    if args.stats and not args.stats.absolute().parent.is_dir():
        raise UsageError(f"{args.stats} cannot be written: its folder does not exist")
    stations = load(args.files, args.listen, between_jobs=args.between_jobs if args.live else None)
    return asyncio.run(_serve(stations, parse_listen(args.listen)[1], args.stats))


def load(files: Sequence[str], listen: str = LISTEN, *, between_jobs: float | None = None) -> list[Station]:
    """Stations for "FILE,name=value,..." words, at successive addresses; alive where `between_jobs` (s) is given.
    UsageError, RecordingError."""
    address: Address | None = parse_listen(listen)[0]
    mibs: dict[str, Mib] = {}
    found: dict[Address, Station] = {}
    for text in files:
        file, how = behaviour.parse(text) if not Path(text).is_file() else (text, behaviour.Behaviour())
        if file not in mibs:
            mibs[file] = read(file)
        if how.at:
            address = _address(how.at, text)
        for _ in range(how.times):
            if address is None:
                raise UsageError(f"There is no address left for {text}")
            if address in found:
                raise UsageError(f"{text} and {found[address].name} would both answer at {address}")
            found[address] = Station(_name(file), address, mibs[file], how, between_jobs=between_jobs)
            address = address + 1 if int(address) + 1 < 1 << address.max_prefixlen else None
    return list(found.values())


def read(file: str) -> Mib:
    """A recording from disk. RecordingError names the file and the line that is wrong."""
    try:
        with open(file, "rb") as recording:
            octets = recording.read(MOST_OCTETS + 1)
    except OSError as e:
        raise RecordingError(f"{file} cannot be read: {e.strerror}", hint="") from None
    if len(octets) > MOST_OCTETS:
        raise RecordingError(f"{file} has more than {MOST_OCTETS} octets")
    mib = Mib(snmprec.load(octets.decode("utf-8", "surrogateescape"), name=file), name=file)
    if not mib.oids:
        raise RecordingError(f"{file} holds nothing")
    return mib


def parse_listen(text: str) -> tuple[Address, int]:
    """ "127.77.0.1:1161" or "[::1]:1161" → address and port. UsageError otherwise."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?", text)
    if not match or (match[3] and int(match[3]) > 65_535):
        raise UsageError(f"{text!r} is not an address and a port", hint="Write 127.0.0.1:1161, or [::1]:1161")
    return _address(match[1] or match[2], text), int(match[3] or LISTEN.rpartition(":")[2])


async def _serve(stations: list[Station], port: int, stats: Path | None) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = Server(stations, port)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(server.statistics()), flush=True))
    loop.add_signal_handler(signal.SIGUSR2, server.go_home)
    async with server:
        for line in _said(stations, server.port):
            print(line, flush=True)
        await stop.wait()
        if stats:
            try:
                statistics.write(stats, server.statistics())
            except OSError as e:
                raise UsageError(f"{stats} cannot be written: {e.strerror}") from None
    return 0


def _said(stations: list[Station], port: int) -> Iterator[str]:
    """The first line is for programs: where, and how many."""
    first, last = stations[0].address, stations[-1].address
    where = f"[{first}]" if first.version == 6 else str(first)
    yield f"listening at {where}:{port}, {len(stations)} device{'s'[: len(stations) > 1]} to {last}"
    if sys.stdout.isatty():
        for station in stations[:64]:
            yield f"  {station.address}  {station.name}"
        yield "Ctrl-C ends it."


def _seconds(text: str) -> float:
    value = float(text)
    if not 1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 86400")
    return value


def _address(text: str, where: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f"{text!r} in {where!r} is not an address") from None


def _name(file: str) -> str:
    """ "printers/hp-x/walk.snmprec" and "hp-x.snmprec" are both hp-x."""
    path = Path(file)
    return path.parent.name if path.stem == "walk" and path.parent.name else path.stem


_SIGNALS = """\
SIGUSR1 prints what was asked as one line of JSON: requests by kind, packets and octets both ways, requests that came
before the one before was answered (overlaps), the most in one second, and what went to addresses where nothing stands.
SIGUSR2 sends everybody home: nothing is printed any more, and the devices go on answering.
"""
