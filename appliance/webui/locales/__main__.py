# SPDX-License-Identifier: Apache-2.0
"""Collect every text of the page into the catalogues and compile them. For developers: needs Babel.

`python -m appliance.webui.locales` extracts, merges into each platen.po and writes platen.mo. A text that is no
longer used is dropped; one that is new waits in the .po with an empty translation.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog, extract, mofile, pofile

from appliance.model.settings import SETTINGS
from appliance.webui.i18n import DOMAIN, LANGUAGES, LOCALES

_WEBUI = Path(__file__).parent.parent
_HEALTH = _WEBUI.parent / "health"
_KEYWORDS = {**extract.DEFAULT_KEYWORDS, "gettext": None, "ngettext": (1, 2), "NN_": (1, 2)}


def texts() -> Catalog:
    """Every text: marked ones of the code and the templates, help of the settings, sentences of the checks."""
    catalog = Catalog(domain=DOMAIN, fuzzy=False, header_comment="# SPDX-License-Identifier: Apache-2.0")
    for path in sorted([*_WEBUI.rglob("*.py"), *_WEBUI.glob("templates/*.html")]):
        method = "jinja2.ext:babel_extract" if path.suffix == ".html" else "python"
        found = extract.extract_from_file(method, str(path), keywords=_KEYWORDS, options={"trimmed": "true"})
        for _, message, _, _ in found:
            catalog.add(message, locations=[(path.relative_to(_WEBUI).as_posix(), None)])  # type: ignore[list-item]
    for setting in SETTINGS.values():
        catalog.add(setting.help, locations=[("model/settings.py", None)])  # type: ignore[list-item]
    for path in sorted(_HEALTH.glob("[0-9]*.py")):
        for text in _sentences(path):
            catalog.add(text, locations=[(f"health/{path.name}", None)])  # type: ignore[list-item]
    return catalog


def updated(language: str) -> tuple[bytes, bytes]:
    """(.po, .mo) as they should be now."""
    path = _po(language)
    old = (
        pofile.read_po(io.BytesIO(path.read_bytes()), locale=language)
        if path.exists()
        else Catalog(locale=language)
    )
    old.domain, old.fuzzy = DOMAIN, False
    old.header_comment = "# SPDX-License-Identifier: Apache-2.0"
    old.update(texts(), no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    old.obsolete.clear()
    po, mo = io.BytesIO(), io.BytesIO()
    pofile.write_po(po, old, width=110, omit_header=False, sort_output=True, include_lineno=False)
    mofile.write_mo(mo, old)
    return po.getvalue(), mo.getvalue()


def _sentences(path: Path) -> Iterator[str]:
    """The literal `sentence=` and `action=` of a check."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg in ("sentence", "action"):
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value:
                    yield part.value


def _po(language: str) -> Path:
    return LOCALES / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def main() -> int:
    missing = 0
    for language in LANGUAGES:
        if language == "en":
            continue
        po, mo = updated(language)
        _po(language).parent.mkdir(parents=True, exist_ok=True)
        _po(language).write_bytes(po)
        _po(language).with_suffix(".mo").write_bytes(mo)
        catalog = pofile.read_po(io.BytesIO(po), locale=language)
        untranslated = [
            m.id
            for m in catalog
            if m.id and not all(m.string if isinstance(m.string, tuple) else (m.string,))
        ]
        missing += len(untranslated)
        print(f"{language}: {len(catalog)} texts, {len(untranslated)} untranslated")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
