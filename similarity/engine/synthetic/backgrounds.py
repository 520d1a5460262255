"""What garments are photographed on: studio paper, walls, wood, linen, marble, concrete, ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from similarity.engine.synthetic.colours import Rgb, luma, mix, shade
from similarity.engine.synthetic.light import brightness, lit, lit_colour
from similarity.engine.synthetic.noise import Size, clouds, grain, signed

Relief = NDArray[np.int16]

_PAPERS: tuple[Rgb, ...] = (
    (236, 234, 230), (226, 221, 212), (214, 219, 222), (229, 214, 206), (206, 212, 200),
    (222, 206, 188), (198, 192, 186), (184, 192, 198), (196, 178, 168), (168, 176, 170),
)  # fmt: skip
_WOODS: tuple[Rgb, ...] = ((186, 150, 112), (150, 112, 78), (208, 186, 156), (118, 90, 70))
_LINENS: tuple[Rgb, ...] = ((216, 206, 188), (188, 182, 172), (168, 174, 178), (230, 226, 218))
_STONES: tuple[Rgb, ...] = ((168, 166, 162), (140, 140, 140), (190, 186, 180))
_MARBLES: tuple[Rgb, ...] = ((232, 230, 228), (216, 212, 208), (84, 86, 90))
_RUGS: tuple[Rgb, ...] = ((166, 92, 78), (86, 104, 122), (190, 172, 146), (98, 112, 92))


def _contrasting(random: Random, colours: tuple[Rgb, ...], against: Rgb) -> Rgb:
    """One of the colours, not one that the garment would vanish on."""
    clear = [c for c in colours if abs(luma(c) - luma(against)) > 38]  # noqa: PLR2004
    return random.choice(clear or [max(colours, key=lambda c: abs(luma(c) - luma(against)))])


def _relieved(base: Image.Image, relief: Relief) -> Image.Image:
    """The picture made lighter and darker by steps of brightness."""
    return lit(np.asarray(base), brightness(relief))


def _flat(colour: Rgb, relief: Relief) -> Image.Image:
    return lit_colour(colour, brightness(relief))


def _glow(size: Size, x: float, y: float, depth: int) -> Relief:
    """Light that falls off with the square of the distance from a place (shares of the size)."""
    across = (np.arange(size[0], dtype=np.float32) / size[0] - np.float32(x)) ** 2
    down = (np.arange(size[1], dtype=np.float32) / size[1] - np.float32(y)) ** 2
    return (6 - (across[None, :] + down[:, None]) * np.float32(depth)).astype(np.int16)


def studio(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Paper under a soft lamp."""
    paper = _contrasting(random, _PAPERS, against)
    return _flat(paper, _glow(size, 0.45, 0.4, 44) + signed(grain(random, size)) // 72)


def wall(random: Random, size: Size, against: Rgb) -> Image.Image:
    """A painted wall, lighter at the top, with a little roughness."""
    paint = _contrasting(random, _PAPERS[1:], against)
    rough = (
        signed(clouds(random, size, (3, 3))) // 34 + signed(clouds(random, size, (90, 70))) // 22
    )
    return _flat(paint, _glow(size, random.uniform(0.1, 0.9), 0.0, 38) + rough)


def linen(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Coarsely woven cloth with a few soft waves."""
    threads = (
        signed(clouds(random, size, (1, 40))) // 18 + signed(clouds(random, size, (40, 1))) // 18
    )
    waves = signed(clouds(random, size, (90, 160))) // 22
    return _flat(_contrasting(random, _LINENS, against), threads + waves)


def concrete(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Blotched grey stone with fine pits."""
    relief = (
        signed(clouds(random, size, (110, 110))) // 20
        + signed(clouds(random, size, (9, 9))) // 40
        + signed(grain(random, size)) // 30
    )
    return _flat(_contrasting(random, _STONES, against), relief)


def marble(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Pale or dark stone with wandering veins."""
    stone = _contrasting(random, _MARBLES, against)
    base = Image.new("RGB", size, stone)
    vein = mix(stone, (120, 116, 112) if luma(stone) > 128 else (206, 200, 190), 0.5)  # noqa: PLR2004
    draw = ImageDraw.Draw(base)
    for _ in range(9):
        draw.line(_vein(random, size), vein, random.choice((1, 1, 2, 3)))
    soft = base.filter(ImageFilter.GaussianBlur(1.1))
    return _relieved(soft, signed(clouds(random, size, (110, 110))) // 24)


def _vein(random: Random, size: Size) -> list[tuple[int, int]]:
    x, y = random.uniform(-0.3, 1.0) * size[0], random.uniform(-0.2, 0.9) * size[1]
    turn = random.uniform(0.4, 1.1)
    line = []
    for _ in range(40):
        line.append((round(x), round(y)))
        turn += random.uniform(-0.35, 0.35)
        step = size[0] / 26
        x, y = x + step * math.cos(turn), y + step * math.sin(turn)
    return line


def wood(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Upright planks, each of its own tone, with grain along them."""
    timber = _contrasting(random, _WOODS, against)
    base, edges = _planks(random, size, timber, random.randint(86, 130))
    fibres = (
        signed(clouds(random, size, (2, 130))) // 14 + signed(clouds(random, size, (9, 260))) // 10
    )
    return _relieved(base, fibres + edges)


def _planks(random: Random, size: Size, timber: Rgb, width: int) -> tuple[Image.Image, Relief]:
    base, edges = Image.new("RGB", size, timber), np.zeros((size[1], size[0]), np.int16)
    draw = ImageDraw.Draw(base)
    for left in range(-random.randrange(width), size[0], width):
        tone = shade(timber, random.uniform(0.9, 1.08))
        draw.rectangle((left, 0, left + width, size[1]), tone)
        joint = random.randrange(size[1])
        draw.rectangle(
            (left, joint, left + width, size[1]), shade(timber, random.uniform(0.9, 1.08))
        )
        edges[joint : joint + 2, max(0, left) : left + width] -= 44
        edges[:, max(0, left) : max(0, left + 2)] -= 50
        edges[:, max(0, left + 2) : max(0, left + 4)] += 9
    return base, edges


def parquet(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Blocks laid in chevrons."""
    timber = _contrasting(random, _WOODS, against)
    base = Image.new("RGB", size, shade(timber, 0.6))
    draw = ImageDraw.Draw(base)
    wide, thick = 100, 34
    for column in range(size[0] // wide + 1):
        for top in range(-wide, size[1] + wide, thick):
            left, rise = column * wide, wide // 2 * (1 if column % 2 else -1)
            right = left + wide - 2
            low = top + thick - 2
            block = ((left, top), (right, top + rise), (right, low + rise), (left, low))
            draw.polygon(block, shade(timber, random.uniform(0.9, 1.08)))
    return _relieved(base, signed(clouds(random, size, (60, 5))) // 16)


def terrazzo(random: Random, size: Size, against: Rgb) -> Image.Image:
    """Chips of stone in pale cement."""
    base = Image.new("RGB", size, _contrasting(random, _PAPERS[:5], against))
    draw = ImageDraw.Draw(base)
    chips = ((176, 124, 100), (96, 104, 106), (206, 176, 130), (140, 150, 140), (190, 184, 178))
    for _ in range(420):
        x, y, r = random.uniform(0, size[0]), random.uniform(0, size[1]), random.uniform(2, 8)
        turns = sorted(random.uniform(0, math.tau) for _ in range(5))
        draw.polygon(
            [(round(x + r * math.cos(t)), round(y + r * math.sin(t))) for t in turns],
            random.choice(chips),
        )
    return _relieved(base.filter(ImageFilter.GaussianBlur(0.6)), signed(grain(random, size)) // 60)


def rug(random: Random, size: Size, against: Rgb) -> Image.Image:
    """A woven rug with bands of lozenges, on a floor."""
    main = _contrasting(random, _RUGS, against)
    light, dark = mix(main, (240, 232, 216), 0.55), shade(main, 0.68)
    base = Image.new("RGB", size, main)
    draw = ImageDraw.Draw(base)
    step = size[0] // 10
    for band, top in enumerate(range(-step, size[1] + step, step * 2)):
        draw.rectangle((0, top, size[0], top + 5), dark)
        draw.rectangle((0, top + 9, size[0], top + 11), light)
        for x in range(0, size[0] + step, step):
            middle = top + step + 5
            lozenge = (
                (x, middle - step // 2),
                (x + step // 2, middle),
                (x, middle + step // 2),
                (x - step // 2, middle),
            )
            draw.polygon(lozenge, light if band % 2 else dark)
    pile = signed(clouds(random, size, (2, 2))) // 10 + signed(clouds(random, size, (1, 18))) // 20
    return _relieved(base, pile)


Background = Callable[[Random, Size, Rgb], Image.Image]

PLAIN: Mapping[str, Background] = {
    "studio": studio,
    "wall": wall,
    "linen": linen,
    "wood": wood,
    "concrete": concrete,
    "marble": marble,
}
"""Quiet enough for a shop's own photographs."""

BUSY: Mapping[str, Background] = {
    "parquet": parquet,
    "rug": rug,
    "terrazzo": terrazzo,
    "wood": wood,
    "linen": linen,
}
"""Where shoppers take theirs."""
