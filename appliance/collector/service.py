# SPDX-License-Identifier: Apache-2.0
"""The collector: knows the printers, reads each when it is due, looks for new ones, writes down what it learns.

Five loops share one event loop: polls, commits, settings, discovery, tidying. They meet in the roster (who is
known), the schedule (when), the budget (how much) and the writer (what waits for the disk); none of them waits for
another.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Literal

from appliance.collector.access import Access
from appliance.collector.budget import Budget, allowance
from appliance.collector.discovery import Discovery
from appliance.collector.read.plan import Plan
from appliance.collector.read.profile import Profiles, load_profiles
from appliance.collector.roster import Known, Roster, stamp_of
from appliance.collector.schedule import Due, Kind, Schedule
from appliance.collector.search import Hit, read_first
from appliance.collector.visit import Visit, poll
from appliance.collector.writer import Writer
from appliance.host import clock, journal, notify
from appliance.host.journal import Message
from appliance.model.clock import rfc3339, unix
from appliance.model.errors import Fault, NoAnswer, PlatenError, PrinterError, PrinterExchanged, StoreError
from appliance.model.reading import Traffic
from appliance.model.settings import Value, number, texts
from appliance.model.targets import Span
from appliance.store import events, printers, readings, settings
from appliance.store.worker import Worker

SETTINGS_S = 2.0
"""How often to look whether a setting was changed."""

HURRY_S = 0.5
"""What should be seen soon (a new printer, a warning) waits this long for company, then is written."""

FIRST_COMMIT_S = 20.0
"""The first commit of a quiet start comes after so long, the next ones at double the time, up to store.commit_s."""

BUSY_S = (2.0, 60.0)
"""After a failed write, the next try comes after the first, doubling up to the second."""

LOOK_S = 30.0
"""The schedule is looked at this often at least, so that a sleep of the machine is noticed."""

TIDY_AFTER_S = 600.0
DAY_S = 86_400.0
"""Old readings go once a day, the first time well after the start."""

FLUSH_S = 4.0
"""What a stop may take to write what waits."""

VISIT_S = 90.0

log = logging.getLogger(__name__)


class Collector:
    """One per box. `await start()`, then `run()` until cancelled, then `stop()`."""

    def __init__(self, database: Path, memory: Path, box: str) -> None:
        self.worker = Worker(database)
        self.writer = Writer(self.worker, box)
        self.roster = Roster(self.writer)
        self.schedule = Schedule(status_s=900, full_s=86_400)
        self.budget = Budget(allowance(status_s=900, full_s=86_400))
        self.settings: dict[str, Value] = {}
        self.access = Access()
        self.profiles: Profiles
        self.store_problem: StoreError | None = None
        self._memory = memory
        self._version = -1
        self._lines: dict[str, tuple[asyncio.Lock, int]] = {}
        self._visits: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._excluded: list[Span] = []

    async def start(self) -> None:
        """Open the database and know the printers again. StoreError or ProfileError where that cannot be."""
        self.profiles = await asyncio.to_thread(load_profiles)
        rows = await self.worker.run(printers.all_printers)
        self.roster.load(rows, await self.writer.load())
        self.discovery = Discovery(self, self._memory)
        await self.reload(first=True)
        now, wall = mono(), unix(clock.now().time)
        for known in self.roster:
            self._schedule(known, now, wall)
        log.info("%d printers known", len(self.roster))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for loop in (
                self._poll,
                self._commit,
                self._watch_settings,
                self._tidy,
                self.discovery.run,
                notify.keep_alive,
            ):
                group.create_task(loop())

    async def stop(self) -> None:
        """Break off what is being asked, write what waits, close. At most 5 s."""
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.writer.commit()
        except (PlatenError, TimeoutError) as e:
            log.error("%d readings and events could not be written: %s", len(self.writer), e)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.worker.close()

    # Settings

    def number(self, key: str) -> int:
        return number(self.settings, key)

    def texts(self, key: str) -> list[str]:
        return texts(self.settings, key)

    @property
    def every_s(self) -> float:
        return self.number("discovery.every_h") * 3600.0

    async def reload(self, *, first: bool = False) -> None:
        """Read the settings; what they say is in force when this returns."""
        version = await self.worker.run(settings.version)
        new = await self.worker.run(settings.load, ("snmp.communities",))
        old, self.settings, self._version = self.settings, new, version
        self.access = Access.of(new)
        status_s, full_s = self.number("poll.status_s"), self.number("poll.full_s")
        self.budget.allowed = allowance(status_s=status_s, full_s=full_s)
        self.schedule.configure(mono(), status_s=status_s, full_s=full_s)
        # What has not changed is still worth a word to the dealer now and then.
        self.writer.confirm_s = min(max(4.0 * status_s, 60.0), 3600.0)
        if first or old["discovery.exclude"] != new["discovery.exclude"]:
            self._excluded, _ = await self.discovery.excluded()
            for known in self.roster:
                self._heed(known)
        if not first and any(old[k] != new[k] for k in ("discovery.ranges", "snmp.communities", "snmp.port")):
            self.discovery.again()
        self._wake.set()

    async def _watch_settings(self) -> None:
        while True:
            await asyncio.sleep(SETTINGS_S)
            try:
                if await self.worker.run(settings.version) != self._version:
                    await self.reload()
            except StoreError as e:
                self._store_failed(e)

    # Polls

    async def _poll(self) -> None:
        while True:
            self._wake.clear()
            now = mono()
            free = self.number("poll.at_once") - len(self._visits)
            for due in self.schedule.take(now, free):
                if wait := self.budget.wait_s(due.printer, now):
                    log.info("%s was asked enough for this hour", due.printer)
                    self.schedule.postpone(due.printer, now + wait)
                    continue
                self.spawn(self._visit(due))
            following = self.schedule.next_at() if len(self._visits) < self.number("poll.at_once") else None
            wait_s = LOOK_S if following is None else min(max(following - mono(), 0.0), LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    def spawn(self, visit: Coroutine[None, None, None]) -> None:
        """Let a visit go on by itself. It takes one of the places that poll.at_once gives."""
        task = asyncio.create_task(visit)
        self._visits.add(task)
        task.add_done_callback(self._visited)

    def _visited(self, task: asyncio.Task[None]) -> None:
        self._visits.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a visit failed in us", exc_info=error)

    async def _visit(self, due: Due) -> None:
        known = self.roster.get(due.printer)
        if known is None or known.displaced:
            self.schedule.rest(due.printer)
            return
        try:
            await self.visit(known, due.kind)
        except PlatenError as e:
            log.debug("%s: %s", known.row.address, e)
        except Exception:
            # It counts as a failure, or a reading that trips us would be tried again without a pause.
            self.failed(known, Fault(f"{known.title} could not be read because of a fault of ours"))
            raise
        finally:
            self.schedule.release(due.printer, mono())

    async def visit(self, known: Known, kind: Kind) -> Traffic:
        """Read a known printer now and take down what comes of it. PrinterError where nothing did, which is then
        written down too."""
        if known.plan is None:
            return await self._identify(known)
        try:
            visit, traffic, facts = await self._ask(known, known.plan, kind)
        except PrinterExchanged:
            # Somebody else answers at its address: find out who. The known one may turn up elsewhere.
            return await self._identify(known)
        except PrinterError as e:
            self.failed(known, e)
            raise
        if visit.replanned:
            # The plan no longer fitted, and it was walked: its shape changed, or it is another printer.
            await self.discovery.adopt(known.row.address, visit, _hit(known, visit, facts))
        else:
            self.roster.answered(known, visit, stamp_of(visit), **facts)
            self.schedule.done(known.row.id, kind, mono())
        return traffic

    async def who_is_there(self, known: Known) -> Literal["the same", "another", "nobody"]:
        """Who answers at the address a known printer is known by."""
        plan = known.plan
        if (
            plan is None
            or known.displaced
            or known.row.state != "active"
            or self.is_excluded(known.row.address)
        ):
            return "nobody"
        try:
            visit, _, facts = await self._ask(known, plan, "status")
        except PrinterExchanged:
            return "another"
        except PrinterError:
            return "nobody"
        if visit.replanned and self.roster.recognise(visit.reading, known.row.address).id != known.row.id:
            return "another"
        self.roster.answered(known, visit, stamp_of(visit), **facts)
        self.schedule.done(known.row.id, "status", mono())
        return "the same"

    async def _ask(self, known: Known, plan: Plan, kind: Kind) -> tuple[Visit, Traffic, dict[str, object]]:
        """One visit over the wire: the reading, what it took, and fields of its row that it found out."""
        row = known.row
        # A community that was changed is found again by trying the next one each time.
        community = (row.community_index or 0) + row.failures
        async with self.line(row.address):
            asker = self.access.asker(
                row.address, port=row.port, version=row.snmp_version, community=community, quirks=plan.quirks
            )
            try:
                async with asyncio.timeout(VISIT_S):
                    visit = await poll(
                        asker, plan, self.profiles, kind, now=clock.now(), previous=known.reading
                    )
            except TimeoutError:
                raise NoAnswer(f"{row.address} answers too slowly to be read", code="too-slow") from None
            except NoAnswer:
                # What made it fall silent must not be asked of it again in the same way.
                self.roster.learned(known, asker.quirks)
                raise
            finally:
                self.budget.spend(row.id, asker.traffic, mono())
                await asker.close()
        return visit, asker.traffic, {"community_index": community % len(self.access.communities)}

    async def _identify(self, known: Known) -> Traffic:
        """Walk what answers at the address of `known`, find out which printer that is, and take it down."""
        row = known.row
        community = ((row.community_index or 0) + row.failures) % len(self.access.communities)
        visit, error, traffic = await read_first(
            row.address,
            self.access,
            self.profiles,
            port=row.port,
            version=row.snmp_version,
            community=community,
            line=self.line,
        )
        if visit is None:
            self.budget.spend(row.id, traffic, mono())
            assert error is not None
            self.failed(known, error)
            raise error
        self.budget.spend(row.id, traffic, mono())
        await self.discovery.adopt(row.address, visit, _hit(known, visit, {"community_index": community}))
        return traffic

    def failed(self, known: Known, error: PlatenError) -> None:
        failures = self.schedule.failed(known.row.id, mono())
        self.roster.failed(known, error, clock.now(), failures)

    # What discovery and wishes need

    @contextlib.asynccontextmanager
    async def line(self, address: str) -> AsyncIterator[None]:
        """Hold an address: one request in flight, whoever asks."""
        lock, users = self._lines.get(address, (asyncio.Lock(), 0))
        self._lines[address] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._lines[address]
            if users > 1:
                self._lines[address] = (lock, users - 1)
            else:
                del self._lines[address]

    def adopted(self, known: Known, traffic: Traffic) -> None:
        """A printer was found and read: from now on it is polled, and seen soon."""
        printer = known.row.id
        self.budget.spend(printer, traffic, mono())
        if printer not in self.schedule:
            self.schedule.add(printer, mono(), full_age=0.0, paused=known.row.state == "paused")
        self.schedule.done(printer, "full", mono())
        self._heed(known)
        self.writer.hurry.set()
        self._wake.set()

    def rest(self, printer: str) -> None:
        self.schedule.rest(printer)

    def ask_soon(self, printer: str) -> None:
        self.schedule.wish(printer, mono())
        self._wake.set()

    def is_excluded(self, address: str) -> bool:
        number = ipaddress.ip_address(address)
        return any(number in span for span in self._excluded)

    def set_paused(self, known: Known, paused: bool) -> None:
        if paused:
            self.roster.change(known, state="paused")
        elif known.row.state == "paused":
            self.roster.change(known, state="active")
        self._heed(known)
        self._wake.set()

    def _heed(self, known: Known) -> None:
        """Whoever is paused or excluded is not asked."""
        if known.row.id not in self.schedule:
            return
        if known.row.state == "paused" or self.is_excluded(known.row.address):
            self.schedule.pause(known.row.id)
        else:
            self.schedule.resume(known.row.id, mono())

    def _schedule(self, known: Known, now: float, wall: float) -> None:
        full = known.reading.times.get("printer") if known.reading else None
        self.schedule.add(
            known.row.id,
            now,
            full_age=None if full is None else wall - unix(full),
            failures=known.row.failures,
        )
        if known.displaced:
            self.schedule.rest(known.row.id)
        self._heed(known)

    # Writing

    async def _commit(self) -> None:
        tries, began = 0, mono()
        while True:
            # After a start somebody waits for what it reads; later each commit less is wear that the card is spared.
            longest = min(self.number("store.commit_s"), max(FIRST_COMMIT_S, mono() - began))
            wait = longest if not tries else min(BUSY_S[0] * 2 ** (tries - 1), BUSY_S[1])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self.writer.hurry.wait()
                    # A disk that refuses is not asked more often because somebody is in a hurry.
                    await asyncio.sleep(wait if tries else HURRY_S)
            self.writer.hurry.clear()
            try:
                if self.writer:
                    await self.writer.commit()
                    notify.status(f"{len(self.roster)} printers known")
            except StoreError as e:
                tries += 1
                self._store_failed(e)
            else:
                tries = 0
                self._store_works()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_AFTER_S)
            try:
                await self.tidy()
            except StoreError as e:
                self._store_failed(e)
            await asyncio.sleep(DAY_S - TIDY_AFTER_S)

    async def tidy(self) -> None:
        """Forget what is older than store.keep_days; never by a clock that nobody has set."""
        now = clock.now()
        if now.clock == "synchronised":
            before = rfc3339(unix(now.time) - self.number("store.keep_days") * DAY_S)
            gone = await self.worker.run(readings.prune, before) + await self.worker.run(events.prune, before)
            log.debug("%d old readings and events forgotten", gone)

    async def commit_now(self) -> None:
        """Before a wish is answered, what it read is on disk. StoreError is shown as a problem, not raised."""
        try:
            await self.writer.commit()
        except StoreError as e:
            self._store_failed(e)

    def _store_failed(self, error: StoreError) -> None:
        if self.store_problem is None or self.store_problem.code != error.code:
            log.error("%s", error, extra=journal.message(Message.DATABASE_REFUSES))
        self.store_problem = error

    def _store_works(self) -> None:
        if self.store_problem is not None:
            log.info("the database can be written again", extra=journal.message(Message.DATABASE_WORKS))
        self.store_problem = None


def mono() -> float:
    """Seconds of the clock that the schedule and the budget go by: since boot, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _hit(known: Known, visit: Visit, facts: Mapping[str, object]) -> Hit:
    """What a search would have found at the address of `known`. The traffic is accounted for already."""
    community = facts["community_index"]
    assert isinstance(community, int)
    return Hit(
        address=known.row.address,
        verdict="printer",
        port=known.row.port,
        version=known.row.snmp_version or "2c",
        community=community,
        sys_object_id=visit.reading.printer.sys_object_id,
        visit=visit,
    )
