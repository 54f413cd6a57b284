# SPDX-License-Identifier: Apache-2.0
"""Colours of supplies: prtMarkerColorantValue, and words for colours in a supply's description."""

from __future__ import annotations

import re

WORDS: dict[str, str] = {
    "light_light_gray": "light light gray, light light grey",
    "light_cyan": "light cyan, photo cyan, hellcyan, cyan clair, ciano chiaro",
    "light_magenta": "vivid light magenta, light magenta, photo magenta, hellmagenta, magenta clair, magenta chiaro",
    "light_gray": "light gray, light grey, hellgrau, gris clair",
    "light_black": "light black",
    "matte_black": "matte black, matt black, mattschwarz, noir mat",
    "photo_black": "photo black, fotoschwarz, noir photo",
    "black": "black, schwarz, noir, noire, nero, nera, negro, negra, preto, preta, zwart, svart, musta, czarn,"
    " černá, černý, černé, cerna, cerny, čierna, fekete, siyah, чёрн, черн, 黒, ブラック, 黑, 검정, 블랙",
    "cyan": "cyan, zyan, ciano, cian, cyaan, azurov, błękitn, syaani, голуб, циан, シアン, 青, 시안",
    "magenta": "magenta, пурпурн, purpurov, マゼンタ, 品红, 洋红, 마젠타",
    "yellow": "yellow, gelb, jaune, giallo, gialla, amarillo, amarilla, amarelo, amarela, geel, gul, keltainen, żółt,"
    " zolty, žlut, zluta, sárga, sarı, жёлт, желт, イエロー, 黄, 옐로",
    "gray": "gray, grey, grau, gris, grigio",
    "orange": "orange, arancio, naranja",
    "green": "green, grün, gruen, vert, verde, groen",
    "violet": "violet, violett, lila",
    "red": "red, rot, rouge, rosso, rojo, rood",
    "blue": "blue, blau, bleu, azul, blauw",
    "white": "white, weiss, weiß, blanc, bianco, blanco",
    "clear": "clear, gloss optimizer, transparent, klarlack",
}
"""Colour to the words for it, in the order they are looked for: "light cyan" is found before "cyan"."""

LETTERS = {
    "k": "black", "bk": "black", "c": "cyan", "m": "magenta", "y": "yellow", "lc": "light_cyan",
    "lm": "light_magenta", "gy": "gray", "mk": "matte_black", "mbk": "matte_black", "pk": "photo_black",
    "pbk": "photo_black", "lgy": "light_gray", "or": "orange", "gr": "green", "w": "white",
}  # fmt: skip


def colorant(value: str | None) -> str | None:
    """prtMarkerColorantValue as a colour. None where it names none ("other", "unknown", "")."""
    if value is None:
        return None
    word = re.sub(r"[\s_-]+", "_", value.strip().lower())
    if word in LETTERS:
        return LETTERS[word]
    named = described(word.replace("_", " "))
    return named or (word if re.fullmatch(r"[a-z_]{3,20}", word) and word not in _NOT_COLORS else None)


def described(description: str | None) -> str | None:
    """The colour a description names in words; None where it names none, or several (a drum for all colours)."""
    found = []
    text = description or ""
    for color, pattern in _PATTERNS:
        text, times = pattern.subn(" ", text)
        if times:
            found.append(color)
    return found[0] if len(found) == 1 else None


def lettered(description: str | None) -> str | None:
    """The colour a part number tells by its last letters: "TK-8527K" is black. For inks and toners only."""
    letter = _LETTER_AT_END.search(description or "")
    return LETTERS[letter[1].lower()] if letter else None


def _pattern(words: str) -> re.Pattern[str]:
    """Short words stand alone; longer ones may begin a compound ("Schwarztoner"); CJK has no spaces."""
    before, after = r"(?<![^\W\d_])", r"(?![^\W\d_])"
    alternatives = []
    for word in sorted(map(str.strip, words.split(",")), key=len, reverse=True):
        spaced = r"[ _-]?".join(map(re.escape, word.split()))
        cjk = ord(word[0]) >= 0x3000
        alternatives.append(
            spaced if cjk else before + spaced + ("" if len(word) > 5 or word in _STEMS else after)
        )
    return re.compile("|".join(alternatives), re.IGNORECASE)


_STEMS = frozenset({"czarn", "чёрн", "черн", "голуб", "циан", "żółt", "žlut", "жёлт", "желт", "gelb", "cyan"})
_PATTERNS = [(color, _pattern(words)) for color, words in WORDS.items()]
_LETTER_AT_END = re.compile(r"(?<=[0-9 \-_])(MBK|PBK|LGY|BK|LC|LM|GY|MK|PK|[KCMY])\s*$")
_NOT_COLORS = frozenset({"other", "unknown", "none", "not_present", "process", "null", "color", "colour"})
