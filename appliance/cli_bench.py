# SPDX-License-Identifier: Apache-2.0
"""`platen bench`: the benchmarks, each beside a peer in the same run."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from typing import Any

import msgspec

from appliance.cli import Commands, Run, table
from appliance.model.errors import UsageError

NAMES = ("poll", "sweep", "store")


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
    parser.add_argument("name", choices=NAMES, metavar="|".join(NAMES), help="what to measure")
    parser.add_argument("--json", action="store_true", help="one JSON object: name, ours, peer, ratio")
    return _bench


def _bench(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("benchmarks") is None:
        raise UsageError(
            "The benchmarks are not installed here", hint="They come with the source, not with the box"
        )
    result: dict[str, Any] = importlib.import_module(f"benchmarks.{args.name}").run(args)
    print(msgspec.json.encode(result).decode() if args.json else _told(result))
    return 0


def _told(result: dict[str, Any]) -> str:
    """Figure by figure beside the peer's, then what else was measured."""
    ours, peer, ratio = result["ours"], result["peer"], result["ratio"]
    names = [k for k, v in ours.items() if not isinstance(v, dict)]
    rows = [("", "ours", peer["name"], "ratio")]
    rows += [(k, _number(ours[k]), _number(peer.get(k)), _number(ratio.get(k))) for k in names]
    rest = [f"{k}: {_number(v)}" for k, v in result.items() if k not in ("name", "ours", "peer", "ratio")]
    return "\n".join([table(rows), *rest])


def _number(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_number(v)}" for k, v in value.items())
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
