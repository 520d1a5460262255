"""How surely a picture is known again after what cameras, crops and apps do to it.

The measure is recall@1: each altered picture is compared with all unaltered ones, and only the
very picture that it was made of counts as found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from similarity.engine.contracts import Vectors
from similarity.engine.evaluation.retrieval import BLOCK, DECIMALS

AREA = (0.6, 1.0)
"""Share of the picture's area that is kept, in its own proportions."""

TURN = 15.0
"""Degrees either way, at most."""

CAST = 0.2
"""How far each colour channel is brightened or darkened, at most."""

QUALITY = 40
"""Of the JPEG."""


@dataclass(frozen=True)
class Instance:
    """What looking for each altered picture came to."""

    queries: int
    recall_at_1: float
    """0 to 1; 0 without queries."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def altered(image: Image.Image, seed: int) -> Image.Image:
    """The picture turned, cropped, tinted, at half its resolution and as a poor JPEG.

    Every other one is mirrored. The same picture and seed give the same pixels.
    """
    random = Random(seed)
    turned = _turned(image, random.uniform(-TURN, TURN))
    cut = _cropped(turned, random.uniform(*AREA), random.random(), random.random())
    mirrored = ImageOps.mirror(cut) if random.random() < 0.5 else cut  # noqa: PLR2004
    tinted = _tinted(mirrored, [random.uniform(1 - CAST, 1 + CAST) for _ in range(3)])
    half = tinted.resize((max(1, cut.width // 2), max(1, cut.height // 2)), Image.Resampling.BOX)
    return _as_jpeg(half)


def evaluate(changed: Vectors, gallery: Vectors) -> Instance:
    """Rows (n, dim) of altered pictures against those of the same pictures unaltered.

    A picture that another one equals or beats is not found.
    """
    found = 0
    for start in range(0, len(changed), BLOCK):
        block = np.round(changed[start : start + BLOCK] @ gallery.T, DECIMALS)
        own = np.arange(start, start + len(block))
        right = block[np.arange(len(block)), own]
        block[np.arange(len(block)), own] = -np.inf
        found += int((right > block.max(axis=1)).sum())
    return Instance(len(changed), found / len(changed) if len(changed) else 0.0)


def _turned(image: Image.Image, degrees: float) -> Image.Image:
    """About its middle; the corners that come into sight have the picture's mean colour."""
    mean = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=mean)


def _cropped(image: Image.Image, area: float, x: float, y: float) -> Image.Image:
    """A share of its area; x and y (0 to 1) say where it lies in the room that is left."""
    width, height = (max(1, round(side * area**0.5)) for side in image.size)
    left, top = round(x * (image.width - width)), round(y * (image.height - height))
    return image.crop((left, top, left + width, top + height))


def _tinted(image: Image.Image, gains: list[float]) -> Image.Image:
    pixels = np.asarray(image, np.float32) * np.array(gains, np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).round().astype(np.uint8))


def _as_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    with Image.open(file) as read:
        return read.convert("RGB")
