# SPDX-License-Identifier: Apache-2.0
"""What the makers of a package say about its licence, as an SPDX expression where that can be read by a program, and
every text of it once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from email.message import Message

import msgspec

_GNU = re.compile(r"(A|L)?GPL-([0-9](?:\.[0-9])?)(\+|-or-later|-only)?$")
_GNU_VERSIONS = {
    "AGPL": {"3": "3.0"},
    "GPL": {"1": "1.0", "2": "2.0", "3": "3.0"},
    "LGPL": {"2": "2.0", "2.1": "2.1", "3": "3.0"},
}
_SAME = {
    "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "apache 2.0": "Apache-2.0", "artistic": "Artistic-1.0-Perl",
    "artistic-2.0": "Artistic-2.0", "0bsd": "0BSD", "bsd-0-clause": "0BSD", "bsd-1-clause": "BSD-1-Clause",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
    "bsd-4-clause-uc": "BSD-4-Clause-UC", "bsl-1.0": "BSL-1.0", "cc0-1.0": "CC0-1.0", "cc0": "CC0-1.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0", "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc-by-4.0": "CC-BY-4.0", "curl": "curl",
    "expat": "MIT", "fsfap": "FSFAP", "isc": "ISC", "mit": "MIT", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0",
    "psf-2": "PSF-2.0", "psf-2.0": "PSF-2.0", "unicode": "Unicode-DFS-2016", "unlicense": "Unlicense", "x11": "X11",
    "zlib": "Zlib", "gfdl-1.3+": "GFDL-1.3-or-later",
}  # fmt: skip
"""Short names of debian/copyright (machine-readable format 1.0) and of Python's metadata whose meaning is one SPDX
licence. "BSD" and "public-domain" are not among them: they name many texts."""


class Declared(msgspec.Struct, frozen=True):
    """`expression` is None where no program can read it. `texts`: those of its LicenseRefs, by reference."""

    expression: str | None = None
    texts: Mapping[str, str] = {}


def of_debian(package: str, copyright_: str) -> Declared:
    """All licences of a debian/copyright: each is that of some file of the source package."""
    paragraphs = [_fields(p) for p in re.split(r"\n(?:[ \t]*\n)+", copyright_.strip())]
    if not paragraphs or "copyright-format/1.0" not in paragraphs[0].get("format", ""):
        return Declared()
    said = [p["license"].partition("\n") for p in paragraphs if "license" in p]
    full = {name.strip(): text for name, _, text in said if text.strip()}
    parts: set[str] = set()
    texts: dict[str, str] = {}
    for name in {
        p["license"].partition("\n")[0].strip() for p in paragraphs if "files" in p and "license" in p
    }:
        expression = spdx(name)
        if expression is None:
            text = full.get(name) or "\n\n".join(t for n, t in sorted(full.items()) if n in name.split())
            reference = _reference(name, text or package)
            texts[reference] = text.strip() or f"{name}, as the copyright file of {package} calls it."
            expression = reference
        parts.add(f"({expression})" if " OR " in expression else expression)
    return Declared(" AND ".join(sorted(parts)) or None, texts)


def of_python(metadata: Message) -> Declared:
    """From a METADATA file (core metadata 2.4): its expression, else a free text that is a known name."""
    if expression := metadata.get("License-Expression"):
        return Declared(expression)
    return Declared(spdx(metadata.get("License", "").strip()))


def spdx(name: str) -> str | None:
    """The SPDX expression for a short name, or for several with "and" and "or". None if it is not certain."""
    if "," in name or " with " in name:
        return None
    alternatives = []
    for alternative in re.split(r"\s+or\s+", name):
        parts = [_one(part.strip()) for part in re.split(r"\s+and\s+", alternative)]
        if None in parts:
            return None
        alternatives.append(" AND ".join(p for p in parts if p))
    return " OR ".join(alternatives) or None


def _one(name: str) -> str | None:
    if match := _GNU.match(name):
        family = f"{match[1] or ''}GPL"
        version = _GNU_VERSIONS[family].get(match[2].removesuffix(".0"))
        later = match[3] in ("+", "-or-later")
        return version and f"{family}-{version}-{'or-later' if later else 'only'}"
    return _SAME.get(name.lower())


def _reference(name: str, text: str) -> str:
    """The same name stands for other words in another package."""
    digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")[:40]
    return f"LicenseRef-{slug}-{digest}"


def _fields(paragraph: str) -> dict[str, str]:
    """RFC 822-like fields by lower-case name; a lone dot is an empty line (Debian Policy 5.6.13)."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1] in (" ", "\t"):
            found.setdefault(name, []).append("" if line.strip() == "." else line.strip())
        elif not line.startswith("#"):
            name, _, value = line.partition(":")
            name = name.strip().lower()
            found[name] = [value.strip()]
    return {key: "\n".join(lines) for key, lines in found.items()}


def collected(texts: Iterable[tuple[str, str]]) -> str:
    """One file of pairs (what it is for, text), each text once, under all it is for."""
    users: dict[str, list[str]] = {}
    for what, text in texts:
        users.setdefault("\n".join(line.rstrip() for line in text.strip().splitlines()), []).append(what)
    rule = "=" * 78
    parts = [
        f"{rule}\n{', '.join(sorted(set(names)))}\n{rule}\n\n{text}\n"
        for text, names in sorted(users.items(), key=lambda item: sorted(item[1]))
    ]
    return "\n".join(parts)
