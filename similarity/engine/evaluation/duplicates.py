"""How surely a picture is known again in other bytes, and how often another is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from similarity.engine.perceptual import RADIUS

QUALITY = 40
"""Of the JPEG."""

BLOCK = 256
"""Hashes that are compared with all others at a time."""


def as_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return Image.open(file).convert("RGB")


def half(image: Image.Image) -> Image.Image:
    size = max(1, image.width // 2), max(1, image.height // 2)
    return image.resize(size, Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The picture without that share of its width, or height, at each side."""
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    f"JPEG of quality {QUALITY}": as_jpeg,
    "half the size": half,
    "1 % cut off each side": lambda image: cropped(image, 0.01),
    "2 % cut off each side": lambda image: cropped(image, 0.02),
    "4 % cut off each side": lambda image: cropped(image, 0.04),
}
"""What is done to a picture that should be known again."""


def near_pairs(hashes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The places of all pairs of hashes within RADIUS, each once, the lower first."""
    values = np.array(hashes, np.uint64)
    for start in range(0, len(values), BLOCK):
        differing = np.bitwise_count(values[start : start + BLOCK, None] ^ values)
        for row, column in np.argwhere(differing <= RADIUS):
            if start + row < column:
                yield int(start + row), int(column)
