"""A picture's look in 64 bits, to know it again after it was re-encoded or resized.

The hash is pHash: the signs, around their median, of the 8 x 8 lowest frequencies of the picture's
luminance (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).
Pictures that show the same differ in few bits, others in about 32.

All hashes within RADIUS bits of one are found by their parts: cut into PARTS parts, one of them
differs by RADIUS // PARTS bits at most (Norouzi, Punjani and Fleet, "Fast search in Hamming space
with multi-index hashing", CVPR 2012). So an ordinary index over each part finds them all.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.contracts import Vectors

SIDE = 32
"""Pictures are looked at in so many pixels each way."""
LOWEST = 8
"""So many frequencies each way make the hash."""

RADIUS = 10
"""Bits that two hashes of the same picture differ by at most. (Half of a hash's bits are set, so
two differ by an even number.) docs/duplicates.md has what this finds."""

PARTS = 4
PART_BITS = 64 // PARTS

ALIKE = 0.96
"""Cosine from which the garments of two pictures with near hashes confirm that they are one."""

CLOSE = 4
"""Bits: hashes so close are hardly ever of two pictures (10 of 10.6 million pairs of photos) ..."""

LOOSELY_ALIKE = 0.7
"""... but of one cut in two colours, since luminance is all they know: this cosine rules it out."""


def perceptual_hash(image: Image) -> int:
    """The hash of an upright RGB picture: 0 to 2**64 - 1."""
    small = image.convert("L").resize((SIDE, SIDE), Resampling.LANCZOS, reducing_gap=2.0)
    cosines = _cosines()
    lowest = cosines @ np.asarray(small, np.float64) @ cosines.T
    bits = lowest > np.median(lowest)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.float64]:
    """The lowest rows of the discrete cosine transform (DCT-II), not scaled: (LOWEST, SIDE)."""
    frequency, place = np.arange(LOWEST)[:, None], np.arange(SIDE)
    return np.asarray(np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE)), np.float64)


def distance(one: int, other: int) -> int:
    """The bits by which two hashes differ, 0 to 64."""
    return (one ^ other).bit_count()


def parts(value: int) -> list[int]:
    """The parts of a hash, PART_BITS bits each."""
    return [value >> PART_BITS * place & (1 << PART_BITS) - 1 for place in range(PARTS)]


def near(part: int) -> list[int]:
    """All that a part may be in a hash within RADIUS, if it is the part that differs least."""
    return [part ^ mask for mask in _masks()]


@cache
def _masks() -> tuple[int, ...]:
    return tuple(
        sum(1 << bit for bit in bits)
        for count in range(RADIUS // PARTS + 1)
        for bits in combinations(range(PART_BITS), count)
    )


def likeness(one: Vectors, other: Vectors) -> float:
    """How alike the garments of two pictures are: (n, dim) and (m, dim), unit rows; -1 to 1.

    The mean, over the garments of the picture that has fewer, of each one's cosine with what is
    most like it in the other. So two shirts worn with the same trousers are not the same.
    """
    if not (len(one) and len(other)):
        return 0.0
    cosines = one @ other.T
    fewer = 1 if len(one) <= len(other) else 0
    return float(np.mean(cosines.max(axis=fewer)))


def is_double(bits: int, cosine: float) -> bool:
    """Whether two pictures whose hashes differ so, and whose garments are so alike, may be one."""
    return cosine >= (LOOSELY_ALIKE if bits <= CLOSE else ALIKE)
