# SPDX-License-Identifier: Apache-2.0
"""MIB keywords in plain words: RFC 3805, RFC 2790 and IANA-PRINTER-MIB.

Every table maps a keyword to an English text of the catalogue. A keyword that no table knows is shown split into
words, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from appliance.model.errors import PlatenError
from appliance.model.reading import Alert, Input, Output, Reading, Storage, Supply
from appliance.webui import errors
from appliance.webui.i18n import Locale
from appliance.webui.vocabulary import (
    ALERTS,
    COLORS,
    ERRORS,
    KINDS,
    MARKING,
    PRINTER_STATUS,
    SIZES,
    STATES,
    STOPPING,
    SUPPLY_TYPES,
    TROUBLES,
    UNITS,
    WORKS,
)


def plain(t: Locale, table: dict[str, str], keyword: str | None) -> str:
    """The keyword in words; "" for None."""
    if not keyword:
        return ""
    text = table.get(keyword)
    return t.gettext(text) if text else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword).replace("_", " ").lower()


def supply_name(t: Locale, supply: Supply) -> str:
    """ "Black toner", "Waste toner container": what it is, by type and colour, else as the printer describes it."""
    otherwise = supply.description or t.gettext("Supply %(index)s", index=supply.index)
    return kind_and_color(t, supply.type, supply.color, otherwise)


def kind_and_color(t: Locale, type_: str, tint: str | None, otherwise: str) -> str:
    """ "Black toner"; `otherwise` where the type says nothing."""
    kind = SUPPLY_TYPES.get(type_)
    if kind is None:
        return otherwise
    if not tint:
        return t.gettext(kind)
    kind, tint = t.gettext(kind), color(t, tint)
    # Each language picks from these and sets their order; German writes nouns with a capital.
    return t.gettext(
        "%(Color)s %(kind)s", Color=_first(tint, str.upper), kind=_first(kind, str.lower), Kind=kind
    )


def supply_trouble(t: Locale, supply: Supply) -> str:
    """ "Cyan toner is low"; "" where nothing needs saying."""
    text = TROUBLES.get(supply.state)
    return t.gettext(text, supply=supply_name(t, supply)) if text else ""


def color(t: Locale, name: str) -> str:
    return plain(t, COLORS, name)


def supply_level(t: Locale, supply: Supply) -> str:
    """The level in words: a percentage where there is one, else what the printer did say. Never a made-up 0."""
    receptacle = supply.class_ == "receptacleThatIsFilled"
    if supply.percent is None:
        if supply.basis == "some":
            return t.gettext("some space left") if receptacle else t.gettext("some left")
        if supply.level is not None and supply.level >= 0 and supply.unit:
            unit = plain(t, UNITS, supply.unit)
            return t.gettext("%(amount)s %(unit)s left", amount=t.number(supply.level), unit=unit)
        return t.gettext("unknown")
    value = t.percent(supply.percent)
    if supply.basis == "coarse":
        value = t.gettext("about %(percent)s", percent=value)
    return t.gettext("%(percent)s space left", percent=value) if receptacle else value


def short_supply(t: Locale, supply: Supply) -> str:
    """For a narrow column: the colour, else the kind."""
    return _first(color(t, supply.color), str.upper) if supply.color else supply_name(t, supply)[:24]


def short_level(t: Locale, supply: Supply) -> str:
    """For a narrow column: "62%", "some", "?"."""
    if supply.percent is not None:
        return t.percent(supply.percent)
    return t.gettext("some") if supply.basis == "some" else "?"


def line_class(supply: Supply, place: int) -> str:
    """Colour and dashes of a line; the dashes tell them apart without colour."""
    kind = supply.color if supply.color in ("black", "cyan", "magenta", "yellow", "gray") else "other"
    return f"c-{kind} d{place % 4}"


def reason(t: Locale, code: str, sentence: str | None) -> str:
    """Why an address is no printer or could not be read."""
    return errors.tell_error(t, PlatenError(sentence or code, code=code)).happened


def supply_state(t: Locale, supply: Supply) -> str:
    """ "low", "empty", "full", "nearly full"; "" where nothing needs saying."""
    return t.gettext(STATES[supply.state]) if supply.state in STATES else ""


def alert(t: Locale, row: Alert) -> str:
    """One alert in plain words, from its code; the printer's own text where the code says nothing."""
    text = ALERTS.get(row.code_name)
    if text:
        return t.gettext(text)
    return (
        row.description or plain(t, {}, row.code_name) or t.gettext("Something the printer does not explain")
    )


def condition(t: Locale, reading: Reading) -> tuple[str, str]:
    """(light, words) of the whole printer: "ok" | "note" | "bad", and its errors or what it is doing. Where it says
    that toner is low or empty and its levels say which, they are named."""
    errors = [e for e in reading.status.errors if e in ERRORS]
    stopped = [e for e in errors if e in STOPPING]
    if not errors and reading.status.device == "down":
        return "bad", t.gettext("Cannot print")
    if errors:
        words = [word for error in (stopped or errors) for word in _error(t, reading, error)]
        return "bad" if stopped else "note", t.joined(words[:3])
    return "ok", plain(t, PRINTER_STATUS, reading.status.printer) or t.gettext("Answering")


def _error(t: Locale, reading: Reading, error: str) -> list[str]:
    state = {"lowToner": "low", "noToner": "empty"}.get(error)
    named = [supply_trouble(t, s) for s in reading.supplies if s.state == state and s.type in MARKING]
    return named or [t.gettext(ERRORS[error])]


def tray_name(t: Locale, row: Input | Output, kind: str) -> str:
    """What the printer calls it, else "Tray 2" or "Bin 1"."""
    said = row.name or row.description
    if said:
        return said
    number = row.index.split(".")[-1]
    return t.gettext("Tray %(n)s", n=number) if kind == "input" else t.gettext("Bin %(n)s", n=number)


def amount(
    t: Locale, level: int | None, capacity: int | None, unit: str | None, *, space: bool = False
) -> str:
    """A tray's or bin's level in words. `space`: the level counts room that is left."""
    if level == -3:
        return t.gettext("some space left") if space else t.gettext("some left")
    if level is None or level < 0:
        return t.gettext("unknown")
    if level == 0:
        return t.gettext("full") if space else t.gettext("empty")
    words = plain(t, UNITS, unit) or t.gettext("sheets")
    if capacity is not None and capacity > 0:
        return t.gettext(
            "%(level)s of %(capacity)s %(unit)s",
            level=t.number(level),
            capacity=t.number(capacity),
            unit=words,
        )
    return f"{t.number(level)} {words}"


def media_size(t: Locale, row: Input) -> str:
    """ "A4" where the size is a usual one, else "210 × 297 mm"; "" where the printer does not say."""
    feed = row.media_dim_feed_dir_chosen or row.media_dim_feed_dir_declared
    cross = row.media_dim_x_feed_dir_chosen or row.media_dim_x_feed_dir_declared
    if feed is None or cross is None or feed <= 0 or cross <= 0:
        return ""
    scale = {"tenThousandthsOfInches": 0.00254, "micrometers": 0.001}.get(row.dim_unit or "")
    if scale is None:
        return ""
    size = sorted((round(feed * scale), round(cross * scale)))
    for name, usual in SIZES.items():
        if all(abs(a - b) <= 2 for a, b in zip(size, usual, strict=True)):
            return name
    return f"{t.number(size[0])} × {t.number(size[1])} mm"


def storage(t: Locale, row: Storage) -> str:
    """ "12 MB of 512 MB used"."""
    if not row.allocation_units or row.size is None or row.size <= 0:
        return t.gettext("unknown")
    total = t.size(row.size * row.allocation_units)
    if row.used is None or row.used < 0:
        return total
    return t.gettext("%(used)s of %(total)s used", used=t.size(row.used * row.allocation_units), total=total)


def meter(t: Locale, name: str) -> str:
    """ "Total", "Monochrome", "Duplex": the kind, or the work where it is the sum."""
    work, _, kind = name.partition(".")
    return t.gettext(KINDS[kind]) if kind in KINDS else t.gettext(WORKS.get(work, work))


def _first(text: str, case: Callable[[str], str]) -> str:
    return case(text[:1]) + text[1:]
