# SPDX-License-Identifier: Apache-2.0
"""A dealer's brand: a logo, a name, colours and whom to call. Data only; nothing in it may run or fetch.

`platen-image` checks a brand before it is written to a card, and the box checks it again before it takes it.
"""

from __future__ import annotations

import re
import struct
import tomllib
import zlib
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import msgspec

from appliance.model.errors import BrandError

TEXT = "brand.toml"
SVG = "logo.svg"
PNG = "logo.png"
MOST = {TEXT: 4 * 1024, SVG: 64 * 1024, PNG: 256 * 1024}
"""Octets of each file that a brand may have; there are no others."""

MOST_PIXELS = 1024
CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: text on the accent colour has to be readable."""


class Support(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phone: str = ""
    mail: str = ""


class Colours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """#rrggbb. `accent` for buttons and lines, `text` for what stands on it."""

    accent: str = "#1f5fa8"
    text: str = "#ffffff"


class Brand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    support: Support = Support()
    colours: Colours = Colours()


def check(files: Mapping[str, bytes]) -> Brand:
    """The brand that the files (by name) make, or BrandError."""
    for name, data in files.items():
        if name not in MOST:
            raise BrandError(f"{name} is no part of a brand", hint=f"Only {', '.join(MOST)} are")
        if len(data) > MOST[name]:
            raise BrandError(f"{name} is larger than {MOST[name] // 1024} KiB")
    if TEXT not in files:
        raise BrandError(f"{TEXT} is missing")
    if SVG in files:
        check_svg(files[SVG])
    if PNG in files:
        check_png(files[PNG])
    return _text(files[TEXT])


def _text(data: bytes) -> Brand:
    try:
        brand = msgspec.convert(tomllib.loads(data.decode("utf-8-sig")), Brand)
    except UnicodeDecodeError:
        raise BrandError(f"{TEXT} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as e:
        raise BrandError(f"{TEXT}: {e}") from None
    for what, text, form in (
        ("name", brand.name, r"\S.{0,59}"),
        ("support.phone", brand.support.phone, r"|[+0-9][0-9 ()/.\-]{2,29}"),
        ("support.mail", brand.support.mail, r"|[^@\s\"'<>]{1,64}@[A-Za-z0-9.\-]{1,100}"),
        ("colours.accent", brand.colours.accent, "#[0-9a-fA-F]{6}"),
        ("colours.text", brand.colours.text, "#[0-9a-fA-F]{6}"),
    ):
        if not re.fullmatch(form, text) or not text.isprintable():
            raise BrandError(f"{TEXT}: {what} cannot be {text[:60]!r}")
    found = contrast(brand.colours.accent, brand.colours.text)
    if found < CONTRAST:
        raise BrandError(
            f"{TEXT}: colours.text on colours.accent has a contrast of {found:.1f}, and {CONTRAST} is needed",
            hint="Take a darker accent with white text, or black text",
        )
    return brand


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = re.compile(
    r"svg|g|path|rect|circle|ellipse|line|polyline|polygon|text|tspan|defs|linearGradient|radialGradient|stop"
    r"|clipPath|mask|title|desc|symbol|use|style|metadata"
)
_INERT = re.compile(
    r"\{http://(www\.inkscape\.org/|sodipodi\.sourceforge\.net/|www\.w3\.org/1999/02/22-rdf-syntax-ns#"
    r"|creativecommons\.org/ns#|web\.resource\.org/cc/|purl\.org/dc/)"
)
"""What drawing programs leave in a file; it draws nothing."""

_FETCHES = re.compile(
    r"url\s*\((?!\s*[\"']?#)|@import|expression|javascript:|data:|\\|image\s*\(|src\s*\(", re.I
)


def check_svg(data: bytes) -> None:
    """BrandError unless it is a drawing and nothing else: what could run or fetch is refused, not removed, so
    that the dealer sees what the box will show."""
    lowered = data.replace(b"\0", b"").lower()
    if b"<!doctype" in lowered or b"<!entity" in lowered or b"<?xml-stylesheet" in lowered:
        raise _svg("a DOCTYPE, an entity or a style sheet from elsewhere")
    try:
        root = ElementTree.fromstring(data)  # entities, all that could swell, were refused above
    except (ElementTree.ParseError, ValueError, LookupError) as e:
        raise BrandError(f"{SVG} is not well-formed: {e}") from None
    if root.tag != f"{_SVG}svg":
        raise BrandError(f"{SVG} is not an SVG drawing")
    for element in root.iter():
        _svg_element(element)


def _svg_element(element: Any) -> None:
    tag = str(element.tag)
    if not _ELEMENTS.fullmatch(tag.removeprefix(_SVG)) and not _INERT.match(tag):
        raise _svg(f"<{tag.rpartition('}')[2]}>")
    for name, value in element.attrib.items():
        plain = name.rpartition("}")[2].lower()
        if plain.startswith("on"):
            raise _svg(plain)
        if plain in ("href", "src") and not value.startswith("#") and not _INERT.match(tag):
            raise _svg(f"a reference to {value[:40]!r}")
        if not _INERT.match(name) and _FETCHES.search(value):
            raise _svg(f"{plain}={value[:40]!r}")
    if tag == f"{_SVG}style" and _FETCHES.search("".join(element.itertext())):
        raise _svg("a style that fetches from elsewhere")


def _svg(what: str) -> BrandError:
    return BrandError(f"{SVG} holds {what}", hint="Save it as plain SVG with texts as paths, or give a PNG")


def check_png(data: bytes) -> None:
    """BrandError unless each chunk is whole and the picture is of a size to show."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        raise BrandError(f"{PNG} is not a PNG picture")
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise BrandError(
            f"{PNG} has {width} × {height} pixels; up to {MOST_PIXELS} × {MOST_PIXELS} are allowed"
        )
    at, kind = 8, b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise BrandError(f"{PNG} is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 4 : at + 8 + length]
        at += 12 + length
        if at > len(data) or zlib.crc32(body) != struct.unpack_from(">I", data, at - 4)[0]:
            raise BrandError(f"{PNG} is damaged")
