# SPDX-License-Identifier: Apache-2.0
"""Writing so that a power cut leaves the old file or the new one, and wiping as well as flash lets us."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.host.files import sync
from appliance.model.errors import DiskFull, Fault

log = logging.getLogger(__name__)


class Owner(msgspec.Struct, frozen=True):
    uid: int
    gid: int


def read(path: Path, most: int) -> bytes | None:
    """The file's octets, at most `most` + 1 of them; None where there is no such regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(fd, "rb") as file:
        try:
            return file.read(most + 1)
        except OSError as e:  # a folder, or a card that is worn
            log.warning("%s cannot be read: %s", path, e.strerror)
            return None


def make_directory(path: Path, mode: int, owner: Owner | None = None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(mode)
    sync(path.parent)


def write(
    path: Path, data: bytes, mode: int | None, owner: Owner | None = None, *, temporary: bool = False
) -> None:
    """The content reaches the disk before the name does, and both before this returns; what is there already is left
    alone. `mode` None: on FAT, which has none. `temporary`: in RAM, there is nothing to wait for. DiskFull when it
    cannot be written."""
    if _same(path, data, mode, owner):
        return
    new = path.with_name(path.name + ".new")
    try:
        # Left by a power cut; it may belong to another user, and O_EXCL follows no link.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if owner is not None:
                os.fchown(fd, owner.uid, owner.gid)
            if mode is not None:
                os.fchmod(fd, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if not temporary:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, path)
        if not temporary:
            sync(path.parent)
    except OSError as e:
        raise DiskFull(f"{path} cannot be written: {e.strerror}") from None


def _same(path: Path, data: bytes, mode: int | None, owner: Owner | None) -> bool:
    """Whether it is there as wanted. It may have been written by a start that was cut before it was synced, so it
    is synced here."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        found = os.fstat(fd)
        same = (
            os.read(fd, len(data) + 1) == data
            and (mode is None or found.st_mode & 0o7777 == mode)
            and (owner is None or (found.st_uid, found.st_gid) == (owner.uid, owner.gid))
        )
        if same:
            os.fsync(fd)
            sync(path.parent)
        return same
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync(path.parent)


def wipe(path: Path) -> None:
    """Overwrites the file and removes it. What a card's controller has put elsewhere in the meantime stays there:
    whoever can read the chips past the controller may find it. It keeps the secret from everybody else."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        left = os.fstat(fd).st_size
        while left > 0:
            left -= os.write(fd, bytes(min(left, 4096)))
        os.fsync(fd)
    finally:
        os.close(fd)
    remove(path)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """In place: no other octet of the file, and nothing of the file system, is written."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.pwrite(fd, data, offset)
        os.fsync(fd)
    finally:
        os.close(fd)


class Firmware:
    """The card's firmware partition. It is read-only but for the moments we write to it, so that a power cut at any
    other time cannot hurt its file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def there(self) -> bool:
        """Whether it is mounted: the image has the folder `platen` on it from the beginning."""
        return (self.folder / "platen").is_dir()

    @contextlib.contextmanager
    def writable(self) -> Iterator[None]:
        """For as long as the block runs. Fault where it cannot be."""
        read_only = os.statvfs(self.folder).f_flag & os.ST_RDONLY
        if read_only:
            self._remount("rw")
        try:
            yield
        finally:
            if read_only:
                self._remount("ro")

    def _remount(self, how: str) -> None:
        run = subprocess.run(
            ["/usr/bin/mount", "-o", f"remount,{how}", self.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            why = run.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise Fault(
                f"The card's firmware partition cannot be made {how}: {why[0]}", hint="The card may be worn"
            )
