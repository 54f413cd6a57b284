# SPDX-License-Identifier: Apache-2.0
"""Reading everything below some roots: by GETBULK while the agent can, else by several GETNEXTs at once.

OIDs must increase. An agent that runs in circles, backwards, without end or into errors gets a bounded number of
packets, and what it said until then is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from appliance.collector.ask import ladder
from appliance.collector.ask.line import (
    ROOM_REQUEST,
    ROOM_RESPONSE,
    Line,
    quirk_number,
    set_quirk_number,
)
from appliance.collector.ask.spans import Key, Spans, after
from appliance.collector.wire import message
from appliance.collector.wire.message import varbind_size
from appliance.collector.wire.value import (
    END_OF_MIB_VIEW,
    INTEGER,
    MISSING,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    Varbind,
    oid_key,
)
from appliance.model.errors import AccessRefused, BadReply, NoAnswer

FIRST_REPETITIONS = 20
MOST_REPETITIONS = 50
"""Above 55 some agents leave rows out without a word."""
FEWEST_REPETITIONS = 5
FIRST_SPANS = 8
MOST_SPANS = 16
MOST_TROUBLES = 48
"""Errors and circles in one walk before the rest is left."""
MOST_CHECKED = 24


async def walk(line: Line, roots: Sequence[str], most: int = 5_000) -> list[Varbind]:
    """Varbinds under `roots` (sorted, apart from each other) in MIB order, `most` at the most. NoAnswer where none
    came, AccessRefused, and BadReply where the agent answered but nothing of it was of use."""
    loops = line.faults["loops"]
    walked = _Walk(line, [oid_key(r) for r in roots], most)
    # An instance has no successor of its own name.
    for varbind in await ladder.get(line, [r for r in roots if r.endswith(".0")]):
        if varbind.tag not in MISSING:
            walked.found[oid_key(varbind.oid)] = varbind
    if line.has_bulk and "no-bulk" not in line.quirks:
        await walked.by_bulk()
    await walked.by_steps()
    if walked.troubles > MOST_TROUBLES or len(walked.found) >= most:
        line.quirks.add("walk-incomplete")
    if line.faults["loops"] > loops:
        line.quirks.add("loops")
    if not walked.found and walked.troubles:
        raise BadReply(f"{line.address} answers, but cannot be walked")
    return [walked.found[k] for k in sorted(walked.found)][:most]


class _Walk:
    def __init__(self, line: Line, roots: list[Key], most: int) -> None:
        self.line = line
        self.most = most
        self.found: dict[Key, Varbind] = {}
        self.troubles = 0
        self._todo = [(root, after(root)) for root in roots]
        self._trouble_regions: list[tuple[Key, Key]] = []
        self._ended: list[tuple[Key, Key]] = []
        self._suspect = False

    async def by_bulk(self) -> None:
        """Walk by GETBULK; leave to `by_steps` what it cannot do."""
        line, todo, self._todo = self.line, self._todo, []
        repetitions = most = quirk_number(line.quirks, "max-repetitions", MOST_REPETITIONS)
        repetitions = min(repetitions, FIRST_REPETITIONS)
        at = 0
        worked = False
        while at < len(todo) and len(self.found) < self.most and self.troubles <= MOST_TROUBLES:
            before = todo[at:]
            low = before[0][0]
            try:
                reply = await line.ask(
                    message.GETBULK,
                    [_text(low)],
                    max_repetitions=repetitions,
                    tries=None if line.answered else 2,
                )
            except (NoAnswer, BadReply):
                # Large answers may be lost or cut on their way; no answer at all to GETBULK is met as well.
                if repetitions > FEWEST_REPETITIONS and line.answered:
                    repetitions = most = FEWEST_REPETITIONS
                    continue
                if not worked:
                    # It is gone (NoAnswer), or has no GETBULK.
                    await line.ask(message.GETNEXT, [_text(low)], tries=1)
                    line.quirks.add("no-bulk")
                    self._trouble_regions += before
                    return
                await self._still_there(self.found)
                self._trouble(todo[at])
                at += 1
                continue
            status = reply.error_status
            if status == message.AUTHORIZATION_ERROR:
                raise AccessRefused(
                    f"{line.address} does not show these objects to us", code="authorization-error"
                )
            if status == message.TOO_BIG and repetitions > 1:
                repetitions = most = repetitions // 2
                continue
            ended = list(self._ended)
            taken, end = self._take(todo, at, reply.varbinds if status == message.NO_ERROR else [])
            if end is None:
                # Not one step forward: this region goes on by single steps, the next one by GETBULK again.
                self._trouble(todo[at], status)
                at += 1
                continue
            if taken and ended:
                line.faults["loops"] += 1
                self._trouble_regions += ended
                self._ended = [r for r in self._ended if r not in ended]
            if len(taken) > 2 and not line.bulk_checked and not await self._agrees(taken):
                line.faults["bulk-lies"] += 1
                for key in taken:
                    self.found.pop(key, None)
                self._trouble_regions += before
                line.quirks.add("no-bulk")
                return
            at, worked = end, True
            if taken:
                octets = sum(varbind_size(v.oid, message.value_size(v)) for v in taken.values())
                fit = (ROOM_RESPONSE - line.overhead) * len(taken) // octets
                repetitions = max(1, min(most, repetitions * 2, max(fit, FEWEST_REPETITIONS)))
        self._suspect = not worked and bool(self._trouble_regions)
        if worked and most < FEWEST_REPETITIONS:
            set_quirk_number(line.quirks, "max-repetitions", most)

    def _take(
        self, todo: list[tuple[Key, Key]], at: int, varbinds: list[Varbind]
    ) -> tuple[dict[Key, Varbind], int | None]:
        """Keep what is wanted of a GETBULK answer. (what it said in order, the region to go on with or None where it
        did not move at all)."""
        cursor = todo[at][0]
        taken: dict[Key, Varbind] = {}
        moved = False
        for varbind in varbinds:
            if varbind.tag in MISSING:
                if varbind.tag == END_OF_MIB_VIEW:
                    # Believed for this region only: what a later one holds would give the lie to it.
                    self._ended.append(todo[at])
                    return taken, at + 1
                break
            key = oid_key(varbind.oid)
            if key <= cursor:
                self.line.faults["loops"] += 1
                break
            cursor = key
            moved = True
            taken[key] = varbind
            while at < len(todo) and key >= todo[at][1]:
                at += 1
            if at == len(todo):
                return taken, at
            if key > todo[at][0]:
                self.found[key] = varbind
                todo[at] = (key, todo[at][1])
        return taken, at if moved else None

    async def _agrees(self, taken: dict[Key, Varbind]) -> bool:
        """Whether single steps find what GETBULK said: the same objects, types and values, none left out."""
        line = self.line
        line.bulk_checked = True
        keys = list(taken)
        pairs: list[tuple[Key, Key]] = []
        room = ROOM_RESPONSE - line.overhead
        for a, b in itertools.pairwise(keys):
            room -= varbind_size(taken[b].oid, message.value_size(taken[b]))
            if room < 0 or len(pairs) >= min(
                MOST_CHECKED, quirk_number(line.quirks, "max-varbinds", MOST_CHECKED)
            ):
                break
            pairs.append((a, b))
        try:
            reply = await line.ask(message.GETNEXT, [_text(a) for a, _ in pairs])
        except (NoAnswer, BadReply):
            return True  # so many at once is another matter
        if reply.error_status != message.NO_ERROR or len(reply.varbinds) != len(pairs):
            return True
        # A display or a level may change in between; a good part of all values does not.
        steady = [s for s in reply.varbinds if s.tag in (INTEGER, OCTET_STRING, OBJECT_IDENTIFIER)]
        changed = sum(s.value != taken[k].value for s in steady if (k := oid_key(s.oid)) in taken)
        if changed > max(1, len(steady) // 8):
            return False
        for (a, b), said in zip(pairs, reply.varbinds, strict=True):
            if (said.oid, said.tag) == taken[b][:2]:
                continue
            try:
                alone = await line.ask(message.GETNEXT, [_text(a)])
            except (NoAnswer, BadReply):
                continue
            if alone.error_status == message.NO_ERROR and [v[:2] for v in alone.varbinds] != [taken[b][:2]]:
                return False
        return True

    def _trouble(self, region: tuple[Key, Key], status: int = message.GEN_ERR) -> None:
        """Leave the rest of this region to `by_steps`. That nothing is there (noSuchName) is no trouble."""
        self.troubles += status != message.NO_SUCH_NAME
        self._trouble_regions.append(region)

    async def _still_there(self, found: dict[Key, Varbind]) -> None:
        """NoAnswer unless the agent still answers what it answered before."""
        if found:
            await self.line.ask(message.GET, [next(iter(found.values())).oid], tries=2)

    async def by_steps(self) -> None:
        """Walk what is left by GETNEXT, several spans of it in each packet."""
        line = self.line
        spans = Spans(sorted(self._trouble_regions + self._todo))
        width = most = quirk_number(line.quirks, "max-varbinds", MOST_SPANS)
        width = min(width, FIRST_SPANS)
        while len(self.found) + len(spans.found) < self.most and self.troubles <= MOST_TROUBLES:
            batch = spans.next(width)
            while len(batch) > 1 and (
                sum(varbind_size(s.cursor, 0) for s in batch) + line.overhead > ROOM_REQUEST
            ):
                batch.pop()
            if not batch:
                break
            asked = [s.low for s in batch]
            try:
                reply = await line.ask(message.GETNEXT, [s.cursor for s in batch])
            except (NoAnswer, BadReply) as e:
                found = self.found or spans.found
                if isinstance(e, NoAnswer) and not (line.answered and (found or len(batch) > 1)):
                    raise
                if len(batch) == 1:
                    if isinstance(e, NoAnswer):
                        await self._still_there(found)
                    line.faults["unreadable"] += 1
                    self.troubles += MOST_TROUBLES // 4  # it costs all tries: a few such places, not many
                    spans.fail(batch[0])
                width = most = max(1, len(batch) // 2)
                continue
            status, index = reply.error_status, reply.error_index
            if status == message.NO_ERROR and reply.varbinds:
                for span, low, varbind in zip(batch, asked, reply.varbinds, strict=False):
                    if not spans.answer(span, low, varbind):
                        line.faults["loops"] += 1
                        self.troubles += 1
                width = min(most, width * 2) if len(reply.varbinds) >= len(batch) else max(1, width // 2)
                continue
            if status == message.AUTHORIZATION_ERROR:
                raise AccessRefused(
                    f"{line.address} does not show these objects to us", code="authorization-error"
                )
            at = index - 1 if 1 <= index <= len(batch) else None if len(batch) > 1 else 0
            if at is None or (status == message.TOO_BIG and len(batch) > 1):
                width = most = max(1, len(batch) // 2)
            elif status == message.NO_SUCH_NAME:
                spans.finish(batch[at])  # v1 says so at the end of its tree
            else:
                self.troubles += 1
                line.faults["errors"] += 1
                spans.fail(batch[at])
        self.found.update(spans.found)
        if self._suspect and spans.found:
            line.quirks.add("no-bulk")  # GETBULK never took one step here, and single steps do


def _text(key: Key) -> str:
    return ".".join(map(str, key))
