# SPDX-License-Identifier: Apache-2.0
"""Small files that are read and replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.model.errors import DiskFull


def replace(path: Path, octets: bytes, mode: int = 0o640) -> None:
    """Puts `octets` in the place of `path`. After a power cut there is the old or the new, whole."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            os.fchmod(fd, mode)  # whatever the mask of this service
            view = memoryview(octets)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        sync(path.parent)
    except OSError as e:
        raise DiskFull(f"{path.name} cannot be written: {e.strerror}") from e


def sync(folder: Path) -> None:
    """Waits until the disk has the names in `folder`. OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
