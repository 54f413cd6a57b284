# SPDX-License-Identifier: Apache-2.0
"""Our FAT beside mkfs.vfat, fsck.vfat and mtools, which are in the Debian 13 root."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.model.errors import CardError
from image.fat import Fat
from tests.image.disk import fat16

TOOLS = all(map(shutil.which, ("mkfs.vfat", "fsck.vfat", "mcopy", "mdir")))


def blank() -> tuple[io.BytesIO, Fat]:
    file = io.BytesIO(fat16().ljust(96 * 1024 * 1024, b"\0"))
    return file, Fat(file, 0)


def test_what_is_written_is_there() -> None:
    file, fat = blank()
    contents = {f"platen/brand/logo {n}.svg": random.Random(n).randbytes(n * 700) for n in range(30)}
    contents |= {
        "platen/box.toml": b"x",
        "platen/a name with thirteen": b"",
        "platen/exactly13.txt": b"y" * 4096,
    }
    for path, data in contents.items():
        fat.write(path, data)
    fat.write("platen/box.toml", b"again")
    contents["platen/box.toml"] = b"again"
    fresh = Fat(file, 0)
    assert {p: fresh.read(p) for p in contents} == contents
    assert fresh.read("PLATEN/BOX.TOML") == b"again", "FAT does not tell case"
    assert fresh.read("platen") is None
    assert fresh.read("platen/none") is None


def test_what_is_removed_is_overwritten() -> None:
    file, fat = blank()
    fat.write("platen/client.key", b"SECRET" * 1000)
    free = fat._table.count(0)
    fat.remove("platen/client.key")
    assert b"SECRET" not in file.getvalue()
    assert fat._table.count(0) == free + 3
    fat.write("platen/brand/x", b"1")
    fat.remove("platen/brand")
    assert not fat.exists("platen/brand")


def test_it_says_when_it_is_full() -> None:
    file = io.BytesIO(fat16(5000, 1).ljust(5000 * 512, b"\0"))
    fat = Fat(file, 0)
    fat.write("file1", bytes(1024 * 1024))
    fat.write("file2", bytes(1024 * 1024))
    with pytest.raises(CardError, match="full") as caught:
        fat.write("file3", bytes(1024 * 1024))
    assert caught.value.code == "card-full"
    assert not fat.exists("file3")


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_a_card_error_or_nothing(seed: int) -> None:
    file, fat = blank()
    fat.write("platen/box.toml", b"x" * 5000)
    chance = random.Random(seed)
    data = bytearray(file.getvalue()[: 300 * 1024])
    for _ in range(8):
        data[
            chance.choice((chance.randrange(64), chance.randrange(2048, 2100), chance.randrange(len(data))))
        ] = chance.randrange(256)
    with contextlib.suppress(CardError):
        damaged = Fat(io.BytesIO(bytes(data)), 0)
        damaged.read("platen/box.toml")
        damaged.entries("platen")


@pytest.mark.skipif(not TOOLS, reason="dosfstools and mtools are in the Debian 13 root")
@pytest.mark.parametrize("width", [16, 32])
def test_beside_the_tools(tmp_path: Path, width: int) -> None:
    path = tmp_path / "fat"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(96 * 1024 * 1024)
    size = ["-s", "1"] if width == 32 else []
    subprocess.run(["mkfs.vfat", "-F", str(width), *size, path], check=True, capture_output=True)
    (tmp_path / "theirs.toml").write_bytes(b"theirs" * 500)
    subprocess.run(["mcopy", "-i", path, tmp_path / "theirs.toml", "::/their file.toml"], check=True)
    with path.open("r+b") as file:
        fat = Fat(file, 0)
        assert fat.read("their file.toml") == b"theirs" * 500
        for n in range(70):  # more than a cluster of names
            fat.write(f"platen/brand/a long name number {n}.svg", b"%d" % n * 2000)
        fat.write("platen/box.toml", b"ours")
        fat.remove("platen/brand/a long name number 3.svg")
        fat.remove("their file.toml")
    check = subprocess.run(["fsck.vfat", "-n", "-V", path], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    out = subprocess.run(["mcopy", "-i", path, "::/platen/box.toml", "-"], capture_output=True, check=True)
    assert out.stdout == b"ours"
    listed = subprocess.run(
        ["mdir", "-b", "-i", path, "::/platen/brand"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 69
    assert "::/platen/brand/a long name number 69.svg" in listed.stdout
