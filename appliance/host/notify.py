# SPDX-License-Identifier: Apache-2.0
"""Telling whoever started us how we are (sd_notify(3)). Does nothing where nobody listens."""

from __future__ import annotations

import asyncio
import os
import socket

try:  # On the box from Debian's python3-systemd; elsewhere the datagram is sent by hand.
    from systemd import daemon as _daemon
except ImportError:
    _daemon = None

_MOST_STATUS = 500


def ready(text: str = "") -> None:
    """Start-up is complete."""
    _send("READY=1" + (f"\nSTATUS={_line(text)}" if text else ""))


def status(text: str) -> None:
    """What we are doing, one line that `systemctl status` and `platen run` show."""
    _send(f"STATUS={_line(text)}")


def stopping(text: str = "") -> None:
    """Shutting down in order."""
    _send("STOPPING=1" + (f"\nSTATUS={_line(text)}" if text else ""))


def watchdog() -> None:
    """Still alive."""
    _send("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Seconds within which `watchdog` must be called, or None where nobody waits for it."""
    pid = os.environ.get("WATCHDOG_PID")
    if pid and pid != str(os.getpid()):
        return None
    try:
        seconds = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return seconds or None


async def keep_alive() -> None:
    """Call `watchdog` twice in each interval for as long as the event loop turns; returns at once without
    one."""
    interval = watchdog_interval()
    while interval:
        watchdog()
        await asyncio.sleep(interval / 2)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_MOST_STATUS]


def _send(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if _daemon is not None:
        _daemon.notify(state)
        return
    if address[0] not in "/@":
        return
    if address[0] == "@":  # an abstract socket (unix(7)) has a NUL there
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # a listener that is stuck must not stop us
            sock.sendto(state.encode(), address)
    except OSError:
        pass  # nobody listens any more; that is no reason to fail
