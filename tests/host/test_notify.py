# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.host import notify


@pytest.fixture(params=["file", "abstract"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        if request.param == "file":
            name = str(tmp_path / "n")
            sock.bind(name)
        else:
            name = f"@platen-test-{os.getpid()}-{id(sock)}"
            sock.bind("\0" + name[1:])
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        monkeypatch.setattr(notify, "_daemon", None)
        yield sock


def test_messages(listener: socket.socket) -> None:
    notify.ready("3 printers")
    notify.status("line one\nREADY=0\x1b[2J")
    notify.watchdog()
    notify.stopping()
    assert listener.recv(4096) == b"READY=1\nSTATUS=3 printers"
    assert listener.recv(4096) == b"STATUS=line one READY=0 [2J"
    assert listener.recv(4096) == b"WATCHDOG=1"
    assert listener.recv(4096) == b"STOPPING=1"


def test_long_status_is_cut(listener: socket.socket) -> None:
    notify.status("x" * 10_000)
    assert len(listener.recv(65_536)) == len("STATUS=") + 500


def test_a_listener_that_is_stuck_does_not_stop_us(listener: socket.socket) -> None:
    for _ in range(5_000):
        notify.watchdog()


@pytest.mark.parametrize(
    "name", [None, "", "relative", "/nowhere/at/all", "@nobody-listens-here", "/" + "x" * 200]
)
def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.setattr(notify, "_daemon", None)
    if name is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify.ready()


def test_systemd_python_is_used_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setattr(notify, "_daemon", SimpleNamespace(notify=sent.append))
    notify.status("hello")
    assert sent == ["STATUS=hello"]


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("30000000", None, 30.0),
        ("30000000", "self", 30.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("nonsense", None, None),
        (None, None, None),
    ],
)
def test_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval: float | None
) -> None:
    for key, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "self" else pid)):
        monkeypatch.delenv(key, raising=False)
        if value is not None:
            monkeypatch.setenv(key, value)
    assert notify.watchdog_interval() == interval


async def test_keep_alive(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    task = asyncio.create_task(notify.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(listener.recv, 4096) == b"WATCHDOG=1"
    task.cancel()
    monkeypatch.delenv("WATCHDOG_USEC")
    await asyncio.wait_for(notify.keep_alive(), 1)


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_real_systemd_python_if_installed() -> None:
    pytest.importorskip("systemd.daemon")
    assert notify._daemon is not None
