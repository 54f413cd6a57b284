# SPDX-License-Identifier: Apache-2.0
"""Sockets that systemd opened for us (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket

_FIRST = 3
_MOST = 16


def passed() -> list[socket.socket]:
    """All of them, in the order of the socket unit; none where nobody passed any. They are given out once:
    neither a second call nor a child process sees them again."""
    pid, count = os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    sockets = [socket.socket(fileno=fd) for fd in range(_FIRST, _FIRST + min(int(count), _MOST))]
    for sock in sockets:
        sock.set_inheritable(False)
    return sockets
