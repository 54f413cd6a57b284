# SPDX-License-Identifier: Apache-2.0
"""The folder that survives between builds, shared by all of them: what is slow to make is made once, under a lock."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from image.progress import note


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone among all processes that ask for the same `path`. Waits, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not _try(file.fileno()):
            note(f"waiting for another build ({path.name})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def key(files: Iterable[Path], *words: str) -> str:
    """A short name for the contents of `files` and for `words`."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for word in words:
        digest.update(word.encode() + b"\0")
    return digest.hexdigest()[:16]


def kept(cache: Path, kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `kind`-`name`, made by `make` unless it is there whole."""
    at = cache / f"{kind}-{name}"
    with locked(cache / f"{kind}.lock"):
        if not (at / ".complete").exists():
            new = at.with_name(f"{at.name}.new")
            for old in (at, new):
                shutil.rmtree(old, ignore_errors=True)
            make(new)
            (new / ".complete").touch()
            new.rename(at)
        # tools/debian13 removes what nothing has used for a month.
        os.utime(at)
    return at


@contextlib.contextmanager
def workspace(cache: Path) -> Iterator[Path]:
    """A folder for one build. Those that killed builds have left behind go first."""
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "work.lock"):
        for left in cache.glob("work-*"):
            with contextlib.suppress(OSError), (left / ".alive").open() as file:
                if _try(file.fileno()):
                    shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
        alive = (work / ".alive").open("w")
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
        alive.close()


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
