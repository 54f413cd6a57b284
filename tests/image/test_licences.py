# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from email import message_from_string

import pytest

from image import licences

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: example
License: GPL-2+

Files: *
Copyright: 2001 Somebody
License: GPL-2+

Files: lib/*
Copyright: 2002 Somebody Else
License: LGPL-2.1+ or MPL-2.0

Files: tiny.c
Copyright: none
License: public-domain
 Do what you like with it.
 .
 No warranty.

License: GPL-2+
 On Debian systems the text is in /usr/share/common-licenses/GPL-2.

License: LGPL-2.1+
 Text.

License: MPL-2.0
 Text.
"""


def test_a_machine_readable_copyright_becomes_one_expression() -> None:
    found = licences.of_debian("example", COPYRIGHT)
    (reference,) = found.texts
    assert reference.startswith("LicenseRef-public-domain-")
    assert found.expression == f"(LGPL-2.1-or-later OR MPL-2.0) AND GPL-2.0-or-later AND {reference}"
    assert found.texts[reference] == "Do what you like with it.\n\nNo warranty."


def test_the_same_name_with_other_words_is_another_licence() -> None:
    other = COPYRIGHT.replace("what you like", "what we like")
    assert licences.of_debian("a", COPYRIGHT).texts.keys() != licences.of_debian("a", other).texts.keys()


@pytest.mark.parametrize("text", ["", "This package was debianized by somebody.\n\nLicense: see below\n"])
def test_prose_is_not_guessed_at(text: str) -> None:
    assert licences.of_debian("example", text) == licences.Declared()


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("Expat", "MIT"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        ("BSD-3-clause and ISC", "BSD-3-Clause AND ISC"),
        ("BSD", None),
        ("GPL-7", None),
        ("GPL-2+ with OpenSSL exception", None),
        ("GPL-2 or Expat, and BSD-2-clause", None),
        ("", None),
    ],
)
def test_names_become_spdx_only_where_that_is_certain(name: str, expression: str | None) -> None:
    assert licences.spdx(name) == expression


@pytest.mark.parametrize(
    ("head", "expression"),
    [
        ("License-Expression: Apache-2.0 OR BSD-3-Clause", "Apache-2.0 OR BSD-3-Clause"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: see the file", None),
        ("Classifier: License :: OSI Approved :: BSD License", None),
    ],
)
def test_python_packages(head: str, expression: str | None) -> None:
    assert licences.of_python(message_from_string(f"Name: x\n{head}\n\nText")).expression == expression


def test_each_text_is_there_once_under_all_its_users() -> None:
    text = licences.collected([("b", "One\n"), ("a", "One  \n\n"), ("c", "Two")])
    assert text.count("One") == 1
    assert "\na, b\n" in text
    assert text.index("a, b") < text.index("One") < text.index("\nc\n") < text.index("Two")
