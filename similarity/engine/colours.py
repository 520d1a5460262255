"""The dominant colours of a garment, named as the filters of fashion shops name them.

Vectors mix colours up, and shoppers ask for them by name; so they are found apart from any
embedder. Pixels are compared in CIE L*a*b*, where a distance is roughly what an eye makes of it
(CIE 15). The names are the eleven basic colour terms of Berlin and Kay ("Basic Color Terms",
1969), and three that shops add: beige, navy, turquoise. A colour has the name of the nearest of
some examples, which are ours: chosen by eye on photos of clothes, greyish and shaded ones among
them. (Names learned from pictures: van de Weijer et al., "Learning color names for real-world
applications", IEEE Transactions on Image Processing 2009.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from PIL.Image import Image, Resampling

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Colour:
    """One of a garment's dominant colours."""

    name: str
    """One of NAMES."""
    share: float
    """Of the garment, 0 to 1; the middle of the picture counts for more than its margin."""


EXAMPLES: Mapping[str, str] = {
    "black": "#141416 #303034",
    "white": "#ffffff #e6e6e4 #f2ecdf",
    "grey": "#5c5d61 #808080 #a0a0a2 #bababc",
    "beige": "#e1d2b9 #d3bfa3 #c3af91 #ead8bc #b4a28c",
    "brown": "#6e4c38 #503223 #966946 #bd8f5c #3a2a22",
    "red": "#c81e1e #762634 #961923 #be3432 #501820 #6b3a42 #e04848",
    "orange": "#f08228 #d26428 #e7806a #f0a03c #ee7a50 #e05a2c",
    "yellow": "#fadc32 #d3a23a #f5eb8c #c8a83c",
    "green": "#3a7054 #6e7046 #28a03c #96be82 #3c462d #143c28 #465040 #90a08a",
    "turquoise": "#2c7a80 #40c8be #78d2cd #1f9aa0 #5c9a9a",
    "blue": "#54749c #96bddb #285ac8 #1e8cdc #bed7eb #2c38a8 #4650b4 #64748a #8ca0b4",
    "navy": "#2f3c62 #191e41 #232d4b #20264f",
    "purple": "#783c96 #b0a0cb #502864 #965ab4 #7a5a80 #8c70c8 #402848 #5a2ca0",
    "pink": "#e4aab4 #f082aa #e63c8c #f5d2d7 #c8507a #b8868e #d8bcc4",
}
"""What is called by each name, in sRGB."""

NAMES = tuple(EXAMPLES)

MOST = 3
"""So many colours are named at most."""

LEAST = 0.15
"""A colour of a smaller share is a button, a label, a shadow, and is not named."""

SIDE = 32  # crops are looked at as squares of so many pixels a side
FINER = 4  # times as many are there to choose from
MARGIN = 2  # width of the border, in these pixels
CENTRE = 0.5  # spread of the weights around the middle, in half sides

# The background is what goes on from a border that is mostly of one colour.
UNIFORM = 0.7  # share of the border that has to be of one colour
ONE_COLOUR = 15.0  # how far its pixels may differ
NOISE = (6.0, 12.0)  # what is nearer to it belongs to the background: at least, at most
# What is left without it is the garment, unless it is too little, or as common on the border as in
# the middle: then it is a print or the stripes of a garment that fills the box, or the garment is
# as white as the sheet it lies on.
ENOUGH = 0.15  # of the weights
WIDE = 0.5  # of a side
CENTRAL = 1.5  # times its share of the border

# Folds and light change lightness more than hue: it counts for less.
LIGHT_FLAT = np.array([0.7, 1, 1], np.float32)  # when the background is told from the garment
LIGHT_FOLDS = np.array([0.6, 1, 1], np.float32)  # when pixels are gathered
LIGHT_NAMES = np.array([0.8, 1, 1], np.float32)  # when a name is found
CELL = 8.0  # pixels are gathered around the fullest cell of so much a side
REACH = 18.0  # as far as this
GATHERED = 6  # groups at most,
LEFT = 0.05  # or until less than this share is left

WHITE = 95.0  # lightness that the brightest pixels of a dim photo are raised to,
BRIGHTEST = 97  # these being beyond this percentile,
RAISED = 1.12  # by this factor at most


def dominant(crop: Image) -> list[Colour]:
    """The colours of the garment in an RGB crop, most first: one to MOST of them.

    The crop is a garment's bounding box, or a photo of one laid flat: the background is left
    out where the border shows what it is, and the middle counts for most. Takes 1 to 2 ms.
    """
    colours = sampled(crop)
    return named(colours, _garment(colours))


def sampled(crop: Image) -> Floats:
    """L*a*b* of SIDE * SIDE pixels of an RGB crop, row by row, as in good light.

    Pixels, not means: that of navy and white stripes would be a blue. Each is taken from another
    place of its cell, or regular stripes would be seen as much broader ones.
    """
    fine = np.asarray(crop.resize((SIDE * FINER, SIDE * FINER), Resampling.NEAREST))
    pixels = fine[_places().sample].astype(np.float32)
    return _lit(lab(pixels / 255))


def named(colours: Floats, weights: Floats) -> list[Colour]:
    """The dominant ones of L*a*b* colours (n, 3), each counting so much (n,), most first."""
    shares: dict[str, float] = defaultdict(float)
    for colour, share in _groups(colours, weights):
        shares[_name(colour)] += share
    first, *others = sorted(shares.items(), key=lambda item: -item[1])
    kept = [first, *(item for item in others if item[1] >= LEAST)]
    return [Colour(name, round(share, 3)) for name, share in kept[:MOST]]


def lab(rgb: Floats) -> Floats:
    """CIE L*a*b* (D65) of sRGB colours (n, 3) between 0 and 1; IEC 61966-2-1 and CIE 15."""
    toe, knee = 0.04045, 6 / 29
    linear = np.where(rgb <= toe, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ],
        dtype=rgb.dtype,
    )
    white = np.array([0.95047, 1.0, 1.08883], dtype=rgb.dtype)
    ratios = linear @ np.transpose(to_xyz) / white
    bent = np.where(ratios > knee**3, np.cbrt(ratios), ratios / (3 * knee**2) + 4 / 29)
    x, y, z = bent.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def _lit(colours: Floats) -> Floats:
    """The colours (n, 3) as in better light: in a dim photo white cloth is grey."""
    brightest = float(np.percentile(colours[:, 0], BRIGHTEST))
    return np.asarray(colours * np.clip(WHITE / max(brightest, 1.0), 1.0, RAISED))


def _name(colour: Floats) -> str:
    """What a colour (3,) is called."""
    names, examples = _examples()
    return names[int(_distances(examples * LIGHT_NAMES, colour * LIGHT_NAMES).argmin())]


@cache
def _examples() -> tuple[list[str], Floats]:
    """Names and L*a*b* of all examples, (n, 3)."""
    pairs = [(name, code) for name, codes in EXAMPLES.items() for code in codes.split()]
    colours = np.array([ImageColor.getrgb(code) for _, code in pairs])
    return [name for name, _ in pairs], lab(colours / 255)


# --- What of the crop is the garment --------------------------------------------------------


def _garment(colours: Floats) -> Floats:
    """What each pixel counts, (SIDE * SIDE,): nothing on what is taken for the background."""
    places = _places()
    kept = places.weights * ~_background(colours * LIGHT_FLAT)
    share = kept.sum() / places.weights.sum()
    square = kept.reshape(SIDE, SIDE) > 0
    # A stray pixel in a column does not make it the garment's.
    widest = max((square.sum(axis=axis) > 1).sum() for axis in (0, 1))
    on_border = (kept[places.border] > 0).mean()
    is_garment = share > ENOUGH and share > CENTRAL * on_border and widest > WIDE * SIDE
    return kept if is_garment else places.weights


def _background(colours: Floats) -> Bools:
    """Which pixels (n, 3) go on from the border; none if that is of several colours."""
    border = _places().border
    edge = colours[border]
    cells = _cells(edge)
    commonest = edge[cells == np.bincount(cells).argmax()].mean(axis=0)
    alike = _distances(edge, commonest) < ONE_COLOUR
    if alike.mean() < UNIFORM:
        return np.zeros(len(colours), dtype=bool)
    # Light falls off over the sheet: its colour is a quadratic of the place.
    terms = _places().terms
    surface = np.linalg.lstsq(terms[border][alike], edge[alike])[0]
    distances = _distances(colours, terms @ surface)
    noise = np.clip(3 * np.median(distances[border][alike]), *NOISE)
    return np.asarray(distances < noise)


@dataclass(frozen=True, slots=True)
class _Places:
    """What follows from a pixel's place alone."""

    sample: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Where on the finer grid each is taken, rows and columns (n,)."""
    weights: Floats
    """What each counts, (n,)."""
    border: Bools
    """Which belong to the border, (n,)."""
    terms: Floats
    """1, x, y, x², y², xy of each, (n, 6)."""


@cache
def _places() -> _Places:
    offsets = (np.arange(SIDE, dtype=np.float32) + 0.5) / (SIDE / 2) - 1
    x, y = (axis.ravel() for axis in np.meshgrid(offsets, offsets))
    within = np.random.default_rng(0).integers(0, FINER, (2, SIDE * SIDE))
    rows, columns = np.indices((SIDE, SIDE)).reshape(2, -1) * FINER + within
    return _Places(
        sample=(rows, columns),
        weights=np.exp(-(x**2 + y**2) / (2 * CENTRE**2)),
        border=np.maximum(abs(x), abs(y)) > 1 - 2 * MARGIN / SIDE,
        terms=np.stack([np.ones_like(x), x, y, x**2, y**2, x * y], axis=1),
    )


# --- Which colours it has -------------------------------------------------------------------


def _groups(colours: Floats, weights: Floats) -> Iterator[tuple[Floats, float]]:
    """Pixels (n, 3) of like colours together: the mean colour and the share of each group.

    The largest come first: each is gathered around the fullest cell of what is left.
    """
    points = colours * LIGHT_FOLDS
    cells = _cells(points)
    whole, left = weights.sum(), weights.copy()
    for _ in range(GATHERED):
        if left.sum() < LEFT * whole:
            return
        group = cells == np.bincount(cells, left).argmax()
        for _ in range(2):  # once around the cell, once more around what that has gathered
            group = _distances(points, _mean(points, left * group)) < REACH
        gathered = left * group
        yield _mean(colours, gathered), float(gathered.sum() / whole)
        left -= gathered


def _cells(points: Floats) -> NDArray[np.int64]:
    """The number of each point's (n, 3) cell in a grid of CELL."""
    grid = (points / CELL).astype(np.int64)
    x, y, z = (grid - grid.min(axis=0)).T
    return np.asarray((x * (y.max() + 1) + y) * (z.max() + 1) + z)


def _mean(points: Floats, weights: Floats) -> Floats:
    """The weighted mean (3,) of points (n, 3)."""
    return np.asarray(weights @ points / weights.sum())


def _distances(points: Floats, others: Floats) -> Floats:
    """Of each point (n, 3) from the other that it is set against: one (3,), or one each."""
    apart = points - others
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", apart, apart)))
