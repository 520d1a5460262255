"""Randomness that is the same on every machine: stdlib bytes and integer resampling only."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Size = tuple[int, int]


def rng(*parts: object) -> Random:
    """A generator seeded by what identifies a thing, the same in every process."""
    return Random("/".join(map(str, parts)))  # a str is hashed with SHA-512


def grain(random: Random, size: Size) -> Image.Image:
    """Independent grey pixels, 0 to 255."""
    return Image.frombytes("L", size, random.randbytes(size[0] * size[1]))


def clouds(random: Random, size: Size, cell: Size) -> Image.Image:
    """Smooth grey noise whose blobs are about `cell` pixels large."""
    coarse = (size[0] // cell[0] + 2, size[1] // cell[1] + 2)
    return grain(random, coarse).resize(size, Image.Resampling.BICUBIC)


def signed(image: Image.Image) -> NDArray[np.int16]:
    """Grey values as -128 to 127."""
    return np.asarray(image, dtype=np.int16) - 128
