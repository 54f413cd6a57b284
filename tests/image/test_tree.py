# SPDX-License-Identifier: Apache-2.0
"""What the builder adds to the root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.host.journal import Message
from image import tree


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="needs systemd: run it in the Debian 13 root")
def test_the_catalogue_is_made_with_the_image(tmp_path: Path) -> None:
    """Where it lies does not matter to journalctl: tmpfiles.d puts a link there."""
    for part in ("usr/lib/systemd/catalog", "usr/lib/tmpfiles.d"):
        shutil.copytree(tree.ROOT / "rootfs" / part, tmp_path / part)
    (tmp_path / "usr/lib/platen").mkdir()
    (tmp_path / "var").mkdir()
    tree.catalog(tmp_path)
    made = tmp_path / "usr/lib/platen/catalog"
    assert made.stat().st_mode & 0o777 == 0o644
    assert list((tmp_path / "var").iterdir()) == []
    first = made.read_bytes()
    tree.catalog(tmp_path)
    assert made.read_bytes() == first, "two builds are the same octets"
    # As on the box: tmpfiles makes the link, journalctl finds what is behind it.
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog/database").write_text("of an older release")
    command = [
        "systemd-tmpfiles",
        f"--root={tmp_path}",
        "--create",
        "--prefix=/var/lib/systemd",
        "platen.conf",
    ]
    subprocess.run(command, check=False, capture_output=True)  # it knows no users here
    link = tmp_path / "var/lib/systemd/catalog/database"
    assert link.readlink() == Path("/usr/lib/platen/catalog")
    link.unlink()
    shutil.copy(made, link)
    listed = subprocess.run(
        ["journalctl", f"--root={tmp_path}", "--list-catalog"], capture_output=True, text=True, check=True
    ).stdout
    assert {m.value for m in Message} <= {line.split()[0] for line in listed.splitlines()}
