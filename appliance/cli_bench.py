# SPDX-License-Identifier: Apache-2.0
"""`platen bench`: the benchmarks, each beside a peer in the same run."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil

from appliance.cli import Commands, Run
from appliance.model.errors import UsageError


def add(commands: Commands) -> None:
    commands.add(
        "bench",
        _arguments,
        summary="measure polling, sweeping and storing beside a peer",
        text="""
            Measures one thing and, in the same run on the same machine, how a well-known other does it. Packets and
            bytes are counted by the responder, both directions, never by the code under test. A ratio is the
            peer's figure divided by ours: above 1, ours is the lower.""",
        examples="""
            platen bench poll
            platen bench sweep --json | jq .ratio
            """,
    )


def _arguments(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument("name", metavar="NAME", help="poll, sweep, store")
    parser.add_argument("--json", action="store_true", help="one JSON object: name, ours, peer, ratio")
    return _bench


def _bench(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("benchmarks") is None:
        raise UsageError(
            "The benchmarks are not installed here", hint="They come with the source, not with the box"
        )
    package = importlib.import_module("benchmarks")
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    runs = {n: f"benchmarks.{n}" for n in names}
    if args.name not in runs:
        raise UsageError(f"There is no benchmark {args.name!r}", hint=f"There are {', '.join(sorted(runs))}")
    return int(importlib.import_module(runs[args.name]).main(as_json=args.json))
