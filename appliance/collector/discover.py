# SPDX-License-Identifier: Apache-2.0
"""`platen discover [TARGET...]`: look for printers from the command line."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterable
from typing import TextIO

import msgspec

from appliance.collector.access import Access, check_patience
from appliance.collector.page import plain
from appliance.collector.read.profile import load_profiles
from appliance.collector.search import Hit, Search, attached, resolve
from appliance.model.errors import PlatenError, UsageError
from appliance.model.reading import Reading, Traffic
from appliance.model.settings import SETTINGS
from appliance.model.targets import addresses

DEFAULT_RATE = SETTINGS["discovery.rate"].default
MOST_RATE = SETTINGS["discovery.rate"].maximum

_COLUMNS = (("ADDRESS", 15), ("PRINTER", 38), ("SERIAL", 16), ("PAGES", 9), ("SUPPLIES", 0))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="where to look (the attached networks)")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="TARGET", help="never ask these; may be repeated"
    )
    parser.add_argument(
        "--rate",
        type=int,
        default=DEFAULT_RATE,
        metavar="N",
        help=f"addresses a second (default {DEFAULT_RATE})",
    )
    parser.add_argument("--port", type=int, default=161, metavar="N", help="UDP port (default 161)")
    parser.add_argument(
        "--community",
        action="append",
        metavar="C",
        help="SNMP read community (default public); may be repeated",
    )
    parser.add_argument(
        "--second-look",
        action="store_true",
        help="ask general-purpose agents at once whether they are printers, instead of leaving them alone",
    )
    parser.add_argument(
        "--timeout", type=float, default=2.0, metavar="S", help="wait so long for a printer's answer (2)"
    )
    parser.add_argument(
        "--retries", type=int, default=2, metavar="N", help="ask a printer again so often (2)"
    )
    parser.add_argument("--json", action="store_true", help="one reading a line")


def run(args: argparse.Namespace) -> int:
    """0: printers were found; 1: none. Raises PlatenError where it cannot begin."""
    if not 1 <= args.rate <= (MOST_RATE or 1):
        raise UsageError(f"--rate takes 1 to {MOST_RATE}, not {args.rate}")
    if not 1 <= args.port <= 65_535:
        raise UsageError(f"--port takes 1 to 65535, not {args.port}")
    communities = tuple(args.community or ["public"])
    if not all(0 < len(c) <= 255 for c in communities):
        raise UsageError("--community takes a text of 1 to 255 characters")
    check_patience(args.timeout, args.retries)
    access = Access(port=args.port, communities=communities, timeout_s=args.timeout, retries=args.retries)
    return asyncio.run(_run(args, access))


async def _run(args: argparse.Namespace, access: Access) -> int:
    profiles = load_profiles()
    for refused in profiles.refused:
        _complain(refused)
    spans, errors = await resolve(args.targets) if args.targets else (await attached(), [])
    # An exclusion that cannot be understood must stop the search: it would ask whom nobody wanted asked.
    excluded, wrong = await resolve(args.exclude)
    if wrong:
        raise wrong[0]
    for error in errors:
        _complain(error)
    everyone = list(addresses(spans, excluded))
    if not everyone:
        if not errors:
            raise UsageError("Every target is excluded, so there is nobody to ask")
        return 1
    show = _Table(sys.stdout) if not args.json else _Lines(sys.stdout)
    counts = {"printer": 0, "other": 0, "failed": 0}
    traffic = Traffic()

    async def on_hit(hit: Hit) -> None:
        nonlocal traffic
        counts[hit.verdict] += 1
        traffic += hit.traffic
        status.clear()
        if hit.visit is not None:
            show.printer(hit.visit.reading)
        elif hit.verdict == "failed" and hit.error is not None:
            _complain(hit.error)

    search = Search(everyone, access, profiles, rate=args.rate, on_hit=on_hit, second_look=args.second_look)
    status = _Status(search, counts)
    began = time.monotonic()
    watching = asyncio.create_task(status.watch())
    try:
        await search.run()
    finally:
        watching.cancel()
        status.clear()
    took = time.monotonic() - began
    print(
        f"{search.total} address{'es' if search.total != 1 else ''} asked at {args.rate}/s in {took:.1f} s: "
        f"{_count(counts['printer'], 'printer')}, {_count(counts['other'], 'other device')}"
        + (f", {counts['failed']} could not be read" if counts["failed"] else "")
        + f"; readings took {traffic.packets_sent + traffic.packets_received} packets, "
        f"{(traffic.bytes_sent + traffic.bytes_received) / 1000:.1f} kB",
        file=sys.stderr,
    )
    return 0 if counts["printer"] else 1


class _Status:
    """The line of progress, where somebody sits in front of it."""

    def __init__(self, search: Search, counts: dict[str, int]) -> None:
        self._search, self._counts = search, counts
        self._on = sys.stderr.isatty()
        self._shown = False

    async def watch(self) -> None:
        while self._on:
            s = self._search
            left = f", about {s.eta_s:.0f} s left" if s.eta_s >= 1 else ""
            sys.stderr.write(
                f"\r\x1b[K{s.asked} of {s.total} asked at {s.rate}/s, "
                f"{_count(self._counts['printer'], 'printer')}, {s.reading} being read{left}"
            )
            sys.stderr.flush()
            self._shown = True
            await asyncio.sleep(0.25)

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


class _Lines:
    """JSON, one reading a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def printer(self, reading: Reading) -> None:
        print(msgspec.json.encode(reading).decode(), file=self._out, flush=True)


class _Table:
    """For people. Rows come as printers are found, so the widths are given."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._headed = out, False

    def printer(self, reading: Reading) -> None:
        if not self._headed:
            self._row(name for name, _ in _COLUMNS)
            self._headed = True
        facts = reading.printer
        total = next((m.value for m in reading.meters if m.name == "total"), None)
        levels = [
            f"{(s.color or s.type)[:14]} {s.percent} %"
            if s.percent is not None
            else f"{(s.color or s.type)[:14]} ?"
            for s in reading.supplies
            if s.class_ == "supplyThatIsConsumed"
        ]
        self._row(
            (
                reading.address,
                _model(facts.vendor, facts.model),
                facts.serial or "-",
                "-" if total is None else str(total),
                ", ".join(levels) or "-",
            )
        )

    def _row(self, cells: Iterable[str]) -> None:
        line = "  ".join(
            plain(cell)[: width or None].ljust(width)
            for cell, (_, width) in zip(cells, _COLUMNS, strict=True)
        )
        print(line.rstrip(), file=self._out, flush=True)


def _model(vendor: str | None, model: str | None) -> str:
    """ "HP HP LaserJet" reads badly."""
    if vendor and model and not model.lower().startswith(vendor.lower()):
        return f"{vendor} {model}"
    return model or vendor or "-"


def _complain(error: PlatenError) -> None:
    print(f"platen: {error}", file=sys.stderr, flush=True)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
