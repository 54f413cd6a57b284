# SPDX-License-Identifier: Apache-2.0
"""The dealer's brand on the page: bounded, checked, readable, and never in the way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.host.paths import Paths
from appliance.model.brand import CONTRAST, MOST, Colours, contrast
from appliance.webui import brand
from tests.webui.conftest import close_page, open_page

TOML = """
name = "Büro <Acme> & Co"
[support]
phone = "+41 (44) 000.00-00"
mail = "help+box@acme.example"
[colours]
accent = "#ffe600"
text = "#000000"
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'
COLOUR = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "brand"
    made.mkdir()
    (made / "brand.toml").write_text(TOML)
    (made / "logo.svg").write_text(SVG)
    return made


async def test_the_page_is_the_dealers_before_and_after_the_login(paths: Paths, folder: Path) -> None:
    page, runner = await open_page(paths, brand=folder)
    try:
        _, text, headers = await page.get("/setup")
        for part in (
            "· Büro &lt;Acme&gt; &amp; Co</title>",
            '<a href="tel:+41440000000">+41 (44) 000.00-00</a>',
            '<a href="mailto:help%2Bbox@acme.example">help+box@acme.example</a>',
        ):
            assert part in text, part
        assert "style=" not in text
        logo = re.search(r'<img class="logo" src="(/static/logo\.[0-9a-f]{16}\.svg)"', text)
        sheet = re.search(r'href="(/static/brand\.[0-9a-f]{16}\.css)"', text)
        assert logo
        assert sheet
        assert text.index("app.") < text.index("brand."), "ours first, the dealer's after it"
        status, drawn, headers = await page.get(logo[1])
        assert (status, drawn, headers["Content-Type"]) == (200, SVG, "image/svg+xml; charset=utf-8")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "--accent: " in (await page.get(sheet[1]))[1]
        await page.set_up()
        _, text, _ = await page.get("/")
        assert "<span>Büro &lt;Acme&gt; &amp; Co</span></a>" in text
        # What nobody at the page can mend says whom to call, beside the problem.
        (page.box.software.parent / "provision.json").write_text(
            '{"using": "file", "personalisation": "bad-brand: No."}'
        )
        _, text, _ = await page.get("/")
        assert re.search(r"personalisation\.refused", text)
        assert re.search(r"Call your dealer: .{1,60}tel:\+41440000000", text)
    finally:
        await close_page(page, runner)


async def test_without_a_brand_it_is_ours(paths: Paths) -> None:
    page, runner = await open_page(paths)
    try:
        for path in ("/setup", "/"):
            _, text, _ = await page.get(path)
            assert "· Platen</title>" in text
            if path == "/setup":
                await page.set_up()
            assert "brand." not in text
            assert "tel:" not in text
    finally:
        await close_page(page, runner)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("brand.toml", b"name = 3"),
        ("brand.toml", b"x" * (MOST["brand.toml"] + 1)),
        ("brand.toml", b""),
        ("logo.svg", SVG.replace("<path", "<script>1</script><path").encode()),
        ("logo.svg", SVG.encode() + b" " * MOST["logo.svg"]),
        ("logo.png", b"GIF89a"),
    ],
)
def test_what_may_not_be_shown_is_ours(folder: Path, name: str, octets: bytes) -> None:
    """The card's was checked; what is on the data partition may have been damaged since."""
    (folder / name).write_bytes(octets)
    assert brand.load(folder) == brand.Brand()


def test_nothing_else_of_the_folder_is_served(folder: Path, tmp_path: Path) -> None:
    (folder / "more.svg").write_text(SVG)
    assert set(brand.load(folder).files) == {"brand.css", "logo.svg"}
    assert brand.load(tmp_path / "missing") == brand.load(None) == brand.Brand()


@given(COLOUR, COLOUR)
def test_every_colour_can_be_read_on_every_ground(accent: str, text: str) -> None:
    sheet = brand.style(Colours(accent=accent, text=text))
    scheme = r"--accent: (#[0-9a-f]{6}); --accent-ground: (#[0-9a-f]{6}); --on-accent: (#[0-9a-f]{6});"
    looks = re.findall(scheme, sheet)
    css = (Path(brand.__file__).parent / "static/app.css").read_text()
    assert len(looks) == 2
    for (own, ground, on), plain in zip(looks, re.findall(r"--ground: .*?--line:", css, re.S), strict=True):
        assert contrast(own, on) >= CONTRAST
        for under in (ground, *re.findall(r"#[0-9a-f]{6}", plain)):
            assert contrast(own, under) >= CONTRAST, (own, under)


def test_a_colour_that_is_readable_stays() -> None:
    assert "--accent: #7a1f5f;" in brand.style(Colours(accent="#7a1f5f"))
