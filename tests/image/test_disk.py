# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import binascii
import hashlib
import itertools
import shutil
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image import blockmap, disk, layout

words = st.text("ABCDEFGHIJ_abc0123456789", min_size=1, max_size=12)


def tool(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is only in the Debian 13 root")


@given(st.dictionaries(words, words, max_size=8))
def test_an_environment_is_one_sector_with_its_checksum(values: dict[str, str]) -> None:
    sector = disk.environment(**values)
    assert len(sector) == 512
    assert struct.unpack("<I", sector[:4])[0] == binascii.crc32(sector[4:])
    body, _, padding = sector[4:].partition(b"\0\0") if values else (b"", b"", sector[4:])
    assert dict(row.split("=") for row in body.decode().split("\0") if row) == values
    assert not padding.strip(b"\0")


@tool("fw_printenv")
def test_fw_printenv_reads_what_a_new_card_says(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(disk.first_environment())
    (tmp_path / "config").write_text(f"{tmp_path / 'env'} 0x0 0x200\n")
    run = subprocess.run(
        ["fw_printenv", "-c", tmp_path / "config"], check=True, capture_output=True, text=True
    )
    assert run.stderr == ""
    found = dict(line.split("=", 1) for line in run.stdout.splitlines())
    assert found == {"BOOT_ORDER": "A B", "BOOT_A_LEFT": "9", "BOOT_B_LEFT": "0", "BOOT_SEEN": "0"}


@tool("mkenvimage")
def test_mkenvimage_makes_the_same_octets(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("BOOT_ORDER=A B\nBOOT_A_LEFT=9\nBOOT_B_LEFT=0\nBOOT_SEEN=0\n")
    subprocess.run(
        ["mkenvimage", "-s", "0x200", "-p", "0x00", "-o", tmp_path / "env", tmp_path / "text"], check=True
    )
    assert (tmp_path / "env").read_bytes() == disk.first_environment()


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]], Path]:
    """An image with small contents, the extents of it that a card needs, and what was put into its slots."""
    if shutil.which("sfdisk") is None or shutil.which("mcopy") is None:
        pytest.skip("sfdisk and mtools are only in the Debian 13 root")
    at = tmp_path_factory.mktemp("card")
    (at / "config.txt").write_text("arm_64bit=1\n")
    for name, size in (("boot", 300_000), ("root", 5_000_000)):
        (at / name).write_bytes((hashlib.sha256(name.encode()).digest() * (size // 32 + 1))[:size])
    # A megabyte of zeros within the root is content, and so is one at its end.
    with (at / "root").open("r+b") as file:
        file.seek(2 * layout.MIB)
        file.write(bytes(layout.MIB))
        file.truncate(6 * layout.MIB)
    image = at / "card.img"
    extents = disk.write(image, [at / "config.txt"], at / "boot", at / "root", "1.2.3", 1_700_000_000)
    return image, extents, at


Card = tuple[Path, list[tuple[int, int]], Path]


def test_sfdisk_finds_nothing_wrong_with_the_table(card: Card) -> None:
    image, _, _ = card
    said = subprocess.run(["sfdisk", "--verify", image], check=True, capture_output=True, text=True)
    assert "No errors detected" in said.stdout
    dump = subprocess.run(["sfdisk", "--dump", image], check=True, capture_output=True, text=True).stdout
    assert "label: gpt" in dump
    for p in layout.PARTITIONS:
        assert f"start={p.start // 512:>12}, size={p.size // 512:>12}" in dump
        assert f'name="{p.name}"' in dump


def test_a_rom_that_knows_no_gpt_finds_the_fat(card: Card) -> None:
    image, _, _ = card
    with image.open("rb") as file:
        sector = file.read(512)
        assert sector[510:] == b"\x55\xaa"
        active, kind, start, size = struct.unpack("<B3xB3xII", sector[446:462])
        assert (active, kind) == (0x80, 0x0C)
        # The one that marks the GPT begins at sector 1 (UEFI 2.10, 5.2.3) and reaches to the FAT, not over it.
        assert struct.unpack("<4xB3xII", sector[462:478]) == (0xEE, 1, start - 1)
        assert sector[478:510] == bytes(32)
        file.seek(start * 512)
        fat = file.read(512)
    assert fat[82:87] == b"FAT32"
    assert size * 512 == layout.BY_NAME["firmware"].size


def test_the_map_says_what_bmaptool_wants(card: Card) -> None:
    image, extents, _ = card
    text = blockmap.text(image, extents)
    top = ElementTree.fromstring(text)
    value = {child.tag: (child.text or "").strip() for child in top}
    assert top.attrib["version"] == "2.0"
    assert int(value["ImageSize"]) == image.stat().st_size
    assert (
        value["BmapFileChecksum"]
        == hashlib.sha256(text.replace(value["BmapFileChecksum"], "0" * 64).encode()).hexdigest()
    )
    ranges = [(r.attrib["chksum"], *map(int, (r.text or "").strip().split("-"))) for r in top.iter("Range")]
    assert int(value["MappedBlocksCount"]) == sum(r[-1] - r[1] + 1 for r in ranges)
    data = image.read_bytes()
    for checksum, first, *last in ranges:
        assert checksum == hashlib.sha256(data[first * 4096 : ((last or [first])[0] + 1) * 4096]).hexdigest()


@tool("bmaptool")
def test_bmaptool_makes_a_good_card_of_a_used_one(card: Card) -> None:
    """Whatever an earlier use has left on it, the FAT is whole and the root is exactly the root."""
    image, extents, at = card
    (at / "map").write_text(blockmap.text(image, extents))
    used = at / "used.img"
    with used.open("wb") as file:
        for _ in range(layout.IMAGE_SIZE // layout.MIB):
            file.write(b"\xff" * layout.MIB)
    subprocess.run(["bmaptool", "--quiet", "copy", "--bmap", at / "map", image, used], check=True)
    with used.open("rb") as file:
        for name in ("boot", "root"):
            part = layout.BY_NAME[f"{name}_a"]
            file.seek(part.start)
            whole = (at / name).read_bytes()
            assert file.read(len(whole)) == whole
        file.seek(layout.BY_NAME["env"].start)
        assert file.read(512) == disk.first_environment()
        firmware = layout.BY_NAME["firmware"]
        file.seek(firmware.start)
        (at / "fat").write_bytes(file.read(firmware.size))
    subprocess.run(["fsck.vfat", "-n", at / "fat"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["sfdisk", "--verify", used], check=True, stdout=subprocess.DEVNULL)
    # Most of the card was not written at all.
    mapped = sum(last - first + 1 for first, last in blockmap.ranges(extents)) * 4096
    assert mapped < layout.IMAGE_SIZE / 20


@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 1 << 16)), max_size=12))
def test_ranges_hold_every_octet_once(extents: list[tuple[int, int]]) -> None:
    found = blockmap.ranges(extents)
    blocks = {
        b for start, size in extents if size for b in range(start // 4096, (start + size - 1) // 4096 + 1)
    }
    covered = [b for first, last in found for b in range(first, last + 1)]
    assert sorted(blocks) == covered
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(found))
