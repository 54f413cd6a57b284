# SPDX-License-Identifier: Apache-2.0
"""Form is checked like everything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "--no-cache", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--no-cache", "--check", "."], id="ruff-format"),
        pytest.param(["mypy", "--cache-dir=/dev/null"], id="mypy", marks=pytest.mark.timeout(300)),
    ],
)
def test_linter(command: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_tabs_and_no_trailing_blanks() -> None:
    for path in [*ROOT.glob("appliance/**/*.py"), *ROOT.glob("**/*.toml"), *ROOT.glob("docs/**/*.md")]:
        if ".venv" in path.parts or ".tools" in path.parts:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert "\t" not in line, f"{path}:{number}"
            assert line == line.rstrip(), f"{path}:{number}"
