# SPDX-License-Identifier: Apache-2.0
"""The label of a box, as PDF for a label printer or a sheet, or as PNG: who it is, its codes, and where its page is."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import segno
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from appliance.model import codes
from appliance.model.errors import LabelError

DOTS = 300 / 25.4
"""Of a PNG, for each mm."""

_POINT = 25.4 / 72

FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf", "Helvetica.ttc")
"""Of the system, for a PNG: the font that Pillow brings has no umlauts."""


class Size(msgspec.Struct, frozen=True):
    """One label, in mm; of a sheet also where the labels lie on it."""

    name: str
    width: float
    height: float
    columns: int = 1
    rows: int = 1
    left: float = 0
    top: float = 0
    across: float = 0
    down: float = 0
    paper: tuple[float, float] | None = None

    @property
    def on_a_sheet(self) -> int:
        return self.columns * self.rows


SIZES = {
    s.name: s
    for s in (
        Size("roll-62", 62, 40),
        Size("roll-29x90", 90, 29),
        Size("avery-l7160", 63.5, 38.1, 3, 7, 7.25, 15.15, 66.0, 38.1, (210, 297)),
        Size("avery-5163", 101.6, 50.8, 2, 5, 3.97, 12.7, 106.36, 50.8, (215.9, 279.4)),
    )
}


class Label(msgspec.Struct, frozen=True):
    """What stands on it. The codes are secret and stay out of its repr."""

    box_id: str
    setup_code: str
    claim_code: str | None = None
    dealer: str = ""

    def __repr__(self) -> str:
        return f"Label({self.box_id!r})"

    @property
    def page(self) -> str:
        return f"http://{codes.host_name(self.box_id)}.local/"

    @property
    def matrix(self) -> str:
        """For the QR code: what a portal takes to claim the box, else the page's address."""
        return self.page if self.claim_code is None else f"PLATEN:{self.box_id}:{self.claim_code}"


class Text(msgspec.Struct, frozen=True):
    """`y` is the top of the letters; `size` their height in mm."""

    x: float
    y: float
    size: float
    text: str
    bold: bool = False


class Plan(msgspec.Struct, frozen=True):
    texts: list[Text]
    matrix: list[list[bool]]
    x: float
    y: float
    side: float


def plan(label: Label, size: Size) -> Plan:
    """Where everything lies on the label, in mm from its upper left corner."""
    code = [[bool(m) for m in row] for row in segno.make(label.matrix, error="m", micro=False).matrix]
    margin = 2.5
    side = min(size.height - 2 * margin, size.width * 0.34)
    # Four modules of quiet zone are the code's own (ISO/IEC 18004); the margin may be part of them.
    rows = [("Box", label.box_id), ("Setup code", label.setup_code)]
    if label.claim_code is not None:
        rows.append(("Claim code", label.claim_code))
    big, small = (2.9, 1.8) if size.height > 35 else (2.6, 1.5)
    texts, y = [], margin
    if label.dealer:
        texts.append(Text(margin, y, big, label.dealer[:24], True))
        y += big * 1.6
    for name, value in rows:
        texts += [Text(margin, y, small, name), Text(margin, y + small * 1.35, big, value, True)]
        y += small * 1.35 + big * 1.55
    texts += [
        Text(margin, y, small, "Page, in the same network:"),
        Text(margin, y + small * 1.35, small, label.page, True),
    ]
    return Plan(texts, code, size.width - margin - side, margin + (size.height - 2 * margin - side) / 2, side)


def draw(labels: Sequence[Label], path: Path, size: Size, *, font: Path | None = None, skip: int = 0) -> None:
    """Into `path`, PDF or PNG by its ending. `skip`: labels of the first sheet that are used already. `font`: a
    TrueType file, for names beyond Western European."""
    for text in {label.dealer for label in labels}:
        if font is None and not _western(text):
            raise LabelError(
                f"{text!r} has letters that the built-in font lacks", hint="Give a TrueType font: --font"
            )
    if path.suffix.lower() == ".png":
        if len(labels) != 1:
            raise LabelError("A PNG holds one label", hint="Take a PDF for several")
        data = _png(labels[0], size, font)
    elif path.suffix.lower() == ".pdf":
        data = _pdf(labels, size, font, skip)
    else:
        raise LabelError(f"{path.name} is neither .pdf nor .png", hint="The ending says which it is to be")
    try:
        with open(path, "wb", opener=_private) as file:
            file.write(data)
    except OSError as e:
        raise LabelError(f"{path} cannot be written: {e.strerror}", hint="Check the folder") from None


def _private(path: str, flags: int) -> int:
    # The codes on it open the box's page and claim it.
    return os.open(path, flags, 0o600)


def _western(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _dark(matrix: list[list[bool]]) -> Iterator[tuple[int, int, int]]:
    """(row, first column, length) of each run of dark modules: runs leave no hairlines between them."""
    for y, row in enumerate(matrix):
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end]:
                end += 1
            if end > x:
                yield y, x, end - x
            x = end + 1


def _pdf(labels: Sequence[Label], size: Size, font: Path | None, skip: int) -> bytes:
    pdf = FPDF(unit="mm", format=size.paper or (size.width, size.height))
    pdf.set_auto_page_break(False)
    pdf.set_title("Platen")
    family = "helvetica"
    if font is not None:
        try:
            for style in ("", "B"):
                pdf.add_font("own", style, font)
        except Exception as e:  # fontTools has no base of its own for what is wrong with a font
            raise LabelError(f"{font} cannot be used as a font", hint="Give a .ttf file") from e
        family = "own"
    for number, label in enumerate(labels, skip % size.on_a_sheet):
        place = number % size.on_a_sheet
        if place == 0 or not pdf.pages:
            pdf.add_page()
        left = size.left + place % size.columns * size.across
        top = size.top + place // size.columns * size.down
        what = plan(label, size)
        for text in what.texts:
            pdf.set_font(family, "B" if text.bold else "", text.size / 0.72 / _POINT)
            pdf.text(left + text.x, top + text.y + text.size, text.text)
        module = what.side / len(what.matrix)
        for row, column, length in _dark(what.matrix):
            pdf.rect(
                left + what.x + column * module, top + what.y + row * module, length * module, module, "F"
            )
    return bytes(pdf.output())


def _letters(text: Text, font: Path | None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    height = text.size / 0.72 * DOTS
    for name in (str(font),) if font else FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, height)
    if font is not None:
        raise LabelError(f"{font} cannot be used as a font", hint="Give a .ttf file")
    if not text.text.isascii():
        raise LabelError(
            f"{text.text!r} has letters that the built-in font lacks", hint="Give a TrueType font: --font"
        )
    return ImageFont.load_default(height)


def _png(label: Label, size: Size, font: Path | None) -> bytes:
    picture = Image.new("L", (round(size.width * DOTS), round(size.height * DOTS)), 255)
    pen = ImageDraw.Draw(picture)
    what = plan(label, size)
    for text in what.texts:
        letters = _letters(text, font)
        pen.text(
            (text.x * DOTS, (text.y + text.size) * DOTS),
            text.text,
            0,
            letters,
            anchor="ls",
            stroke_width=int(text.bold),
        )
    # Whole dots for each module, or they would differ in width.
    module = int(what.side * DOTS / len(what.matrix))
    x, y = round((what.x + what.side) * DOTS) - module * len(what.matrix), round(what.y * DOTS)
    for row, column, length in _dark(what.matrix):
        at = (x + column * module, y + row * module)
        pen.rectangle((*at, at[0] + length * module - 1, at[1] + module - 1), 0)
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(300, 300))
    return out.getvalue()
