# SPDX-License-Identifier: Apache-2.0
"""Every text of the page stands in the catalogues, translated and compiled."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages import mofile, pofile

from appliance import webui
from appliance.model.settings import SETTINGS
from appliance.webui.i18n import LANGUAGES, LOCALES, Locale
from appliance.webui.locales.__main__ import texts, updated
from appliance.webui.pages import settings

_FIELD = re.compile(r"%\((\w+)\)s|\{(\w+)\}")


def _catalog(language: str):
    return pofile.read_po(
        io.BytesIO((LOCALES / language / "LC_MESSAGES" / "platen.po").read_bytes()), locale=language
    )


@pytest.fixture(params=[code for code in LANGUAGES if code != "en"])
def language(request: pytest.FixtureRequest) -> str:
    return request.param


def test_po_and_mo_are_up_to_date(language: str):
    po, mo = updated(language)
    folder = LOCALES / language / "LC_MESSAGES"
    assert (folder / "platen.po").read_bytes() == po, "run python -m appliance.webui.locales"
    assert (folder / "platen.mo").read_bytes() == mo


def test_every_text_is_translated(language: str):
    catalog = _catalog(language)
    there = {m.id for m in catalog if m.id}
    assert {m.id for m in texts() if m.id} == there
    forms = [(m.id, m.string if isinstance(m.string, tuple) else (m.string,)) for m in catalog if m.id]
    assert [id for id, strings in forms if not all(strings)] == []
    assert [m.id for m in catalog if m.fuzzy and m.id] == []


def test_translations_use_the_fields_of_their_text(language: str):
    spare = {"Kind", "color"}  # %(Color)s %(kind)s offers more than English uses
    for message in _catalog(language):
        if message.id:
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            strings = message.string if isinstance(message.string, tuple) else (message.string,)
            wanted = {a or b for text in ids for a, b in _FIELD.findall(text)}
            for string in strings:
                assert {a or b for a, b in _FIELD.findall(string)} <= wanted | spare, message.id


def test_compiled_catalogue_answers(language: str):
    with open(LOCALES / language / "LC_MESSAGES" / "platen.mo", "rb") as file:
        assert len(mofile.read_mo(file)) > 700
    assert Locale("de").gettext("Printers") == "Drucker"


@pytest.mark.parametrize(
    "path", sorted((Path(webui.__file__).parent / "templates").glob("*.html")), ids=lambda p: p.name
)
def test_templates_say_nothing_untranslated(path: Path):
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.S)
    plain = re.sub(r"<[^>]*>", " ", text)
    assert set(re.findall(r"[A-Za-z]{2,}", plain)) <= {"Platen", "SHA", "Authorization", "Bearer"}
    for said in re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', text):
        assert not re.search(r"[A-Za-z]", said), path.name


def test_every_setting_has_a_name_and_a_place():
    assert set(settings.LABELS) == set(SETTINGS)
    assert {key.partition(".")[0] for key in SETTINGS} == set(settings.GROUPS)
    assert {s.unit for s in SETTINGS.values() if s.unit} == set(settings.UNITS)
