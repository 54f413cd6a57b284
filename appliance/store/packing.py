# SPDX-License-Identifier: Apache-2.0
"""Bodies of rows: zstd with a checksum, so that a flipped bit is noticed and not shown."""

from __future__ import annotations

import zstandard

from appliance.store.database import damaged

MOST = 16 * 1024 * 1024
"""No body of this database unpacks to more octets than this."""


def pack(data: bytes, like: bytes | None = None) -> bytes:
    """`data` compressed; much smaller where it resembles `like`, which unpack() then needs too."""
    return zstandard.ZstdCompressor(level=9, write_checksum=True, dict_data=_dictionary(like)).compress(data)


def unpack(body: bytes, like: bytes | None = None, *, most: int = MOST) -> bytes:
    """What pack() was given. DatabaseDamaged where the body is not whole or would be over `most` octets."""
    try:
        if not 0 <= zstandard.frame_content_size(body) <= most:
            raise damaged("The database", "a body has an impossible length")
        return zstandard.ZstdDecompressor(dict_data=_dictionary(like)).decompress(body)
    except zstandard.ZstdError as e:
        raise damaged("The database", f"a body does not unpack ({e})") from e


def _dictionary(like: bytes | None) -> zstandard.ZstdCompressionDict | None:
    return zstandard.ZstdCompressionDict(like, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if like else None
