# SPDX-License-Identifier: Apache-2.0
"""Whether a printer that answers is one we know: by evidence, never by its address.

A serial counts together with its vendor; a MAC together with a model, because one print server may stand before
several printers, and a network card may move. Where evidence contradicts itself nothing is merged: a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from appliance.model.reading import Reading
from appliance.model.serials import normalised


class Evidence(NamedTuple):
    """`kind` serial (vendor and normalised serial), serial-raw (as the printer said), mac, or model."""

    kind: str
    value: str


class Match(NamedTuple):
    """The known printer it is, or None; `conflict` is a sentence for a person where the evidence contradicts."""

    id: str | None
    conflict: str | None


def evidence(reading: Reading) -> list[Evidence]:
    """What of a reading tells this printer from others. A placeholder instead of a serial is no evidence."""
    facts = reading.printer
    found = []
    serial = normalised(facts.serial)
    if facts.serial and serial:
        found.append(Evidence("serial", f"{_bare(facts.vendor)}:{serial}"))
        found.append(Evidence("serial-raw", facts.serial))
    if facts.mac:
        found.append(Evidence("mac", facts.mac.lower()))
    if facts.model:
        found.append(Evidence("model", f"{_bare(facts.vendor)}:{_bare(facts.model)}"))
    return found


def match(found: Sequence[Evidence], known: Mapping[str, Sequence[tuple[str, str]]]) -> Match:
    """Which of `known` (id to its evidence) the printer with the evidence `found` is."""
    serial, mac, model = (_values(found, kind) for kind in ("serial", "mac", "model"))
    of = {id: (_values(e, "serial"), _values(e, "mac"), _values(e, "model")) for id, e in known.items()}
    by_serial = [id for id, (s, _, _) in of.items() if serial & s]
    if len(by_serial) > 1:
        by_serial = [id for id in by_serial if of[id][1] & mac] or by_serial
    if len(by_serial) == 1:
        return Match(by_serial[0], None)
    if by_serial:
        return Match(None, f"{len(by_serial)} known printers have the serial {_shown(serial)}")
    by_mac = [id for id, (_, m, o) in of.items() if mac & m and model and model == o]
    without = [id for id in by_mac if not (serial and of[id][0])]
    if len(without) == 1:
        return Match(without[0], None)
    if len(without) > 1:
        return Match(None, f"{len(without)} known printers have the MAC address {_shown(mac)}")
    if len(by_mac) == 1:
        old = _shown(of[by_mac[0]][0])
        return Match(
            None,
            f"It has the MAC address and model of a known printer, but the serial {_shown(serial)} instead of {old}",
        )
    return Match(None, None)


def _values(found: Sequence[tuple[str, str]], kind: str) -> frozenset[str]:
    return frozenset(value for k, value in found if k == kind)


def _shown(values: frozenset[str]) -> str:
    return " or ".join(sorted(v.partition(":")[2] if v.count(":") == 1 else v for v in values))


def _bare(text: str | None) -> str:
    return re.sub(r"[^0-9a-z]", "", (text or "").lower())
