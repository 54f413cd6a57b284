# SPDX-License-Identifier: Apache-2.0
"""What a long job says while it works: one line a step, with its time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """`text ...` now, and how long it took at the end."""
    print(f"  {text} ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    if took >= 1:
        print(f"  {text}: {took:.0f} s", file=sys.stderr, flush=True)


def note(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)
