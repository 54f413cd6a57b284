# SPDX-License-Identifier: Apache-2.0
"""Bundles that wait on the data partition: bounded, checked for room, removed afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import stat
import time
from pathlib import Path

from appliance.model.errors import BundleBroken, DiskFull, UpdateError
from appliance.update import policy, version

CHUNK = 256 * 1024
MOST_ON_STICK = 4
"""Bundles of one stick that are looked at, the newest by their names first."""

LEFT_S = 3_600.0
"""What nobody has written to for so long was given up."""

_MOST_ENTRIES = 1024
_VERSION = re.compile(r"(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)")


class Spool:
    """The folder where files are while they are looked at and installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def free(self) -> int:
        """Octets that may be written."""
        try:
            room = os.statvfs(self.folder)
        except OSError as e:
            raise DiskFull(f"The spool cannot be used: {e.strerror}") from e
        return room.f_bavail * room.f_frsize

    def place(self, size: int) -> Path:
        """A name for a file of `size` octets. BundleTooLarge where there is no room."""
        policy.room(size, self.free())
        return self.folder / f"{secrets.token_hex(8)}.raucb"

    def holds(self, source: str) -> bool:
        """Whether `source` names a file of the spool, and nothing beside it."""
        path = Path(source)
        return path.parent == self.folder and path.suffix == ".raucb" and not path.name.startswith(".")

    def check(self, source: str) -> None:
        """BundleBroken unless it is a regular file that is in the spool."""
        try:
            mode = os.lstat(source).st_mode
        except OSError:
            raise BundleBroken("The file is not there any more") from None
        if not stat.S_ISREG(mode):
            raise BundleBroken("This is not a file")

    def remove(self, source: str) -> None:
        if self.holds(source):
            with contextlib.suppress(OSError):
                os.unlink(source)

    def clear(self, *keep: str) -> None:
        """Remove everything but `keep` that nobody has written to for a while: what an interrupted upload or
        installation left. A slow upload outlives this service, which sleeps meanwhile."""
        now = time.time()
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    # Ahead of the clock counts as old: the clock was set back since.
                    idle = abs(now - path.lstat().st_mtime)
                    if str(path) not in keep and idle > LEFT_S and not path.is_dir():
                        path.unlink()

    async def copy(self, source: Path) -> Path:
        """A copy of `source`, which may be pulled out afterwards. UpdateError, DiskFull."""
        return await asyncio.to_thread(self._copy, source)

    def _copy(self, source: Path) -> Path:
        target: Path | None = None
        try:
            # A stick can hold links to anywhere.
            with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode):
                    raise BundleBroken(f"{source.name[:80]} is not a file")
                target = self.place(info.st_size)
                left = info.st_size
                with open(target, "xb") as copy:
                    while left and (chunk := file.read(min(CHUNK, left))):
                        copy.write(chunk)
                        left -= len(chunk)
                    copy.flush()
                    os.fsync(copy.fileno())
            if left:
                raise BundleBroken(f"{source.name[:80]} could not be read to its end")
        except (OSError, UpdateError) as e:
            if target is not None:
                self.remove(str(target))
            if isinstance(e, OSError):
                raise BundleBroken(f"{source.name[:80]} cannot be copied: {e.strerror}") from e
            raise
        return target


def bundles(folder: Path) -> list[Path]:
    """The bundles in the root of a stick, the newest by their names first; names are only the order in which they
    are looked at, what counts is the signed manifest."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(_MOST_ENTRIES), entries, strict=False):
            name = entry.name.lower()
            if name.endswith(".raucb") and not name.startswith(".") and entry.is_file(follow_symlinks=False):
                found.append(Path(entry.path))
    return sorted(found, key=_order, reverse=True)[:MOST_ON_STICK]


def _order(path: Path) -> tuple[tuple[object, ...], str]:
    named = _VERSION.search(path.stem)
    return version.key(named[1] if named else ""), path.name
