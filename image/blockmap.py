# SPDX-License-Identifier: Apache-2.0
"""Which blocks of an image have to be written to a card, in the format of bmaptool (version 2.0).

bmaptool leaves the other blocks of the card as they are. So what is not mapped must be free for whatever an earlier
use of the card has left there: blocks of zeros inside a file system or a hash tree are content, and are mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

BLOCK = 4096

_MAP = """\
<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {block} </BlockSize>
    <BlocksCount> {blocks} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {checksum} </BmapFileChecksum>
    <BlockMap>
{ranges}
    </BlockMap>
</bmap>
"""


def ranges(extents: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Extents (first octet, octets) as block ranges, both ends included, sorted and merged."""
    found: list[tuple[int, int]] = []
    for start, size in sorted(extents):
        if size <= 0:
            continue
        first, last = start // BLOCK, (start + size - 1) // BLOCK
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def text(image: Path, extents: Iterable[tuple[int, int]]) -> str:
    """The block map of `image`, of which `extents` have to be written."""
    size = image.stat().st_size
    chosen = ranges(extents)
    lines = []
    with image.open("rb") as file:
        for first, last in chosen:
            span = f"{first}-{last}" if last > first else f"{first}"
            lines.append(f'        <Range chksum="{_digest(file, first, last)}"> {span} </Range>')
    fields = {
        "size": size,
        "block": BLOCK,
        "blocks": -(-size // BLOCK),
        "mapped": sum(last - first + 1 for first, last in chosen),
        "ranges": "\n".join(lines),
    }
    # The checksum of the file is that of the file with zeros in its place.
    without = _MAP.format(checksum="0" * 64, **fields)
    return _MAP.format(checksum=hashlib.sha256(without.encode()).hexdigest(), **fields)


def _digest(file: BinaryIO, first: int, last: int) -> str:
    digest = hashlib.sha256()
    file.seek(first * BLOCK)
    left = (last - first + 1) * BLOCK
    while left and (data := file.read(min(left, 1 << 20))):
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()
