# SPDX-License-Identifier: Apache-2.0
"""Values of a profile's sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

from appliance.collector.read import extract
from appliance.collector.read.profile import Source
from appliance.collector.read.values import Values

NO_COUNT = 0xFFFF_FFFF
"""What some agents answer for a counter they do not keep."""


def number(values: Values, source: Source) -> int | None:
    """The number, or None where it is absent, negative or marked as not kept. A private level may be negative:
    see `raw_number`."""
    found = raw_number(values, source)
    return None if found is None or found < 0 or found == NO_COUNT else found


def raw_number(values: Values, source: Source) -> int | None:
    varbind = values.get(source.oid)
    if varbind is None:
        return None
    found: extract.Extracted
    if (source.decode == "plain" or isinstance(varbind.value, int)) and not source.key:
        found = values.integer(source.oid)
    else:
        octets = values.octets(source.oid)
        found = None if octets is None else extract.DECODERS[source.decode](octets)
        if isinstance(found, dict):
            found = next((found[k] for k in source.key if k in found), None)
        if isinstance(found, str):
            found = int(found) if found.isascii() and found.isdigit() and len(found) < 20 else None
    if not isinstance(found, int):
        return None
    return found // source.divide if source.divide > 1 else found


def text(values: Values, sources: Iterable[Source]) -> str | None:
    """The first text there is, group 1 of its pattern where it has one."""
    for source in sources:
        if source.oid not in values:
            continue
        found: extract.Extracted
        if source.decode == "plain":
            found = values.text(source.oid)
        else:
            octets = values.octets(source.oid)
            found = None if octets is None else extract.DECODERS[source.decode](octets)
        if found is None or isinstance(found, dict):
            continue
        word = str(found)
        if source.pattern is not None:
            match = re.search(source.pattern, word)
            if match is None:
                continue
            word = match[1] if match.re.groups else match[0]
        if word.strip():
            return word.strip()
    return None
