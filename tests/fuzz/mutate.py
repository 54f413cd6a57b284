# SPDX-License-Identifier: Apache-2.0
"""Bad inputs made of good ones, the same ones for the same seed."""

from __future__ import annotations

import random

EDGES = (
    0x00,
    0x01,
    0x02,
    0x05,
    0x06,
    0x30,
    0x41,
    0x7F,
    0x80,
    0x81,
    0x82,
    0x84,
    0x85,
    0xA0,
    0xA2,
    0xC0,
    0xFE,
    0xFF,
)
RUNS = (2, 3, 8, 64, 300, 1_500)
MOST_CORPUS = 1_000


class Mutator:
    """Gives mutated inputs and takes back those that led somewhere new, to go on from there."""

    def __init__(self, seeds: list[bytes], seed: int, most: int) -> None:
        self.corpus = list(seeds) or [b""]
        self._rng = random.Random(seed)
        self._most = most

    def keep(self, data: bytes) -> None:
        if len(self.corpus) < MOST_CORPUS:
            self.corpus.append(data)

    def next(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.01:
            return rng.randbytes(int(rng.random() ** 4 * self._most))
        data = bytearray(self.corpus[int(rng.random() * len(self.corpus))])
        steps = 1 + int(rng.random() ** 3 * 8)
        for _ in range(steps):
            self._step(data)
        return bytes(data[: self._most])

    def _step(self, data: bytearray) -> None:
        rng = self._rng
        size = len(data)
        at = int(rng.random() * size) if size else 0
        kind = int(rng.random() * 10)
        if kind <= 2 and size:
            data[at] = EDGES[int(rng.random() * len(EDGES))]
        elif kind == 3 and size:
            data[at] ^= 1 << int(rng.random() * 8)
        elif kind == 4 and size:
            data[at] = (data[at] + (1 if rng.random() < 0.5 else -1)) & 0xFF
        elif kind == 5:
            data[at:at] = bytes((EDGES[int(rng.random() * len(EDGES))],)) * (1 + int(rng.random() ** 3 * 6))
        elif kind == 6:
            del data[at : at + 1 + int(rng.random() ** 2 * 16)]
        elif kind == 7:
            # A piece of this or another input, here.
            other = self.corpus[int(rng.random() * len(self.corpus))]
            start = int(rng.random() * len(other))
            data[at : at + int(rng.random() * 8)] = other[start : start + int(rng.random() * 40)]
        elif kind == 8 and rng.random() < 0.5:
            del data[at:]
        elif kind == 9 and rng.random() < 0.1 and size:
            data[at : at + 1] = (
                data[at : at + 1 + int(rng.random() * 8)] * RUNS[int(rng.random() * len(RUNS))]
            )
