# SPDX-License-Identifier: Apache-2.0
"""The named decoders that a profile may ask for: octets in, a value or a table of values out. Pure; they never
raise on octets a printer sent."""

from __future__ import annotations

import re
from collections.abc import Callable

from appliance.collector.read import text

Extracted = str | int | dict[str, int] | None


def brother_records(octets: bytes) -> dict[str, int]:
    """Brother's byte tables (brInfoMaintenance, brInfoCounter, brInfoNextCare): records of a code, 01, a length,
    and a big-endian number of that length; FF ends the table. Keys are codes in hex ("6f"), with ":2" behind
    where the number has two octets, as old models write it: what scale they use there is known of counters only.
    Records of a single octet are states, not quantities, and are left out."""
    found: dict[str, int] = {}
    i = 0
    while i + 3 <= len(octets) and octets[i] != 0xFF and octets[i + 1] == 1:
        length = octets[i + 2]
        value = octets[i + 3 : i + 3 + length]
        if length not in (1, 2, 4) or len(value) < length:
            break
        if length > 1:
            found.setdefault(f"{octets[i]:02x}" + (":2" if length == 2 else ""), int.from_bytes(value, "big"))
        i += 3 + length
    return found


def device_id(octets: bytes) -> dict[str, str]:
    """An IEEE 1284 device id as its short keys (MFG, MDL, SN, ...)."""
    pairs = (part.partition(":") for part in text.decode(octets)[0].split(";"))
    found = {_SHORT.get(k.strip().upper(), k.strip().upper()): v.strip() for k, _, v in pairs if v.strip()}
    return {k: v for k, v in found.items() if k}


def leading_number(octets: bytes) -> int | None:
    """The number a text begins with: "1920 INCHES" is 1920."""
    found = re.match(r"\s*(\d{1,12})\b", text.decode(octets)[0])
    return int(found[1]) if found else None


def big_endian(octets: bytes) -> int | None:
    """A number in up to eight octets, highest first."""
    return int.from_bytes(octets, "big") if 0 < len(octets) <= 8 else None


def mac(octets: bytes) -> str | None:
    """Six octets as aa:bb:cc:dd:ee:ff."""
    return octets.hex(":") if len(octets) == 6 and any(octets) else None


def plain(octets: bytes) -> str | None:
    return text.decode(octets)[0] or None


def pml_text(octets: bytes) -> str | None:
    """HP PML text behind its two octets of symbol set."""
    return text.symbol_set(octets)[0] or None


DECODERS: dict[str, Callable[[bytes], Extracted]] = {
    "plain": plain,
    "pml_text": pml_text,
    "brother_records": brother_records,
    "leading_number": leading_number,
    "big_endian": big_endian,
    "mac": mac,
}

_SHORT = {
    "MANUFACTURER": "MFG",
    "MODEL": "MDL",
    "COMMAND SET": "CMD",
    "CLASS": "CLS",
    "DESCRIPTION": "DES",
    "SERIALNUMBER": "SN",
    "SERN": "SN",
    "SERIAL": "SN",
}
