# SPDX-License-Identifier: Apache-2.0
"""What discovery remembers from one time to the next: who lives where besides printers, and when it last looked.

A file of its own, written once per discovery: it can be lost without harm, then everybody is asked once more.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

import msgspec

from appliance.model.clock import Stamp, unix

MOST_OCTETS = 16 * 1024 * 1024

log = logging.getLogger(__name__)


class Neighbour(msgspec.Struct, frozen=True):
    """An address that answers and is no printer. `asked` is what was last put to it: sysObjectID.0 alone, whether
    there is a Printer-MIB, or one after the other."""

    sys_object_id: str | None
    asked: Literal["sysObjectID", "printer", "both"]
    community: int = 0


class Memory(msgspec.Struct):
    """`neighbours` by address; `aliases`: further addresses of a printer, by address, with the printer's id.
    `second_look`: whoever was silent at the discovery that ended then is still to be asked once more."""

    finished: Stamp | None = None
    second_look: bool = False
    neighbours: dict[str, Neighbour] = {}
    aliases: dict[str, str] = {}

    def due_in_s(self, now: Stamp, every_s: float) -> float:
        """Seconds until the next discovery, at most `every_s`; 0 where there was none, or the clock was set back."""
        if self.finished is None:
            return 0.0
        same_boot = self.finished.boot_id == now.boot_id
        age = now.mono - self.finished.mono if same_boot else unix(now.time) - unix(self.finished.time)
        return max(every_s - age, 0.0) if age >= 0 else 0.0


def load(path: Path) -> Memory:
    """What `save` wrote; nothing where there is no such file or it is broken."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MOST_OCTETS), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        log.warning("%s is put aside: %s", path.name, e)
        return Memory()


def save(path: Path, memory: Memory) -> None:
    """Whole or not at all. A disk that refuses is logged; the next discovery tries again."""
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(msgspec.json.encode(memory))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as e:
        log.warning("%s could not be written: %s", path.name, e.strerror)
        new.unlink(missing_ok=True)
