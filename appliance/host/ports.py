# SPDX-License-Identifier: Apache-2.0
"""Wishes for ports out that the firewall does not have open anyway. A file says them; root grants them
(platen-ports-*.path, /usr/lib/platen/open-ports), so that no service needs a right to the firewall."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from appliance.host import files
from appliance.host.paths import Paths

OPENED = Path("/run/platen-ports/opened")
"""On the box: a line for each service, with the ports that it was granted."""

WAIT_S = 6.0
_AGAIN_S = 1.0
_LOOK_S = 0.05


async def want(paths: Paths, service: str, port: int | None, *, opened: Path | None = None) -> bool:
    """Ask for `port` in place of what `service` asked for before, None for none, and wait until it is granted. False
    if it was not. Where there is no such firewall, as everywhere but on the box, nothing is asked."""
    opened = opened or OPENED
    text = f"{port}" if port is not None else ""
    granted = await asyncio.to_thread(_granted, opened, service)
    if granted is None or granted == text:
        return True
    end, again = time.monotonic() + WAIT_S, 0.0
    while time.monotonic() < end:
        if time.monotonic() >= again:
            # Once more after a while: a change while root looks at the last one may go unseen.
            again = time.monotonic() + _AGAIN_S
            await asyncio.to_thread(files.replace, paths.ports(service), f"{text}\n".encode(), 0o644)
        await asyncio.sleep(_LOOK_S)
        if await asyncio.to_thread(_granted, opened, service) == text:
            return True
    return False


def _granted(opened: Path, service: str) -> str | None:
    """What the service has, "" for nothing; None where there is nobody who grants."""
    try:
        rows = [line.split() for line in opened.read_text("ascii", "replace")[:1024].splitlines()]
    except OSError:
        return None
    return next((" ".join(row[1:]) for row in rows if row[:1] == [service]), "")
