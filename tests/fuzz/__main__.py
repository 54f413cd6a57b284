# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.fuzz --executions N [--parser NAME] [--seed N]`: every parser on two cores, findings kept."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as Late

from tests.fuzz.parsers import PARSERS
from tests.fuzz.run import FINDINGS, Result, bound_memory, fuzz_named, save

BLOCK = 50_000
PROCESSES = 2
BLOCK_MOST_S = 600


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--executions", type=int, default=200_000, help="in total, shared among the parsers")
    parser.add_argument(
        "--parser", action="append", choices=sorted(PARSERS), help="only this one; repeatable"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other inputs")
    options = parser.parse_args(arguments)
    names = options.parser or list(PARSERS)
    began = time.monotonic()
    found: set[tuple[str, str]] = set()
    totals = {name: [0, 0.0, 0] for name in names}
    share = shares(options.executions, names)
    with ProcessPoolExecutor(
        PROCESSES, mp_context=multiprocessing.get_context("spawn"), initializer=bound_memory
    ) as pool:
        # Blocks of one parser differ by their seed; a block that never ends is known by its own.
        running: list[tuple[str, int, Future[Result]]] = []
        for name in names:
            for block, size in enumerate(blocks(share[name])):
                seed = options.seed * 1_000_003 + block
                running.append((name, seed, pool.submit(fuzz_named, name, size, seed)))
        for name, seed, future in running:
            try:
                result = future.result(timeout=BLOCK_MOST_S)
            except Late:
                print(f"{name}: the block of seed {seed} hangs where no signal reaches", file=sys.stderr)
                for process in multiprocessing.active_children():
                    process.kill()
                return 1
            totals[name][0] += result.executions
            totals[name][1] += result.seconds
            for finding in result.findings:
                # Many blocks find the same fault; one input of each kind is enough to replay.
                if (name, finding.why) in found:
                    continue
                found.add((name, finding.why))
                totals[name][2] += 1
                print(f"{name}: {finding.why}\n  kept as {save(name, finding).relative_to(FINDINGS.parent)}")
    print(f"{'parser':<20}{'executions':>12}{'per second':>12}{'findings':>10}")
    for name, (count, seconds, findings) in totals.items():
        print(f"{name:<20}{count:>12,}{count / seconds if seconds else 0:>12,.0f}{findings:>10}")
    total = sum(int(t[0]) for t in totals.values())
    print(f"{'all':<20}{total:>12,}{total / (time.monotonic() - began):>12,.0f}")
    return 1 if found else 0


def shares(executions: int, names: list[str]) -> dict[str, int]:
    """What each parser gets: the SNMP message, which any device on the network can send, as much as all others."""
    weights = {n: len(names) - 1 if n == "snmp-message" and len(names) > 1 else 1 for n in names}
    whole = sum(weights.values())
    share = {n: executions * w // whole for n, w in weights.items()}
    share[names[0]] += executions - sum(share.values())
    return share


def blocks(executions: int) -> list[int]:
    """`executions` in blocks of BLOCK and a rest."""
    return [BLOCK] * (executions // BLOCK) + [rest for rest in (executions % BLOCK,) if rest]


if __name__ == "__main__":
    sys.exit(main())
