"""A colour histogram as a garment's vector: the baseline that needs neither torch nor weights.

Histograms for finding images: Swain and Ballard, "Color indexing", IJCV 1991. The square root
makes the dot product the Hellinger (Bhattacharyya) kernel, in which a few large bins drown the
rest less: Arandjelovic and Zisserman, "Three things everyone should know", CVPR 2012.
It finds garments of like colours; of cut and kind it knows next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.colours import lab
from similarity.engine.contracts import Vectors
from similarity.engine.weights import digest

Floats = NDArray[np.floating[Any]]

SIDE = 64  # crops are compared as squares of so many pixels a side
LEVELS = 16  # per channel, when pixels are counted
COLOURS = 64  # bins of a histogram
SOFTNESS = 10.0  # in CIE L*a*b* units, about four just noticeable differences
CENTRE = 0.5  # spread of the weights around the middle, in half sides: background counts less
FOLD = 8.0  # steepness of the passage from the upper half to the lower


class ColourEmbedder:
    """The colours of a crop's upper and lower half, 64 soft bins each, weighted to the middle."""

    light: ClassVar[bool] = True
    dim: ClassVar[int] = 2 * COLOURS
    fingerprint = digest("colour", 1)

    def missing(self) -> list[str]:
        return []

    def embed(self, crops: Sequence[Image]) -> Vectors:
        halves = np.zeros((len(crops), 2, LEVELS**3), dtype=np.float32)
        for row, crop in enumerate(crops):
            cells = _cells(crop)
            for half, weights in enumerate(_half_weights()):
                halves[row, half] = np.bincount(cells, weights, minlength=LEVELS**3)
        roots = np.sqrt(halves @ _soft_bins()).reshape(len(crops), self.dim)
        lengths = np.linalg.norm(roots, axis=1, keepdims=True)
        return np.asarray(roots / lengths, dtype=np.float32)


def _cells(crop: Image) -> NDArray[np.int64]:
    """For each pixel of the shrunken crop, the number of its cell in the RGB cube."""
    pixels = np.asarray(crop.resize((SIDE, SIDE), Resampling.BOX)) // (256 // LEVELS)
    red, green, blue = pixels.reshape(-1, 3).T.astype(np.int64)
    return (red * LEVELS + green) * LEVELS + blue


@cache
def _half_weights() -> tuple[Floats, Floats]:
    """What each pixel counts in the upper and in the lower half, both over SIDE * SIDE pixels."""
    offsets = (np.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    x, y = np.meshgrid(offsets, offsets)
    centred = np.exp(-(x**2 + y**2) / (2 * CENTRE**2))
    upper = centred / (1 + np.exp(FOLD * y))
    return upper.ravel(), (centred - upper).ravel()


@cache
def _soft_bins() -> NDArray[np.float32]:
    """How far each cell belongs to each bin, (LEVELS ** 3, COLOURS); every row sums to 1."""
    cells = lab(_cell_colours())
    bins = _spread_out(cells, COLOURS)
    squares = ((cells[:, None] - bins) ** 2).sum(axis=-1)
    nearest = squares.min(axis=1, keepdims=True)
    shares = np.exp((nearest - squares) / (2 * SOFTNESS**2))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def _cell_colours() -> Floats:
    """An RGB colour, 0 to 1, for each cell; black and white are among them."""
    levels = np.linspace(0, 1, LEVELS)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)


def _spread_out(points: Floats, count: int) -> Floats:
    """`count` of the points, from the first on each the farthest from those before it."""
    chosen = [0]
    distances = np.full(len(points), np.inf)
    while len(chosen) < count:
        latest = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        distances = np.minimum(distances, latest)
        chosen.append(int(distances.argmax()))
    return points[chosen]
