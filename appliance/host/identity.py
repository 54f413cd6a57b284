# SPDX-License-Identifier: Apache-2.0
"""Who this box is: the box id and the setup code, made once and then for ever the same.

On hardware both are printed on the label and written in the factory; where there is no factory, the
first start makes them. The setup code opens the local page once to set the password. It is never sent
anywhere, and only a service that runs on the box may read it.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

import msgspec

from appliance.host.paths import Paths
from appliance.model import codes
from appliance.model.errors import DiskFull, Fault


class Identity(msgspec.Struct, frozen=True):
    """`box_id` is public; `setup_code` is a secret and stays out of every repr."""

    box_id: str
    setup_code: str

    def __repr__(self) -> str:
        return f"Identity(box_id={self.box_id!r})"


def load_or_create(paths: Paths) -> Identity:
    """The identity kept in `paths.identity`, made there if missing.

    Any number of services may call this at once; all get the same answer. A kill or power cut at any step
    leaves either no file or a whole one. A file that holds something else is a Fault: a box never changes
    its name by itself.
    """
    directory = paths.identity
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    id_file, code_file = directory / "box-id", directory / "setup-code"
    if not (id_file.exists() and code_file.exists()):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            for path, text in ((id_file, codes.new_box_id()), (code_file, codes.new_setup_code())):
                if not path.exists():
                    _write(path, text, fd)
        except OSError as e:
            raise DiskFull(f"The identity cannot be written to {directory}: {e.strerror}") from None
        finally:
            os.close(fd)
    return Identity(_read(id_file, codes.BOX_ID), _read(code_file, codes.SETUP_CODE))


def box_id(paths: Paths) -> str:
    """The box id alone, as `load_or_create`. On the box its reader need not be allowed to read the setup code."""
    path = paths.identity / "box-id"
    return _read(path, codes.BOX_ID) if path.exists() else load_or_create(paths).box_id


def _write(path: Path, text: str, directory: int) -> None:
    """The content reaches the disk before the name does, and the name before anybody hears of it."""
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, text.encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, path)
    os.fsync(directory)


def _read(path: Path, form: re.Pattern[str]) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read(64).decode("ascii", "replace").strip()
    except OSError as e:
        raise Fault(f"{path} cannot be read: {e.strerror}", hint="Check its owner and mode") from None
    if not form.match(text):
        raise Fault(
            f"{path} does not hold what it should",
            hint="Restore it from the label; the box will not invent another",
        )
    return text
