# SPDX-License-Identifier: Apache-2.0
"""Style sheet, script and mark, held in memory under names that carry their hash, so browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}


class File(msgspec.Struct, frozen=True):
    """`packed` is the body as gzip."""

    type: str
    body: bytes
    packed: bytes


def add(files: dict[str, File], names: dict[str, str], more: Mapping[str, bytes]) -> None:
    """Take these files in, by plain name."""
    for plain, body in more.items():
        stem, suffix = os.path.splitext(plain)
        name = f"{stem}.{hashlib.sha256(body).hexdigest()[:16]}{suffix}"
        files[name] = File(_TYPES[suffix], body, gzip.compress(body, mtime=0))
        names[plain] = name


def load() -> tuple[dict[str, File], dict[str, str]]:
    """(files by hashed name, hashed name by plain name)."""
    files: dict[str, File] = {}
    names: dict[str, str] = {}
    paths = sorted(p for p in _FOLDER.iterdir() if p.suffix in _TYPES)
    add(files, names, {p.name: p.read_bytes() for p in paths})
    return files, names
