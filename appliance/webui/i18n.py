# SPDX-License-Identifier: Apache-2.0
"""Languages: catalogues by gettext, and numbers, dates and durations as the language writes them.

Source strings are English. A `Locale` is one language and one time zone; pages ask it for every word they show.
"""

from __future__ import annotations

import gettext
import time
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path

from appliance.model import clock

LANGUAGES = {"en": "English", "de": "Deutsch"}
LOCALES = Path(__file__).parent / "locales"
DOMAIN = "platen"


def N_(text: str) -> str:
    """Marks a text for the catalogue without translating it here."""
    return text


def NN_(one: str, many: str) -> tuple[str, str]:
    """As `N_`, for a text with a count."""
    return one, many


class Locale:
    """One language. `zone` None is the machine's own time zone."""

    def __init__(self, language: str, *, zone: tzinfo | None = None) -> None:
        self.language = language if language in LANGUAGES else "en"
        self.zone = zone
        self.words = _catalogue(self.language)

    def gettext(self, text: str, **values: object) -> str:
        """The text in this language, with %(name)s filled in."""
        found = self.words.gettext(text) if text else ""
        return found % values if values else found

    def ngettext(self, one: str, many: str, n: int, **values: object) -> str:
        """As `gettext`, in the form that goes with the count `n`; `%(n)s` is the localised count."""
        return self.words.ngettext(one, many, n) % {"n": self.number(n), **values}

    def joined(self, sentences: Iterable[str]) -> str:
        """Several short sentences as one: "Toner is empty, switched to offline"."""
        first, *rest = sentences
        return ", ".join([first, *map(self._within, rest)])

    def _within(self, sentence: str) -> str:
        """As it is written in the middle of another. German nouns keep their capital."""
        if self.language == "de" and sentence.split(" ")[0] not in _SMALL:
            return sentence
        return sentence[:1].lower() + sentence[1:]

    def number(self, value: float, digits: int = 0) -> str:
        """ "12,345.6" or "12.345,6"; thousands are parted from four digits on."""
        text = f"{value:,.{digits}f}"
        return text.translate(_SWAP) if self.language == "de" else text

    def percent(self, value: int) -> str:
        """ "62 %" in German, "62%" in English."""
        return f"{value}\u00a0%" if self.language == "de" else f"{value}%"

    def size(self, octets: int) -> str:
        """Octets in B, kB, MB, GB (powers of 1000), two or three digits."""
        value, unit = float(octets), "B"
        for larger in ("kB", "MB", "GB", "TB"):
            if value < 1000:
                break
            value, unit = value / 1000, larger
        return f"{self.number(value, 1 if unit != 'B' and value < 100 else 0)}\u00a0{unit}"

    def moment(self, at: float | str, *, seconds: bool = False) -> str:
        """Absolute, with the zone: "21 Nov 2026, 14:05 CET" or "21.11.2026, 14:05 MEZ"."""
        then = self._local(at)
        hour = then.strftime("%H:%M:%S" if seconds else "%H:%M")
        return f"{self.day(at)}, {hour} {self._zone_name(then)}"

    def day(self, at: float | str) -> str:
        """ "21 Nov 2026" or "21.11.2026"."""
        then = self._local(at)
        if self.language == "de":
            return then.strftime("%d.%m.%Y")
        return f"{then.day} {_MONTHS[then.month - 1]} {then.year}"

    def short_day(self, at: float | str) -> str:
        """ "21 Nov" or "21.11."."""
        then = self._local(at)
        return then.strftime("%d.%m.") if self.language == "de" else f"{then.day} {_MONTHS[then.month - 1]}"

    def hour(self, at: float | str) -> str:
        """ "14:05"."""
        return self._local(at).strftime("%H:%M")

    def ago(self, at: float | str, now: float | None = None) -> str:
        """Relative: "just now", "2 minutes ago", "in 3 hours"."""
        then = clock.unix(at) if isinstance(at, str) else at
        seconds = (time.time() if now is None else now) - then
        if abs(seconds) < 10:
            return self.gettext("just now")
        unit, n = _rounded(abs(seconds))
        one, many = (_AGO if seconds > 0 else _AHEAD)[unit]
        return self.ngettext(one, many, n)

    def duration(self, seconds: float) -> str:
        """One unit, rounded: "45 seconds", "2 minutes", "3 hours", "5 days"."""
        unit, n = _rounded(seconds)
        one, many = _SPANS[unit]
        return self.ngettext(one, many, n)

    def list(self, texts: Iterable[str]) -> str:
        """ "a, b and c"."""
        *first, last = list(texts) or [""]
        if not first:
            return last
        return self.gettext("%(first)s and %(last)s", first=", ".join(first), last=last)

    def _local(self, at: float | str) -> datetime:
        seconds = clock.unix(at) if isinstance(at, str) else at
        return datetime.fromtimestamp(seconds, UTC).astimezone(self.zone)

    def _zone_name(self, then: datetime) -> str:
        name = then.tzname() or "UTC"
        return _ZONES_DE.get(name, name) if self.language == "de" else name


def negotiate(setting: str, chosen: str | None, accept: str | None) -> str:
    """The language of one request: what the visitor picked, else the box's setting, else the browser's wish."""
    if chosen in LANGUAGES:
        return chosen
    if setting in LANGUAGES:
        return setting
    return _accepted(accept or "")


def _accepted(header: str) -> str:
    """The best of Accept-Language (RFC 9110, 12.5.4) that we speak."""
    best, best_q = "en", 0.0
    for part in header[:200].split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().split("-")[0].lower()
        try:
            q = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and q > best_q:
            best, best_q = language, q
    return best


@lru_cache(maxsize=4)
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALES, [language], fallback=language == "en")


_SWAP = str.maketrans({",": ".", ".": ","})
_SMALL = frozenset({"Ein", "Eine", "Das", "Die", "Der", "Kein", "Wenig", "Auf", "Bittet"})
"""First words of German sentences that are no nouns."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONES_DE = {"CET": "MEZ", "CEST": "MESZ"}


def _rounded(seconds: float) -> tuple[int, int]:
    """(unit, count): 0 seconds, 1 minutes, 2 hours (up to 47), 3 days."""
    for unit, (size, most) in enumerate(((1, 60), (60, 60), (3600, 48))):
        if (n := round(seconds / size)) < most:
            return unit, n
    return 3, round(seconds / 86400)


_SPANS = (
    NN_("%(n)s second", "%(n)s seconds"),
    NN_("%(n)s minute", "%(n)s minutes"),
    NN_("%(n)s hour", "%(n)s hours"),
    NN_("%(n)s day", "%(n)s days"),
)
_AGO = (
    NN_("%(n)s second ago", "%(n)s seconds ago"),
    NN_("%(n)s minute ago", "%(n)s minutes ago"),
    NN_("%(n)s hour ago", "%(n)s hours ago"),
    NN_("%(n)s day ago", "%(n)s days ago"),
)
_AHEAD = (
    NN_("in %(n)s second", "in %(n)s seconds"),
    NN_("in %(n)s minute", "in %(n)s minutes"),
    NN_("in %(n)s hour", "in %(n)s hours"),
    NN_("in %(n)s day", "in %(n)s days"),
)
