# SPDX-License-Identifier: Apache-2.0
"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

State = Literal["ok", "warning", "critical", "unknown"]
Light = Literal["network", "printers", "portal", "software"]
Who = Literal["you", "dealer", "nobody"]

LIGHTS: tuple[Light, ...] = ("network", "printers", "portal", "software")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`key` names the finding ("disk.low") and stays the same for ever. `sentence` and `action` (what to do,
    "" where nothing) are English with {names} of `fields`, and the key a translation is looked up by.
    `who_fixes`: the person at the page, the dealer, or nobody because it mends itself or nothing is wrong."""

    key: str
    light: Light
    state: State
    sentence: str
    fields: dict[str, str | int] = {}
    action: str = ""
    who_fixes: Who = "nobody"

    @property
    def text(self) -> str:
        """The sentence with its fields, in English."""
        return self.sentence.format(**self.fields)


def worst(states: Iterable[State]) -> State:
    """The gravest; what is not known is better than trouble and worse than well."""
    found = set(states)
    order: tuple[State, ...] = ("critical", "warning", "unknown", "ok")
    return next((s for s in order if s in found), "unknown")
