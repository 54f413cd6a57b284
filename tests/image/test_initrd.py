# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
import subprocess
import zlib
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image.disk import environment
from image.initrd import Archive


def read(data: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """The kernel's initramfs buffer format, "newc": mode, contents and device by name."""
    found: dict[str, tuple[int, bytes, tuple[int, int]]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, links, time, size, name_size = fields[1], fields[4], fields[5], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        assert data[at + 110 + name_size - 1] == 0
        at += -(-(110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            assert at == len(data)
            return found
        assert (links, time) == (1, 0)
        assert name not in found
        found[name] = (mode, data[at : at + size], (fields[9], fields[10]))
        at += -(-size // 4) * 4


part = st.text("abcdefghijklmnop.-_", min_size=1, max_size=8).filter(lambda s: s not in (".", ".."))
paths = st.lists(part, min_size=1, max_size=4).map("/".join)


@given(st.dictionaries(paths, st.binary(max_size=50)))
def test_every_file_is_there_after_its_folders(files: dict[str, bytes]) -> None:
    files = {p: d for p, d in files.items() if not any(q.startswith(p + "/") for q in files)}
    archive = Archive()
    for path, data in files.items():
        archive.add("/" + path, data, 0o640)
    found = read(archive.packed())
    folders = {str(parent) for p in files for parent in PurePosixPath(p).parents if str(parent) != "."}
    assert found.keys() == files.keys() | folders
    order = list(found)
    for path, data in files.items():
        assert found[path] == (stat.S_IFREG | 0o640, data, (0, 0))
        assert path in archive
    for folder in folders:
        assert found[folder][0] == stat.S_IFDIR | 0o755
        assert all(order.index(folder) < order.index(p) for p in order if p.startswith(folder + "/"))


@given(st.permutations(["a", "b/c", "b/d", "e/f/g"]))
def test_the_order_of_adding_makes_no_difference(order: list[str]) -> None:
    archive, other = Archive(), Archive()
    for path in order:
        archive.add(path, path.encode())
    for path in sorted(order):
        other.add(path, path.encode())
    assert archive.packed() == other.packed()


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is only in the Debian 13 root")
@pytest.mark.skipif(os.getuid() != 0, reason="only root makes devices")
def test_cpio_unpacks_files_links_and_devices(tmp_path: Path) -> None:
    archive = Archive()
    archive.add("bin/tool", b"#!/bin/sh\n", 0o755)
    archive.add("sbin", b"bin", stat.S_IFLNK | 0o777)
    archive.add("dev/console", b"", stat.S_IFCHR | 0o600, (5, 1))
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive.packed(), cwd=tmp_path, check=True)
    assert (tmp_path / "sbin/tool").read_bytes() == b"#!/bin/sh\n"
    assert (tmp_path / "bin/tool").stat().st_mode == stat.S_IFREG | 0o755
    assert (tmp_path / "sbin").readlink() == Path("bin")
    console = (tmp_path / "dev/console").stat()
    assert stat.S_ISCHR(console.st_mode)
    assert console.st_rdev == os.makedev(5, 1)


@pytest.mark.skipif(shutil.which("fw_setenv") is None, reason="fw_setenv is only in the Debian 13 root")
def test_the_dead_mans_switch(tmp_path: Path) -> None:
    """What it leaves behind, by the confirmations that it finds, in whatever order fw_setenv wrote them."""
    prepare, wait = _switch()
    # In its chroot there is nothing but busybox: a redirection to what is not there, and a command does not run.
    assert "/" not in wait.replace("<3>platen", "")
    for number, (slot, order) in enumerate(itertools.product("AB", itertools.permutations(range(4)))):
        other = "AB".replace(slot, "")
        trial = {
            "BOOT_ORDER": f"{slot} {other}",
            f"BOOT_{slot}_LEFT": "2",
            f"BOOT_{other}_LEFT": "9",
            "BOOT_SEEN": "0",
        }
        given_up = trial | {f"BOOT_{slot}_LEFT": "0"}
        good = trial | {f"BOOT_{slot}_LEFT": "9"}
        taken_back = given_up | {"BOOT_ORDER": other}
        for now, then, restarts in (
            (trial, given_up, True),
            (good, good, False),
            (taken_back, taken_back, True),
        ):
            folder = tmp_path / f"{number}-{restarts}-{len(now['BOOT_ORDER'])}"
            folder.mkdir()
            (folder / "env").write_bytes(environment(**_ordered(trial, order)))
            found = _sh(prepare, folder, slot)
            (folder / "env").write_bytes(environment(**_ordered(now, order)))
            found += _sh(f"exec 3> sysrq 4< env 5> kmsg 6<> env\n{wait}", folder, slot)
            left = (folder / "env").read_bytes()
            assert len(left) == 512
            assert int.from_bytes(left[:4], "little") == zlib.crc32(left[4:])
            assert dict(line.split("=", 1) for line in left[4:].decode().split("\0") if line) == then, found
            assert (folder / "sysrq").read_text() == ("s\nb\n" if restarts else ""), found


def _switch() -> tuple[str, str]:
    """How it is prepared, and what it does when its time has come."""
    script = (Path(__file__).parent.parent.parent / "image/boot/init.sh").read_text()
    (prepare,) = re.findall(r"^    dd if=.*?^    fw_setenv .*?$", script, re.DOTALL | re.MULTILINE)
    (wait,) = re.findall(r"/switch/wait << W\nsleep 230\n(.*?)\nW\n", script, re.DOTALL)
    return prepare, wait.replace("sleep 1;", "")


def _sh(script: str, folder: Path, slot: str) -> str:
    script = script.replace("/switch/", "./").replace("./over 0x0", f"{folder}/over 0x0")
    script = script.replace("/etc/fw_env.config", "config").replace("fw_setenv ", "fw_setenv -c config ")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "ENV": "env", "SLOT": slot},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def _ordered(values: dict[str, str], order: tuple[int, ...]) -> dict[str, str]:
    keys = list(values)
    return {keys[n]: values[keys[n]] for n in order}
