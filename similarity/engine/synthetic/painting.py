"""Painting a drawing: masks drawn finer than they are used, cloth, light and shade."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from similarity.engine.synthetic.colours import PALETTE, Rgb, luma, mix, shade
from similarity.engine.synthetic.cuts import CUTS
from similarity.engine.synthetic.garments import Drawing, Fold, Garment, Panel, Stroke
from similarity.engine.synthetic.geometry import Outline, Point, dashes, ribbon
from similarity.engine.synthetic.light import Grey, brightness, lit, lit_colour
from similarity.engine.synthetic.noise import rng
from similarity.engine.synthetic.patterns import Cloth, weave
from similarity.engine.synthetic.textures import TEXTURES, relief

Bounds = tuple[int, int, int, int]

_FINER = 3
"""Outlines are drawn this much larger, so that their edges come out soft."""
_COARSER = 4
"""Light and shade vary slowly: they are computed on a grid this much coarser."""
_ROUNDING = 2.2
"""Centimetres over which an edge turns away from the light."""
_MARGIN = 0.8
"""Centimetres kept free around the outlines for the strokes on them."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """A painted garment on nothing."""

    image: Image.Image
    """RGB; what lies outside the mask means nothing."""
    mask: Image.Image
    """L, the same size: how much of each pixel the garment covers."""
    scale: float
    """Pixels per centimetre."""


def paint(garment: Garment, *, within: tuple[float, float], angle: float) -> Cutout:
    """The garment, turned clockwise by degrees, as large as fits a width and height in pixels."""
    drawing = CUTS[garment.cut].draw(garment)
    easel = _Easel.for_drawing(drawing, garment, within, angle)
    for ink, marks in groupby(drawing, _ink):
        if ink is None:
            for panel in marks:
                easel.panel(panel)  # type: ignore[arg-type]
        else:
            easel.strokes(list(marks))  # type: ignore[arg-type]
    return Cutout(easel.image, easel.mask, easel.scale)


def _ink(mark: Panel | Stroke) -> tuple[str, float] | None:
    """What strokes must share to be drawn together; None for a panel."""
    return (mark.ink, mark.strength) if isinstance(mark, Stroke) else None


def _extent(drawing: Drawing, angle: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the turned drawing in centimetres."""
    points = [p for mark in drawing for p in _points(mark)]
    xs, ys = zip(*_turned(points, angle), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _points(mark: Panel | Stroke) -> Outline:
    return mark.outline if isinstance(mark, Panel) else mark.line


def _turned(points: Iterable[Point], angle: float) -> list[Point]:
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in points]


def cloths(garment: Garment, scale: float) -> Mapping[str, Cloth]:
    """The cloth of every role that a panel can name."""
    main = PALETTE[garment.colour]
    second = PALETTE[garment.second_colour] if garment.second_colour else shade(main, 0.78)
    plain = {
        "plain": main,
        "rib": shade(main, 0.9),
        "second": second,
        "lining": mix(shade(main, 0.55), (70, 60, 58), 0.2),
        "button": mix(main, (250, 246, 238), 0.75) if luma(main) < 120 else shade(main, 0.55),  # noqa: PLR2004
        "label": (238, 236, 230),
        "beige": PALETTE["beige"],
        "sole": (240, 237, 229),
        "rope": (206, 184, 146),
        "gum": (166, 124, 82),
        "heel": (58, 48, 44),
        "leather": (142, 98, 62),
        "metal": (202, 178, 122),
        "steel": (178, 180, 184),
    }
    dyed = {role: Cloth(colour) for role, colour in plain.items()}
    return {**dyed, "main": _main_cloth(garment, main, second, scale)}


def _main_cloth(garment: Garment, main: Rgb, second: Rgb, scale: float) -> Cloth:
    cut = CUTS[garment.cut]
    if garment.pattern == "colour block":
        return Cloth(main, block=second, block_from=cut.block * scale)
    random = rng("cloth", garment.variant)
    return weave(garment.pattern, main, second, scale=scale, random=random, size=cut.print_size)


@dataclass(slots=True)
class _Easel:
    """A picture of one garment in the making."""

    image: Image.Image
    mask: Image.Image
    origin: Point
    scale: float
    angle: float
    texture: str
    cloths: Mapping[str, Cloth]

    @classmethod
    def for_drawing(
        cls, drawing: Drawing, garment: Garment, within: tuple[float, float], angle: float
    ) -> _Easel:
        """An empty picture that the drawing fits into, a stroke's width to spare."""
        left, top, right, bottom = _extent(drawing, angle)
        left, top, right, bottom = left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN
        scale = round(min(within[0] / (right - left), within[1] / (bottom - top)), 6)
        size = math.ceil((right - left) * scale), math.ceil((bottom - top) * scale)
        dyed = cloths(garment, scale)
        return cls(
            Image.new("RGB", size, dyed["main"].colour),
            Image.new("L", size),
            (-left * scale, -top * scale),
            scale,
            angle,
            CUTS[garment.cut].texture,
            dyed,
        )

    def panel(self, panel: Panel) -> None:
        """Paint a panel over what is there."""
        outline = self._pixels(panel.outline)
        bounds = self._bounds(outline)
        mask = _polygon(outline, bounds)
        coarse = _coarse(mask)
        if panel.lift:
            self._cast_shadow(coarse, bounds, panel.lift)
        light = self._light(panel, coarse, bounds)
        self.image.paste(self._lit(panel, light, bounds), bounds, mask)
        self.mask.paste(255, bounds, mask)

    def strokes(self, strokes: list[Stroke]) -> None:
        """Draw strokes of one ink and strength over what is there."""
        bands = [self._pixels(ribbon(line, s.width)) for s in strokes for line in _lines(s)]
        bounds = self._bounds([point for band in bands for point in band])
        covered = _polygons(bands, bounds)
        ink = _dimmed(covered, strokes[0].strength)
        self.image.paste(self._ink(strokes[0].ink), bounds, ink)
        if strokes[0].ink != "seam":
            self.mask.paste(255, bounds, covered)

    def _ink(self, ink: str) -> Rgb:
        if ink != "seam":
            return self.cloths[ink].colour
        main = self.cloths["main"].colour
        return shade(main, 0.45) if luma(main) > 75 else mix(main, (255, 255, 255), 0.45)  # noqa: PLR2004

    def _pixels(self, outline: Outline) -> list[Point]:
        x0, y0 = self.origin
        return [(x0 + x * self.scale, y0 + y * self.scale) for x, y in _turned(outline, self.angle)]

    def _bounds(self, points: list[Point]) -> Bounds:
        xs, ys = zip(*points, strict=True)
        return (
            max(0, math.floor(min(xs)) - 1),
            max(0, math.floor(min(ys)) - 1),
            min(self.image.width, math.ceil(max(xs)) + 1),
            min(self.image.height, math.ceil(max(ys)) + 1),
        )

    def _cast_shadow(self, coarse: Image.Image, bounds: Bounds, lift: float) -> None:
        """Darken what the garment already covers, below and to the right of the new panel."""
        pad, reach = 3, 0.5 * self.scale / _COARSER
        soft = ImageOps.expand(_dimmed(coarse, 0.42 * lift), pad).filter(
            ImageFilter.GaussianBlur(reach)
        )
        soft = soft.resize(
            (soft.width * _COARSER, soft.height * _COARSER), Image.Resampling.BILINEAR
        )
        offset = round(0.3 * self.scale) - pad * _COARSER
        corner = (bounds[0] + offset, bounds[1] + offset)
        under = self.mask.crop((*corner, corner[0] + soft.width, corner[1] + soft.height))
        depth = ImageChops.multiply(soft, under)
        self.image.paste(
            (24, 20, 26), (*corner, corner[0] + depth.width, corner[1] + depth.height), depth
        )

    def _light(self, panel: Panel, coarse: Image.Image, bounds: Bounds) -> Grey:
        """Brightness of every pixel of the panel, 128 being the cloth's own."""
        soft = _relief_light(coarse, self.scale / _COARSER) * np.float32(panel.puff)
        if panel.folds:
            soft += self._folds(panel.folds, coarse, bounds)
        soft *= np.float32(TEXTURES[self.texture].gloss)
        size = (bounds[2] - bounds[0], bounds[3] - bounds[1])
        rows = np.arange(bounds[1], bounds[3], dtype=np.int16)
        falling = 6 - (rows * 14) // self.image.height
        return brightness(_enlarged(soft, size) + relief(self.texture, *size) + falling[:, None])

    def _lit(self, panel: Panel, light: Grey, bounds: Bounds) -> Image.Image:
        cloth = self.cloths[panel.cloth]
        if cloth.is_plain:
            return lit_colour(cloth.colour, light)
        grain = 0.0 if cloth.block else panel.grain
        return lit(cloth.seen(self.origin, self.angle + grain, bounds), light)

    def _folds(
        self, folds: tuple[Fold, ...], coarse: Image.Image, bounds: Bounds
    ) -> NDArray[np.float32]:
        sheet = Image.new("L", (coarse.width * _FINER, coarse.height * _FINER), 128)
        draw = ImageDraw.Draw(sheet)
        for fold in folds:
            self._fold(draw, fold, bounds)
        blur = ImageFilter.GaussianBlur(0.6 * self.scale / _COARSER)
        return np.asarray(sheet.reduce(_FINER).filter(blur), np.float32) - 128

    def _fold(self, draw: ImageDraw.ImageDraw, fold: Fold, bounds: Bounds) -> None:
        """A shadow and, beside it towards the light, the ridge that casts it."""
        band = self._pixels(ribbon(fold.line, fold.width, 0.1))
        ridge, step = -0.8 * fold.width * self.scale, _COARSER / _FINER
        for shift, depth in ((ridge, -0.5 * fold.depth), (0.0, fold.depth)):
            spots = [
                (round((x - bounds[0] + shift) / step), round((y - bounds[1]) / step))
                for x, y in band
            ]
            draw.polygon(spots, round(128 + 100 * depth))


def _dimmed(mask: Image.Image, share: float) -> Image.Image:
    return ImageChops.multiply(mask, Image.new("L", mask.size, round(255 * share)))


def _lines(stroke: Stroke) -> list[Outline]:
    return dashes(stroke.line, 0.7, 0.45) if stroke.stitched else [stroke.line]


def _polygon(outline: list[Point], bounds: Bounds) -> Image.Image:
    return _polygons([outline], bounds)


def _polygons(outlines: list[list[Point]], bounds: Bounds) -> Image.Image:
    left, top, right, bottom = bounds
    sheet = Image.new("L", ((right - left) * _FINER, (bottom - top) * _FINER))
    draw = ImageDraw.Draw(sheet)
    for outline in outlines:
        # Whole numbers: a last bit that differs between two machines' libm does no harm.
        draw.polygon(
            [(round((x - left) * _FINER), round((y - top) * _FINER)) for x, y in outline], 255
        )
    return sheet.reduce(_FINER)


def _coarse(mask: Image.Image) -> Image.Image:
    return mask.reduce(_COARSER)


def _relief_light(coarse: Image.Image, scale: float) -> NDArray[np.float32]:
    """Light from the upper left on a panel that is round at its edges, -128 to 127.

    The mask, blurred, is taken as the panel's height: its slope towards the light brightens,
    and its low rim darkens.
    """
    pad = round(_ROUNDING * scale * 2) + 1
    high = ImageOps.expand(coarse, pad).filter(ImageFilter.GaussianBlur(_ROUNDING * scale))
    height = np.asarray(high, np.float32)
    height *= 255 / max(float(height.max()), 1.0)
    step = max(1, pad // 4)
    slope = np.roll(height, -step, (0, 1)) - np.roll(height, step, (0, 1))
    light = slope * np.float32(0.17) - (255 - height) * np.float32(0.16)
    return light[pad:-pad, pad:-pad]


def _enlarged(soft: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int16]:
    """A coarse grid of light, -128 to 127, at the picture's own size."""
    grid = Image.fromarray(np.clip(soft + 128, 0, 255).astype(np.uint8))
    full = (grid.width * _COARSER, grid.height * _COARSER)
    smooth = grid.resize(full, Image.Resampling.BILINEAR).crop((0, 0, *size))
    return np.asarray(smooth, np.int16) - 128
