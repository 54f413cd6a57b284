# SPDX-License-Identifier: Apache-2.0
"""Factory reset: `python -m appliance.host.reset /data`, at boot, while nothing uses the data partition yet.

Somebody asked by `request`: one empty file, whose name is on the disk before the box restarts. From then on
each boot empties the partition but for KEPT until that is finished, and only then is the file removed. The power may
go at any moment: the next boot goes on.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from appliance.host import files, journal
from appliance.host.journal import Message
from appliance.model.errors import Fault, PlatenError

MARK = "factory-reset"
"""Of the data partition: a reset was asked for and is not finished."""

KEPT = ("platen/identity", "etc/machine-id", "rauc", "update/state.json", "systemd", "lost+found")
"""What stays, below the data partition: who the box is, what RAUC and the updates know of both slots and of the
version floor, and the clock and random seed of systemd. Nothing in there is the customer's."""

log = logging.getLogger(__name__)


def main() -> int:
    """Exit status: 0 emptied, or nothing was asked."""
    parser = argparse.ArgumentParser(prog="platen-factory-reset")
    parser.add_argument("data", type=Path, help="where the data partition is mounted")
    parser.add_argument("--request", action="store_true", help="only ask for it, for the next boot")
    options = parser.parse_args()
    journal.set_up("factory-reset")
    try:
        if options.request:
            request(options.data)
        elif finish(options.data):
            log.warning("the box was reset", extra=journal.message(Message.FACTORY_RESET))
    except PlatenError as error:
        log.critical("%s", error)
        return error.exit_status
    return 0


def request(data: Path) -> None:
    """Ask for a reset at the next boot. When this returns it is certain to happen."""
    try:
        os.close(os.open(data / MARK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        files.sync(data)
    except OSError as e:
        raise _failed(data, e) from e


def finish(data: Path) -> bool:
    """Empty `data` if that was asked for; whether it was."""
    if not (data / MARK).exists():
        return False
    kept = {data / name for name in KEPT}
    try:
        _empty(data, kept | {data / MARK})
        os.sync()  # what was removed, deeper down too, is gone from the disk before the mark is
        (data / MARK).unlink()
        files.sync(data)
    except OSError as e:
        raise _failed(data, e) from e
    return True


def _empty(folder: Path, kept: set[Path]) -> None:
    """Everything in `folder` that is not kept nor leads to what is. Links are removed, never followed."""
    with os.scandir(folder) as entries:
        found = [(Path(e.path), e.is_dir(follow_symlinks=False)) for e in entries]
    for path, is_folder in found:
        if path in kept:
            continue
        if is_folder:
            _empty(path, kept)
            if not any(path in k.parents for k in kept):
                path.rmdir()
        else:
            path.unlink()


def _failed(data: Path, error: OSError) -> Fault:
    return Fault(
        f"{data} cannot be reset: {error.strerror or error}", hint="It is tried again at the next start"
    )


if __name__ == "__main__":
    sys.exit(main())
