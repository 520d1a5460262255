"""From a picture to a network's input: the same for training, evaluation and serving."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from PIL.Image import Image, Resampling
from PIL.Image import new as new_image

Statistics = tuple[NDArray[np.float32], NDArray[np.float32]]

IMAGENET: Statistics = (
    np.array([0.485, 0.456, 0.406], dtype=np.float32),
    np.array([0.229, 0.224, 0.225], dtype=np.float32),
)
"""Mean and deviation of ImageNet's channels (0 to 1), as published weights were trained with."""

MEAN = np.array([0.57, 0.53, 0.50], dtype=np.float32)
DEVIATION = np.float32(0.25)
"""Of the channels (0 to 1) in photos of garments, roughly: they are lighter than ImageNet's."""

CROP = (128, 160)
"""Width and height of an embedder's input: garments and photos of them are higher than wide."""

CELL = 32
"""The sides of a detector's input are multiples of the coarsest stride."""

LONGEST = 640


def scaled(
    image: Image, mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> NDArray[np.float32]:
    """An RGB image as a network takes it: (3, height, width)."""
    values = np.asarray(image, dtype=np.float32) / 255
    return np.ascontiguousarray(((values - mean) / deviation).transpose(2, 0, 1))


def middle(image: Image, size: tuple[int, int], share: float, resampling: Resampling) -> Image:
    """The middle of an image at a width and height: `share` of what would fit, 0 to 1.

    What published presets do in two steps (to 256 pixels, of those the 224 in the middle) in
    one: no picture in between grows with a long and narrow crop.
    """
    return ImageOps.fit(image, size, resampling, bleed=(1 - share) / 2)


def letterbox(image: Image, size: tuple[int, int], resampling: Resampling, margin: int) -> Image:
    """An image as large as fits into a width and height with its shape kept, amid one grey."""
    inner, corner = _inside(image, size)
    canvas = new_image("RGB", size, (margin, margin, margin))
    canvas.paste(image.resize(inner, resampling), corner)
    return canvas


def normalised(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """RGB (h, w, 3), 0 to 255, as a network takes it: (3, h, w)."""
    scaled = (pixels.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def letterboxed(crop: Image, size: tuple[int, int] = CROP) -> NDArray[np.float32]:
    """A crop (3, height, width), as large as fits with its shape kept, amid zeros."""
    inner, (left, top) = _inside(crop, size)
    pixels = np.zeros((3, size[1], size[0]), dtype=np.float32)
    resized = np.asarray(crop.resize(inner, Resampling.BILINEAR))
    pixels[:, top : top + inner[1], left : left + inner[0]] = normalised(resized)
    return pixels


def _inside(image: Image, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The largest size of the image's shape that fits into `size`, and where its corner lies."""
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def detector_size(size: tuple[int, int], area: int) -> tuple[int, int]:
    """Width and height at which a photo of that size is searched for garments: some `area`
    pixels, in its own shape."""
    scale = sqrt(area / (size[0] * size[1]))
    width, height = (max(1, round(side * scale / CELL)) * CELL for side in size)
    return min(width, LONGEST), min(height, LONGEST)
