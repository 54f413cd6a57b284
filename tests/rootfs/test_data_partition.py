# SPDX-License-Identifier: Apache-2.0
"""The data partition: made on the first boot, checked on each, and never in the way of a box that works."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rootfs.conftest import ROOTFS, missing

SCRIPT = ROOTFS / "usr/lib/platen/data-partition"
REPART = ROOTFS / "usr/lib/repart.d"
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def say(*command: str | Path) -> str:
    return subprocess.run(
        [str(c) for c in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A block device of 160 MiB without anything on it."""
    image = tmp_path / "card"
    with image.open("wb") as file:
        file.truncate(160 * MIB)
    done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no loop devices here")
    yield Path(done.stdout.strip())
    say("losetup", "--detach", done.stdout.strip())


Boot = Callable[..., tuple[str, str, dict[str, str]]]


@pytest.fixture
def boot(device: Path, tmp_path: Path) -> Boot:
    """Runs the script as a boot does, in a mount namespace that ends with it; then `command`. What became of the
    partition, what the journal gets, and what lies on it then."""
    data, state, said, tools = (tmp_path / name for name in ("data", "state", "said", "tools"))
    data.mkdir()
    tools.mkdir()
    (tools / "logger").write_text(f'#!/bin/sh\n[ "$1" = --journald ] && exec cat >> "{said}"\n')
    (tools / "logger").chmod(0o755)

    def run(
        command: str = "true", use: Path = device, before: str = "true"
    ) -> tuple[str, str, dict[str, str]]:
        state.unlink(missing_ok=True)
        said.write_text("")
        found = tmp_path / "found"
        shutil.rmtree(found, ignore_errors=True)
        steps = f'{before} && "{SCRIPT}" {use} "{data}" "{state}" && cd "{data}" && {command} && cp -a . "{found}"'
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", steps],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        )
        assert done.returncode == 0, done.stderr
        files = {str(p.relative_to(found)): p.read_text() for p in found.rglob("*") if p.is_file()}
        return state.read_text().strip(), said.read_text(), files

    return run


def test_an_empty_partition_is_made_anew(boot: Boot) -> None:
    how, said, _ = boot("echo kept > platen/file")
    assert how == "new"
    assert "made anew\nMESSAGE_ID=15b1c0fcb9dc462cbaf86f1d8a57ffc0\n" in said
    assert boot()[0] == "card"
    assert boot()[2]["platen/file"] == "kept\n"


def test_the_machine_id_of_the_first_boot_stays(boot: Boot) -> None:
    mine = Path("/etc/machine-id").read_text() if Path("/etc/machine-id").exists() else ""
    if not mine.strip():
        Path("/etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    try:
        first = boot()[2]["etc/machine-id"]
        assert first == Path("/etc/machine-id").read_text()
        boot("echo fedcba9876543210fedcba9876543210 > etc/machine-id")
        assert boot()[2]["etc/machine-id"] == "fedcba9876543210fedcba9876543210\n"
    finally:
        if not mine.strip():
            Path("/etc/machine-id").write_text(mine)


def tell_kernel(disk: Path, change: int, start: int, octets: int) -> None:
    """BLKPG of linux/blkpg.h on partition 1: `change` 1 adds, 2 removes."""
    partition = ctypes.create_string_buffer(struct.pack("qqi64s64s4x", start, octets, 1, b"", b""))
    argument = struct.pack("iiiP", change, 0, len(partition.raw) - 1, ctypes.addressof(partition))
    with disk.open("rb") as file:
        fcntl.ioctl(file, 0x1269, argument)


@pytest.fixture
def added(device: Path) -> Iterator[Path]:
    """A partition named "data" that was added to the kernel's list as systemd-repart does: without its name."""
    table = f"label: gpt\nstart=2048, size={100 * MIB // 512}, name=data\n"
    subprocess.run(["sfdisk", "-q", device], input=table, text=True, check=True)
    tell_kernel(device, 1, MIB, 100 * MIB)
    yield Path(f"{device}p1")
    tell_kernel(device, 2, 0, 0)


def test_a_partition_that_nobody_has_named_yet_is_found(boot: Boot, added: Path) -> None:
    assert "PARTNAME" not in Path(f"/sys/class/block/{added.name}/uevent").read_text()
    late = Path("/dev/disk/by-partlabel/data")
    assert not late.exists()
    assert boot("echo kept > platen/file", late)[0] == "new"
    assert boot(use=late)[2]["platen/file"] == "kept\n"
    assert boot(use=late.with_name("another"))[0] == "memory"


def damage(device: Path, at: int, octets: int) -> None:
    with device.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(octets))
        file.flush()
        os.fsync(file.fileno())


def test_a_lost_superblock_is_taken_from_its_copy(boot: Boot, device: Path) -> None:
    boot("echo kept > platen/file")
    damage(device, 1024, 1024)
    how, _, files = boot()
    assert (how, files["platen/file"]) == ("card", "kept\n")


def test_damage_is_repaired(boot: Boot, device: Path) -> None:
    boot("for n in $(seq 200); do echo $n > platen/$n; done")
    say("debugfs", "-w", "-R", "clri /platen", device)
    assert boot()[0] == "card"
    assert boot("echo again > platen/file")[2]["platen/file"] == "again\n"


def test_what_cannot_be_repaired_is_left_alone(boot: Boot, device: Path) -> None:
    """There is a file system of ours that a newer or broken tool wrote: it is neither mounted nor overwritten."""
    boot("echo kept > platen/file")
    say("tune2fs", "-O", "^metadata_csum", device)
    with device.open("r+b") as file:
        file.seek(1024 + 0x60)  # s_feature_incompat of ext4's superblock
        file.write(b"\xff\xff\xff\x7f")
        file.seek(128 * MIB + 0x60)
        file.write(b"\xff\xff\xff\x7f")
    before = device.read_bytes()
    how, said, files = boot("echo lost > platen/file")
    assert how == "memory"
    assert "nothing will survive" in said
    assert files["platen/file"] == "lost\n"
    assert device.read_bytes() == before


def test_a_partition_that_never_appears(boot: Boot, tmp_path: Path) -> None:
    how, _, files = boot("echo lost > platen/file", tmp_path / "no-such-device")
    assert how == "memory"
    assert "platen/file" in files


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """An image with two partitions, written to a larger card."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    table = "label: gpt\nsize=16M,name=firmware,type=uefi\nsize=1M,name=env\nsize=20M,name=root_a\n"
    subprocess.run(["sfdisk", "--quiet", image], input=table, text=True, check=True)
    with image.open("r+b") as file:
        file.seek(17 * MIB + 4096)
        file.write(b"slot" * 1000)
        file.truncate(400 * MIB)
    return image


def partitions(card: Path) -> list[dict[str, object]]:
    told = say("sfdisk", "--json", card)
    rows = json.loads(told[told.index("{") :])["partitiontable"]["partitions"]
    return [{k: v for k, v in row.items() if k != "node"} for row in rows]


def repart(card: Path) -> None:
    say("systemd-repart", "--dry-run=no", "--discard=no", f"--definitions={REPART}", card)


def test_the_first_boot_fills_the_card(card: Path) -> None:
    before, octets = partitions(card), card.read_bytes()[: 38 * MIB]
    repart(card)
    after = partitions(card)
    assert after[:-1] == before
    data = after[-1]
    assert data["name"] == "data"
    size = int(str(data["size"])) * 512
    assert size > 400 * MIB - 38 * MIB - 2 * MIB
    start = int(str(data["start"])) * 512
    with card.open("rb") as file:
        file.seek(start + 1080)
        assert file.read(2) == b"\x53\xef"  # ext4's magic number
        file.seek(MIB)
        assert file.read(37 * MIB) == octets[MIB:]
    repart(card)
    assert partitions(card) == after


def test_a_card_that_is_too_small_is_left_as_it_is(card: Path) -> None:
    with card.open("r+b") as file:
        file.truncate(100 * MIB)
    before = partitions(card)
    with pytest.raises(subprocess.CalledProcessError):
        repart(card)
    assert partitions(card) == before
