"""Making colours lighter and darker, fast: a brightness of 128 leaves a colour as it is."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from similarity.engine.synthetic.colours import Rgb

Grey = NDArray[np.uint8]
Packed = NDArray[np.uint32]
Pixels = NDArray[np.uint8]


def packed(colour: Rgb) -> np.uint32:
    """Red, green, blue and an unused byte as one number."""
    return np.uint32(int.from_bytes((*colour, 255), sys.byteorder))


def unpacked(colours: Packed) -> Pixels:
    """Packed colours as red, green and blue: shape (height, width, 3)."""
    return colours.view(np.uint8).reshape(*colours.shape, 4)[:, :, :3]


def brightness(relief: NDArray[np.int16]) -> Grey:
    """Steps of brightness around 0 as brightness around 128."""
    return np.clip(relief + 128, 0, 255).astype(np.uint8)


def lit_colour(colour: Rgb, light: Grey) -> Image.Image:
    """One colour under light that differs from pixel to pixel."""
    height, width = light.shape
    return Image.frombytes("RGB", (width, height), _ramp(colour)[light].tobytes(), "raw", "RGBX")


@cache
def _ramp(colour: Rgb) -> Packed:
    """What a colour becomes at every brightness."""
    shades = [tuple(min(255, part * light >> 7) for part in colour) for light in range(256)]
    return np.array([packed((red, green, blue)) for red, green, blue in shades], np.uint32)


def lit(pixels: Pixels, light: Grey) -> Image.Image:
    """A picture under light that differs from pixel to pixel."""
    shaded = np.multiply(pixels, light[:, :, None], dtype=np.uint16)
    shaded >>= 7
    return Image.fromarray(np.minimum(shaded, 255, out=shaded).astype(np.uint8))
