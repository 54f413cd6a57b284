# SPDX-License-Identifier: Apache-2.0
"""Discovery as the service does it: where to look, whom not to ask, and which printer each found one is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from appliance.collector import search, state
from appliance.collector.judge.candidate import verdict
from appliance.collector.roster import Known, stamp_of
from appliance.collector.scan import Entry, Scan
from appliance.collector.search import Hit, Search
from appliance.collector.visit import Visit
from appliance.host import clock
from appliance.model.errors import PlatenError, TargetError
from appliance.model.targets import Address, Span, addresses, parse

if TYPE_CHECKING:
    from appliance.collector.service import Collector

AGAIN_S = 60.0
"""When there was no network to look at, look for one after this."""

SECOND_LOOK_S = 300.0
"""So long after a first search, whoever was silent is asked once more: printers sleep, and restart."""

FEW = 16
"""Of so few addresses each silent one is shown; of more, only what answered."""

log = logging.getLogger(__name__)


class Discovery:
    """Runs by itself every discovery.every_h, and when wished."""

    def __init__(self, collector: Collector, file: Path) -> None:
        self.scan: Scan | None = None
        self.problems: list[PlatenError] = []
        self._collector, self._file = collector, file
        self._memory = state.load(file)
        self._wish: list[str] | None = None
        self._wished = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._by_settings = self._stale = False
        self._deciding = asyncio.Lock()

    @property
    def running(self) -> bool:
        return self._task is not None

    def wish(self, targets: Sequence[str] | None) -> None:
        """Look now: at `targets`, or where the settings say. TargetError where one is not a target; PlatenError
        "already-scanning"."""
        for text in targets or ():
            parse(text)
        if self.running or self._wished.is_set():
            raise PlatenError(
                "A search is already running", hint="Wait for it, or stop it", code="already-scanning"
            )
        self._wish = list(targets) if targets else None
        self._wished.set()

    def stop(self) -> None:
        """End the running one; what it found stays."""
        if self._task is not None and self.scan is not None:
            self.scan.stopped = True
            self._task.cancel()

    def again(self) -> None:
        """Where or how to look has changed: the next discovery is due."""
        self._stale = True
        self._memory.finished = None
        if self._task is None:
            self._wished.set()
        elif self._by_settings:
            self._task.cancel()

    def _network_again(self) -> None:
        if not self.running:
            self._wished.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            now = clock.now()
            wait = self._memory.due_in_s(now, self._collector.every_s)
            second_look = self._memory.second_look and wait > 0
            if second_look:
                wait = self._memory.due_in_s(now, SECOND_LOOK_S)
            if wait and not self._wished.is_set():
                try:
                    async with asyncio.timeout(min(wait, 600.0)):
                        await self._wished.wait()
                except TimeoutError:
                    continue
            second_look = second_look and not self._wished.is_set()
            targets, self._wish = self._wish, None
            self._wished.clear()
            self._by_settings, self._stale = targets is None, False
            self._task = asyncio.create_task(self._discover(targets, second_look))
            try:
                await asyncio.wait({self._task})
            finally:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
                self._task = None

    async def _discover(self, targets: list[str] | None, second_look: bool) -> None:
        rate, before, memory = self._collector.number("discovery.rate"), self.scan, self._memory
        scan = self.scan = Scan(rate=rate, started=clock.now().time)
        if second_look and before is not None:
            scan.found, scan.more = before.found, before.more
        first = memory.finished is None
        complete = False
        try:
            complete = await self._scan(scan, targets, second_look)
        except Exception:
            log.exception("a discovery failed")
        finally:
            scan.finished = clock.now().time
            if second_look:
                memory.second_look = False
                state.save(self._file, memory)
            elif targets is None and not self._stale:
                # One that was stopped counts too: the person knows best. One that met no network does not.
                memory.finished = clock.now()
                memory.second_look = first and complete
                if not complete and not scan.stopped:
                    asyncio.get_running_loop().call_later(AGAIN_S, self._network_again)
                else:
                    state.save(self._file, memory)

    async def _scan(self, scan: Scan, targets: list[str] | None, second_look: bool) -> bool:
        """Whether there was anything to look at."""
        c = self._collector
        if targets is None:
            spans, self.problems = await self._where()
        else:
            spans, wrong = await _spans(targets)
            scan.note(
                Entry(address=text, verdict="failed", code=e.code, sentence=e.sentence) for text, e in wrong
            )
        excluded, errors = await self.excluded()
        shown = {e.sentence for e in self.problems}
        self.problems += [e for e in errors if e.sentence not in shown]
        if errors:
            return False  # it would ask whom nobody wants asked
        everyone = list(addresses(spans, excluded))
        if targets is None:
            # A printer that was added by its address is looked for like those in the ranges.
            listed = set(map(str, everyone))
            scan.total = sum(k.row.address not in listed and not k.displaced for k in c.roster)
        scan.total += len(everyone)
        left: list[Address] = []
        for address in everyone:
            known = c.roster.at(str(address))
            if known is not None:
                scan.note([self._entry_known(known)])
                if known.row.state == "silent" and not second_look:
                    c.ask_soon(known.row.id)
            elif not second_look or self._is_open(str(address)):
                left.append(address)
        if targets is None and not second_look:
            for known in c.roster:
                if known.row.state == "silent" and not known.displaced:
                    c.ask_soon(known.row.id)

        async def hit(found: Hit) -> None:
            scan.note([await self._hit(found)])

        scan.search = Search(
            left,
            c.access,
            c.profiles,
            rate=scan.rate,
            on_hit=hit,
            at_once=c.number("poll.at_once"),
            neighbours=self._memory.neighbours,
            aliases=self._is_alias,
            line=c.line,
        )
        log.info("looking for printers at %d addresses, %d a second", len(left), scan.rate)
        await scan.search.run()
        for silent in left:
            if (where := str(silent)) not in scan.search.answered:
                self._memory.neighbours.pop(where, None)
                self._memory.aliases.pop(where, None)
                if len(everyone) <= FEW:
                    sentence = f"{where} did not answer"
                    scan.note([Entry(address=where, verdict="silent", code="no-answer", sentence=sentence)])
        scan.note(
            self._entry_known(k) for a in scan.found if (k := c.roster.at(a)) and k.row.state == "silent"
        )
        return bool(everyone) or bool(targets)

    async def _where(self) -> tuple[list[Span], list[PlatenError]]:
        """The addresses to ask by the settings, and what is wrong with how they were named."""
        texts = self._collector.texts("discovery.ranges")
        if texts:
            spans, wrong = await _spans(texts)
            return spans, [e for _, e in wrong]
        try:
            return await search.attached(), []
        except PlatenError as e:
            return [], [e]

    async def excluded(self) -> tuple[list[Span], list[PlatenError]]:
        """Whom never to ask."""
        spans, wrong = await _spans(self._collector.texts("discovery.exclude"))
        return spans, [e for _, e in wrong]

    def _is_open(self, address: str) -> bool:
        """Whether the question is still open what is there: it was silent, or is a general-purpose agent."""
        neighbour = self._memory.neighbours.get(address)
        if neighbour is None:
            return address not in self._memory.aliases
        return neighbour.asked == "sysObjectID" and verdict(neighbour.sys_object_id) == "generic"

    def _is_alias(self, address: str) -> bool:
        printer = self._memory.aliases.get(address)
        known = None if printer is None else self._collector.roster.get(printer)
        return known is not None and known.row.state == "active"

    async def _hit(self, hit: Hit) -> Entry:
        memory = self._memory
        alias = self._collector.roster.get(memory.aliases.get(hit.address, ""))
        if hit.verdict == "other" and alias is not None and self._is_alias(hit.address):
            return self._entry_known(alias, address=hit.address)
        if hit.neighbour is not None and len(memory.neighbours) < 65_536:
            memory.neighbours[hit.address] = hit.neighbour
        else:
            memory.neighbours.pop(hit.address, None)
        if hit.visit is not None:
            return await self.adopt(hit.address, hit.visit, hit)
        if hit.verdict == "other":
            return Entry(
                address=hit.address,
                verdict="other",
                code="not-a-printer",
                sentence=hit.error.sentence if hit.error else "It answers, and is no printer",
            )
        error = hit.error
        assert error is not None
        return Entry(address=hit.address, verdict="failed", code=error.code, sentence=error.sentence)

    async def adopt(self, address: str, visit: Visit, hit: Hit) -> Entry:
        """Say which printer it is that was read at `address`, and write that down."""
        c = self._collector
        facts = {"port": hit.port, "snmp_version": hit.version, "community_index": hit.community}
        async with self._deciding:
            stamp = stamp_of(visit)
            match = c.roster.recognise(visit.reading, address)
            holder = c.roster.at(address)
            known = c.roster.get(match.id) if match.id else None
            if known is not None and holder is known:
                c.roster.answered(known, visit, stamp, **facts)
                entry = self._entry_known(known)
            else:
                old, there = (known.row.address, await c.who_is_there(known)) if known else (None, "nobody")
                if holder is not None:
                    c.roster.displaced(holder, stamp)
                    c.rest(holder.row.id)
                if known is not None and there == "the same":
                    self._memory.aliases[address] = known.row.id
                    return self._entry_known(known, address=address)
                if known is not None:
                    c.roster.moved(known, visit, stamp, address=address, **facts)
                    entry = self._entry_known(known, moved_from=old)
                else:
                    known = c.roster.found(visit, stamp, conflict=match.conflict, address=address, **facts)
                    entry = _entry_new(known, match.conflict)
                if old is not None and there == "another":
                    # Two that swapped their addresses: look who is at the old one, at once.
                    c.spawn(self._look_at(old, hit))
            c.adopted(known, hit.traffic)
            return entry

    async def _look_at(self, address: str, like: Hit) -> None:
        c = self._collector
        visit, error, traffic = await search.read_first(
            address,
            c.access,
            c.profiles,
            port=like.port,
            version=like.version,
            community=like.community,
            line=c.line,
        )
        if visit is None:
            log.info("%s: %s", address, error)
            return
        hit = msgspec.structs.replace(like, address=address, visit=visit, traffic=traffic)
        await self.adopt(address, visit, hit)

    def _entry_known(
        self, known: Known, *, address: str | None = None, moved_from: str | None = None
    ) -> Entry:
        row = known.row
        silent = row.state == "silent"
        if address is not None:
            code, sentence = "known", f"Another address of the printer at {row.address}"
        elif moved_from is not None:
            code, sentence = "moved", f"Known, and moved here from {moved_from}"
        elif silent:
            code, sentence = row.last_error or "no-answer", row.last_error_text or "It does not answer"
        else:
            code, sentence = "known", "Known already"
        return Entry(
            address=address or row.address,
            printer=row.id,
            vendor=row.vendor,
            model=row.model,
            verdict="silent" if silent and moved_from is None and address is None else "known",
            code=code,
            sentence=sentence,
        )


def _entry_new(known: Known, conflict: str | None) -> Entry:
    return Entry(
        address=known.row.address,
        printer=known.row.id,
        vendor=known.row.vendor,
        model=known.row.model,
        verdict="printer",
        code="conflict" if conflict else "found",
        sentence=conflict or "New",
    )


async def _spans(texts: Sequence[str]) -> tuple[list[Span], list[tuple[str, PlatenError]]]:
    """Addresses, and what is wrong with which text: one bad entry must not hide the others."""
    spans: list[Span] = []
    wrong: list[tuple[str, PlatenError]] = []
    for text in texts:
        try:
            found, failed = await search.resolve([text])
        except TargetError as e:
            wrong.append((text, e))
        else:
            spans += found
            wrong += [(text, e) for e in failed]
    return spans, wrong
