# SPDX-License-Identifier: Apache-2.0
"""What the builder adds to the root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.host.journal import Message
from appliance.host.paths import Paths
from appliance.update import look
from appliance.update.look import Places
from image import tree


@pytest.mark.parametrize("floor", [None, "1.3.0"])
def test_the_release_says_until_when_and_down_to_where(tmp_path: Path, floor: str | None) -> None:
    """As the update service reads it."""
    path = tmp_path / "usr/lib/os-release"
    path.parent.mkdir(parents=True)
    path.write_text('NAME="Debian GNU/Linux"\nVERSION_ID="13"\nDEBIAN_VERSION_FULL=13.2\n')
    tree.release(tmp_path, "1.4.0", 1_795_000_000, floor)
    found = look.os_release(Places(paths=Paths(tmp_path, tmp_path), os_release=path))
    assert found["SUPPORT_END"] == "2031-11-18"
    assert found.get("PLATEN_FLOOR") == floor
    assert found["IMAGE_VERSION"] == "1.4.0"
    assert (path.parent / "clock-epoch").read_text() == "1795000000\n"


def test_support_ends_on_a_day_that_exists() -> None:
    assert tree.support_end(1_835_438_400) == "2033-02-28"  # made on 29 February 2028


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
