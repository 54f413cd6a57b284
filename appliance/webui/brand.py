# SPDX-License-Identifier: Apache-2.0
"""How the page looks and whom it says to call: the dealer's brand where there is one, else ours.

The dealer's accent is moved towards black or white until it can be read on every ground of the style sheet, so that no
brand makes a page hard to read, in light or in dark.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import quote

import msgspec

from appliance.model import brand
from appliance.model.brand import CONTRAST, contrast
from appliance.model.errors import BrandError

log = logging.getLogger(__name__)

_LIGHT = ("#f4f6f8", "#ffffff", "#eef1f4")
_DARK = ("#0f141a", "#182028", "#121920")
"""--ground, --surface and --sunken of app.css, on which the accent is a colour of text."""


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """`files`: what is served, by plain name; `logo` one of them, or None for our mark."""

    name: str = "Platen"
    phone: str = ""
    mail: str = ""
    logo: str | None = None
    files: dict[str, bytes] = {}

    @property
    def call(self) -> str:
        """The number as a link has it (RFC 3966)."""
        return "tel:" + re.sub(r"[^+0-9]", "", self.phone)

    @property
    def write(self) -> str:
        return "mailto:" + quote(self.mail, safe="@")


def load(folder: Path | None) -> Brand:
    """The brand in `folder`, each file bounded and checked again; ours where there is none, or none that may be
    shown."""
    found = {name: data for name in brand.MOST if folder is not None and (data := _read(folder / name))}
    if not found:
        return Brand()
    try:
        given = brand.check(found)
    except BrandError as error:
        log.warning("the dealer's brand is not shown: %s", error)
        return Brand()
    logo = next((n for n in (brand.SVG, brand.PNG) if n in found), None)
    files = {"brand.css": style(given.colours).encode()}
    if logo is not None:
        files[logo] = found[logo]
    return Brand(name=given.name, phone=given.support.phone, mail=given.support.mail, logo=logo, files=files)


def style(colours: brand.Colours) -> str:
    """The style sheet that comes after ours."""
    light = _variables(colours, _LIGHT, "#ffffff", "#000000", 0.9)
    dark = _variables(colours, _DARK, "#182028", "#ffffff", 0.8)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _variables(colours: brand.Colours, grounds: tuple[str, ...], pale: str, towards: str, part: float) -> str:
    ground = mixed(colours.accent, pale, part)
    accent = readable(colours.accent, (*grounds, ground), towards)
    on = colours.text
    if contrast(accent, on) < CONTRAST:
        on = max(("#ffffff", "#000000"), key=lambda c: contrast(accent, c))
    return f"--accent: {accent}; --accent-ground: {ground}; --on-accent: {on};"


def readable(colour: str, grounds: tuple[str, ...], towards: str) -> str:
    """The colour, moved as little as it takes."""
    for step in range(21):
        moved = mixed(colour, towards, step / 20)
        if all(contrast(moved, ground) >= CONTRAST for ground in grounds):
            return moved
    return towards


def mixed(one: str, other: str, part: float) -> str:
    """`part` of the way from one colour to the other."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def _read(path: Path) -> bytes:
    """One octet more than allowed at most, so that the check sees what is too large."""
    try:
        with open(path, "rb") as file:
            return file.read(brand.MOST[path.name] + 1)
    except OSError:
        return b""
