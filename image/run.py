# SPDX-License-Identifier: Apache-2.0
"""Other programs, with their own words when they fail."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from appliance.model.errors import PlatenError


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, data: bytes | None = None
) -> str:
    """Standard output of `command`. PlatenError "tool-failed" with the end of what it wrote."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env={**os.environ, **(env or {})}, input=data, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise PlatenError(f"{words[0]} is missing", hint="Run this through make", code="tool-missing") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise PlatenError(
            f"{words[0]} ended with {done.returncode}: {said[-800:]}", hint="The line above is its own", code="tool-failed"
        )
    return done.stdout.decode(errors="replace")
