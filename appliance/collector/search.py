# SPDX-License-Identifier: Apache-2.0
"""One discovery: ask addresses gently, tell printers from others, and read each printer for the first time.

Every address gets one small question. What answers is judged by its sysObjectID: other devices end there, printers
are read, the unknown get one further small question. A general-purpose agent gets that other question at the next
discovery instead of the first one again, or at once where a second look is wished.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from appliance.collector.access import Access
from appliance.collector.ask.sweep import Answer, Progress, sweep
from appliance.collector.judge.candidate import verdict
from appliance.collector.read.profile import Profiles
from appliance.collector.state import Neighbour
from appliance.collector.visit import Visit, first_read
from appliance.collector.wire.value import MISSING, under
from appliance.host import clock, links
from appliance.model.errors import NameUnknown, NoAnswer, NotAPrinter, PrinterError, TargetError, UsageError
from appliance.model.reading import Traffic
from appliance.model.targets import Address, Span, allowed, parse

PRINTER_MIB = "1.3.6.1.2.1.43"
FIRST_READ_S = 120.0
"""A first reading that takes longer is given up."""

RESOLVE_S = 5.0

log = logging.getLogger(__name__)

Line = Callable[[str], contextlib.AbstractAsyncContextManager[object]]
"""Holds an address for as long as it is being asked, so that there is one request in flight."""


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """An address that answered. `visit` is there where it is a printer and could be read; else `error` says why
    not. `neighbour` is what to remember of one that is no printer."""

    address: str
    verdict: Literal["printer", "other", "failed"]
    port: int
    version: str
    community: int
    sys_object_id: str | None
    visit: Visit | None = None
    error: PrinterError | None = None
    neighbour: Neighbour | None = None
    traffic: Traffic = Traffic()


class Search:
    """A discovery of `addresses`; `run` calls `on_hit` as results come. Public attributes are live progress."""

    def __init__(
        self,
        addresses: Sequence[Address],
        access: Access,
        profiles: Profiles,
        *,
        rate: int,
        on_hit: Callable[[Hit], Awaitable[None]],
        at_once: int = 8,
        second_look: bool = False,
        neighbours: Mapping[str, Neighbour] | None = None,
        aliases: Callable[[str], bool] = lambda address: False,
        line: Line = lambda address: contextlib.nullcontext(),
    ) -> None:
        """`aliases` tells addresses that need no reading: another one of the same printer is known."""
        self.total, self.asked, self.rate = len(addresses), 0, rate
        self.answered: set[str] = set()
        self.reading = 0
        self._addresses, self._access, self._profiles = addresses, access, profiles
        self._on_hit, self._second_look = on_hit, second_look
        self._neighbours = neighbours or {}
        self._aliases = aliases
        self._line = line
        self._places = asyncio.Semaphore(at_once)
        self._again: dict[int, list[Address]] = {}
        self._object_ids: dict[str, str | None] = {}
        self._questions = 0

    @property
    def eta_s(self) -> float:
        """Seconds until the questions are out, as far as can be told: whoever is silent is asked again."""
        silent = self.total - len(self.answered)
        made = self.total + silent * (2 * len(self._access.communities) - 1)
        return max(made - self._questions, 0) / self.rate

    async def run(self) -> None:
        """Returns when everybody was asked and every candidate was read."""
        first: list[Address] = []
        for address in self._addresses:
            known = self._neighbours.get(str(address))
            if (
                known is not None
                and known.asked == "sysObjectID"
                and verdict(known.sys_object_id) == "generic"
            ):
                community = known.community % len(self._access.communities)
                self._again.setdefault(community, []).append(address)
            else:
                first.append(address)
        async with asyncio.TaskGroup() as group:
            left: Sequence[Address] = first
            for number in range(len(self._access.communities)):
                async for answer in self._sweep(left, number, "sysObjectID"):
                    await self._judge(answer, number, group)
                self.asked = len(first)
                left = [a for a in left if str(a) not in self.answered]
            for number, addresses in self._again.items():
                async for answer in self._sweep(addresses, number, "printer"):
                    await self._look_closer(answer, number, group)
        self.asked = self.total

    async def _sweep(
        self, addresses: Sequence[Address], community: int, question: Literal["sysObjectID", "printer"]
    ) -> AsyncIterator[Answer]:
        before = self._questions

        def progress(made: Progress) -> None:
            self._questions = before + made.asked
            if question == "sysObjectID":
                self.asked = max(self.asked, min(made.asked, len(addresses)))

        if not addresses:
            return
        answers = sweep(
            addresses,
            port=self._access.port,
            community=self._access.community(community),
            rate=self.rate,
            question=question,
            on_progress=progress,
        )
        async with contextlib.aclosing(answers):  # type: ignore[type-var]  # it is a generator
            async for answer in answers:
                yield answer

    async def _judge(self, answer: Answer, community: int, group: asyncio.TaskGroup) -> None:
        address = str(answer.address)
        if address in self.answered:
            return
        self.answered.add(address)
        object_id = _object_id(answer)
        kind = verdict(object_id)
        known = self._neighbours.get(address)
        self._object_ids[address] = object_id
        if self._aliases(address):
            await self._other(address, answer, community, object_id, "sysObjectID")
        elif kind == "printer":
            group.create_task(self._read(address, answer, community, object_id))
        elif (
            kind == "unknown"
            and not (known is not None and known.asked == "both" and known.sys_object_id == object_id)
        ) or (kind == "generic" and self._second_look):
            self._again.setdefault(community, []).append(answer.address)
        else:
            asked: Literal["sysObjectID", "both"] = "both" if kind == "unknown" else "sysObjectID"
            await self._other(address, answer, community, object_id, asked)

    async def _look_closer(self, answer: Answer, community: int, group: asyncio.TaskGroup) -> None:
        address = str(answer.address)
        both = address in self.answered
        self.answered.add(address)
        known = self._neighbours.get(address)
        object_id = self._object_ids.get(address, known.sys_object_id if known else None)
        varbind = answer.varbinds[0] if answer.varbinds else None
        if varbind is not None and varbind.tag not in MISSING and under(varbind.oid, PRINTER_MIB):
            group.create_task(self._read(address, answer, community, object_id))
        else:
            await self._other(address, answer, community, object_id, "both" if both else "printer")

    async def _other(
        self,
        address: str,
        answer: Answer,
        community: int,
        object_id: str | None,
        asked: Literal["sysObjectID", "printer", "both"],
    ) -> None:
        await self._on_hit(
            Hit(
                address=address,
                verdict="other",
                port=self._access.port,
                version=answer.version,
                community=community,
                sys_object_id=object_id,
                neighbour=Neighbour(object_id, asked, community),
            )
        )

    async def _read(self, address: str, answer: Answer, community: int, object_id: str | None) -> None:
        port = self._access.port
        async with self._places:
            self.reading += 1
            try:
                version = await self._version(answer, community)
                visit, error, traffic = await read_first(
                    address,
                    self._access,
                    self._profiles,
                    version=version,
                    community=community,
                    line=self._line,
                )
            finally:
                self.reading -= 1
        not_one = isinstance(error, NotAPrinter)
        await self._on_hit(
            Hit(
                address=address,
                verdict="printer" if visit else "other" if not_one else "failed",
                port=port,
                version=version,
                community=community,
                sys_object_id=object_id,
                visit=visit,
                error=error,
                neighbour=Neighbour(object_id, "both", community) if not_one else None,
                traffic=traffic,
            )
        )

    async def _version(self, answer: Answer, community: int) -> str:
        """What a printer speaks that answered in v1: perhaps v2c too, and only the first question was lost."""
        if answer.version == "2c":
            return "2c"
        asked = sweep(
            [answer.address],
            port=self._access.port,
            community=self._access.community(community),
            versions=("2c",),
        )
        return "2c" if [again async for again in asked] else "1"


async def read_first(
    address: str,
    access: Access,
    profiles: Profiles,
    *,
    line: Line,
    port: int | None = None,
    version: str | None = None,
    community: int = 0,
) -> tuple[Visit | None, PrinterError | None, Traffic]:
    """A first reading, or why there is none; and what it took either way."""
    visit: Visit | None = None
    error: PrinterError | None = None
    async with line(address):
        asker = access.asker(address, port=port, version=version, community=community)
        try:
            async with asyncio.timeout(FIRST_READ_S):
                visit = await first_read(asker, profiles, now=clock.now())
        except PrinterError as e:
            error = e
        except TimeoutError:
            error = NoAnswer(f"{address} answers too slowly to be read", code="too-slow")
        except Exception:
            # One printer that trips us must not end the search for all others.
            log.exception("%s could not be read", address)
            error = PrinterError(
                f"{address} could not be read because of a fault of ours",
                hint="A recording of it helps us: 'platen record'",
                code="fault",
            )
        finally:
            await asker.close()
    return visit, error, asker.traffic


def _object_id(answer: Answer) -> str | None:
    value = answer.varbinds[0].value if answer.varbinds else None
    return value if isinstance(value, str) else None


async def attached() -> list[Span]:
    """Every address of the attached networks but this machine's own. PlatenError where there is no network."""
    found = await asyncio.to_thread(links.attached)
    if not found:
        raise UsageError(
            "There is no attached network in which to look for printers",
            hint="Plug in the network cable, or name a range",
            code="no-network",
        )
    own = {link.address for link in found}
    spans: list[Span] = []
    for link in found:
        hosts = parse(str(link.search))
        assert isinstance(hosts, Span)
        spans += [Span(a, a) for a in hosts if a not in own]
    return spans


async def resolve(texts: Iterable[str]) -> tuple[list[Span], list[PrinterError]]:
    """Targets as people write them: their addresses, and what could not be resolved. TargetError where one is not a
    target, or a name leads to a public address."""
    spans: list[Span] = []
    names: list[str] = []
    for text in texts:
        target = parse(text)
        if isinstance(target, Span):
            spans.append(target)
        elif target not in names:
            names.append(target)
    places = asyncio.Semaphore(8)

    async def one(name: str) -> list[Span] | PrinterError:
        async with places:
            return await _resolve(name)

    errors: list[PrinterError] = []
    for found in await asyncio.gather(*(one(name) for name in names)):
        if isinstance(found, PrinterError):
            errors.append(found)
        else:
            spans.extend(found)
    return spans, errors


async def _resolve(name: str) -> list[Span] | PrinterError:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            rows = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except TimeoutError:
        return NameUnknown(f"The name {name} was not resolved within {RESOLVE_S:g} s")
    except (OSError, UnicodeError):
        return NameUnknown(f"The name {name} does not resolve")
    found: dict[Address, None] = dict.fromkeys(
        ipaddress.ip_address(row[4][0]) for row in rows if "%" not in str(row[4][0])
    )
    # A printer with both has one SNMP agent; asking it twice would show it twice.
    preferred: list[Address] = [a for a in found if a.version == 4] or list(found)
    for address in preferred:
        if not allowed(address):
            raise TargetError(
                f"{name} is {address}, which is not in a private network",
                hint="The box asks private addresses only",
                code="public-address",
            )
    return [Span(a, a) for a in preferred]
