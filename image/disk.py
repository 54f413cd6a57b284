# SPDX-License-Identifier: Apache-2.0
"""The card as one file: a GPT that is also an MBR for the Pi 3's ROM, the first slot filled, the second empty."""

from __future__ import annotations

import binascii
import os
import shutil
import struct
from pathlib import Path

from image import layout
from image.run import run
from image.slots import fat, stable_uuid

_BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


def environment(**values: str) -> bytes:
    """U-Boot's environment in one sector: CRC-32 (little endian) and NUL-separated KEY=VALUE."""
    body = b"".join(f"{key}={value}".encode() + b"\0" for key, value in values.items()) + b"\0"
    body = body.ljust(layout.ENV_SIZE - 4, b"\0")
    return struct.pack("<I", binascii.crc32(body)) + body


def first_environment() -> bytes:
    """Slot A has been chosen by whoever writes the card, and B is empty."""
    return environment(BOOT_ORDER="A B", BOOT_A_LEFT=str(layout.COMMITTED), BOOT_B_LEFT="0", BOOT_SEEN="0")


def firmware_files(base: Path, kernel: Path, ramdisk: Path, template: str, to: Path) -> list[Path]:
    """What lies on the FAT that the Pi's ROM reads: its firmware, U-Boot, our script, and the rescue system."""
    boot = Path(__file__).parent / "boot"
    shutil.copytree(base / "firmware", to)
    shutil.copy(boot / "config.txt", to)
    for tree in (base / "kernel/dtb").iterdir():
        shutil.copy(tree, to)
    env = {"SOURCE_DATE_EPOCH": "0"}
    what = ("-A", "arm64", "-O", "linux", "-T", "script", "-C", "none")
    run("mkimage", *what, "-d", boot / "boot.cmd", to / "boot.scr", env=env)
    shutil.copy(kernel, to / "Image.gz")
    shutil.copyfile(ramdisk, to / "initrd")
    (to / "platen.toml").write_text(template)
    # Where platen-image personalise puts the dealer's files; the box tells a card by this folder.
    (to / "platen").mkdir()
    (to / "platen/README.txt").write_text(
        "The dealer's files, put here by platen-image and taken over by the box as it starts.\r\n"
    )
    return sorted(to.iterdir())


def write(
    to: Path, firmware: list[Path], boot: Path, root: Path, version: str, epoch: int
) -> list[tuple[int, int]]:
    """The image file, sparse. Returns the extents (first octet, octets) that a card needs: zeros in them count."""
    to.unlink(missing_ok=True)
    with to.open("wb") as file:
        file.truncate(layout.IMAGE_SIZE)
    lines = ["label: gpt", f"label-id: {stable_uuid('disk', version)}", "first-lba: 34"]
    for p in layout.PARTITIONS:
        kind = _BASIC_DATA if p.type == "vfat" else _LINUX
        extra = ', attrs="LegacyBIOSBootable"' if p.name == "firmware" else ""
        start, size = p.start // layout.SECTOR, p.size // layout.SECTOR
        what = f"type={kind}, uuid={stable_uuid(p.name, version)}, name={p.name}{extra}"
        lines.append(f"start={start}, size={size}, {what}")
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", to, data=("\n".join(lines) + "\n").encode())
    fat_image = to.parent / "firmware.vfat"
    fat(fat_image, layout.BY_NAME["firmware"].size, "PLATEN", epoch, firmware)
    with to.open("r+b") as file:
        file.seek(446)
        file.write(hybrid_entries())
        env = layout.BY_NAME["env"]
        extents = [(0, layout.MIB), (env.start, env.size), (layout.IMAGE_SIZE - layout.MIB, layout.MIB)]
        for name, octets in (("firmware", fat_image), ("boot_a", boot), ("root_a", root)):
            start = layout.BY_NAME[name].start
            used = _copy(octets, file.fileno(), start)
            # Of a FAT, what follows the last cluster in use is free.
            extents.append((start, used if name != "root_a" else octets.stat().st_size))
        os.pwrite(file.fileno(), first_environment(), env.start)
    fat_image.unlink()
    return extents


def hybrid_entries() -> bytes:
    """The MBR's four entries: the FAT, for a ROM that knows no GPT, and the entry that marks the GPT
    (UEFI 5.2.3 wants it to begin at sector 1)."""
    fat_ = layout.BY_NAME["firmware"]
    rows = [
        (0x80, 0x0C, fat_.start // layout.SECTOR, fat_.size // layout.SECTOR),
        (0, 0xEE, 1, fat_.start // layout.SECTOR - 1),
    ]
    entries = b"".join(
        struct.pack("<B3sB3sII", active, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start, size)
        for active, kind, start, size in rows
    )
    return entries.ljust(64, b"\0")


def _copy(source: Path, to: int, at: int) -> int:
    """Blocks of zeros stay holes. Returns the octets up to the last block that is not zeros."""
    used = done = 0
    with source.open("rb") as file:
        while data := file.read(layout.MIB):
            if data.strip(b"\0"):
                os.pwrite(to, data, at + done)
                used = done + len(data)
            done += len(data)
    return used
