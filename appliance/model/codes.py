# SPDX-License-Identifier: Apache-2.0
"""What stands on a box's label: box id, setup code and claim code. People read them out on the telephone."""

from __future__ import annotations

import re
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U."""

_GROUP = rf"[{ALPHABET}]{{4}}"
BOX_ID = re.compile(rf"PL-{_GROUP}-{_GROUP}\Z")
SETUP_CODE = re.compile(rf"{_GROUP}-{_GROUP}\Z")
CLAIM_CODE = re.compile(rf"{_GROUP}-{_GROUP}-{_GROUP}\Z")

_HEARD = str.maketrans("ILOU", "110V", " -\t")


def new_box_id() -> str:
    return f"PL-{_grouped(_random(8))}"


def new_setup_code() -> str:
    return _grouped(_random(8))


def new_claim_code() -> str:
    """55 random bits and a check character."""
    digits = _random(11)
    return _grouped(digits + _check(digits))


def is_claim_code(text: str) -> bool:
    """Whether `text` has the form, and the check character fits: any one wrong character, and any two exchanged
    ones, are noticed."""
    digits = text.replace("-", "")
    return bool(CLAIM_CODE.match(text)) and _check(digits[:-1]) == digits[-1]


def tidy(text: str) -> str:
    """What somebody typed, in the form it has on the label: upper case, groups of four, and the letters that
    are not in the alphabet read as what they look like."""
    text = text.strip().upper()
    box = "PL-" if text.startswith("PL") else ""
    return box + _grouped(text[2 if box else 0 :].translate(_HEARD))


def host_name(box_id: str) -> str:
    """The box's name in its network unless somebody gives it another; the page is at http://NAME.local/."""
    return f"platen-{box_id[-4:].lower()}"


def _random(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def _grouped(digits: str) -> str:
    return "-".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def _check(digits: str) -> str:
    """A linear code over GF(32), x^5+x^2+1: the sum of each character times its place's power of x is zero. Places
    differ in their factor, so that an exchange shows. Crockford's own check character needs five more signs."""
    total = 0
    for digit in digits:
        total = _times_x(total ^ ALPHABET.index(digit))
    return ALPHABET[total]


def _times_x(value: int) -> int:
    value <<= 1
    return value ^ 0b100101 if value & 32 else value
