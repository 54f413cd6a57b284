# SPDX-License-Identifier: Apache-2.0
"""One printer, once: plan → ask → decode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from appliance.collector.ask.asker import Asker
from appliance.collector.judge.candidate import verdict
from appliance.collector.read import identity, layout, plan as plans, rows
from appliance.collector.read.decode import decode
from appliance.collector.read.plan import Object, Plan
from appliance.collector.read.profile import DEVICE_IDS, Profile, Profiles
from appliance.collector.read.values import Values
from appliance.collector.wire.value import MISSING, Varbind, oid_key, under
from appliance.model.clock import Stamp
from appliance.model.errors import AccessRefused, BadReply, NoAnswer, NotAPrinter
from appliance.model.meters import order
from appliance.model.reading import SECTIONS, Alert, Meter, Note, Reading

Kind = Literal["status", "full"]

PRINTER_MIB = ("1.3.6.1.2.1.43.5.1.1.1", "1.3.6.1.2.1.43.10.2.1.4", "1.3.6.1.2.1.43.11.1.1.9")
"""Columns of which a printer with a Printer-MIB has at least one."""


class Visit(NamedTuple):
    """`reading` holds only the sections that were read, with their times; `plan` is the very plan that was given
    where nothing about it changed; `raw` is what the printer answered; `replanned`: it was walked."""

    reading: Reading
    plan: Plan
    raw: list[Varbind]
    replanned: bool


class PrinterExchanged(BadReply):
    """Another printer answers at this address than the plan was made for."""

    code = "printer-exchanged"
    default_hint = "It is identified anew"


async def first_read(asker: Asker, profiles: Profiles, *, now: Stamp) -> Visit:
    """Read a printer of which nothing is known, by walking. NoAnswer, AccessRefused, BadReply; NotAPrinter for a
    device that is none, after as few packets as that takes to tell."""
    asked = [*identity.SYSTEM, *DEVICE_IDS]
    raw = _there(await asker.get(asked))
    values = Values(raw)
    said = identity.facts(values)
    kind = verdict(said.sys_object_id)
    if kind == "other":
        raise _no_printer(asker, said.sys_descr)
    profile = profiles.match(said)
    if profile.vendor is None and not said.makers:
        seen: list[Varbind] = []
        for column in PRINTER_MIB:
            seen = await _walk(asker, [column], most=1)
            if seen:
                break
        if not seen:
            raise _no_printer(asker, said.sys_descr)
    walked, notes = await _walk_all(asker, _roots(profile))
    raw = _merged(raw, walked)
    better = _settled(profiles, raw)
    if better.name != profile.name:
        columns = sorted({c for s in SECTIONS for c in better.columns(s)}, key=oid_key)
        raw = _merged(raw, await _walk(asker, columns) if columns else [])
        profile = better
    wanted = [o for s in SECTIONS for o in profile.objects(s) if o not in {v.oid for v in raw}]
    device = identity.device_index(Values(raw))
    wanted += plans.mark_oids(device, [])[:3]
    held = {v.oid for v in raw}
    raw = _merged(raw, _there(await asker.get([o for o in dict.fromkeys(wanted) if o not in held])))
    reading = decode(raw, profile, address=asker.address, time=now.time, clock=now.clock)
    reading = msgspec.structs.replace(reading, traffic=asker.traffic, notes=[*reading.notes, *notes])
    return Visit(reading, plans.make(raw, profile, reading, asker.quirks), raw, True)


async def poll(
    asker: Asker,
    plan: Plan,
    profiles: Profiles,
    kind: Kind,
    *,
    now: Stamp,
    previous: Reading | None = None,
) -> Visit:
    """Read a known printer by its plan. PrinterExchanged where its serial is another now; NoAnswer, AccessRefused
    and BadReply as they come. A plan that no longer fits is made anew by walking."""
    profile = profiles.get(plan.profile)
    if profile.name != plan.profile:
        return await first_read(asker, profiles, now=now)
    known_alerts = [a.index for a in previous.alerts] if previous is not None else _alert_rows(plan)
    marks = plans.mark_oids(plan.device, known_alerts)
    objects = plan.asked(kind)
    known = {o.oid for o in objects}
    objects = objects + [Object(m, 2, "") for m in marks if m not in known]
    answered, lost = await _get(asker, objects)
    values = Values(answered)
    said = plans.identity_value(plan, values)
    if plan.identity is not None and said is not None and said != plan.identity[1]:
        raise PrinterExchanged(f"Another printer answers at {asker.address} now")
    present = {v.oid for v in answered}
    gone = [o for o in plan.asked(kind) if o.oid not in present and o.section not in lost]
    changes = f"{identity.PRT_GENERAL}.{plans.CONFIG_CHANGES}.{_device(plan)}"
    marked = plans.marks(values, plan.device, known_alerts)
    altered = marked.get(changes, "") != plan.marks.get(changes, "")
    tables = [o for o in gone if not under(o.oid, rows.ALERT_ENTRY)]
    if (tables or (altered and kind == "full")) and not lost:
        return await first_read(asker, profiles, now=now)
    sections = plan.sections(kind) - lost
    if kind == "full":
        sections |= set(SECTIONS) - lost
    raw = answered if kind == "full" else _merged(plan.kept(), answered)
    fresh = previous is not None and all(marked[m] == plan.marks.get(m, "") for m in marks) and "alerts" not in lost
    if fresh and kind == "status" and not gone:
        sections.add("alerts")
    elif not fresh:
        alerts = await _walk(asker, [rows.ALERT_ENTRY])
        raw = _merged([v for v in raw if not under(v.oid, rows.ALERT_ENTRY)], alerts)
        sections.add("alerts")
    if kind == "status" and previous is not None and _replaced(previous, raw, plan, profile):
        refreshed, _ = await _get(asker, [o for o in plan.objects if o.section == "supplies"])
        raw = _merged(raw, refreshed)
    reading = decode(
        raw, profile, address=asker.address, time=now.time, clock=now.clock,
        sections=[s for s in SECTIONS if s in sections],
    )  # fmt: skip
    notes = [*reading.notes, *(Note("section-lost", f"{s} did not answer this time") for s in sorted(lost) if s)]
    reading = msgspec.structs.replace(
        reading,
        traffic=asker.traffic,
        notes=notes,
        meters=_with_older(reading.meters, previous) if kind == "status" else reading.meters,
        alerts=_same_times(reading.alerts, previous) if not fresh or kind == "full" else _alerts_of(previous),
    )
    return Visit(reading, _next_plan(plan, raw, answered, profile, reading, asker, kind, lost), raw, False)


def _next_plan(
    plan: Plan,
    raw: list[Varbind],
    answered: list[Varbind],
    profile: Profile,
    reading: Reading,
    asker: Asker,
    kind: Kind,
    lost: set[str],
) -> Plan:
    """The plan for the next time; the same object where nothing is to be written down."""
    quirks = sorted(asker.quirks)
    if kind == "full" and not lost:
        made = plans.make(raw, profile, reading, quirks)
        same = [(o.oid, o.section, o.short, o.tag, o.value) for o in made.objects] == [
            (o.oid, o.section, o.short, o.tag, o.value) for o in plan.objects
        ]
        if not same or made.marks != plan.marks or made.quirks != plan.quirks:
            return msgspec.structs.replace(made, identity=plan.identity or made.identity)
        return plan
    marks = plan.marks
    if "alerts" in reading.times:
        found = plans.marks(Values([*answered, *raw]), plan.device, [a.index for a in reading.alerts])
        changes = f"{identity.PRT_GENERAL}.{plans.CONFIG_CHANGES}.{_device(plan)}"
        # The next full poll is to see that the configuration changed, and walk.
        marks = {**found, changes: plan.marks.get(changes, "")}
    if marks == plan.marks and quirks == plan.quirks:
        return plan
    return msgspec.structs.replace(plan, marks=marks, quirks=quirks)


async def _get(asker: Asker, objects: Sequence[Object]) -> tuple[list[Varbind], set[str]]:
    """What is there of `objects`, and the sections that gave no answer. Where all at once fails, each section is
    asked alone, so that one that an agent chokes on does not cost the others."""
    try:
        return _there(await asker.get([o.oid for o in objects], sizes=[o.size for o in objects])), set()
    except AccessRefused:
        raise
    except (NoAnswer, BadReply) as error:
        if asker.traffic.packets_received == 0:
            raise
        whole: NoAnswer | BadReply = error
    found: list[Varbind] = []
    lost: set[str] = set()
    for section in ("printer", *sorted({o.section for o in objects} - {"printer"})):
        part = [o for o in objects if o.section == section]
        if not part:
            continue
        try:
            found += _there(await asker.get([o.oid for o in part], sizes=[o.size for o in part]))
        except (NoAnswer, BadReply):
            lost.add(section)
            if len(lost) > 2:
                raise whole from None
    if not found:
        raise whole
    return found, lost


async def _walk(asker: Asker, roots: Sequence[str], *, most: int = 5_000) -> list[Varbind]:
    return [v for v in await asker.walk(roots, most=most) if v.tag not in MISSING]


async def _walk_all(asker: Asker, roots: list[str]) -> tuple[list[Varbind], list[Note]]:
    """Everything under `roots`; where that fails as a whole, each root alone, and a note of those that failed."""
    try:
        return await _walk(asker, roots), []
    except AccessRefused:
        raise
    except (NoAnswer, BadReply) as error:
        whole: NoAnswer | BadReply = error
    found: list[Varbind] = []
    notes: list[Note] = []
    for root in roots:
        try:
            found += await _walk(asker, [root])
        except (NoAnswer, BadReply):
            notes.append(Note("section-lost", f"{root} cannot be walked"))
            if len(notes) > 2:
                raise whole from None
    if not found:
        raise whole
    return found, notes


def _roots(profile: Profile) -> list[str]:
    private = {c for s in SECTIONS for c in profile.columns(s)}
    return sorted({*layout.roots(), *private}, key=oid_key)


def _settled(profiles: Profiles, raw: list[Varbind]) -> Profile:
    values = Values(raw)
    return profiles.match(identity.facts(values))


def _no_printer(asker: Asker, sys_descr: str | None) -> NotAPrinter:
    words = f": it calls itself {sys_descr[:80]!r}" if sys_descr else ""
    return NotAPrinter(f"{asker.address} is not a printer{words}")


def _replaced(previous: Reading, raw: list[Varbind], plan: Plan, profile: Profile) -> bool:
    """Whether some level went up or over its capacity: then a supply was exchanged, and its description and
    capacity may be new."""
    now = decode(raw, profile, address="", time=previous.time, clock=previous.clock, sections=("supplies",))
    before = {s.index: s.level for s in previous.supplies}
    for supply in now.supplies:
        old = before.get(supply.index)
        if old is not None and supply.level is not None and supply.level > old:
            return True
        if supply.capacity is not None and 0 < supply.capacity < (supply.level or 0):
            return True
    return False


def _with_older(read: list[Meter], previous: Reading | None) -> list[Meter]:
    """Meters that a short poll does not ask for, at the value and with the time they were last read."""
    if previous is None:
        return read
    new = {m.name for m in read}
    since = previous.times.get("meters", previous.time)
    older = [msgspec.structs.replace(m, time=m.time or since) for m in previous.meters if m.name not in new]
    return sorted([*read, *older], key=lambda m: order(m.name))


def _same_times(read: list[Alert], previous: Reading | None) -> list[Alert]:
    """An alert that stood there before keeps its moment: worked out anew, it would wander by a second."""
    before = {(a.index, a.code, a.ticks): a.time for a in _alerts_of(previous)}
    return [msgspec.structs.replace(a, time=before.get((a.index, a.code, a.ticks), a.time)) for a in read]


def _alerts_of(previous: Reading | None) -> list[Alert]:
    return previous.alerts if previous is not None else []


def _alert_rows(plan: Plan) -> list[int]:
    return sorted({int(o.oid.rpartition(".")[2]) for o in plan.objects if under(o.oid, rows.ALERT_ENTRY)})


def _device(plan: Plan) -> int:
    return 1 if plan.device is None else plan.device


def _there(varbinds: Sequence[Varbind]) -> list[Varbind]:
    return [v for v in varbinds if v.tag not in MISSING]


def _merged(old: Sequence[Varbind], new: Sequence[Varbind]) -> list[Varbind]:
    return list({**{v.oid: v for v in old}, **{v.oid: v for v in new}}.values())

