# SPDX-License-Identifier: Apache-2.0
"""Supplies: prtMarkerSuppliesTable and prtMarkerColorantTable (RFC 3805), completed from vendors' own tables."""

from __future__ import annotations

import re

import msgspec

from appliance.collector.read import colors, keywords, sources
from appliance.collector.read.keywords import MARKING, RECEPTACLES
from appliance.collector.read.profile import Profile, Source, SupplyRule
from appliance.collector.read.values import Row, Values
from appliance.model.reading import Supply, SupplyClass
from appliance.model.supplies import judge

SUPPLIES_ENTRY = "1.3.6.1.2.1.43.11.1.1"
COLORANT_ENTRY = "1.3.6.1.2.1.43.12.1.1"
CLASS, TYPE, DESCRIPTION, UNIT, CAPACITY, LEVEL = 4, 5, 6, 7, 8, 9


def supplies(values: Values, profile: Profile, model: str | None, device: int | None) -> list[Supply]:
    """Every supply of the printer, the Printer-MIB's first, in the order of their indices."""
    found = [
        _standard(Row(values, SUPPLIES_ENTRY, index), values, profile)
        for index in values.indices(SUPPLIES_ENTRY)
        if device is None or len(index) == 1 or index[0] == device
    ]
    for private in [*_singles(values, profile, model), *_tabled(values, profile)]:
        found = _joined(found, private)
    return found


def prints_color(supplied: list[Supply], process_colorants: int | None) -> bool | None:
    """Whether the printer prints in colour, as far as its supplies and prtMarkerProcessColorants tell."""
    marking = [s for s in supplied if s.type in MARKING or (s.type in ("other", "unknown") and s.color)]
    inks = {s.color for s in marking if s.class_ == "supplyThatIsConsumed"}
    if inks & {"cyan", "magenta", "yellow", "red", "blue", "green"}:
        return True
    if process_colorants is not None and process_colorants > 0:
        return process_colorants > 1
    return False if inks and inks <= {"black", "matte_black", "photo_black"} else None


def _standard(row: Row, values: Values, profile: Profile) -> Supply:
    description = row.text(DESCRIPTION)
    kind = row.keyword(TYPE, keywords.SUPPLY_TYPE) or "unknown"
    if kind in ("other", "unknown"):
        kind = _type_in_words(description) or kind
    number = row.integer(CLASS)
    class_: SupplyClass = keywords.SUPPLY_CLASS.get(number or 0, "other")
    if number is None:
        class_ = "receptacleThatIsFilled" if kind in RECEPTACLES else "supplyThatIsConsumed"
    colorant = row.integer(3)
    color = None
    if colorant:
        device = row.index[0] if len(row.index) > 1 else 1
        color = colors.colorant(values.text(f"{COLORANT_ENTRY}.4.{device}.{colorant}"))
    color = (
        color or colors.described(description) or (colors.lettered(description) if kind in MARKING else None)
    )
    capacity, level = row.integer(CAPACITY), row.integer(LEVEL)
    percent, state, basis = judge(
        class_, capacity, level, counts=profile.receptacle, steps=tuple(profile.steps)
    )
    return Supply(
        index=row.name,
        class_=class_,
        type=kind,
        color=None if class_ == "receptacleThatIsFilled" else color,
        description=description,
        part_number=_part_number(description),
        serial=_serial(description),
        unit=row.keyword(UNIT, keywords.SUPPLY_UNIT),
        capacity=capacity,
        level=level,
        percent=percent,
        state=state,
        basis=basis,
    )


def _singles(values: Values, profile: Profile, model: str | None) -> list[Supply]:
    found = []
    for number, rule in enumerate(profile.supplies, 1):
        if rule.when and not re.search(rule.when, model or ""):
            continue
        if rule.unless and re.search(rule.unless, model or ""):
            continue
        capacity = (
            sources.number(values, rule.capacity) if isinstance(rule.capacity, Source) else rule.capacity
        )
        for source in rule.level:
            level = sources.raw_number(values, source)
            if level is not None:
                made = _made(rule, profile, f"{profile.name}.{number}", rule.description, level, capacity)
                if source.coarse and made.basis == "measured":
                    made = msgspec.structs.replace(made, basis="coarse")
                found.append(made)
                break
    return found


def _tabled(values: Values, profile: Profile) -> list[Supply]:
    found = []
    for table in profile.supply_tables:
        for rest, oid in values.under(table.level):
            description = values.text(".".join([table.description, *map(str, rest)]))
            level = values.integer(oid)
            if level is None:
                continue
            kind = _type_in_words(description) or table.type
            rule = SupplyRule(
                type=kind, level=[], unit=table.unit, steps=table.steps,
                class_="receptacleThatIsFilled" if kind in RECEPTACLES else table.class_,
                color=colors.described(description) or colors.lettered(description),
            )  # fmt: skip
            level = table.levels.get(str(level), level)
            index = ".".join([profile.name, *map(str, rest)])
            found.append(_made(rule, profile, index, description, level, table.capacity))
    return found


def _made(
    rule: SupplyRule, profile: Profile, index: str, description: str | None, level: int, capacity: int | None
) -> Supply:
    percent, state, basis = judge(
        rule.class_, capacity, level, counts=profile.receptacle, steps=tuple(rule.steps)
    )
    return Supply(
        index=index,
        class_=rule.class_,
        type=rule.type,
        color=rule.color,
        description=description,
        part_number=None,
        serial=None,
        unit=rule.unit,
        capacity=capacity,
        level=level,
        percent=percent,
        state=state,
        basis=basis,
    )


def _joined(found: list[Supply], private: Supply) -> list[Supply]:
    """`found` with `private` in it: in place of the gauge of the row that it measures finer, as the words that row
    lacks, or as a row of its own where it has no twin."""
    alike = [i for i, s in enumerate(found) if _family(s.type) == _family(private.type)]
    twins = [i for i in alike if found[i].color == private.color]
    if not twins and any(found[i].color is None and found[i].percent is not None for i in alike):
        return found  # one gauge for the drums of all colours
    if not twins and (private.color is None or any(found[i].color is None for i in alike)):
        twins = [i for i in alike if private.color is None or found[i].color is None]
    if not twins:
        return [*found, private]
    at = next((i for i in twins if found[i].percent is None and private.percent is not None), twins[0])
    row = found[at]
    better = msgspec.structs.replace(
        row, color=row.color or private.color, description=row.description or private.description
    )
    if row.percent is None and private.percent is not None:
        gauge = {f: getattr(private, f) for f in ("unit", "capacity", "level", "percent", "state", "basis")}
        better = msgspec.structs.replace(better, **gauge)
    return [*found[:at], better, *found[at + 1 :]]


def _family(kind: str) -> str:
    return {"tonerCartridge": "toner", "inkCartridge": "ink"}.get(kind, kind)


def _type_in_words(description: str | None) -> str | None:
    for pattern, kind in _TYPE_WORDS:
        if description and pattern.search(description):
            return kind
    return None


def _part_number(description: str | None) -> str | None:
    """The part number a description carries, by the forms vendors write."""
    found = _PART.search(description or "")
    return found[0].strip() if found else None


def _serial(description: str | None) -> str | None:
    found = _SERIAL.search(description or "")
    return found[1].rstrip("-") if found and len(found[1].rstrip("-")) > 4 else None


_SERIAL = re.compile(r"\bS/?N:?\s*([A-Z0-9-]{5,40})", re.IGNORECASE)
_PART = re.compile(
    r"\b(?:TK-?\d{2,5}[A-Z]?|TN-?\d{2,4}[A-Z]{0,3}|DR-?\d{2,4}[A-Z]{0,2}|SJIC\d+P?-?[A-Z]{0,2}|SJMB\d+(?:/\d+)?"
    r"|T\d{2}[A-Z0-9]\d{1,2}|C[A-Z]\d{3}[A-Z]{1,2}|[QCDW]\d{4}[A-Z]{1,2}|\d{2}[A-Z]\d[A-Z0-9]{3,4}|\d{3}R\d{5})(?![\w-])"
)
_TYPE_WORDS = [
    (re.compile(p, re.IGNORECASE), kind)
    for p, kind in (
        (r"waste[ -]?ink|resttinte", "wasteInk"),
        (r"waste|resttoner|rest-?toner|tonerauffang|altoner|récup|vaschetta|residuo", "wasteToner"),
        (r"\bdrum\b|trommel|imaging unit|photoconductor|fotoleiter|tambour|tamburo|tambor", "opc"),
        (r"developer|entwickler", "developer"),
        (r"fuser|fuse unit|fixier|fusing|four\b|fusore|fusor", "fuser"),
        (r"transfer|belt\b", "transferUnit"),
        (r"stapl|heftklammer|agrafe", "staples"),
        (r"toner", "toner"),
        (r"\bink\b|tinte|encre|inchiostro|tinta", "inkCartridge"),
    )
]
