# SPDX-License-Identifier: Apache-2.0
"""Varbinds and a profile in, a Reading out. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from appliance.collector.read import identity, meters, rows, supplies
from appliance.collector.read.profile import Profile
from appliance.collector.read.values import Values
from appliance.collector.wire.value import Varbind
from appliance.model.reading import SECTIONS, Clock, PrinterFacts, Reading


def decode(
    varbinds: Iterable[Varbind],
    profile: Profile,
    *,
    address: str,
    time: str,
    clock: Clock,
    sections: Collection[str] = SECTIONS,
) -> Reading:
    """What `varbinds` say, in `sections` only; `times` names these. `time` (RFC 3339) is when the printer answered.

    Whatever one value holds, the rest is read: a value that cannot be understood is absent, with a Note.
    """
    held = list(varbinds)
    values = Values(held)
    device = identity.device_index(values)
    values.charset = identity.charset(values, device)
    said = identity.facts(values)
    uptime = values.integer(identity.SYS_UPTIME)
    found: dict[str, Any] = {}
    printer = identity.printer(values, profile, said)
    supplied = supplies.supplies(values, profile, printer.model, device)
    counted = meters.meters(values, profile, device)
    if "printer" in sections:
        markers = [
            n for r in meters.marker_rows(values, device) if (n := r.integer(meters.PROCESS_COLORANTS))
        ]
        color = supplies.prints_color(supplied, max(markers, default=None))
        if any(m.name.endswith("full_color") and m.value for m in counted):
            color = True
        found["printer"] = msgspec.structs.replace(printer, color=color)
    else:
        found["printer"] = PrinterFacts()
    if "status" in sections:
        found["status"] = rows.status(values, profile, device, identity.host_index(values, device))
    if "meters" in sections:
        found["meters"] = counted
    if "supplies" in sections:
        found["supplies"] = supplied
    if "alerts" in sections:
        found["alerts"] = rows.alerts(values, device, uptime=uptime, time=time)
    if "inputs" in sections:
        found["inputs"] = rows.inputs(values, device)
    if "outputs" in sections:
        found["outputs"] = rows.outputs(values, device)
    if "covers" in sections:
        found["covers"] = rows.covers(values, device)
    if "storage" in sections:
        found["storage"] = rows.storage(values)
    return Reading(
        time=time,
        clock=clock,
        address=address,
        times={s: time for s in SECTIONS if s in sections},
        uptime_ticks=uptime,
        profile=profile.name,
        notes=list(dict.fromkeys(values.notes)),
        **found,
    )
