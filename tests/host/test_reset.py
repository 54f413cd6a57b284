# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.host import reset

KEPT = {
    "platen/identity/box-id": "PL-0000-0000",
    "platen/identity/setup-code": "1111-1111",
    "platen/identity/birth/birth.key": "key",
    "etc/machine-id": "0123",
    "rauc/central.raucs": "[slot]",
    "update/state.json": "{}",
    "systemd/timesync/clock": "",
}
GONE = {
    "platen/platen.db": "readings",
    "platen/platen.db-wal": "more",
    "platen/keys/operational.key": "key",
    "platen/brand/logo.svg": "<svg/>",
    "update/upload/bundle.raucb": "x",
    "etc/other": "x",
    "network/10.network": "x",
    ".hidden": "x",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name, text in {**KEPT, **GONE}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (root / "platen/link").symlink_to(tmp_path / "outside")
    return root


def files(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}


def test_nothing_happens_unasked(data: Path) -> None:
    before = files(data)
    assert not reset.finish(data)
    assert files(data) == before


def test_what_stays(data: Path, tmp_path: Path) -> None:
    reset.request(data)
    reset.request(data)
    assert reset.finish(data)
    assert files(data) == KEPT
    assert not (data / "platen/keys").exists()
    assert (tmp_path / "outside/file").exists()
    assert not reset.finish(data)


def test_asked_and_finished_by_process(data: Path) -> None:
    before = files(data)
    command = [sys.executable, "-m", "appliance.host.reset", str(data)]
    assert subprocess.run([*command, "--request"], check=False).returncode == 0
    assert files(data) == {**before, reset.MARK: ""}
    assert subprocess.run(command, check=False).returncode == 0
    assert files(data) == KEPT
    assert subprocess.run([*command[:-1], "/nonexistent", "--request"], check=False).returncode == 70


DYING = """
import os, signal, sys
from pathlib import Path
real, count = os.{call}, 0
def dying(*args, **kwargs):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
os.{call} = dying
from appliance.host import reset
reset.finish(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("call", ["unlink", "rmdir", "scandir", "sync", "fsync"])
def test_killed_at_every_step(data: Path, call: str) -> None:
    """Whenever it dies, what stays is whole, and the next boot finishes: the mark is the last to go."""
    died = 0
    for nth in range(1, 40):
        for name, text in GONE.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_text(text)
        reset.request(data)
        done = subprocess.run(
            [sys.executable, "-c", DYING.replace("{call}", call), str(data), str(nth)], check=False
        )
        left = files(data)
        assert {k: v for k, v in left.items() if k in KEPT} == KEPT
        if done.returncode == 0:
            break
        assert done.returncode == -9
        died += 1
        assert reset.MARK in left or left == KEPT
        reset.finish(data)
        assert files(data) == KEPT
    assert died
