# SPDX-License-Identifier: Apache-2.0
"""Looks at the box: which slot runs, how its services are, whether page, database, printers and portal answer."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import Any

import msgspec

from appliance import __version__
from appliance.host import clock, control, systemd1, uboot
from appliance.host.bus import Bus
from appliance.host.paths import Paths
from appliance.host.rauc import Slot
from appliance.model.errors import PlatenError, StoreError
from appliance.store import printers
from appliance.store.database import open_database, wrapped
from appliance.update.gate import Sight
from appliance.update.state import Before, Boot

UNITS = (
    "platen-collector.service",
    "platen-uplink.service",
    "platen-webui.socket",
    "platen-webui.service",
)
"""What has to run. Asking the page starts it, so it is asked first."""

ANSWER_S = 5.0


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where things lie; tests put them elsewhere. `folder`: this service's own, with `spool` in it. `restart`, `reset`
    and `stop_rauc`: what platen-reboot.path, platen-factory-reset-request.path and platen-rauc-stop.path wait for.
    `trust`: whom download servers may be certified by, where the dealer has an authority of its own; provision writes
    it."""

    paths: Paths
    folder: Path = Path("/var/lib/platen-update")
    restart: Path = Path("/run/platen-update/restart")
    reset: Path = Path("/run/platen-update/factory-reset")
    stop_rauc: Path = Path("/run/platen-update/stop-rauc")
    cmdline: Path = Path("/proc/cmdline")
    os_release: Path = Path("/usr/lib/os-release")
    trust: Path = Path("/run/platen-trust/ca.pem")
    page: tuple[str, int] = ("127.0.0.1", 80)
    units: tuple[str, ...] = UNITS

    @property
    def spool(self) -> Path:
        return self.folder / "spool"


def os_release(places: Places) -> dict[str, str]:
    """os-release(5), unquoted. Empty where there is none."""
    try:
        text = places.os_release.read_text("utf-8", "replace")[:65_536]
    except OSError:
        return {}
    return {k: v.strip("\"'") for k, _, v in (line.partition("=") for line in text.splitlines()) if v}


def running_version(places: Places) -> str:
    """The image's, else the program's."""
    return os_release(places).get("IMAGE_VERSION") or __version__


def on_trial(places: Places) -> bool:
    return _words(places).get("platen.trial") == "1"


async def boot(places: Places) -> Boot:
    """The facts of this boot. Fault where the boot loader's environment cannot be read."""
    words, release = _words(places), os_release(places)
    return Boot(
        slot=words.get("rauc.slot", ""),
        trial=words.get("platen.trial") == "1",
        version=running_version(places),
        boot_id=clock.boot_id(),
        environment=await uboot.read(),
        time=clock.now().time,
        floor=release.get("PLATEN_FLOOR"),
    )


def slot(places: Places) -> str:
    """The bootname of the slot that runs; "" where there are none."""
    return _words(places).get("rauc.slot", "")


async def before(places: Places) -> Before:
    """How things are now, for the gate of the next version to compare with."""
    collector, uplink = await asyncio.gather(_status(places, "collector"), _status(places, "uplink"))
    answering = collector.get("answering")
    return Before(
        printers=answering if isinstance(answering, int) else None,
        portal=uplink.get("state") == "connected",
    )


async def sight(places: Places, bus: Bus | None) -> Sight:
    """One look at everything the gate demands."""
    page = await _page(*places.page)
    collector, uplink, database = await asyncio.gather(
        _status(places, "collector"), _status(places, "uplink"), asyncio.to_thread(_database, places)
    )
    units = []
    if bus is not None:
        try:
            units = [await systemd1.unit(bus, name) for name in places.units]
        except PlatenError:
            units = []
    answering = collector.get("answering")
    return Sight(
        now=time.monotonic(),
        units=units,
        page=page,
        database=database,
        printers=answering if isinstance(answering, int) else None,
        portal=uplink.get("state") == "connected",
    )


def slot_sizes(slots: list[Slot]) -> dict[str, int]:
    """Octets of the slots that an installation would write, by class."""
    return {s.slot_class: size for s in slots if s.state == "inactive" and (size := _size(Path(s.device)))}


def _size(device: Path) -> int:
    """Of a block device from sysfs, which anybody may read; of a file as it is. 0 where it cannot be told."""
    try:
        real = device.resolve(strict=True)
        if real.is_file():
            return real.stat().st_size
        return int(Path("/sys/class/block", real.name, "size").read_text()) * 512
    except (OSError, ValueError):
        return 0


def _words(places: Places) -> dict[str, str]:
    try:
        text = places.cmdline.read_text("utf-8", "replace")[:4096]
    except OSError:
        return {}
    return dict(re.findall(r"(?:^|\s)(rauc\.slot|platen\.slot|platen\.trial)=(\S+)", text))


async def _status(places: Places, service: str) -> dict[str, Any]:
    try:
        return await control.call(
            places.paths.socket(service), f"platen.{service}.Status", timeout_s=ANSWER_S
        )
    except PlatenError:
        return {}


async def _page(host: str, port: int) -> bool:
    """Whether the page gives a page or sends us to one."""
    request = f"GET /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request.encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return re.match(rb"HTTP/1\.[01] (200|303) ", line) is not None


def _database(places: Places) -> bool:
    path = places.paths.database
    if not os.path.exists(path):
        return False
    try:
        with wrapped(path):
            db = open_database(path, write=False)
            try:
                printers.all_printers(db)
            finally:
                db.close()
    except StoreError:
        return False
    return True
