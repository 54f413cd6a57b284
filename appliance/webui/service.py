# SPDX-License-Identifier: Apache-2.0
"""The page as a process: sockets, start, stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from appliance.host import activation, identity, notify
from appliance.host.paths import Paths
from appliance.model.errors import UsageError
from appliance.store.worker import Worker
from appliance.webui import auth, brand, guard, static
from appliance.webui.app import Box, make_app
from appliance.webui.live import Services
from appliance.webui.pages import ROUTES
from appliance.webui.render import Renderer

SHARE = Path("/usr/share/platen")
"""Parts list and licences of the image."""

log = logging.getLogger(__name__)


def make_box(paths: Paths, names: Iterable[str] = (), brand_folder: Path | None = None) -> Box:
    """What the pages work with, on the state and run directories of `paths`."""
    worker = Worker(paths.database)
    files, hashed = static.load()
    shown = brand.load(brand_folder)
    static.add(files, hashed, shown.files)
    return Box(
        identity=identity.load_or_create(paths),
        database=paths.database,
        worker=worker,
        services=Services(paths.socket("collector"), paths.socket("uplink"), paths.socket("update")),
        software=paths.software,
        share=SHARE,
        uploading=asyncio.Lock(),
        names=guard.Names(names),
        doors=auth.Doors(worker),
        renderer=Renderer(hashed),
        files=files,
        brand=shown,
    )


def sockets(listen: str) -> list[socket.socket]:
    """The sockets that systemd passed, else one on HOST:PORT. UsageError."""
    if passed := activation.passed():
        return passed
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"{listen!r} is not HOST:PORT", hint="Write 127.0.0.1:8631 or [::1]:8631")
    host = host.strip("[]")
    try:
        family = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][0]
        return [socket.create_server((host, int(port)), family=family, backlog=64)]
    except (OSError, UnicodeError) as e:
        raise UsageError(
            f"The page cannot listen on {listen}: {getattr(e, 'strerror', None) or e}",
            hint="Choose another port, or stop what uses it",
        ) from None


async def serve(box: Box, listening: Iterable[socket.socket]) -> web.AppRunner:
    """Answers on these sockets until `cleanup()` of what it returns."""
    app = make_app(box, ROUTES)
    sites: list[asyncio.Server] = []

    async def close(app: web.Application) -> None:
        for site in sites:
            site.close()

    app.on_shutdown.append(close)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5.0)
    await runner.setup()
    assert runner.server is not None
    server, count, loop = runner.server, Counter[str](), asyncio.get_running_loop()
    for sock in listening:
        sock.setblocking(False)
        sites.append(await loop.create_server(lambda: guard.Connection(server, count, loop), sock=sock))
    return runner


async def main(paths: Paths, listen: str, names: Iterable[str], brand_folder: Path | None = None) -> None:
    """Runs until SIGTERM or SIGINT."""
    paths.make()
    box = make_box(paths, names, brand_folder)
    listening = sockets(listen)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runner = await serve(box, listening)
    url = f"http://{_shown(listening[0])}/"
    log.info("the page is at %s", url)
    notify.ready(url)
    alive = asyncio.create_task(notify.keep_alive())
    try:
        await stop.wait()
    finally:
        notify.stopping()
        alive.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await alive
        await runner.cleanup()
        await box.worker.close()


def _shown(sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
