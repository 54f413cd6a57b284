# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, socket, sys
a, b = socket.socketpair()
os.dup2(a.detach(), 3); os.dup2(b.detach(), 4)
pid, count = sys.argv[1:]
os.environ.update(LISTEN_PID=str(os.getpid()) if pid == "own" else pid, LISTEN_FDS=count, LISTEN_FDNAMES="x:y")
from appliance.host.activation import passed
sockets = passed()
print([s.fileno() for s in sockets], [s.get_inheritable() for s in sockets], passed())
print([name for name in os.environ if name.startswith("LISTEN_")])
"""


@pytest.mark.parametrize(
    ("pid", "count", "given"),
    [
        ("own", "2", "[3, 4] [False, False] []"),
        ("own", "1", "[3] [False] []"),
        ("own", "0", "[] [] []"),
        ("own", "-1", "[] [] []"),
        ("own", "two", "[] [] []"),
        ("1", "2", "[] [] []"),
        ("", "2", "[] [] []"),
    ],
)
def test_what_was_passed(pid: str, count: str, given: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, pid, count], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [given, "[]"]
