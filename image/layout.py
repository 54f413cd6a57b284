# SPDX-License-Identifier: Apache-2.0
"""The card, in one place: partitions, their order and sizes. boot.cmd knows the numbers 1, 2, 3 and 5."""

from __future__ import annotations

from typing import Literal

import msgspec

MIB = 1024 * 1024
SECTOR = 512

COMPATIBLE = "platen-rpi-arm64"
"""RAUC's word for "this bundle is for this board"."""

ENV_SIZE = SECTOR
"""U-Boot's environment is one sector: a card writes a sector whole or not at all."""

COMMITTED = 9
"""BOOT_x_LEFT of a slot that has proven itself. U-Boot counts only slots on trial, which have less."""

TRIES = 3
"""BOOT_x_LEFT of a slot on trial."""

EPOCH_UUID = "8c6f2f0e-6a1c-4f0b-9b36-0d4e3f6f1a00"
"""What UUIDs inside an image are made from, so that two builds are the same octets."""


class Partition(msgspec.Struct, frozen=True):
    """`name` is the GPT's partition name, `start` and `size` are in octets."""

    number: int
    name: str
    start: int
    size: int
    type: Literal["vfat", "linux"] = "linux"


def _plan() -> tuple[Partition, ...]:
    rows: tuple[tuple[str, int, Literal["vfat", "linux"]], ...] = (
        ("firmware", 96, "vfat"),
        ("env", 1, "linux"),
        ("boot_a", 40, "linux"),
        ("root_a", 320, "linux"),
        ("boot_b", 40, "linux"),
        ("root_b", 320, "linux"),
    )
    at, plan = MIB, []
    for number, (name, size, kind) in enumerate(rows, 1):
        plan.append(Partition(number, name, at, size * MIB, kind))
        at += size * MIB
    return tuple(plan)


PARTITIONS = _plan()
"""Those that are in the image. `data` follows them; the box makes it on its first boot, as large as the card."""

BY_NAME = {p.name: p for p in PARTITIONS}

IMAGE_SIZE = PARTITIONS[-1].start + PARTITIONS[-1].size + MIB
"""Octets of the image; the last MiB holds the GPT's copy."""
