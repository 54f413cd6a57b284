# SPDX-License-Identifier: Apache-2.0
"""What one known printer is asked: which objects exist there, how large they are, and which a short poll wants.

A plan is made of a first reading and stored with the printer. It keeps the values that never change between full
polls (descriptions, capacities, names), so that a short poll asks for levels only and still decodes to whole
sections. What a printer has is its shape; when that changes, the plan is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from appliance.collector.read import identity, layout, rows, supplies
from appliance.collector.read.profile import DEVICE_IDS, SYS_OBJECT_ID, Profile
from appliance.collector.read.values import Values
from appliance.collector.wire.message import value_size, varbind_size
from appliance.collector.wire.value import MISSING, OBJECT_IDENTIFIER, Varbind, oid_key, under
from appliance.model.reading import Reading
from appliance.model.serials import placeholder

VERSION = 1
STATUS_OCTETS = 1_300
"""A short poll stays within so many octets of UDP payload, both ways together, where the supplies let it."""
MOST_OBJECTS = 3_000
MOST_KEPT_OCTETS = 512
DISPLAY_LINES = 4
_PACKET = 48
"""Octets of a message around its varbinds."""


class Object(msgspec.Struct, frozen=True, array_like=True):
    """`size` octets of content last time. `short`: a short poll asks for it. `tag` and `value` as read, where they
    are kept for short polls; an OID as its digits in octets."""

    oid: str
    size: int
    section: str
    short: bool = False
    tag: int | None = None
    value: int | bytes | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`marks` are values that change when the alert table does or the configuration; `identity` is the object
    that tells this printer from another at its address, with its value in hex or decimal. `config` is
    prtGeneralConfigChanges when this plan was made. `cheap`: to ask for an object that is not there costs its octets
    only (with SNMPv1, a packet). `renew`: something was missing when it was made, and the next full poll walks."""

    version: int = VERSION
    profile: str
    digest: str = ""
    device: int | None
    host: int
    objects: list[Object]
    marks: dict[str, str] = {}
    identity: tuple[str, str] | None = None
    quirks: list[str] = []
    config: str = ""
    cheap: bool = True
    renew: bool = False

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Plan:
        """ValueError where `data` is not a plan of this version."""
        try:
            plan = msgspec.msgpack.decode(data, type=Plan)
        except (msgspec.MsgspecError, RecursionError) as e:
            raise ValueError(f"not a plan: {e}") from None
        if plan.version != VERSION:
            raise ValueError(f"a plan of version {plan.version}")
        return plan

    def asked(self, kind: str) -> list[Object]:
        """Objects that a "status" or "full" poll asks for."""
        return [o for o in self.objects if kind == "full" or o.short]

    def kept(self) -> list[Varbind]:
        """What a short poll takes from the last full one."""
        return [_back(o.oid, o.tag, o.value) for o in self.objects if o.tag is not None and not o.short]

    def sections(self, kind: str) -> set[str]:
        """Sections that such a poll reads as a whole. `_make` sees to it that a short poll asks for all of a
        section's changing objects or for none."""
        return {o.section for o in self.asked(kind)} - {"", "printer" if kind == "status" else ""}


def make(
    varbinds: Sequence[Varbind],
    profile: Profile,
    reading: Reading,
    quirks: Collection[str],
    *,
    cheap: bool = True,
) -> Plan:
    """A plan from everything a first read or a full poll brought, and the reading it was decoded to."""
    values = Values(varbinds)
    device = identity.device_index(values)
    host = identity.host_index(values, device)
    private = {
        oid: section
        for section in ("printer", "status", "meters", "supplies")
        for oid in profile.objects(section)
    }
    columns = [(c, s) for s in ("printer", "meters", "supplies") for c in profile.columns(s)]
    found: dict[str, tuple[Varbind, str]] = {}
    for varbind in varbinds:
        if varbind.tag in MISSING or len(found) >= MOST_OBJECTS:
            continue
        section = layout.section_of(varbind, device, host) or private.get(varbind.oid)
        if section is None:
            section = next((s for c, s in columns if under(varbind.oid, c)), None)
        if varbind.oid in identity.SYSTEM or varbind.oid in DEVICE_IDS:
            section = "printer"
        if section is not None:
            found[varbind.oid] = (varbind, section)
    found.update(_charset_only(found, values, device))
    short = _short(found, profile, reading, device, host)
    objects = [_object(v, s, v.oid in short, reading) for v, s in found.values() if s]
    return Plan(
        profile=profile.name,
        digest=profile.digest,
        device=device,
        host=host,
        objects=objects,
        marks=marks(values, mark_oids(device, host, [a.index for a in reading.alerts], absent=cheap)),
        config=_plain(values.get(config_oid(device))),
        cheap=cheap,
        identity=_identity(values, profile, device),
        quirks=sorted(quirks),
    )


def marks(values: Values, oids: Sequence[str]) -> dict[str, str]:
    """The markers `oids` as they stand in `values`; "" for what is not there."""
    return {oid: _plain(values.get(oid)) for oid in oids}


def mark_oids(device: int | None, host: int, alerts: Sequence[int], *, absent: bool = True) -> list[str]:
    """What changes when the alert table does: prtGeneralConfigChanges, prtAlertCriticalEvents, prtAlertAllEvents,
    the printer's states, the codes of the newest alerts, and, if what is `absent` may be asked for, the row that
    would come next."""
    d = 1 if device is None else device
    return [
        *(f"{identity.PRT_GENERAL}.{c}.{d}" for c in (1, 18, 19)),
        f"{rows.HR_PRINTER_ENTRY}.2.{host}",
        *(f"{rows.ALERT_ENTRY}.7.{d}.{i}" for i in sorted(alerts)[-3:]),
        *([f"{rows.ALERT_ENTRY}.7.{d}.{max(alerts, default=0) + 1}"] if absent else []),
    ]


def config_oid(device: int | None) -> str:
    """prtGeneralConfigChanges of the printer."""
    return f"{identity.PRT_GENERAL}.1.{1 if device is None else device}"


def with_alerts(plan: Plan, walked: Sequence[Varbind]) -> Plan:
    """`plan` for an alert table of these rows."""
    others = [o for o in plan.objects if o.section != "alerts"]
    rows_now = [
        Object(v.oid, value_size(v), "alerts")
        for v in walked
        if layout.section_of(v, plan.device, plan.host) == "alerts"
    ]
    return msgspec.structs.replace(plan, objects=others + rows_now)


def with_kept(plan: Plan, varbinds: Sequence[Varbind]) -> Plan:
    """`plan` with what it keeps for short polls as it is now."""
    now = {v.oid: v for v in varbinds}
    objects = [
        msgspec.structs.replace(o, tag=now[o.oid].tag, value=_storable(now[o.oid]))
        if o.tag is not None and o.oid in now
        else o
        for o in plan.objects
    ]
    return plan if objects == plan.objects else msgspec.structs.replace(plan, objects=objects)


def identity_value(plan: Plan, values: Values) -> str | None:
    """What the printer now says in place of plan.identity; None where it says nothing."""
    return None if plan.identity is None else _plain(values.get(plan.identity[0])) or None


def meter_objects(source: str) -> list[str]:
    """The objects a meter's source names."""
    return re.findall(r"\d+(?:\.\d+){5,}", source)


def _object(varbind: Varbind, section: str, short: bool, reading: Reading) -> Object:
    size = value_size(varbind)
    counted = {oid for m in reading.meters for oid in meter_objects(m.source)}
    keep = (
        section in ("printer", "supplies", "meters")
        and varbind.oid not in counted
        and size <= MOST_KEPT_OCTETS
    )
    if short or not keep:
        return Object(varbind.oid, size, section, short)
    return Object(varbind.oid, size, section, False, varbind.tag, _storable(varbind))


def _storable(varbind: Varbind) -> int | bytes | None:
    return varbind.value.encode() if isinstance(varbind.value, str) else varbind.value


def _back(oid: str, tag: int, value: int | bytes | None) -> Varbind:
    return Varbind(
        oid, tag, value.decode() if tag == OBJECT_IDENTIFIER and isinstance(value, bytes) else value
    )


def _short(
    found: dict[str, tuple[Varbind, str]], profile: Profile, reading: Reading, device: int | None, host: int
) -> set[str]:
    """What a short poll asks for: status, identity, markers, the total and every supply's level always; then, as far
    as the octets go, the lines of the display that say something, and the other meters in their order."""
    chosen: dict[str, int] = {}
    spent = 2 * _PACKET

    def cost(oids: Collection[str]) -> int:
        return sum(
            varbind_size(o, 0) + varbind_size(o, value_size(found[o][0]) if o in found else 2)
            for o in oids
            if o not in chosen
        )

    def take(oids: Collection[str], *, always: bool = False) -> None:
        nonlocal spent
        here = [o for o in oids if o in found]
        if always or spent + cost(here) <= STATUS_OCTETS:
            spent += cost(here)
            chosen.update(dict.fromkeys(here, 1))

    states = [
        f"{o}.{host}"
        for o in (f"{rows.HR_PRINTER_ENTRY}.1", f"{rows.HR_PRINTER_ENTRY}.2", rows.HR_DEVICE_STATUS)
    ]
    spent += cost(mark_oids(device, host, [a.index for a in reading.alerts]))
    take([identity.SYS_UPTIME, *states], always=True)
    serial = _identity(Values(v for v, _ in found.values()), profile, device)
    take([serial[0]] if serial else [], always=True)
    counted = [(m, meter_objects(m.source)) for m in reading.meters]
    take([o for m, oids in counted if m.name == "total" for o in oids], always=True)
    take(_levels(found, profile), always=True)
    lines = sorted((o for o in found if under(o, rows.CONSOLE_TEXT)), key=oid_key)
    for oid in [o for o in (lines or profile.display) if o in found and found[o][0].value][:DISPLAY_LINES]:
        take([oid])
    for _, oids in counted:
        take(oids)
    return set(chosen)


def _levels(found: dict[str, tuple[Varbind, str]], profile: Profile) -> list[str]:
    """Objects of supplies that change while nobody touches the printer."""
    standard = [o for o in found if under(o, f"{supplies.SUPPLIES_ENTRY}.{supplies.LEVEL}")]
    private = [o for o in profile.objects("supplies") if o in found]
    private += [o for t in profile.supply_tables for o in found if under(o, t.level)]
    return standard + private


def _charset_only(
    found: dict[str, tuple[Varbind, str]], values: Values, device: int | None
) -> dict[str, tuple[Varbind, str]]:
    """Localisations but the current one, without a section: they are not asked for again."""
    d = 1 if device is None else device
    current = values.integer(f"{identity.PRT_GENERAL}.2.{d}") or 1
    mine = f"{identity.PRT_LOCALIZATION}.4.{d}.{current}"
    return {o: (v, "") for o, (v, _) in found.items() if under(o, identity.PRT_LOCALIZATION) and o != mine}


def _identity(values: Values, profile: Profile, device: int | None) -> tuple[str, str] | None:
    d = 1 if device is None else device
    for oid in (
        f"{identity.PRT_GENERAL}.17.{d}",
        *(s.oid for s in (*profile.printer.serial, *profile.printer.fallback_serial)),
    ):
        text = values.text(oid) if oid in values else None
        if text and not placeholder(text):
            return oid, _plain(values.get(oid))
    for _, oid in values.under(f"{identity.IF_ENTRY}.{identity.IF_PHYS_ADDRESS}"):
        octets = values.octets(oid)
        if octets and len(octets) == 6 and len(set(octets)) > 1:
            return oid, octets.hex()
    return (SYS_OBJECT_ID, _plain(values.get(SYS_OBJECT_ID))) if SYS_OBJECT_ID in values else None


def _plain(varbind: Varbind | None) -> str:
    if varbind is None or varbind.tag in MISSING:
        return ""
    return varbind.value.hex() if isinstance(varbind.value, bytes) else str(varbind.value)
