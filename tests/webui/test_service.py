# SPDX-License-Identifier: Apache-2.0
"""The page as a process: readiness, a socket from systemd, an orderly end, its size."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.host.paths import Paths
from appliance.model.errors import UsageError
from appliance.webui import service

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def start(paths: Paths, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts `python -m appliance.webui`; gives (process, the URL it reports as ready)."""
    address = str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.setblocking(False)
    started: list[asyncio.subprocess.Process] = []

    async def run(*options: str, **environment: str) -> tuple[asyncio.subprocess.Process, str]:
        command = [
            sys.executable,
            "-m",
            "appliance.webui",
            "--state",
            str(paths.state),
            "--run",
            str(paths.run),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, *options, cwd=ROOT, env={**os.environ, "NOTIFY_SOCKET": address, **environment}
        )
        started.append(process)
        async with asyncio.timeout(20):
            text = (await asyncio.get_running_loop().sock_recv(listener, 4096)).decode()
        assert text.startswith("READY=1")
        return process, re.search(r"http://[^\s]+", text)[0]

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
    listener.close()


def proc(process: asyncio.subprocess.Process, name: str) -> str:
    """proc(5) of the process."""
    return Path(f"/proc/{process.pid}/{name}").read_text()


async def test_it_tells_when_it_is_ready_and_ends_in_order(start: Callable[..., Any]):
    process, url = await start("--listen", "127.0.0.1:0")
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.status == 200
        assert str(answer.url).endswith("/setup")
    memory = int(re.search(r"VmRSS:\s+(\d+)", proc(process, "status"))[1])
    assert memory < 96 * 1024, "kB; the unit's MemoryMax"
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0


async def test_heavy_libraries_of_other_parts_are_not_loaded(start: Callable[..., Any]):
    process, _ = await start("--listen", "127.0.0.1:0")
    loaded = proc(process, "maps")
    for library in ("cryptography", "pyroute2", "pysnmp", "paho"):
        assert f"site-packages/{library}" not in loaded


async def test_it_takes_the_socket_that_systemd_passes(paths: Paths):
    passed = socket.create_server(("127.0.0.1", 0))
    program = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
        "os.execv(sys.executable, [sys.executable, '-m', 'appliance.webui', *sys.argv[2:]])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(passed.fileno()),
        "--state",
        str(paths.state),
        "--run",
        str(paths.run),
        cwd=ROOT,
        pass_fds=(passed.fileno(), 3) if passed.fileno() != 3 else (3,),
    )
    url = f"http://127.0.0.1:{passed.getsockname()[1]}/setup"
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as http, http.get(url) as answer:
            assert answer.status == 200
    finally:
        process.kill()
        await process.wait()
        passed.close()


@pytest.mark.parametrize(
    "listen", ["8631", "127.0.0.1:", "127.0.0.1:99999", "no.such.name.invalid:80", "127.0.0.1:x"]
)
def test_where_it_cannot_listen(listen: str):
    with pytest.raises(UsageError):
        service.sockets(listen)


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen"):
        service.sockets(f"127.0.0.1:{taken.getsockname()[1]}")


async def test_wrong_options_end_with_one_line(paths: Paths):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "appliance.webui",
        "--state",
        str(paths.state),
        "--run",
        str(paths.run),
        "--listen",
        "nonsense",
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().strip().startswith("platen: bad-usage: 'nonsense' is not HOST:PORT.")
