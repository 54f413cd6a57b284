# SPDX-License-Identifier: Apache-2.0
"""Throws mutated inputs at a parser and watches what escapes: exceptions, memory, time."""

from __future__ import annotations

import hashlib
import re
import resource
import signal
import time
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.fuzz.mutate import Mutator
from tests.fuzz.parsers import PARSERS, Parser

FINDINGS = Path(__file__).parent / "findings"
MOST_SECONDS = 1.0
"""One execution may take at most; the usual one takes some microseconds."""
MOST_MEMORY = 256 << 20
"""What a process may take on top of what it had before the first execution."""


class Hang(BaseException):
    """One execution took more than MOST_SECONDS. Not an Exception: no parser may catch it."""


class Finding(NamedTuple):
    data: bytes
    why: str


class Result(NamedTuple):
    parser: str
    executions: int
    seconds: float
    findings: list[Finding]


def bound_memory() -> None:
    """From here on this process may take MOST_MEMORY more; beyond it a parser meets MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def try_once(parser: Parser, data: bytes) -> str | None:
    """What is wrong with how this input ends, or None."""
    try:
        parser.call(data)
    except parser.allowed:
        return None
    except (Exception, Hang, RecursionError) as e:
        return f"{type(e).__name__}: {e}"[:200]
    return None


def fuzz(parser: Parser, executions: int, seed: int) -> Result:
    """`executions` inputs, the same for the same seed. Needs the main thread of its process."""
    mutator = Mutator(parser.seeds, seed, parser.most)
    findings: dict[str, Finding] = {}
    seen: set[str] = set()
    done = last = -1

    def tick(_signal: int, _frame: FrameType | None) -> None:
        nonlocal last
        if done == last:
            raise Hang(f"more than {MOST_SECONDS} s")
        last = done

    call, allowed = parser.call, parser.allowed
    before = signal.signal(signal.SIGALRM, tick)
    # Two ticks within one execution make a hang: nothing is to be paid for each execution.
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS, MOST_SECONDS)
    began = time.monotonic()
    try:
        for done in range(executions):  # noqa: B007  # the tick looks at it
            data = mutator.next()
            try:
                call(data)
                way = "accepted"
            except allowed as e:
                way = f"{type(e).__name__} {re.sub(r'[0-9]+', '', str(e)[:60])}"
            except (Exception, Hang, RecursionError) as e:
                way = f"{type(e).__name__} {str(e)[:60]}"
                findings.setdefault(way, Finding(data, f"{type(e).__name__}: {e}"[:200]))
            if way not in seen and len(seen) < 10_000:
                seen.add(way)
                mutator.keep(data)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return Result(parser.name, executions, time.monotonic() - began, list(findings.values()))


def fuzz_named(name: str, executions: int, seed: int) -> Result:
    """As `fuzz`, for another process."""
    return fuzz(PARSERS[name], executions, seed)


def save(parser: str, finding: Finding, folder: Path = FINDINGS) -> Path:
    """Keep a finding as a file, which a test replays for ever."""
    path = folder / parser / f"{hashlib.sha256(finding.data).hexdigest()[:16]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.data)
    return path
