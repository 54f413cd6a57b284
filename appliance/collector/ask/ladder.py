# SPDX-License-Identifier: Apache-2.0
"""Reading known objects: as many in a packet as fit, fewer where the agent cannot take it, down to one at a time.

What an agent cannot take is written into its quirks, so that the next poll starts where this one ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.collector.ask.line import (
    MOST_VARBINDS,
    ROOM_REQUEST,
    ROOM_RESPONSE,
    Line,
    quirk_number,
    set_quirk_number,
)
from appliance.collector.wire import message
from appliance.collector.wire.message import Message, varbind_size
from appliance.collector.wire.value import NULL, Varbind
from appliance.model.errors import AccessRefused, BadReply, NoAnswer

USUAL_OCTETS = 16
"""A value whose size nobody knows yet."""
SAFE_VARBINDS = 16
"""No agent is known to have died of so few: where the ladder starts when nothing is known of the values."""
MOST_STRIKES = 10
"""Useless answers in a row before the agent is given up: a ladder from 60 down to one takes seven."""


async def get(line: Line, oids: Sequence[str], sizes: Sequence[int] = ()) -> list[Varbind]:
    """One varbind for each OID, in that order; NULL where the agent has an error for it instead of a value.

    `sizes` are the content octets expected of each value. NoAnswer, AccessRefused, and BadReply where not one
    usable answer came.
    """
    known = len(sizes) == len(oids) and bool(oids)
    # Asked once, even where listed twice; taken from the end, so reversed.
    expected = dict(
        zip(reversed(oids), reversed(sizes) if known else (USUAL_OCTETS,) * len(oids), strict=True)
    )
    pending = list(expected)
    found: dict[str, Varbind] = {}
    usual = cap = quirk_number(line.quirks, "max-varbinds", MOST_VARBINDS)
    limit = cap if known else min(cap, SAFE_VARBINDS)
    strikes = 0
    good: str | None = None
    lies = line.faults["lies"]
    while pending:
        batch = _take(pending, expected, limit, line.overhead)
        try:
            reply = await line.ask(message.GET, batch)
        except (NoAnswer, BadReply) as e:
            strikes += 1
            if strikes > MOST_STRIKES or not await _alive(line, batch, good, e):
                if line.answered and len(batch) > SAFE_VARBINDS and isinstance(e, NoAnswer):
                    # It fell silent over a large question and stays so: it may be restarting because of it.
                    set_quirk_number(line.quirks, "max-varbinds", max(SAFE_VARBINDS, len(batch) // 2))
                raise
            if len(batch) == 1:
                line.faults["unreadable"] += 1
            status, answers, again = (
                message.TOO_BIG,
                0,
                _without(batch, 0, found) if len(batch) == 1 else batch,
            )
        else:
            status = reply.error_status
            answers, again = _settle(line, batch, reply, found)
        pending += reversed(again)
        if answers:
            strikes = 0
            good = next((o for o in batch if o in found), good)
        elif status != message.NO_SUCH_NAME:
            strikes += 1
            if strikes > MOST_STRIKES and good is None:
                raise BadReply(f"{line.address} answers, but not what it was asked")
        if answers and not again:
            limit = min(cap, limit * 2)
            continue
        limit = max(1, len(batch) // 2)
        if status == message.TOO_BIG:
            # One object that cannot be had says nothing of how many can.
            cap = usual if len(batch) == 1 else limit
    if cap < usual:
        set_quirk_number(line.quirks, "max-varbinds", cap)
    if good is None and line.faults["lies"] > lies:
        raise BadReply(f"{line.address} answers, but not what it was asked")
    return [found[o] for o in oids]


def _take(pending: list[str], expected: dict[str, int], limit: int, overhead: int) -> list[str]:
    """The next OIDs off the end of `pending`: one at least, `limit` at most, as fit in one packet each way."""
    batch: list[str] = []
    asked = answered = overhead
    while pending and len(batch) < limit:
        oid = pending[-1]
        asked += varbind_size(oid, 0)
        answered += varbind_size(oid, expected[oid])
        if batch and (asked > ROOM_REQUEST or answered > ROOM_RESPONSE):
            break
        batch.append(pending.pop())
    return batch


def _settle(line: Line, batch: list[str], reply: Message, found: dict[str, Varbind]) -> tuple[int, list[str]]:
    """Put what was answered into `found`. (how many answers, what to ask again)."""
    status, index, varbinds = reply.error_status, reply.error_index, reply.varbinds
    if status == message.NO_ERROR:
        if [v.oid for v in varbinds] == batch:
            found.update(zip(batch, varbinds, strict=True))
            return len(batch), []
        asked = set(batch)
        answers = {v.oid: v for v in varbinds if v.oid in asked}
        if len(varbinds) > len(answers) or not answers:
            line.faults["lies"] += 1
        found.update(answers)
        again = [o for o in batch if o not in answers]
        return len(answers), _without(again, 0, found) if len(batch) == 1 and again else again
    if status == message.AUTHORIZATION_ERROR:
        raise AccessRefused(f"{line.address} does not show these objects to us", code="authorization-error")
    # noSuchName of v1, genErr, and whatever else an agent says of one object: go on without that one.
    if status != message.TOO_BIG and 1 <= index <= len(batch):
        return 0, _without(batch, index - 1, found)
    return 0, batch if len(batch) > 1 else _without(batch, 0, found)


def _without(batch: list[str], at: int, found: dict[str, Varbind]) -> list[str]:
    """The rest of the batch; the object at `at` has no value."""
    found[batch[at]] = Varbind(batch[at], NULL, None)
    return batch[:at] + batch[at + 1 :]


async def _alive(line: Line, batch: list[str], good: str | None, error: NoAnswer | BadReply) -> bool:
    """Whether it was the question: an agent that answered before still answers a small one."""
    if isinstance(error, BadReply):
        return True
    if not line.answered or (len(batch) == 1 and good is None):
        return False
    try:
        await line.ask(message.GET, [good or batch[0]], tries=1)
    except (NoAnswer, BadReply):
        return False
    return True
