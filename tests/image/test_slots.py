# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from image import layout, slots

pytestmark = pytest.mark.skipif(
    shutil.which("mke2fs") is None or shutil.which("veritysetup") is None,
    reason="mke2fs with -d and veritysetup are only in the Debian 13 root",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    at = tmp_path / "tree"
    (at / "usr/lib/folder").mkdir(parents=True)
    (at / "usr/lib/clock-epoch").write_text("1\n")
    for number in range(50):
        (at / f"usr/lib/folder/{number}").write_bytes(os.urandom(1000 * number))
    (at / "lib").symlink_to("usr/lib")
    return at


def ask(image: Path, question: str) -> str:
    return subprocess.run(
        ["debugfs", "-R", question, image], check=True, capture_output=True, text=True
    ).stdout


def test_the_root_is_whole_and_has_the_time_that_systemd_reads(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "root.img"
    verity = slots.root_image(tree, image, "1.2.3", 1_790_000_000)
    subprocess.run(["e2fsck", "-f", "-n", image], check=True, capture_output=True)
    assert f"mtime: 0x{1_790_000_000:08x}" in ask(image, "stat /usr/lib/clock-epoch")
    assert "mtime: 0x6955b900" in ask(image, "stat /usr/lib/folder/7")
    size = verity.blocks * slots.BLOCK
    subprocess.run(
        ["veritysetup", "verify", image, image, verity.root_hash, f"--hash-offset={size}"], check=True
    )
    with image.open("r+b") as file:
        file.seek(size // 2)
        octet = file.read(1)
        file.seek(size // 2)
        file.write(bytes([octet[0] ^ 1]))
    broken = subprocess.run(
        ["veritysetup", "verify", image, image, verity.root_hash, f"--hash-offset={size}"],
        capture_output=True,
        check=False,
    )
    assert broken.returncode != 0


def test_a_later_build_of_the_same_tree_differs_in_two_blocks_at_most(tree: Path, tmp_path: Path) -> None:
    """The inode of clock-epoch, and nothing else: that is what makes updates small."""
    again = tmp_path / "again"
    shutil.copytree(tree, again, symlinks=True)  # other times
    for at, epoch in ((tree, 1_790_000_000), (again, 1_795_000_000)):
        slots.filesystem(at, at.with_suffix(".img"), epoch)
    one, other = (at.with_suffix(".img").read_bytes() for at in (tree, again))
    assert len(one) == len(other)
    differing = [n for n in range(0, len(one), 4096) if one[n : n + 4096] != other[n : n + 4096]]
    assert 1 <= len(differing) <= 2


def test_a_boot_slot_is_no_larger_than_its_partition(tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(os.urandom(3 * layout.MIB))
    (tmp_path / "ramdisk").write_bytes(b"ramdisk")
    verity = slots.Verity(7, 8, "ab" * 32, "cd" * 32)
    slots.boot_image(tmp_path / "kernel", tmp_path / "ramdisk", verity, tmp_path / "boot.vfat", 1_790_000_000)
    assert (tmp_path / "boot.vfat").stat().st_size == 16 * layout.MIB
    subprocess.run(["fsck.vfat", "-n", tmp_path / "boot.vfat"], check=True, capture_output=True)
    said = subprocess.run(
        ["mtype", "-i", tmp_path / "boot.vfat", "::slot.env"], check=True, capture_output=True, text=True
    ).stdout
    assert said == f"verity=7,8,{'ab' * 32},{'cd' * 32}\n"
