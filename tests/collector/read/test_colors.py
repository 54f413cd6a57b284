# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from appliance.collector.read import colors


@pytest.mark.parametrize(
    ("description", "color"),
    [
        ("Black Toner Cartridge", "black"),
        ("Patrone Schwarz", "black"),
        ("Schwarztoner", "black"),
        ("Toner noir", "black"),
        ("Cartuccia toner nero", "black"),
        ("Cartucho negro", "black"),
        ("Czarny toner", "black"),
        ("Чёрный тонер", "black"),
        ("ブラックトナー", "black"),
        ("Toner (Cyan)", "cyan"),
        ("Cyanpatrone", "cyan"),
        ("Photo Cyan Ink", "light_cyan"),
        ("Light Cyan", "light_cyan"),
        ("Vivid Light Magenta", "light_magenta"),
        ("Gelber Toner", "yellow"),
        ("Toner jaune", "yellow"),
        ("Toner żółty", "yellow"),
        ("Matte Black Ink", "matte_black"),
        ("Light Gray", "light_gray"),
        ("Waste Toner Box", None),
        ("Black and Cyan Drum", None),  # one unit for several colours
        ("Rotation unit", None),  # "rot" is red only where it stands alone
        ("Regulated supply", None),
        ("", None),
        (None, None),
    ],
)
def test_words_for_colours_in_several_languages(description: str | None, color: str | None) -> None:
    assert colors.described(description) == color


@pytest.mark.parametrize(
    ("value", "color"),
    [
        ("black", "black"),
        ("Cyan", "cyan"),
        ("K", "black"),
        ("light_magenta", "light_magenta"),
        ("light magenta", "light_magenta"),
        ("photo-black", "photo_black"),
        ("other", None),
        ("unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_colorant_values(value: str | None, color: str | None) -> None:
    assert colors.colorant(value) == color


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("TK-8527K", "black"),
        ("TK-8527C", "cyan"),
        ("SJIC35P-BK", "black"),
        ("Fuser 220V", None),
        ("CF410A", None),
    ],
)
def test_a_letter_at_the_end_of_a_part_number(name: str, color: str | None) -> None:
    assert colors.lettered(name) == color
