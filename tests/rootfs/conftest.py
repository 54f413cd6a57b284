# SPDX-License-Identifier: Apache-2.0
"""The box's files over the Debian 13 that the tests run in, users and presets made as the image build makes them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOTFS = Path(__file__).parents[2] / "rootfs"
UNITS = ROOTFS / "usr/lib/systemd/system"
USERS = {"collector": 601, "uplink": 602, "webui": 603, "update": 604, "stream": 605}
PLATEN = 600


def missing() -> str | None:
    """Why the box's files cannot be put over this system, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("systemd-analyze") is None:
        return "systemd is not here"
    said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"systemd (\d+)", said)
    if version is None or int(version[1]) < 257:
        return "needs the image's systemd, 257"
    return None


@pytest.fixture(scope="session")
def tree() -> Iterator[Path]:
    """A root that programs can be run in (chroot)."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="platen-tree-"))
    folder.chmod(0o755)  # other users go in
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    root = folder / "root"
    layers = f"lowerdir={ROOTFS}:/,upperdir={folder}/upper,workdir={folder}/work"
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root], check=False).returncode:
        shutil.rmtree(folder)
        pytest.skip("no overlay file system here")
    try:
        for name in ("data", "firmware"):
            (root / name).mkdir(exist_ok=True)
        for name in ("proc", "sys", "dev"):
            # A slave, so that taking it away again takes nothing away where it came from.
            subprocess.run(["mount", "--rbind", "--make-rslave", f"/{name}", root / name], check=True)
        # Names of units are checked against what is there; the tests' Debian does without Wi-Fi.
        if not (supplicant := root / "usr/sbin/wpa_supplicant").exists():
            supplicant.write_text("#!/bin/sh\n")
            supplicant.chmod(0o755)
        subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
        subprocess.run(["systemctl", f"--root={root}", "preset-all"], check=True, capture_output=True)
        yield root
    finally:
        subprocess.run(["umount", "-R", root], check=True)
        shutil.rmtree(folder)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def inside(tree: Path) -> Run:
    """Runs a program in the tree; what it says comes back, both streams as one."""

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["chroot", str(tree), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run
