# SPDX-License-Identifier: Apache-2.0
"""What the update service last said, in a file: uplink, page and checks read it without waking that service."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.host import files
from appliance.model.messages import Software

_MOST = 16 * 1024


def read(path: Path) -> Software | None:
    """None where there are no slots, as everywhere but on the box."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_MOST), type=Software)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write(path: Path, software: Software) -> None:
    """Replaces it where it says something else. DiskFull."""
    if read(path) != software:
        files.replace(path, msgspec.json.encode(software), 0o644)


def mark(path: Path) -> tuple[int, int]:
    """Differs once the file was replaced."""
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_ino)
