# SPDX-License-Identifier: Apache-2.0
"""One moment of one printer: the reading, and how two of them differ.

The JSON form is `platen.reading/1`. Unknown is None, never "" and never 0. Rows of the Printer-MIB
(RFC 3805) and the Host Resources MIB (RFC 2790) carry their object names in snake_case without the
table's prefix; enumerations carry the MIB's own keywords.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "platen.reading/1"

Clock = Literal["synchronised", "unsynchronised"]
SupplyClass = Literal["supplyThatIsConsumed", "receptacleThatIsFilled", "other"]
SupplyState = Literal["ok", "low", "empty", "full", "near_full", "unknown"]
Basis = Literal["measured", "coarse", "some", "unknown"]


class Firmware(msgspec.Struct, frozen=True):
    """name: which part ("system", "engine", a table's own name), or None where there is one only."""

    name: str | None
    version: str


class PrinterFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who the printer says it is. `mac` is lower case with colons."""

    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    mac: str | None = None
    hostname: str | None = None
    location: str | None = None
    contact: str | None = None
    asset_number: str | None = None
    sys_object_id: str | None = None
    firmware: list[Firmware] = []
    color: bool | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """hrPrinterStatus, hrDeviceStatus, hrPrinterDetectedErrorState (RFC 2790) and prtConsoleDisplayBufferText."""

    printer: str | None = None
    device: str | None = None
    errors: list[str] = []
    display: list[str] = []


class Meter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A counter. `name` is WORK or WORK.KIND (model.meters); `unit` a prtMarkerCounterUnit keyword;
    `source` the OID or extractor it was read from; a sum or difference is `derived`. `time` (RFC 3339) stands only
    where this value is older than its section: a short poll reads the most used meters only."""

    name: str
    value: int
    unit: str
    source: str
    derived: bool = False
    time: str | None = None


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    """prtMarkerSuppliesEntry, or a private table's equivalent. `capacity` and `level` are as the printer
    said, negatives included; `percent` is what is left (of a receptacle: of its space), or None."""

    index: str
    class_: SupplyClass = msgspec.field(name="class")
    type: str
    color: str | None
    description: str | None
    part_number: str | None
    serial: str | None
    unit: str | None
    capacity: int | None
    level: int | None
    percent: int | None
    state: SupplyState
    basis: Basis


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """prtAlertEntry. `ticks` is prtAlertTime (hundredths of a second of sysUpTime); `time` the moment
    that makes, or None when it cannot be told."""

    index: int
    code: int
    code_name: str
    severity: str
    training: str
    group: str
    group_index: int
    location: int
    description: str | None
    ticks: int | None
    time: str | None


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """prtInputEntry: a tray. Levels and capacities as the printer said, negatives included."""

    index: str
    type: str | None = None
    dim_unit: str | None = None
    media_dim_feed_dir_declared: int | None = None
    media_dim_x_feed_dir_declared: int | None = None
    media_dim_feed_dir_chosen: int | None = None
    media_dim_x_feed_dir_chosen: int | None = None
    capacity_unit: str | None = None
    max_capacity: int | None = None
    current_level: int | None = None
    status: list[str] = []
    media_name: str | None = None
    name: str | None = None
    vendor_name: str | None = None
    model: str | None = None
    version: str | None = None
    serial_number: str | None = None
    description: str | None = None
    security: str | None = None
    media_weight: int | None = None
    media_type: str | None = None
    media_color: str | None = None
    media_form_parts: int | None = None
    media_load_timeout: int | None = None
    next_index: int | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """prtOutputEntry: a bin."""

    index: str
    type: str | None = None
    capacity_unit: str | None = None
    max_capacity: int | None = None
    remaining_capacity: int | None = None
    status: list[str] = []
    name: str | None = None
    vendor_name: str | None = None
    model: str | None = None
    version: str | None = None
    serial_number: str | None = None
    description: str | None = None
    security: str | None = None
    dim_unit: str | None = None
    max_dim_feed_dir: int | None = None
    max_dim_x_feed_dir: int | None = None
    min_dim_feed_dir: int | None = None
    min_dim_x_feed_dir: int | None = None
    stacking_order: str | None = None
    page_delivery_orientation: str | None = None
    bursting: str | None = None
    decollating: str | None = None
    page_collated: str | None = None
    offset_stacking: str | None = None


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """prtCoverEntry."""

    index: str
    description: str | None = None
    status: str | None = None


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """hrStorageEntry (RFC 2790). Sizes count allocation units of `allocation_units` octets."""

    index: str
    type: str | None = None
    descr: str | None = None
    allocation_units: int | None = None
    size: int | None = None
    used: int | None = None
    allocation_failures: int | None = None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """UDP and TCP payload that this reading took."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            packets_sent=self.packets_sent + other.packets_sent,
            packets_received=self.packets_received + other.packets_received,
            bytes_sent=self.bytes_sent + other.bytes_sent,
            bytes_received=self.bytes_received + other.bytes_received,
        )


class Note(msgspec.Struct, frozen=True):
    """Something about this reading a person should know: a field that could not be decoded, a table cut short."""

    code: str
    text: str


SECTIONS = ("printer", "status", "meters", "supplies", "alerts", "inputs", "outputs", "covers", "storage")
"""The parts of a reading that are read, kept, compared and dated as one."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of one printer. `times` says of each section when it was read (RFC 3339); a section that
    a poll did not ask for, or that failed, keeps its older value and its older time."""

    schema: str = SCHEMA
    time: str
    clock: Clock
    address: str
    printer: PrinterFacts
    status: Status = Status()
    meters: list[Meter] = []
    supplies: list[Supply] = []
    alerts: list[Alert] = []
    inputs: list[Input] = []
    outputs: list[Output] = []
    covers: list[Cover] = []
    storage: list[Storage] = []
    traffic: Traffic = Traffic()
    times: dict[str, str] = {}
    uptime_ticks: int | None = None
    profile: str | None = None
    notes: list[Note] = []


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a later reading says differently: whole sections, because a section is read as a whole.
    A section that is absent did not change; `times` names every section that was read, changed or not."""

    time: str
    clock: Clock
    address: str
    printer: PrinterFacts | None = None
    status: Status | None = None
    meters: list[Meter] | None = None
    supplies: list[Supply] | None = None
    alerts: list[Alert] | None = None
    inputs: list[Input] | None = None
    outputs: list[Output] | None = None
    covers: list[Cover] | None = None
    storage: list[Storage] | None = None
    times: dict[str, str] = {}
    uptime_ticks: int | None = None

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the sections whose content changed."""
        return tuple(s for s in SECTIONS if getattr(self, s) is not None)


def merge(old: Reading, new: Reading) -> Reading:
    """`new` on top of `old`: a section that `new` did not read keeps the value and time of `old`."""
    kept = {s: getattr(old, s) for s in SECTIONS if s not in new.times}
    return msgspec.structs.replace(new, times={**old.times, **new.times}, **kept)


def difference(old: Reading, new: Reading) -> Change:
    """What to write down so that `apply(old, difference(old, new))` is `new`, traffic and notes aside."""
    changed = {s: getattr(new, s) for s in SECTIONS if getattr(new, s) != getattr(old, s)}
    times = {s: t for s, t in new.times.items() if old.times.get(s) != t}
    return Change(
        time=new.time,
        clock=new.clock,
        address=new.address,
        times=times,
        uptime_ticks=new.uptime_ticks,
        **changed,
    )


def apply(old: Reading, change: Change) -> Reading:
    """The reading that `change` was made from."""
    changed = {s: getattr(change, s) for s in change.sections}
    return msgspec.structs.replace(
        old,
        time=change.time,
        clock=change.clock,
        address=change.address,
        times={**old.times, **change.times},
        uptime_ticks=change.uptime_ticks,
        **changed,
    )
