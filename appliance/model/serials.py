# SPDX-License-Identifier: Apache-2.0
"""Serial numbers: which are none at all, and when two of them are the same."""

from __future__ import annotations

import re


def placeholder(serial: str) -> bool:
    """Whether a serial is what a factory leaves where none was set: all alike, counting up, or words."""
    bare = re.sub(r"[^0-9A-Za-z]", "", serial).upper()
    if len(bare) < 4 or len(set(bare)) == 1:
        return True
    if bare in _DIGITS or bare in _LETTERS or bare in _WORDS:
        return True
    return bool(re.fullmatch(r"(SERIAL|SN)?(NUMBER|NO|NUM)?0*", bare))


def normalised(serial: str | None) -> str | None:
    """A serial as it is compared: letters and digits only, upper case, without leading zeros (some HP firmware pads
    with "00", other releases of the same firmware do not). None for a placeholder."""
    if serial is None or placeholder(serial):
        return None
    return re.sub(r"[^0-9A-Z]", "", serial.upper()).lstrip("0") or None


_DIGITS = "0123456789" * 3
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS = frozenset(
    {"NULL", "NONE", "NOTSET", "NOTAVAILABLE", "UNKNOWN", "DEFAULT", "EMPTY", "INVALID", "SERIALNUMBER"}
)
