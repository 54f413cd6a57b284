# SPDX-License-Identifier: Apache-2.0
"""The state on disk: written whole or not at all, whenever the power goes, and by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from appliance.host import files
from appliance.model.errors import Fault
from appliance.update.state import State

MOST = 64 * 1024
log = logging.getLogger(__name__)


class Journal:
    """`state.json` in `folder`. The service and the gate are two processes; `change` holds a lock between reading
    and writing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "state.json"

    def read(self) -> State:
        """What was written last. A file that makes no sense is kept beside it, and we begin anew: better a
        box that forgets a rollback than one that cannot be updated. The floor is lost with it until the
        next boot, which takes that of the running image (PLATEN_FLOOR in os-release)."""
        try:
            with open(self._path, "rb") as file:
                text = file.read(MOST)
            return msgspec.json.decode(text, type=State)
        except FileNotFoundError:
            return State()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            log.error("the memory of updates could not be read: %s", e)
            with contextlib.suppress(OSError):
                os.replace(self._path, self._path.with_suffix(".damaged"))
            return State()
        except OSError as e:
            raise Fault(f"{self._path} cannot be read: {e.strerror}", hint="") from e

    def change(self, step: Callable[[State], State]) -> State:
        """`step` of what is there, written; nothing is written where it changes nothing."""
        with self._locked():
            old = self.read()
            new = step(old)
            if new != old:
                files.replace(self._path, msgspec.json.encode(new))
            return new

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise Fault(f"{self.folder} cannot be written: {e.strerror}", hint="") from e
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
