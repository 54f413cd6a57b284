# SPDX-License-Identifier: Apache-2.0
"""What the services say right now, asked over their control sockets. A service that does not answer is itself news."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.host import control
from appliance.model.errors import Fault, PlatenError
from appliance.model.messages import Rollback

SHORT_S = 2.0
"""How long a page waits for a status; past it, the page is shown without."""

LONG_S = 25.0
"""How long a page waits for a reading of a printer that may be asleep."""


class Problem(msgspec.Struct, frozen=True):
    code: str
    sentence: str
    hint: str = ""
    printer: str | None = None


class Found(msgspec.Struct, frozen=True):
    """One address that a search came across. verdict: printer, known, other, silent or failed."""

    address: str
    verdict: str
    printer: str | None = None
    vendor: str | None = None
    model: str | None = None
    code: str | None = None
    sentence: str | None = None


class Scan(msgspec.Struct, frozen=True):
    """A search for printers. Times are RFC 3339, `rate` in addresses a second."""

    running: bool = False
    asked: int = 0
    total: int = 0
    rate: float = 0
    started: str | None = None
    finished: str | None = None
    eta_s: float | None = None
    found: list[Found] = []


class Spent(msgspec.Struct, frozen=True):
    """Traffic of the last hour, both ways."""

    packets_hour: int = 0
    bytes_hour: int = 0


class Budget(msgspec.Struct, frozen=True):
    """Traffic of the last hour: of all printers, what each may take, and what each took, by printer id."""

    packets_hour: int = 0
    bytes_hour: int = 0
    allowed_packets_hour: int = 0
    allowed_bytes_hour: int = 0
    printers: dict[str, Spent] = {}


class CollectorStatus(msgspec.Struct, frozen=True):
    printers: int = 0
    answering: int = 0
    silent: int = 0
    scan: Scan | None = None
    problems: list[Problem] = []
    budget: Budget = Budget()


class Certificate(msgspec.Struct, frozen=True):
    subject: str = ""
    issuer: str = ""
    not_after: str | None = None


class UplinkStatus(msgspec.Struct, frozen=True):
    """state: off, paused, connecting, connected or waiting."""

    state: str = "off"
    since: str | None = None
    host: str = ""
    port: int = 0
    error: Problem | None = None
    next_try_s: float | None = None
    waiting: int = 0
    waiting_bytes: int = 0
    oldest: str | None = None
    last_ack: str | None = None
    certificate: Certificate | None = None


class Slot(msgspec.Struct, frozen=True):
    """One of the two places for the box's software. state: booted or inactive."""

    bootname: str
    state: str
    version: str | None = None
    good: bool | None = None
    installed: str | None = None


class Ended(msgspec.Struct, frozen=True):
    """How an installation ended. result: confirmed, rolled-back, failed or cancelled."""

    version: str
    result: str
    time: str
    code: str = ""
    sentence: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """New software that waits for a person's word."""

    version: str
    origin: str


class UpdateStatus(msgspec.Struct, frozen=True):
    """operation: idle, fetching, checking, installing, restart-due or trial. `restart`: now or night, while one is
    due."""

    version: str
    slot: str = ""
    trial: bool = False
    operation: str = "idle"
    percent: int | None = None
    next_version: str | None = None
    floor: str | None = None
    slots: list[Slot] = []
    trouble: Problem | None = None
    last: Ended | None = None
    last_rollback: Rollback | None = None
    offer: Waiting | None = None
    restart: str | None = None
    support_end: str | None = None


S = TypeVar("S")


class Services:
    """The sockets of the other services in one run directory."""

    def __init__(self, collector: Path, uplink: Path, update: Path) -> None:
        self._paths = {"collector": collector, "uplink": uplink, "update": update}

    async def collector(self) -> CollectorStatus | PlatenError:
        return await self._status("collector", "Status", CollectorStatus)

    async def uplink(self) -> UplinkStatus | PlatenError:
        return await self._status("uplink", "Status", UplinkStatus)

    async def update(self) -> UpdateStatus | PlatenError:
        return await self._status("update", "Status", UpdateStatus, 8.0)

    async def scan(self) -> Scan | PlatenError:
        return await self._status("collector", "ScanStatus", Scan)

    async def both(self) -> tuple[CollectorStatus | PlatenError, UplinkStatus | PlatenError]:
        return await asyncio.gather(self.collector(), self.uplink())

    async def ask(
        self, service: str, method: str, timeout_s: float = 5.0, **parameters: Any
    ) -> dict[str, Any]:
        """The answer of `platen.SERVICE.METHOD`. PlatenError as the service raised it, or ServiceDown."""
        return await control.call(self._paths[service], f"platen.{service}.{method}", parameters, timeout_s)

    async def _status(
        self, service: str, method: str, form: type[S], timeout_s: float = SHORT_S
    ) -> S | PlatenError:
        try:
            return msgspec.convert(await self.ask(service, method, timeout_s), form, strict=False)
        except msgspec.ValidationError:
            return Fault(f"The {service} answered something that is not a status")
        except PlatenError as error:
            return error
