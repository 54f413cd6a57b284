# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import zlib

import pytest

from appliance.model import brand
from appliance.model.errors import BrandError

TEXT = b'name = "Acme"\n'


def svg(inside: str = "", more: str = "") -> bytes:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {spaces} {more}>{inside}</svg>".encode()


def png(width: int = 10, height: int = 10) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(11 * 10))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "drawing",
    [
        svg(
            '<defs><linearGradient id="a"/></defs><path fill="url(#a)" style="fill:url(#a)"/><use xlink:href="#a"/>'
        ),
        svg("<style>.a{fill:#123456}</style><g class='a'><text>Acme</text></g>"),
        svg('<i:namedview id="x"/>', 'xmlns:i="http://www.inkscape.org/namespaces/inkscape"'),
    ],
)
def test_a_drawing(drawing: bytes) -> None:
    assert brand.check({"brand.toml": TEXT, "logo.svg": drawing, "logo.png": png()}).name == "Acme"


@pytest.mark.parametrize(
    "drawing",
    [
        svg("<script>1</script>"),
        svg('<path onclick="1"/>'),
        svg(more='onload="1"'),
        svg('<image href="http://x.example/a.png"/>'),
        svg('<use xlink:href="http://x.example/a#b"/>'),
        svg('<a href="javascript:1"><path/></a>'),
        svg("<foreignObject><body/></foreignObject>"),
        svg('<path fill="url(http://x.example/)"/>'),
        svg("<path style=\"fill:URL( 'http://x.example')\"/>"),
        svg("<style>@import 'http://x.example';</style>"),
        svg("<style>a{b:u\\72l(http://x.example)}</style>"),
        svg('<set attributeName="onload" to="1"/>'),
        svg('<animate attributeName="href"/>'),
        b'<!DOCTYPE svg [<!ENTITY a "b">]>' + svg("&a;"),
        b'<?xml-stylesheet href="http://x.example"?>' + svg(),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE svg>' + svg().decode()).encode("utf-16"),
        b"<svg/>",
        b"<html/>",
        b"<svg",
        b"",
        svg(" " * 70_000),
    ],
)
def test_what_could_run_or_fetch_is_refused(drawing: bytes) -> None:
    with pytest.raises(BrandError, match=r"logo\.svg"):
        brand.check({"brand.toml": TEXT, "logo.svg": drawing})


@pytest.mark.parametrize(
    "picture",
    [b"", b"GIF89a", png()[:-1], png()[:40], png(2000, 10), png(0), png().replace(b"IDAT", b"IDAX")],
)
def test_a_bad_picture(picture: bytes) -> None:
    with pytest.raises(BrandError, match=r"logo\.png"):
        brand.check({"brand.toml": TEXT, "logo.png": picture})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "name"),
        (b'name = ""', "name"),
        (b'name = "a\\u0000"', "name"),
        (b'name = "A"\nnme = "B"', "nme"),
        (b'name = "A"\n[support]\nmail = "x"', "support.mail"),
        (b'name = "A"\n[support]\nphone = "call me"', "support.phone"),
        (b'name = "A"\n[colours]\naccent = "red"', "colours.accent"),
        (b'name = "A"\n[colours]\naccent = "#ffff00"', "contrast of 1.1"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_bad_text(text: bytes, says: str) -> None:
    with pytest.raises(BrandError, match=says):
        brand.check({"brand.toml": text})


def test_only_known_files() -> None:
    with pytest.raises(BrandError, match=r"x\.html"):
        brand.check({"brand.toml": TEXT, "x.html": b""})
    with pytest.raises(BrandError, match="missing"):
        brand.check({"logo.png": png()})
    assert brand.contrast("#000000", "#ffffff") == pytest.approx(21)
