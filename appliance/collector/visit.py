# SPDX-License-Identifier: Apache-2.0
"""One printer, once: plan → ask → decode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from appliance.collector.ask.asker import Asker
from appliance.collector.judge.candidate import verdict
from appliance.collector.read import identity, layout, rows
from appliance.collector.read import plan as plans
from appliance.collector.read.decode import decode
from appliance.collector.read.plan import Object, Plan
from appliance.collector.read.profile import DEVICE_IDS, Profile, Profiles
from appliance.collector.read.values import Values
from appliance.collector.wire.value import MISSING, NO_SUCH_INSTANCE, NO_SUCH_OBJECT, Varbind, oid_key, under
from appliance.model.clock import Stamp
from appliance.model.errors import BadReply, NoAnswer, NotAPrinter, PrinterExchanged
from appliance.model.meters import order
from appliance.model.reading import SECTIONS, Alert, Meter, Note, Reading

Kind = Literal["status", "full"]

PRINTER_MIB = ("1.3.6.1.2.1.43.5.1.1.1", "1.3.6.1.2.1.43.10.2.1.4", "1.3.6.1.2.1.43.11.1.1.9")
"""Columns of which a printer with a Printer-MIB has at least one."""


class Visit(NamedTuple):
    """`reading` holds only the sections that were read, with their times; `plan` is the very plan that was given
    where nothing about it changed; `raw` is everything a first read or a full poll brought, and empty after a short
    one; `replanned`: it was walked."""

    reading: Reading
    plan: Plan
    raw: list[Varbind]
    replanned: bool


async def first_read(asker: Asker, profiles: Profiles, *, now: Stamp) -> Visit:
    """Read a printer of which nothing is known, by walking. NoAnswer, AccessRefused, BadReply; NotAPrinter for a
    device that is none, after as few packets as that takes to tell."""
    answers = await asker.get([*identity.SYSTEM, *DEVICE_IDS])
    cheap = any(v.tag in (NO_SUCH_OBJECT, NO_SUCH_INSTANCE) for v in answers)
    raw = _there(answers)
    said = identity.facts(Values(raw))
    profile = profiles.match(said)
    if verdict(said.sys_object_id) == "other":
        raise _no_printer(asker, said.sys_descr)
    if profile.vendor is None and not said.makers and not await _has_printer_mib(asker):
        raise _no_printer(asker, said.sys_descr)
    walked, failed = await _walk_all(asker, _roots(profile))
    raw = _merged(raw, walked)
    # hrDeviceDescr is known only now, and may speak for another profile.
    settled = profiles.match(identity.facts(Values(raw)))
    if settled.name != profile.name:
        profile = settled
        columns = sorted({c for s in SECTIONS for c in profile.columns(s)}, key=oid_key)
        raw = _merged(raw, await _walk(asker, columns) if columns else [])
    held = {v.oid for v in raw}
    wanted = [o for o in dict.fromkeys(o for s in SECTIONS for o in profile.objects(s)) if o not in held]
    if wanted:
        raw = _merged(raw, _there(await asker.get(wanted)))
    lost = {t.section for t in layout.TABLES for root in failed if under(root, t.entry)} - {"printer"}
    reading = decode(
        raw,
        profile,
        address=asker.address,
        time=now.time,
        clock=now.clock,
        sections=[s for s in SECTIONS if s not in lost],
    )
    notes = [
        *reading.notes,
        *(Note("section-lost", f"{root} cannot be walked") for root in failed),
        *_doubts(asker),
    ]
    reading = msgspec.structs.replace(reading, traffic=asker.traffic, notes=notes)
    plan = plans.make(raw, profile, reading, asker.quirks, cheap=cheap)
    if failed:
        plan = msgspec.structs.replace(plan, renew=True)
    return Visit(reading, plan, raw, True)


async def poll(
    asker: Asker,
    plan: Plan,
    profiles: Profiles,
    kind: Kind,
    *,
    now: Stamp,
    previous: Reading | None = None,
) -> Visit:
    """Read a known printer by its plan. PrinterExchanged where it is another printer now; NoAnswer, AccessRefused and
    BadReply as they come. A plan that no longer fits the printer or its profile is made anew by walking."""
    profile = profiles.get(plan.profile)
    if (profile.name, profile.digest) != (plan.profile, plan.digest) or (plan.renew and kind == "full"):
        return await _again(asker, plan, profiles, now, settled=True)
    marks = _marks(plan, previous.alerts if previous is not None else None)
    objects = plan.asked(kind)
    asked = {o.oid for o in objects}
    answered, lost = await _get(asker, objects + [Object(m, 2, "") for m in marks if m not in asked])
    values = Values(answered)
    said = plans.identity_value(plan, values)
    if plan.identity is not None and said is not None and said != plan.identity[1]:
        raise PrinterExchanged(f"Another printer answers at {asker.address} now")
    gone = {o.section for o in objects if o.oid not in values} - lost
    marked = plans.marks(values, marks)
    altered = marked.get(plans.config_oid(plan.device), plan.config) != plan.config
    if not lost and (gone - {"alerts"} or (altered and kind == "full")):
        return await _again(asker, plan, profiles, now, settled=not gone - {"alerts"})
    if kind == "status":
        raw = _merged(plan.kept(), answered)
        sections = plan.sections(kind) - lost
    else:
        raw = answered
        sections = set(SECTIONS) - lost
    standing = previous is not None and "alerts" not in gone | lost
    standing = standing and all(marked[m] == plan.marks.get(m, "") for m in marks)
    walked: list[Varbind] | None = None
    if standing:
        sections.add("alerts")
    else:
        walked = await _walk(asker, [rows.ALERT_ENTRY])
        raw = _merged([v for v in raw if not under(v.oid, rows.ALERT_ENTRY)], walked)
        sections.add("alerts")
    if kind == "status" and previous is not None and _replaced(previous, raw, profile):
        again, _ = await _get(asker, [o for o in plan.objects if o.section == "supplies"])
        raw = _merged(raw, again)
    reading = decode(
        raw,
        profile,
        address=asker.address,
        time=now.time,
        clock=now.clock,
        sections=[s for s in SECTIONS if s in sections],
    )
    alerts, meters = reading.alerts, reading.meters
    if previous is not None:
        alerts = previous.alerts if standing and kind == "status" else _same_times(alerts, previous.alerts)
        meters = _with_older(meters, previous) if kind == "status" else meters
    notes = [Note("section-lost", f"{s} did not answer this time") for s in sorted(lost) if s]
    reading = msgspec.structs.replace(
        reading,
        traffic=asker.traffic,
        notes=[*reading.notes, *notes, *_doubts(asker)],
        alerts=alerts,
        meters=meters,
    )
    made = _next_plan(plan, raw, walked, reading, asker)
    return Visit(reading, made, raw if kind == "full" else [], False)


async def _again(asker: Asker, plan: Plan, profiles: Profiles, now: Stamp, *, settled: bool) -> Visit:
    """Walk a printer whose plan no longer fits. Where something was missing that the plan knew (not `settled`), it
    may be back by the next full poll, which therefore walks once more."""
    visit = await first_read(asker, profiles, now=now)
    if plan.identity is not None and visit.plan.identity != plan.identity:
        raise PrinterExchanged(f"Another printer answers at {asker.address} now")
    made = visit.plan if settled else msgspec.structs.replace(visit.plan, renew=True)
    return visit._replace(plan=made)


def _next_plan(
    plan: Plan, raw: list[Varbind], walked: list[Varbind] | None, reading: Reading, asker: Asker
) -> Plan:
    """The plan for the next time; the same object where nothing is to be written down."""
    made = plans.with_kept(plan, raw)
    if walked is not None:
        made = plans.with_alerts(made, walked)
    marks = plans.marks(Values(raw), _marks(made, reading.alerts))
    quirks = sorted(asker.quirks)
    if walked is None and made is plan and quirks == plan.quirks:
        return plan
    made = msgspec.structs.replace(made, marks=marks, quirks=quirks)
    return plan if made == plan else made


def _marks(plan: Plan, alerts: Sequence[Alert] | None) -> list[str]:
    if alerts is None:
        indices = sorted({int(o.oid.rpartition(".")[2]) for o in plan.objects if o.section == "alerts"})
    else:
        indices = [a.index for a in alerts]
    return plans.mark_oids(plan.device, plan.host, indices, absent=plan.cheap)


async def _has_printer_mib(asker: Asker) -> bool:
    for column in PRINTER_MIB:
        if await _walk(asker, [column], most=1):
            return True
    return False


async def _get(asker: Asker, objects: Sequence[Object]) -> tuple[list[Varbind], set[str]]:
    """What is there of `objects`, and the sections that gave no answer. Where all at once fails, each section is
    asked alone, so that one that an agent chokes on does not cost the others."""
    try:
        return _there(await asker.get([o.oid for o in objects], sizes=[o.size for o in objects])), set()
    except (NoAnswer, BadReply) as error:
        if asker.traffic.packets_received == 0:
            raise
        whole = error
    by_section: dict[str, list[Object]] = {"printer": []}
    for o in sorted(objects, key=lambda o: o.section):
        by_section.setdefault(o.section, []).append(o)

    async def ask(section: str) -> list[Varbind]:
        part = by_section[section]
        return _there(await asker.get([o.oid for o in part], sizes=[o.size for o in part]))

    found, lost = await _one_by_one([s for s, part in by_section.items() if part], ask, whole)
    return found, set(lost)


async def _walk(asker: Asker, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
    return [v for v in await asker.walk(roots, most=most) if v.tag not in MISSING]


async def _walk_all(asker: Asker, roots: list[str]) -> tuple[list[Varbind], list[str]]:
    """Everything under `roots`. Where that fails as a whole, each root alone, and those that failed."""
    try:
        return await _walk(asker, roots), []
    except (NoAnswer, BadReply) as error:
        whole = error
    return await _one_by_one(roots, lambda root: _walk(asker, [root]), whole)


async def _one_by_one(
    names: Sequence[str], ask: Callable[[str], Awaitable[list[Varbind]]], whole: NoAnswer | BadReply
) -> tuple[list[Varbind], list[str]]:
    """What `ask` finds for each name, and the names that failed. `whole`, the failure of asking for all at once, is
    raised where more than two fail or nothing is found: then it is the agent, not a part of it."""
    found: list[Varbind] = []
    lost: list[str] = []
    for name in names:
        try:
            found += await ask(name)
        except (NoAnswer, BadReply):
            lost.append(name)
            if len(lost) > 2:
                raise whole from None
    if not found:
        raise whole
    return found, lost


def _roots(profile: Profile) -> list[str]:
    private = {c for s in SECTIONS for c in profile.columns(s)}
    return sorted({*layout.roots(), *private}, key=oid_key)


def _doubts(asker: Asker) -> list[Note]:
    """What its agent does that makes it possible that something was not read."""
    return [Note(quirk, text) for quirk, text in _DOUBTS.items() if quirk in asker.quirks]


_DOUBTS = {
    "loops": "Its tables run in circles; what they hold beyond that could not be read",
    "walk-incomplete": "It has more to say than could be read, or fails while saying it",
}


def _no_printer(asker: Asker, sys_descr: str | None) -> NotAPrinter:
    words = f": it calls itself {sys_descr[:80]!r}" if sys_descr else ""
    return NotAPrinter(f"{asker.address} is not a printer{words}")


def _replaced(previous: Reading, raw: list[Varbind], profile: Profile) -> bool:
    """Whether some level went up or over its capacity: then a supply was exchanged, and its description and
    capacity may be new."""
    now = decode(raw, profile, address="", time=previous.time, clock=previous.clock, sections=("supplies",))
    before = {s.index: s.level for s in previous.supplies}
    for supply in now.supplies:
        level, old, capacity = supply.level, before.get(supply.index), supply.capacity
        if level is not None and ((old is not None and level > old) or 0 < (capacity or 0) < level):
            return True
    return False


def _with_older(read: list[Meter], previous: Reading) -> list[Meter]:
    """Meters that a short poll does not ask for, at the value and with the time they were last read."""
    new = {m.name for m in read}
    since = previous.times.get("meters", previous.time)
    older = [msgspec.structs.replace(m, time=m.time or since) for m in previous.meters if m.name not in new]
    return sorted([*read, *older], key=lambda m: order(m.name))


def _same_times(read: list[Alert], previous: list[Alert]) -> list[Alert]:
    """An alert that stood there before keeps its moment: worked out anew, it would wander by a second."""
    before = {(a.index, a.code, a.ticks): a.time for a in previous}
    return [msgspec.structs.replace(a, time=before.get((a.index, a.code, a.ticks), a.time)) for a in read]


def _there(varbinds: Sequence[Varbind]) -> list[Varbind]:
    return [v for v in varbinds if v.tag not in MISSING]


def _merged(old: Sequence[Varbind], new: Sequence[Varbind]) -> list[Varbind]:
    return list({**{v.oid: v for v in old}, **{v.oid: v for v in new}}.values())
