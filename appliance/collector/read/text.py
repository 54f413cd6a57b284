# SPDX-License-Identifier: Apache-2.0
"""Octets ↔ text, in the character set a printer says it uses (prtLocalizationCharacterSet, IANA charset MIBenum)."""

from __future__ import annotations

import re

MOST_CHARACTERS = 1024

CHARSETS = {
    3: "ascii", 4: "latin-1", 5: "iso8859-2", 6: "iso8859-3", 7: "iso8859-4", 8: "iso8859-5", 9: "iso8859-6",
    10: "iso8859-7", 11: "iso8859-8", 12: "iso8859-9", 13: "iso8859-10", 17: "shift_jis", 18: "euc_jp",
    36: "euc_kr", 37: "iso2022_kr", 38: "euc_kr", 39: "iso2022_jp", 106: "utf-8", 109: "iso8859-13",
    110: "iso8859-14", 111: "iso8859-15", 113: "gbk", 114: "gb18030", 1000: "utf-16-be", 1013: "utf-16-be",
    1014: "utf-16-le", 1015: "utf-16", 1017: "utf-32", 1018: "utf-32-be", 1019: "utf-32-le",
    2004: "hp-roman8", 2009: "cp850", 2010: "cp852", 2011: "cp437", 2024: "cp932", 2025: "gb2312", 2026: "big5",
    2084: "koi8-r", 2250: "cp1250", 2251: "cp1251", 2252: "cp1252", 2253: "cp1253", 2254: "cp1254",
    2255: "cp1255", 2256: "cp1256", 2257: "cp1257", 2258: "cp1258", 2259: "tis-620",
}  # fmt: skip

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def decode(octets: bytes, charset: int | None = None) -> tuple[str, bool]:
    """(text, sure). Padding (NUL, blanks) and control characters are dropped; no octet is ever an error.

    UTF-8 is tried first wherever a non-ASCII octet stands: by chance alone, text in another set is hardly ever
    valid UTF-8, and many printers say Latin-1 but send UTF-8. Then the printer's own word counts, then
    Windows' Latin-1, which holds every octet; `sure` is False for that last guess.
    """
    octets = octets[: 4 * MOST_CHARACTERS]
    named = CHARSETS.get(charset or 0)
    wide = named is not None and named.startswith(("utf-16", "utf-32"))
    if not wide:
        octets = octets.rstrip(b"\0")
    candidates = [named, "utf-8"] if wide else ["utf-8", named]
    if named is not None and named.startswith("iso2022"):
        candidates.reverse()  # seven-bit with escapes: it would pass as ASCII
    for codec in candidates:
        if codec is not None:
            try:
                return _clean(octets.decode(codec)), True
            except (UnicodeDecodeError, LookupError):
                continue
    return _clean(octets.decode("cp1252", "replace").replace("�", "")), False


def symbol_set(octets: bytes) -> tuple[str, bool]:
    """HP PML text: two octets name a PCL symbol set (277 is 8U, Roman-8; 14 is 0N, Latin-1), the text follows.
    Without such a prefix the octets are text as they are."""
    if len(octets) >= 2 and (octets[0] < 0x20 or octets[:2] == b"\xfd\xe8"):
        number = int.from_bytes(octets[:2], "big")
        return decode(octets[2:], {277: 2004, 14: 4, 629: 17}.get(number, 106))
    return decode(octets)


def _clean(text: str) -> str:
    text = text.split("\0", 1)[0] if "\0" in text.rstrip("\0") else text
    text = re.sub(r"[\r\n\t]+", " ", text)
    return _CONTROL.sub("", text).strip()[:MOST_CHARACTERS]
