# SPDX-License-Identifier: Apache-2.0
"""The locked Python packages as they lie on the box: without what only builds or tests them, libraries stripped,
byte code made."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from image.run import run

UNUSED = {
    # argon2 and cryptography need cffi's compiled half alone; the rest of it makes such halves.
    "cffi": ("cffi", "cffi-*.dist-info/entry_points.txt"),
    "pycparser": ("pycparser", "pycparser-*.dist-info"),
    # The second of two backends, for interpreters that are not CPython.
    "zstandard": ("zstandard/_cffi.*.so", "zstandard/backend_cffi.py"),
}
"""By package: paths that nothing on the box ever opens."""

_DEVELOPMENT = ("*.pyi", "*.pyx", "*.pxd", "*.pxi", "*.h", "*.c", ".DS_Store", "py.typed")
_OF_INSTALLERS = ("RECORD", "INSTALLER", "REQUESTED", "WHEEL", "licenses", "top_level.txt")
"""Of a dist-info. METADATA stays: it says which version is there. Licences are in licences.txt."""


def prepared(site: Path, to: Path, strip: str) -> None:
    """Copies the packages of `site` to `to` and leaves there what runs. `strip`: the program for this architecture."""
    shutil.copytree(
        site, to, ignore=shutil.ignore_patterns("bin", "include", "__pycache__", ".lock", ".complete")
    )
    for patterns in UNUSED.values():
        for pattern in patterns:
            _remove(to.glob(pattern))
    for pattern in _DEVELOPMENT:
        _remove(to.rglob(pattern))
    for info in to.glob("*.dist-info"):
        _remove(info / name for name in _OF_INSTALLERS)
    for library in sorted(to.rglob("*.so")):
        run(strip, "--strip-unneeded", library)
    byte_code(to, "/usr/lib/platen/site")


def byte_code(folder: Path, installed: str) -> None:
    """Compiles the modules below `folder`, which is going to be `installed`. Never checked against the sources on the
    box: its root is read-only, and all times in it are the same."""
    run(
        "python3", "-m", "compileall", "-q", "-j2", "--invalidation-mode=unchecked-hash",
        "-s", folder, "-p", installed, folder,
    )  # fmt: skip


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
