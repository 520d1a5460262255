"""Tees, shirts, blouses and knits."""

from __future__ import annotations

from similarity.engine.synthetic.cuts.bodice import Bodice
from similarity.engine.synthetic.cuts.cut import (
    ANY,
    BLOCKS,
    KNITS,
    PRINTS,
    SHIRTING,
    Cut,
    buttons,
    chance,
    crease,
    patch,
    seam,
    span,
    steps,
    stitch,
)
from similarity.engine.synthetic.garments import Drawing, Garment, Panel, Stroke, both
from similarity.engine.synthetic.geometry import (
    box,
    curve,
    ellipse,
    mirror,
    path,
    ribbon,
    symmetric,
)


def _tee(g: Garment, *, vee: bool) -> Drawing:
    ease = span(-2.0, 2.5, g.fit)
    block = Bodice(
        drop=18.0 if vee else 9.0,
        vee=vee,
        chest=23.5 + ease,
        waist=22.5 + ease,
        hem=23.5 + ease,
        length=span(64, 73, g.length),
    )
    arm = span(14, 21, g.sleeve), span(15, 17, g.fit), 47.0
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2]),
        *block.sleeve_hems(*arm),
        block.body(chance(g, "body")),
        *block.collar_band(1.6 if vee else 2.2),
        Stroke(block.hem_line(2.2), 0.22, strength=0.45, stitched=True),
    ]


def crew_neck_tee(g: Garment) -> Drawing:
    """A tee with a round ribbed neck."""
    return _tee(g, vee=False)


def v_neck_tee(g: Garment) -> Drawing:
    """A tee with a pointed neck."""
    return _tee(g, vee=True)


def tank_top(g: Garment) -> Drawing:
    """Sleeveless, with deep armholes and narrow straps."""
    ease = span(-1.5, 2.0, g.fit)
    block = Bodice(
        neck=10.0,
        drop=16.0,
        shoulder=14.0,
        slope=1.2,
        chest=20 + ease,
        waist=19.5 + ease,
        hem=21 + ease,
        length=span(58, 68, g.length),
        armhole=25.0,
    )
    arm = curve((14.0, 1.2), (11.9, 15.5), (20 + ease, 25.0))
    return [
        *block.inside(),
        block.body(chance(g, "body")),
        *block.collar_band(1.5),
        *both(Panel(ribbon(arm, 1.4), "rib", lift=0.3, puff=0.4)),
        Stroke(block.hem_line(2.0), 0.22, strength=0.45, stitched=True),
    ]


def shirt_collar(deep: float = 10.0, wide: float = 7.5, cloth: str = "plain") -> Drawing:
    """Two turned-down leaves that meet at the neck's middle, on a stand."""
    back = path([(-9.0, -0.5), (0.0, -3.6), (9.0, -0.5)], [(9.0, -0.5), (0.0, 2.2), (-9.0, -0.5)])
    leaf = path(
        [(0.3, 4.4), (5.5, 2.4), (8.8, -2.4)],
        [(8.8, -2.4), (11.2, 1.6)],
        [(11.2, 1.6), (wide, deep)],
        [(wide, deep), (0.3, 4.4)],
    )
    rim = ((10.6, 1.7), (wide - 0.1, deep - 0.9), (0.9, 4.5))
    inside = path([(-8.6, -1.8), (0.0, 0.4), (8.6, -1.8)], [(8.6, -1.8), (0.0, 5.0), (-8.6, -1.8)])
    return [
        Panel(back, cloth, lift=0, puff=0.4),
        Panel(inside, "lining", lift=0, puff=0.2),
        *both(Panel(leaf, cloth, lift=1.0, puff=0.5), Stroke(rim, 0.18, strength=0.35)),
    ]


def placket(
    top: float, bottom: float, count: int, width: float = 3.4, cloth: str = "main"
) -> Drawing:
    """A buttoned strip down the middle."""
    half = width / 2
    return [
        Panel(box(-half, top, half, bottom), cloth, lift=0.5, puff=0.25),
        seam((-half + 0.5, top), (-half + 0.5, bottom), width=0.18, strength=0.3),
        seam((half - 0.5, top), (half - 0.5, bottom), width=0.18, strength=0.3),
        *buttons(0.0, steps(top + 2.5, bottom - 6, count)),
    ]


def shirt(g: Garment) -> Drawing:
    """Long sleeves with cuffs, a collar, a buttoned front and a chest pocket."""
    ease = span(-2.0, 2.0, g.fit)
    block = Bodice(
        drop=5.0,
        chest=24.5 + ease,
        waist=23 + ease,
        hem=24 + ease,
        length=span(68, 76, g.length),
        curl=3.0,
    )
    arm = 50.0, 11.5, 71.0
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=13.5, angle=arm[2]),
        *block.cuffs(*arm, 6.5, "main"),
        block.body(chance(g, "body")),
        *placket(4.0, block.length + 2.8, 7),
        *patch(8.5, 20.0, 18.5, 32.0),
        *shirt_collar(),
    ]


def polo(g: Garment) -> Drawing:
    """Short sleeves with ribbed ends, a soft collar and a short buttoned placket."""
    ease = span(-2.0, 2.0, g.fit)
    block = Bodice(
        drop=5.0,
        chest=23.5 + ease,
        waist=22.5 + ease,
        hem=23.5 + ease,
        length=span(66, 73, g.length),
    )
    arm = span(16, 21, g.sleeve), 15.5, 49.0
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2]),
        *block.cuffs(*arm, 2.6, "second"),
        block.body(chance(g, "body")),
        Panel(box(-1.8, 4.0, 1.8, 20.0), "plain", lift=0.5, puff=0.25),
        seam((-1.8, 20.0), (1.8, 17.6), width=0.2),
        *buttons(0.0, [8.5, 13.0, 17.0], 0.7),
        *shirt_collar(10.5, 8.0, "second"),
        Stroke(block.hem_line(2.0), 0.22, strength=0.45, stitched=True),
    ]


def blouse(g: Garment) -> Drawing:
    """Balloon sleeves gathered into narrow cuffs, and a bow at the neck."""
    ease = span(-1.0, 2.0, g.fit)
    block = Bodice(
        drop=15.0,
        vee=True,
        chest=23.5 + ease,
        waist=22 + ease,
        hem=25 + ease,
        length=span(62, 68, g.length),
        curl=2.0,
    )
    arm = span(42, 48, g.sleeve), 7.5, 66.0
    outer, inner = block.cuff(arm[0] - 4, 17.0, arm[2])
    gathers = [
        crease(
            (inner[0] + (outer[0] - inner[0]) * i / 5, inner[1] + (outer[1] - inner[1]) * i / 5),
            (28.0 + 1.6 * i, 34.0),
            width=1.4,
            depth=-0.25,
        )
        for i in range(1, 5)
    ]
    sleeve = block.sleeve(chance(g, "sleeve"), arm[0] - 3, 15.0, arm[2], bulge=4.5)
    full = Panel(sleeve.outline, "main", sleeve.grain, (*sleeve.folds, *gathers))
    return [
        *block.inside(),
        *both(full),
        *block.cuffs(*arm, 4.5, "plain"),
        block.body(chance(g, "body"), folds=8),
        *_neck_tie(),
    ]


def _neck_tie() -> Drawing:
    band = curve((0.0, 14.2), (5.6, 7.0), (9.3, -0.2))
    tail = path(
        [(0.4, 14.5), (4.2, 24.0), (6.0, 37.0)],
        [(6.0, 37.0), (10.4, 34.5)],
        [(10.4, 34.5), (7.0, 22.0), (0.4, 14.5)],
    )
    loop = path(
        [(0.0, 15.0), (6.0, 10.2), (12.2, 12.5)],
        [(12.2, 12.5), (12.6, 16.5), (11.6, 20.4)],
        [(11.6, 20.4), (6.0, 19.0), (0.0, 15.0)],
    )
    pinch = crease((1.0, 15.0), (5.0, 14.6), (9.5, 15.4), width=1.2, depth=-0.4)
    return [
        *both(Panel(ribbon(band, 2.4), "plain", lift=0.6, puff=0.5)),
        *both(Panel(tail, "plain", lift=0.8, puff=0.5)),
        *both(Panel(loop, "plain", folds=(pinch,), puff=0.7)),
        Panel(box(-1.9, 12.6, 1.9, 17.4, 1.3), "plain", puff=0.6),
    ]


def jumper(g: Garment) -> Drawing:
    """Knitted, with ribbed neck, cuffs and hem."""
    ease = span(-1.5, 4.0, g.fit)
    block = Bodice(
        drop=8.5,
        shoulder=22.5,
        chest=25 + ease,
        waist=24.5 + ease,
        hem=24.5 + ease,
        length=span(58, 68, g.length),
    )
    arm = 51.0, 9.5, 70.0
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0] - 5, cuff=14.0, angle=arm[2], bulge=1.5),
        *block.cuffs(*arm, 6.5),
        block.body(chance(g, "body")),
        *block.hem_band(6.0),
        *block.collar_band(3.2),
    ]


def hoodie(g: Garment) -> Drawing:
    """A hood with cords, a kangaroo pocket, ribbed cuffs and hem."""
    ease = span(-1.0, 3.0, g.fit)
    block = Bodice(
        neck=10.0,
        drop=10.0,
        shoulder=23.0,
        chest=25.5 + ease,
        waist=25 + ease,
        hem=25 + ease,
        length=span(62, 70, g.length),
    )
    arm = 52.0, 9.5, 70.0
    pocket = path(
        [(8.0, 42.0), (17.0, 56.0)], [(17.0, 56.0), (17.0, 62.0)], [(17.0, 62.0), (0.0, 62.4)]
    )
    top = block.length - 70
    pouch = [(x, y + top) for x, y in pocket]
    outline = ((0.0, 42.0 + top), *pouch, *((-x, y) for x, y in reversed(pouch[:-1])))
    return [
        *_hood(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0] - 5, cuff=14.5, angle=arm[2], bulge=1.5),
        *block.cuffs(*arm, 6.5),
        block.body(chance(g, "body")),
        Panel(outline, "main", lift=0.8, puff=0.4),
        *both(stitch((8.6, 43.2 + top), (17.4, 56.2 + top))),
        *block.hem_band(6.0),
        *_hood_front(),
    ]


def _hood() -> Drawing:
    hood = path(
        [(0.0, -19.0), (8.5, -17.6), (14.0, -9.0), (13.2, 3.5)],
        [(13.2, 3.5), (7.0, 8.0), (0.0, 11.0)],
    )
    opening = curve((0.0, -15.0), (6.0, -13.0), (9.0, -5.5), (6.0, 4.5), (0.0, 10.5))
    folds = (crease((12.0, 1.0), (11.6, -7.0), (8.0, -14.5), width=1.8),)
    return [
        Panel(symmetric(hood), "main", folds=folds, lift=0),
        Panel(symmetric(opening), "lining", lift=0, puff=0.5),
    ]


def _hood_front() -> Drawing:
    rim = curve((0.0, -16.0), (7.2, -13.6), (10.4, -5.0), (7.2, 5.5), (-0.4, 12.4))
    whole = mirror(reversed(rim))[:-1] + rim
    return [
        Panel(ribbon(whole, 3.0), "plain", lift=0.9, puff=0.8),
        *both(
            Stroke(curve((4.0, 9.5), (4.8, 18.0), (4.2, 27.0)), 0.75, "label", 1.0),
            Panel(box(3.7, 26.5, 4.7, 29.0, 0.3), "steel", lift=0.5, puff=0.3),
        ),
        *both(Panel(ellipse(4.0, 9.6, 0.8, 0.8), "steel", lift=0.4, puff=0.3)),
    ]


_YEAR = ("all year",)
_COLD = ("autumn", "winter")
_WARM = ("spring", "summer")

TOPS = {
    "crew-neck tee": Cut(
        "top", crew_neck_tee, "cotton", (*PRINTS, "colour block"), ANY, 25, _YEAR,
        "with a ribbed round neck and an easy straight fit",
    ),
    "v-neck tee": Cut(
        "top", v_neck_tee, "cotton", PRINTS, ANY, 25, _YEAR,
        "with a neat pointed neckline and short set-in sleeves",
    ),
    "tank top": Cut(
        "top", tank_top, "cotton", PRINTS, ANY, 18, ("summer",),
        "with deep armholes and bound edges",
    ),
    "shirt": Cut(
        "top", shirt, "cotton", SHIRTING, (*ANY, "white", "sky blue", "denim blue"), 49, _YEAR,
        "with a turned-down collar, a chest pocket and buttoned cuffs",
    ),
    "polo": Cut(
        "top", polo, "cotton", (*BLOCKS, "stripes"), ANY, 39, _WARM,
        "with a contrasting collar and a three-button placket",
    ),
    "blouse": Cut(
        "top", blouse, "satin", PRINTS, ANY, 45, _YEAR,
        "with balloon sleeves and a soft bow at the neck",
    ),
    "jumper": Cut(
        "top", jumper, "knit", KNITS, ANY, 59, _COLD,
        "knitted with ribbed neck, cuffs and hem", print_size=1.4,
    ),
    "hoodie": Cut(
        "top", hoodie, "cotton", BLOCKS, ANY, 55, _YEAR,
        "with a lined hood, cords and a kangaroo pocket",
    ),
}  # fmt: skip
