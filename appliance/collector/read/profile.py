# SPDX-License-Identifier: Apache-2.0
"""What is known of a vendor's printers, as data: one TOML file each. docs/printers.md explains every key.

A profile is chosen by several facts together (`Profiles.match`), because each alone can lie: Brother printers
answer with HP's sysObjectID, and rebadged devices with their maker's.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from appliance.collector.read import extract, keywords
from appliance.collector.read.values import Values
from appliance.collector.wire.value import under
from appliance.model.errors import ProfileError
from appliance.model.meters import NAMES
from appliance.model.reading import SupplyClass

BUILT_IN = Path(__file__).resolve().parent.parent / "profiles"
DEALER = Path("/etc/platen/profiles.d")
"""What a dealer, or whoever runs the box, knows better."""

MOST_OCTETS = 256 * 1024

SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
DEVICE_IDS = (
    "1.3.6.1.4.1.11.2.3.9.1.1.7.0",  # HP and whoever answers in its tree
    "1.3.6.1.4.1.2435.2.3.9.1.1.7.0",  # Brother
    "1.3.6.1.4.1.1248.1.2.2.1.1.1.1.1",  # Epson
    "1.3.6.1.4.1.2699.1.2.1.2.1.1.3.1",  # ppmPrinterIEEE1284DeviceId of PWG 5107.1
    "1.3.6.1.4.1.253.8.51.1.2.1.20.1",  # Xerox
    "1.3.6.1.4.1.674.10898.100.2.1.2.1.3.1",  # Dell
    "1.3.6.1.4.1.10642.1.3.0",  # Zebra
)
"""Where agents keep their IEEE 1284 device id."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Source(_Table, frozen=True, kw_only=True):
    """One value: `oid`, how to `decode` it (extract.DECODERS), which `key` of what that gives; group 1 of
    `pattern` for texts; numbers are divided by `divide`. `coarse`: a gauge of few steps."""

    oid: str
    decode: str = "plain"
    key: list[str] = []
    pattern: str | None = None
    divide: int = 1
    coarse: bool = False


class Match(_Table, frozen=True, kw_only=True):
    """Facts that speak for this profile. `text` and `maker` are regular expressions, the former for sysDescr and
    hrDeviceDescr, the latter for MFG of the IEEE 1284 device id."""

    sys_object_id: list[str] = []
    text: str | None = None
    maker: str | None = None
    objects: list[str] = []


class FirmwareRule(_Table, frozen=True, kw_only=True):
    """A version; or, with `names` and `versions`, a table of them, but for rows whose name matches `skip`."""

    name: str | None = None
    source: Source | None = None
    names: str | None = None
    versions: str | None = None
    skip: str | None = None


class PrinterRules(_Table, frozen=True, kw_only=True):
    """Private places of identity, best first. They go before the MIBs' own, `fallback` ones after."""

    model: list[Source] = []
    serial: list[Source] = []
    hostname: list[Source] = []
    location: list[Source] = []
    asset_number: list[Source] = []
    mac: list[Source] = []
    firmware: list[FirmwareRule] = []
    fallback_model: list[Source] = []
    fallback_serial: list[Source] = []


class MeterRule(_Table, frozen=True, kw_only=True):
    """`name` is the sum of `add` less `subtract`; all must be there."""

    name: str
    add: list[Source]
    subtract: list[Source] = []
    unit: str = "impressions"


class MeterTable(_Table, frozen=True, kw_only=True):
    """Counters in rows: the `keys` column says which (text or number), `values` holds them. Rows that name the
    same meter are added up."""

    keys: str
    values: str
    rows: dict[str, str]
    unit: str = "impressions"


class SupplyRule(_Table, frozen=True, kw_only=True):
    """A supply outside the Printer-MIB. It completes the Printer-MIB's row of the same type and colour where
    that row has no measured level, and stands for itself where there is none. `when` is a regular expression for
    the model."""

    type: str
    level: list[Source]
    color: str | None = None
    description: str | None = None
    class_: SupplyClass = msgspec.field(name="class", default="supplyThatIsConsumed")
    capacity: int | Source = 100
    unit: str = "percent"
    steps: list[int] = []
    when: str | None = None
    unless: str | None = None


class SupplyTable(_Table, frozen=True, kw_only=True):
    """Supplies in rows; `levels` says what special values mean."""

    description: str
    level: str
    type: str = "toner"
    class_: SupplyClass = msgspec.field(name="class", default="supplyThatIsConsumed")
    capacity: int = 100
    unit: str = "percent"
    steps: list[int] = []
    levels: dict[str, int] = {}


class Profile(_Table, frozen=True, kw_only=True):
    """One file. `brands` maps names under which the same devices are sold to regular expressions; `aliases` are
    further spellings of the vendor that precede a model."""

    vendor: str | None
    match: Match = Match()
    brands: dict[str, str] = {}
    aliases: list[str] = []
    printer: PrinterRules = PrinterRules()
    meters: list[MeterRule] = []
    meter_tables: list[MeterTable] = []
    supplies: list[SupplyRule] = []
    supply_tables: list[SupplyTable] = []
    receptacle: Literal["remaining", "filled"] | None = None
    steps: list[int] = []
    display: list[str] = []
    quirks: list[str] = []
    name: str = ""
    digest: str = ""

    def objects(self, section: str) -> list[str]:
        """Private single objects that `section` is read from."""
        return list(dict.fromkeys(s.oid for s in self._sources(section) if not s.oid.startswith(_WALKED)))

    def columns(self, section: str) -> list[str]:
        """Private columns that `section` is read from, in no order."""
        if section == "meters":
            return [c for t in self.meter_tables for c in (t.keys, t.values)]
        if section == "supplies":
            return [c for t in self.supply_tables for c in (t.description, t.level)]
        if section == "printer":
            return [c for f in self.printer.firmware for c in (f.names, f.versions) if c]
        return []

    def _sources(self, section: str) -> Iterator[Source]:
        if section == "meters":
            for rule in self.meters:
                yield from (*rule.add, *rule.subtract)
        elif section == "supplies":
            for supply in self.supplies:
                yield from supply.level
                if isinstance(supply.capacity, Source):
                    yield supply.capacity
        elif section == "status":
            yield from (Source(oid=oid) for oid in self.display)
        elif section == "printer":
            p = self.printer
            for sources in (p.model, p.serial, p.hostname, p.location, p.asset_number, p.mac):
                yield from sources
            yield from (f.source for f in p.firmware if f.source is not None)
            yield from (*p.fallback_model, *p.fallback_serial)


GENERIC = Profile(vendor=None, name="generic")
"""For a printer nothing is known of: the MIBs alone."""


class Facts(NamedTuple):
    """What a device says of itself."""

    sys_object_id: str | None
    sys_descr: str | None
    device_descr: str | None
    makers: tuple[str, ...]
    values: Values

    @property
    def texts(self) -> tuple[str, ...]:
        """Most telling first."""
        return tuple(t for t in (*self.makers, self.device_descr, self.sys_descr) if t)


class Profiles:
    """All profiles in force. `refused` holds what was wrong with the others."""

    def __init__(self, profiles: dict[str, Profile], refused: list[ProfileError]) -> None:
        self.by_name, self.refused = profiles, refused

    def get(self, name: str | None) -> Profile:
        return self.by_name.get(name or "", GENERIC)

    def match(self, facts: Facts) -> Profile:
        """The profile that most facts speak for, or GENERIC."""
        best = max(self.by_name.values(), key=lambda p: (score(p, facts), p.name), default=GENERIC)
        return best if score(best, facts) else GENERIC


def score(profile: Profile, facts: Facts) -> int:
    """How strongly `facts` speak for `profile`: 4 the 1284 maker, 3 each text, 2 sysObjectID, 2 private objects."""
    match, total = profile.match, 0
    if match.maker and any(re.search(match.maker, m) for m in facts.makers):
        total += 4
    if match.text:
        total += 3 * sum(bool(t and re.search(match.text, t)) for t in (facts.sys_descr, facts.device_descr))
    if facts.sys_object_id and any(under(facts.sys_object_id, root) for root in match.sys_object_id):
        total += 2
    if any(oid in facts.values for oid in match.objects):
        total += 2
    return total


def load_profiles(*directories: Path) -> Profiles:
    """Profiles of `directories`; without any, of BUILT_IN and DEALER. A file in a later one masks a file of that
    name in an earlier one, unless it is broken: then it stands in `refused` and the earlier one stays in force."""
    loaded: dict[str, Profile] = {}
    refused: list[ProfileError] = []
    for directory in directories or (BUILT_IN, DEALER):
        try:
            files = sorted(f for f in directory.iterdir() if f.suffix == ".toml")
        except FileNotFoundError:
            continue
        except OSError as e:
            refused.append(ProfileError(f"{directory} cannot be read: {e.strerror or e}", hint=""))
            continue
        for file in files:
            try:
                loaded[file.stem] = load(file)
            except ProfileError as e:
                refused.append(e)
    return Profiles(loaded, refused)


def load(file: Path) -> Profile:
    """One profile. ProfileError says which file and key is wrong, and why."""
    try:
        with file.open("rb") as opened:
            return parse(opened.read(MOST_OCTETS + 1), file.name)
    except OSError as e:
        raise ProfileError(f"{file.name} cannot be read: {e.strerror or e}") from None


def parse(data: bytes, file_name: str) -> Profile:
    """The profile that these octets of `file_name` are."""
    if len(data) > MOST_OCTETS:
        raise ProfileError(f"{file_name} has more than {MOST_OCTETS // 1024} KiB")
    try:
        profile = msgspec.convert(tomllib.loads(data.decode()), Profile)
    except UnicodeDecodeError:
        raise ProfileError(f"{file_name} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise ProfileError(f"{file_name} is not TOML: {_one_line(e)}") from None
    except msgspec.ValidationError as e:
        reason, _, where = _one_line(e).partition(" - at ")
        raise ProfileError(f"{file_name}: {where.strip('`$.') or 'top level'}: {reason}") from None
    for key, reason in _faults(profile):
        raise ProfileError(f"{file_name}: {key}: {_one_line(reason)}")
    digest = hashlib.sha256(data).hexdigest()[:16]
    return msgspec.structs.replace(profile, name=file_name.removesuffix(".toml"), digest=digest)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]


_WALKED = ("1.3.6.1.2.1.1.", "1.3.6.1.2.1.25.", "1.3.6.1.2.1.43.")
"""What every first read asks for anyway."""
_OID = re.compile(r"[0-2](\.(0|[1-9]\d{0,9})){2,127}")


def _faults(profile: Profile) -> Iterator[tuple[str, str]]:
    """(key, reason) of what types alone cannot tell."""
    if profile.name or profile.digest:
        yield "name or digest", "comes of the file itself and cannot be set"
    sources = [
        s for section in ("printer", "meters", "supplies", "status") for s in profile._sources(section)
    ]
    for source in sources:
        if source.decode not in extract.DECODERS:
            yield "decode", f"{source.decode!r} is none of {', '.join(sorted(extract.DECODERS))}"
        if source.divide < 1:
            yield "divide", "must be 1 or more"
    columns = [c for section in ("printer", "meters", "supplies") for c in profile.columns(section)]
    for oid in (*(s.oid for s in sources), *columns, *profile.match.objects, *profile.match.sys_object_id):
        if not _OID.fullmatch(oid):
            yield "oid", f"{oid[:60]!r} is not an OID"
    for names in ([m.name for m in profile.meters], *(t.rows.values() for t in profile.meter_tables)):
        for meter in names:
            if meter not in NAMES:
                yield "meters", f"{meter!r} is not the name of a meter"
    for unit in [*(m.unit for m in profile.meters), *(t.unit for t in profile.meter_tables)]:
        if unit not in keywords.COUNTER_UNIT.values():
            yield "meters.unit", f"{unit!r} is not a prtMarkerCounterUnit keyword"
    for kind in [*(s.type for s in profile.supplies), *(t.type for t in profile.supply_tables)]:
        if kind not in keywords.SUPPLY_TYPE.values():
            yield "supplies.type", f"{kind!r} is not a prtMarkerSuppliesType keyword"
    for unit in [*(s.unit for s in profile.supplies), *(t.unit for t in profile.supply_tables)]:
        if unit not in keywords.SUPPLY_UNIT.values():
            yield "supplies.unit", f"{unit!r} is not a prtMarkerSuppliesSupplyUnit keyword"
    patterns = [
        profile.match.text,
        profile.match.maker,
        *profile.brands.values(),
        *(s.pattern for s in sources),
    ]
    patterns += [p for s in profile.supplies for p in (s.when, s.unless)]
    patterns += [f.skip for f in profile.printer.firmware]
    for pattern in filter(None, patterns):
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as e:
            yield "pattern", f"{pattern!r} is not a regular expression: {e}"
