"""Printed and woven patterns: seamless tiles, and swatches of them at any angle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from similarity.engine.synthetic.colours import Rgb, luma, mix, shade
from similarity.engine.synthetic.light import Packed, Pixels, packed, unpacked

Bounds = tuple[int, int, int, int]

_FINER = 2
"""Tiles are drawn this much larger than they are kept, so that their edges come out soft."""
_OVERSAMPLING = 1.3
"""Tiles are kept at least this much larger than they are seen: the nearest pixel is taken."""
_FRACTION = 14
"""Bits after the point in a place on the cloth."""


@dataclass(frozen=True, slots=True)
class _Tile:
    """A tile being drawn: lengths in centimetres, the tile repeats in both directions."""

    draw: ImageDraw.ImageDraw
    side: float
    scale: float
    colour: Rgb
    second: Rgb
    random: Random

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, fill: Rgb) -> None:
        corners = [round(part * self.scale) for part in (x0, y0, x1, y1)]
        self.draw.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), fill)

    def polygon(self, points: list[tuple[float, float]], fill: Rgb) -> None:
        """A polygon, drawn again where it leaves the tile and comes in on the other side."""
        for dx in (-self.side, 0.0, self.side):
            for dy in (-self.side, 0.0, self.side):
                self.draw.polygon(
                    [
                        (round((x + dx) * self.scale), round((y + dy) * self.scale))
                        for x, y in points
                    ],
                    fill,
                )

    def disc(self, x: float, y: float, radius: float, fill: Rgb, squeeze: float = 1.0) -> None:
        turns = [math.tau * step / 20 for step in range(20)]
        self.polygon(
            [(x + radius * math.cos(t), y + radius * squeeze * math.sin(t)) for t in turns], fill
        )


def _stripes(tile: _Tile) -> None:
    tile.rectangle(0, 0, tile.side, tile.side * 0.4, tile.second)


def _pinstripes(tile: _Tile) -> None:
    width = 0.35
    tile.rectangle(0, 0, width, tile.side, mix(tile.second, tile.colour, 0.25))


def _checks(tile: _Tile) -> None:
    half, between = tile.side / 2, mix(tile.colour, tile.second, 0.5)
    tile.rectangle(0, 0, tile.side, half, between)
    tile.rectangle(0, 0, half, tile.side, between)
    tile.rectangle(0, 0, half, half, tile.second)


def _tartan(tile: _Tile) -> None:
    """Bands in both directions; where two cross they mix, as threads do."""
    dark = shade(tile.colour, 0.62)
    line = mix(tile.second, (255, 255, 255), 0.3)
    bands = ((0.0, 0.34, dark), (0.5, 0.56, line), (0.62, 0.66, tile.second), (0.84, 0.88, line))
    for start, end, fill in bands:
        tile.rectangle(
            0, start * tile.side, tile.side, end * tile.side, mix(tile.colour, fill, 0.6)
        )
        for other_start, other_end, other in bands:
            tile.rectangle(
                other_start * tile.side,
                start * tile.side,
                other_end * tile.side,
                end * tile.side,
                mix(fill, other, 0.5),
            )
    for start, end, fill in bands:
        _tartan_warp(tile, start, end, mix(tile.colour, fill, 0.6), bands)


def _tartan_warp(
    tile: _Tile, start: float, end: float, fill: Rgb, bands: tuple[tuple[float, float, Rgb], ...]
) -> None:
    """The upright band, left out where a level band crosses it."""
    edges = [0.0, *(edge for band in bands for edge in band[:2]), 1.0]
    for above, below in zip(edges[2::2], edges[3::2], strict=True):
        tile.rectangle(
            start * tile.side, above * tile.side, end * tile.side, below * tile.side, fill
        )


def _dots(tile: _Tile) -> None:
    quarter = tile.side / 4
    tile.disc(quarter, quarter, tile.side * 0.14, tile.second)
    tile.disc(3 * quarter, 3 * quarter, tile.side * 0.14, tile.second)


def _zigzag(tile: _Tile) -> None:
    step, half = tile.side / 4, tile.side / 2
    for top in (0.0, half):
        upper = [(x * step, top + (step * 0.8 if x % 2 else 0.0)) for x in range(5)]
        lower = [(x, y + step * 0.75) for x, y in reversed(upper)]
        tile.polygon(upper + lower, tile.second)


def _floral(tile: _Tile) -> None:
    leaf = mix((92, 122, 84), tile.colour, 0.25)
    pale = mix(tile.second, (255, 255, 255), 0.4)
    spots = [(0.2, 0.22), (0.72, 0.12), (0.48, 0.55), (0.9, 0.62), (0.14, 0.78), (0.66, 0.86)]
    for number, spot in enumerate(spots):
        x, y = ((part + tile.random.uniform(-0.04, 0.04)) * tile.side for part in spot)
        size = tile.side * (0.085 if number % 2 else 0.12)
        _leaves(tile, x, y, size, leaf)
        _flower(tile, x, y, size, tile.second if number % 3 else pale)


def _leaves(tile: _Tile, x: float, y: float, size: float, fill: Rgb) -> None:
    turn = tile.random.uniform(0, math.tau)
    for angle in (turn, turn + 2.2):
        tip = (x + 2.1 * size * math.cos(angle), y + 2.1 * size * math.sin(angle))
        side = (0.42 * size * math.sin(angle), -0.42 * size * math.cos(angle))
        middle = ((x + tip[0]) / 2, (y + tip[1]) / 2)
        tile.polygon(
            [
                (x, y),
                (middle[0] + side[0], middle[1] + side[1]),
                tip,
                (middle[0] - side[0], middle[1] - side[1]),
            ],
            fill,
        )


def _flower(tile: _Tile, x: float, y: float, size: float, fill: Rgb) -> None:
    turn = tile.random.uniform(0, math.tau)
    for petal in range(5):
        angle = turn + math.tau * petal / 5
        tile.disc(
            x + 0.62 * size * math.cos(angle), y + 0.62 * size * math.sin(angle), 0.52 * size, fill
        )
    heart = (222, 178, 84) if luma(fill) < 200 or fill[2] > 190 else (168, 104, 60)  # noqa: PLR2004
    tile.disc(x, y, 0.36 * size, heart)


@dataclass(frozen=True, slots=True)
class _Pattern:
    side: float
    """Centimetres after which it repeats."""
    paint: Callable[[_Tile], None] | None
    adjective: str


PATTERNS: Mapping[str, _Pattern] = {
    "plain": _Pattern(1.0, None, ""),
    "stripes": _Pattern(4.4, _stripes, "striped"),
    "pinstripes": _Pattern(3.0, _pinstripes, "pinstriped"),
    "checks": _Pattern(4.0, _checks, "checked"),
    "tartan": _Pattern(13.0, _tartan, "tartan"),
    "dots": _Pattern(6.0, _dots, "polka-dot"),
    "zigzag": _Pattern(11.0, _zigzag, "zigzag"),
    "floral": _Pattern(17.0, _floral, "floral"),
    "colour block": _Pattern(1.0, None, "colour-block"),
}


@dataclass(frozen=True, slots=True)
class Cloth:
    """A dyed or printed cloth at a scale of pixels per centimetre."""

    colour: Rgb
    tile: Packed | None = None
    """A square of a power of two of pixels, one packed colour each; None if it is not printed."""
    rate: float = 1.0
    """The tile's pixels per pixel of the picture."""
    block: Rgb | None = None
    block_from: float = 0.0
    """Pixels below the garment's origin where the block of the second colour begins."""

    @property
    def is_plain(self) -> bool:
        return self.tile is None and self.block is None

    def seen(self, origin: tuple[float, float], angle: float, bounds: Bounds) -> Pixels:
        """The cloth in a pixel box, shape (height, width, 3), turned about an origin in pixels."""
        across, down = _plane(origin, angle, bounds, self.rate)
        if self.tile is None:
            second = packed(self.block or self.colour)
            colours = np.where(down >> _FRACTION < self.block_from, packed(self.colour), second)
        else:
            last = len(self.tile) - 1
            colours = self.tile[(down >> _FRACTION) & last, (across >> _FRACTION) & last]
        return unpacked(colours)


def _plane(
    origin: tuple[float, float], angle: float, bounds: Bounds, rate: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where each pixel of a box lies on the cloth, in fixed-point numbers."""
    one = rate * (1 << _FRACTION)
    cos, sin = (round(part(math.radians(angle)) * one) for part in (math.cos, math.sin))
    left, top, right, bottom = bounds
    x = (np.arange(left, right) - round(origin[0])).astype(np.int32)
    y = (np.arange(top, bottom) - round(origin[1])).astype(np.int32)[:, None]
    return x * cos + y * sin, y * cos - x * sin


def weave(
    pattern: str, colour: Rgb, second: Rgb, *, scale: float, random: Random, size: float = 1.0
) -> Cloth:
    """The cloth of a pattern, `size` times as large as usual, at `scale` pixels per centimetre."""
    kind = PATTERNS[pattern]
    if kind.paint is None:
        return Cloth(colour)
    wanted = kind.side * size * scale
    side = 1 << math.ceil(math.log2(wanted * _OVERSAMPLING))
    image = Image.new("RGB", (side * _FINER, side * _FINER), colour)
    per_cm = side * _FINER / kind.side
    kind.paint(_Tile(ImageDraw.Draw(image), kind.side, per_cm, colour, second, random))
    tile = np.asarray(image.reduce(_FINER).convert("RGBA")).view(np.uint32)[:, :, 0]
    return Cloth(colour, tile=tile, rate=side / wanted)
