# SPDX-License-Identifier: Apache-2.0
"""Versions as RAUC compares them: MAJOR[.MINOR[.PATCH]][-PRE][+BUILD] (semver.org, 11). Pure."""

from __future__ import annotations

import re
from typing import Any

_FORM = re.compile(
    r"(?P<core>\d{1,9}(?:\.\d{1,9}){0,2})(?:-(?P<pre>[0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?"
)


def valid(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def key(text: str) -> tuple[Any, ...]:
    """Sorts versions; what is no version sorts before every one that is."""
    found = _FORM.fullmatch(text)
    if found is None:
        return (0,)
    core = [int(n) for n in found["core"].split(".")]
    core += [0] * (3 - len(core))
    # A release comes after all its pre-releases; among their parts numbers come before words.
    pre = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in (found["pre"] or "").split("."))
    return (1, *core, 1 if found["pre"] is None else 0, () if found["pre"] is None else pre)


def older(a: str, b: str) -> bool:
    """Whether `a` comes before `b`."""
    return key(a) < key(b)


def highest(*versions: str | None) -> str | None:
    """The newest of those that are versions; None where none is."""
    return max((v for v in versions if v is not None and valid(v)), key=key, default=None)
