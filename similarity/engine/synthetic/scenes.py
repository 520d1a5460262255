"""Photographs: garments laid on a background, lit, and boxed to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from similarity.engine.contracts import Box
from similarity.engine.synthetic.backgrounds import BUSY, PLAIN, studio
from similarity.engine.synthetic.colours import PALETTE, Rgb, mix
from similarity.engine.synthetic.garments import Garment
from similarity.engine.synthetic.noise import Size, grain, rng, signed
from similarity.engine.synthetic.painting import Cutout, paint
from similarity.engine.synthetic.products import product, with_kind

SIZE: Size = (600, 800)
OUTFIT_SIZE: Size = (720, 960)

_COARSER = 4
"""Shadows are soft: they are computed on a grid this much coarser."""

_COVERED = 128
"""A pixel belongs to a garment that covers at least half of it (of 255)."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A garment in a picture."""

    garment: Garment
    box: Box
    """Tight around the pixels that the garment covers at least by half."""
    number: int
    """The product's number."""
    mask: Image.Image = field(compare=False, repr=False)
    """L, as large as the picture: how much of each pixel the garment covers."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture, and which garments it shows where."""

    image: Image.Image
    """RGB."""
    placed: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a garment lies: centre and room as shares of the picture."""

    x: float
    y: float
    width: float
    height: float


def photo(seed: int, number: int, view: int = 0) -> Scene:
    """A shop's picture of a product, 600 x 800 pixels.

    View 0 is the garment upright on studio paper; the others differ in background, angle,
    size and light.
    """
    random = rng(seed, number, "photo", view)
    garment = product(seed, number).garment
    colour = PALETTE[garment.colour]
    if view == 0:
        sheet = studio(random, SIZE, colour)
        return _scene(random, sheet, [(number, _Slot(0.5, 0.5, 0.8, 0.82))], seed, tilt=0.0)
    names = list(PLAIN)
    start = rng(seed, number, "places").randrange(len(names))
    sheet = PLAIN[names[(start + view) % len(names)]](random, SIZE, colour)
    room = random.uniform(0.66, 0.84)
    slot = _Slot(random.uniform(0.46, 0.54), random.uniform(0.47, 0.53), room, room)
    scene = _scene(random, sheet, [(number, slot)], seed, tilt=9.0)
    return Scene(_cast(scene.image, _tint(random, 0.05)), scene.placed)


def street(seed: int, number: int) -> Scene:
    """A shopper's picture of a product, 600 x 800 pixels.

    Taken on a busy floor, tilted and off centre, in a window's light, with a colour cast and a
    small camera's noise.
    """
    random = rng(seed, number, "street")
    garment = product(seed, number).garment
    place = random.choice(list(BUSY))
    sheet = BUSY[place](random, SIZE, PALETTE[garment.colour])
    room = random.uniform(0.55, 0.74)
    slot = _Slot(random.uniform(0.44, 0.56), random.uniform(0.44, 0.56), room, room)
    scene = _scene(random, sheet, [(number, slot)], seed, tilt=18.0)
    lit = ImageChops.multiply(scene.image, _window(random))
    return Scene(_noisy(_cast(lit, _tint(random, 0.16)), random), scene.placed)


LOOKS: tuple[tuple[tuple[str, _Slot], ...], ...] = (
    (
        ("top", _Slot(0.33, 0.24, 0.56, 0.4)),
        ("pants", _Slot(0.33, 0.715, 0.4, 0.5)),
        ("bag", _Slot(0.8, 0.3, 0.32, 0.36)),
        ("shoes", _Slot(0.78, 0.74, 0.36, 0.24)),
    ),
    (
        ("dress", _Slot(0.34, 0.5, 0.58, 0.88)),
        ("hat", _Slot(0.81, 0.22, 0.32, 0.24)),
        ("bag", _Slot(0.82, 0.66, 0.3, 0.4)),
    ),
    (
        ("outwear", _Slot(0.34, 0.29, 0.62, 0.48)),
        ("skirt", _Slot(0.32, 0.76, 0.46, 0.38)),
        ("scarf", _Slot(0.84, 0.34, 0.24, 0.5)),
        ("shoes", _Slot(0.77, 0.8, 0.36, 0.24)),
    ),
    (
        ("top", _Slot(0.38, 0.32, 0.64, 0.46)),
        ("shorts", _Slot(0.36, 0.78, 0.46, 0.32)),
        ("hat", _Slot(0.82, 0.66, 0.3, 0.22)),
    ),
    (
        ("outwear", _Slot(0.34, 0.42, 0.62, 0.7)),
        ("pants", _Slot(0.81, 0.54, 0.33, 0.8)),
    ),
)
"""Kinds that are worn together, and where each lies."""


def outfit(seed: int, number: int) -> Scene:
    """A look of two to four garments laid out side by side, 720 x 960 pixels.

    Looks come in fives: look `number` wears products of the ten from `number // 5 * 10` on.
    """
    random = rng(seed, number, "outfit")
    slots = [slot for _, slot in LOOKS[number % len(LOOKS)]]
    chosen = list(zip(worn(seed, number), slots, strict=True))
    first = product(seed, chosen[0][0]).garment
    name = random.choice(list(PLAIN))
    sheet = PLAIN[name](random, OUTFIT_SIZE, PALETTE[first.colour])
    return _scene(random, sheet, chosen, seed, tilt=4.0)


def worn(seed: int, number: int) -> list[int]:
    """The numbers of the products that outfit `number` shows, the main one first."""
    block, look = divmod(number, len(LOOKS))
    return [with_kind(seed, block, kind) for kind, _ in LOOKS[look]]


def main_place(number: int) -> Box:
    """Where outfit `number` has its main garment: a part of the picture that it alone lies in.

    In pixels; the garment fills its width or its height.
    """
    slot = LOOKS[number % len(LOOKS)][0][1]
    width, height = OUTFIT_SIZE
    x, y, half_width, half_height = slot.x, slot.y, slot.width / 2, slot.height / 2
    place = Box(
        (x - half_width) * width,
        (y - half_height) * height,
        (x + half_width) * width,
        (y + half_height) * height,
    )
    return place.clamped(width, height)


def _scene(
    random: Random,
    sheet: Image.Image,
    chosen: Sequence[tuple[int, _Slot]],
    seed: int,
    *,
    tilt: float,
) -> Scene:
    placed = []
    for number, slot in chosen:
        garment = product(seed, number).garment
        room = (slot.width * sheet.width, slot.height * sheet.height)
        cutout = paint(garment, within=room, angle=round(random.uniform(-tilt, tilt), 2))
        corner = (
            round(slot.x * sheet.width - cutout.image.width / 2),
            round(slot.y * sheet.height - cutout.image.height / 2),
        )
        mask = _lay(sheet, cutout, corner)
        placed.append(Placed(garment, _tight(mask), number, mask))
    return Scene(sheet, tuple(placed))


def _lay(sheet: Image.Image, cutout: Cutout, corner: tuple[int, int]) -> Image.Image:
    """Put a garment and its shadow on the sheet; returns its mask in the picture."""
    _shadow(sheet, cutout, corner)
    sheet.paste(cutout.image, corner, cutout.mask)
    mask = Image.new("L", sheet.size)
    mask.paste(cutout.mask, corner)
    return mask


def _shadow(sheet: Image.Image, cutout: Cutout, corner: tuple[int, int]) -> None:
    """A close dark rim and a wide soft shadow below and to the right."""
    reach, pad = min(cutout.scale, 9.0), 8
    coarse = ImageOps.expand(cutout.mask.reduce(_COARSER), pad)
    coarse = ImageChops.multiply(coarse, Image.new("L", coarse.size, 128))
    wide = ImageChops.offset(coarse, round(reach * 0.3), round(reach * 0.5))
    near = ImageChops.offset(coarse, 1, 1).filter(ImageFilter.GaussianBlur(reach * 0.12))
    soft = Image.blend(wide.filter(ImageFilter.GaussianBlur(reach * 0.55)), near, 0.45)
    depth = soft.resize((soft.width * _COARSER, soft.height * _COARSER), Image.Resampling.BILINEAR)
    sheet.paste((38, 32, 34), (corner[0] - pad * _COARSER, corner[1] - pad * _COARSER), depth)


def _tight(mask: Image.Image) -> Box:
    covered = mask.point([255 if value >= _COVERED else 0 for value in range(256)])
    left, top, right, bottom = covered.getbbox() or (0, 0, 0, 0)
    return Box(float(left), float(top), float(right), float(bottom))


def _tint(random: Random, strength: float) -> Rgb:
    """White light, made a little warmer or cooler and dimmer."""
    lamp = random.choice(((255, 226, 190), (208, 226, 255), (255, 240, 224), (226, 240, 226)))
    dim = round(255 * random.uniform(1 - strength, 1.0))
    return mix((dim, dim, dim), lamp, strength * random.uniform(1.0, 3.0))


def _cast(image: Image.Image, light: Rgb) -> Image.Image:
    return image.point([value * part // 255 for part in light for value in range(256)])


def _window(random: Random) -> Image.Image:
    """Light that falls through a window of four panes, blurred."""
    width, height = SIZE[0] // 4, SIZE[1] // 4
    light = Image.new("L", (width, height), random.randint(180, 208))
    draw = ImageDraw.Draw(light)
    x, y, lean = random.randint(-30, 40), random.randint(-20, 50), random.randint(-40, 40)
    for column in range(2):
        for row in range(2):
            left, top = x + column * 62 + row * lean * 0.4, y + row * 78
            pane = [
                (left, top),
                (left + 54, top - 8),
                (left + 54 + lean * 0.4, top + 62),
                (left + lean * 0.4, top + 70),
            ]
            draw.polygon([(round(a), round(b)) for a, b in pane], 255)
    soft = light.filter(ImageFilter.GaussianBlur(4)).resize(SIZE, Image.Resampling.BILINEAR)
    return Image.merge("RGB", (soft, soft, soft))


def _noisy(image: Image.Image, random: Random) -> Image.Image:
    noise = signed(grain(random, image.size)) // 20
    pixels = np.asarray(image, np.int16) + noise[:, :, None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
