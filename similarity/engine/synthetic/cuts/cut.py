"""What a cut is, and a few pieces that many cuts share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from similarity.engine.synthetic.garments import Drawing, Fold, Garment, Panel, Stroke
from similarity.engine.synthetic.geometry import Outline, Point, box, curve, ellipse
from similarity.engine.synthetic.noise import rng

PRINTS = ("plain", "plain", "stripes", "checks", "dots", "floral")
SHIRTING = ("plain", "plain", "pinstripes", "checks", "dots", "floral")
KNITS = ("plain", "plain", "stripes", "zigzag", "colour block")
SOLID = ("plain",)
BLOCKS = ("plain", "plain", "colour block")

ANY = (
    *("black", "charcoal", "grey", "white", "ivory", "beige", "camel", "brown", "burgundy", "red"),
    *("coral", "pink", "lilac", "mustard", "olive", "green", "teal", "sky blue", "navy"),
)
DENIMS = ("denim blue", "denim blue", "navy", "black", "grey", "white")
LEATHERS = ("black", "brown", "camel", "burgundy", "navy", "ivory", "red", "olive", "beige")
OUTDOORS = ("olive", "navy", "black", "camel", "beige", "burgundy", "charcoal", "green", "brown")


@dataclass(frozen=True, slots=True)
class Cut:
    """A way of cutting a kind of garment, and what shops make of it."""

    kind: str
    draw: Callable[[Garment], Drawing]
    texture: str
    patterns: tuple[str, ...]
    """What it may carry; what stands twice is twice as likely."""
    colours: tuple[str, ...]
    price: int
    """A usual price in euros."""
    seasons: tuple[str, ...]
    phrase: str
    """What a product page says of it, a clause after its name."""
    block: float = 34.0
    """Centimetres below the origin where a colour block changes."""
    print_size: float = 1.0
    """How large its prints are: 1 is a shirt's."""


def chance(garment: Garment, part: str) -> Random:
    """What one part of a garment leaves to chance, the same each time it is drawn."""
    return rng("drawing", garment.variant, part)


def span(low: float, high: float, share: float) -> float:
    """The length at a share (0 to 1) between the shortest and the longest."""
    return low + (high - low) * share


def button(x: float, y: float, radius: float = 0.75, cloth: str = "button") -> Panel:
    """A small round button."""
    return Panel(ellipse(x, y, radius, radius), cloth, lift=0.8, puff=0.35)


def buttons(x: float, tops: list[float], radius: float = 0.75, cloth: str = "button") -> Drawing:
    """A column of buttons."""
    return [button(x, y, radius, cloth) for y in tops]


def steps(first: float, last: float, count: int) -> list[float]:
    """`count` numbers at equal distances, ends included."""
    return [first + (last - first) * i / max(count - 1, 1) for i in range(count)]


def drape(
    random: Random, top: Outline, hem: Outline, count: int, depth: float = 0.3
) -> tuple[Fold, ...]:
    """Folds that rise from a hem towards the top, each a little different."""
    folds = []
    for i in range(count):
        share = (i + 0.5 + random.uniform(-0.25, 0.25)) / count
        start, end = _at(hem, share), _at(top, share)
        reach = random.uniform(0.45, 1.0)
        tip = (start[0] + (end[0] - start[0]) * reach, start[1] + (end[1] - start[1]) * reach)
        sway = random.uniform(-0.8, 0.8)
        middle = ((start[0] + tip[0]) / 2 + sway, (start[1] + tip[1]) / 2)
        width = random.uniform(1.4, 3.4)
        folds.append(Fold(curve(start, middle, tip), width, -depth * random.uniform(0.45, 0.9)))
    return tuple(folds)


def _at(line: Outline, share: float) -> Point:
    place = share * (len(line) - 1)
    i = min(int(place), len(line) - 2)
    (x0, y0), (x1, y1) = line[i], line[i + 1]
    return x0 + (x1 - x0) * (place - i), y0 + (y1 - y0) * (place - i)


def crease(*points: Point, width: float = 1.6, depth: float = -0.28) -> Fold:
    """One fold along a smooth line, widest at its start."""
    return Fold(curve(*points), width, depth)


def seam(*points: Point, width: float = 0.28, strength: float = 0.45) -> Stroke:
    """A seam along a smooth line."""
    return Stroke(curve(*points), width, strength=strength)


def stitch(*points: Point, ink: str = "seam", strength: float = 0.5) -> Stroke:
    """A row of stitches along a smooth line."""
    return Stroke(curve(*points), 0.22, ink, strength, stitched=True)


def patch(x0: float, y0: float, x1: float, y1: float, cloth: str = "main") -> Drawing:
    """A patch pocket with a stitched rim."""
    inner = box(x0 + 0.6, y0 + 0.6, x1 - 0.6, y1 - 0.6, 0.6)
    return [
        Panel(box(x0, y0, x1, y1, 1.0), cloth, lift=0.5, puff=0.4),
        Stroke((*inner, inner[0]), 0.2, strength=0.4, stitched=True),
        seam((x0, y0 + 2), (x1, y0 + 2), width=0.2, strength=0.3),
    ]
