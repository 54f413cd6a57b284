# SPDX-License-Identifier: Apache-2.0
"""Style sheet, script and mark, held in memory under names that carry their hash, so browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import msgspec

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class File(msgspec.Struct, frozen=True):
    """`packed` is the body as gzip."""

    type: str
    body: bytes
    packed: bytes


def load() -> tuple[dict[str, File], dict[str, str]]:
    """(files by hashed name, hashed name by plain name)."""
    files: dict[str, File] = {}
    names: dict[str, str] = {}
    for path in sorted(_FOLDER.iterdir()):
        if kind := _TYPES.get(path.suffix):
            body = path.read_bytes()
            name = f"{path.stem}.{hashlib.sha256(body).hexdigest()[:16]}{path.suffix}"
            files[name] = File(kind, body, gzip.compress(body, mtime=0))
            names[path.name] = name
    return files, names
