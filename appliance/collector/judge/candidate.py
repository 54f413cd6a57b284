# SPDX-License-Identifier: Apache-2.0
"""Whether a device is worth a closer look, by its sysObjectID alone. The prefixes are data: other_devices.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

Verdict = Literal["printer", "other", "generic", "unknown"]


def verdict(sys_object_id: str | None) -> Verdict:
    """ "printer": only printers have it. "other": never a printer. "generic": an agent that printers and others
    carry alike. "unknown": not listed, or no sysObjectID at all. The longest prefix counts."""
    if sys_object_id is None:
        return "unknown"
    best: tuple[int, Verdict] = (0, "unknown")
    for kind, prefixes in _prefixes().items():
        for prefix in prefixes:
            if f"{sys_object_id}.".startswith(f"{prefix}."):
                best = max(best, (prefix.count("."), kind), key=lambda b: b[0])
    return best[1]


@cache
def _prefixes() -> dict[Verdict, list[str]]:
    with (Path(__file__).resolve().parent / "other_devices.toml").open("rb") as file:
        held = tomllib.load(file)
    kinds: tuple[Verdict, ...] = ("printer", "other", "generic")
    return {kind: [f"1.3.6.1.4.1.{arcs}" for arcs in held[kind]] for kind in kinds}
