# SPDX-License-Identifier: Apache-2.0
"""Names of meters: WORK or WORK.KIND, with the words of PWG 5106.1 (Imaging System Counters)."""

from __future__ import annotations

WORKS = ("total", "print", "copy", "fax", "scan")
KINDS = ("monochrome", "full_color", "highlight_color", "duplex", "large", "blank")

NAMES: frozenset[str] = frozenset([*WORKS, *(f"{w}.{k}" for w in WORKS for k in KINDS)])
"""Every meter name there is."""


def order(name: str) -> tuple[int, int]:
    """Sort key: total first, then print, copy, fax, scan; plain before its kinds."""
    work, _, kind = name.partition(".")
    return WORKS.index(work), KINDS.index(kind) + 1 if kind else 0
