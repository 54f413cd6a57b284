# SPDX-License-Identifier: Apache-2.0
"""Templates: one Jinja environment for each language, so that a compiled template never mixes two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from appliance.model import clock
from appliance.webui import vocabulary, wording
from appliance.webui.i18n import LANGUAGES, Locale

_TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Renders `templates/` with autoescape on and undefined names refused. `names` maps plain static names to
    hashed ones."""

    def __init__(self, names: dict[str, str]) -> None:
        self._environments = {language: _environment(language, names) for language in LANGUAGES}

    def render(self, template: str, t: Locale, **data: Any) -> str:
        return (
            self._environments[t.language].get_template(template).render(t=t, w=wording, v=vocabulary, **data)
        )


def _environment(language: str, names: dict[str, str]) -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    words = Locale(language).words
    env.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.globals["static"] = lambda name: f"/static/{names[name]}"
    env.globals["unix"] = clock.unix
    return env
