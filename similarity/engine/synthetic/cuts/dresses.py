"""Dresses."""

from __future__ import annotations

from similarity.engine.synthetic.cuts.bodice import Bodice
from similarity.engine.synthetic.cuts.cut import (
    ANY,
    SHIRTING,
    Cut,
    chance,
    crease,
    drape,
    seam,
    span,
)
from similarity.engine.synthetic.cuts.tops import placket, shirt_collar
from similarity.engine.synthetic.garments import Drawing, Garment, Panel, Stroke, both
from similarity.engine.synthetic.geometry import box, curve, mirror, path, ribbon


def skirt_part(
    g: Garment, waist: float, top: float, hem: float, end: float, *, folds: int = 9
) -> Panel:
    """A skirt that falls from the waist to a wider, slightly curved hem."""
    side = curve((waist, top), (waist + (hem - waist) * 0.45, top + (end - top) * 0.4), (hem, end))
    low = curve((hem, end), (0.0, end + 3.0), (-hem, end))
    high = curve((-waist, top), (0.0, top + 0.8), (waist, top))
    inner = ((-waist * 0.9, top), (waist * 0.9, top))
    drapes = drape(chance(g, "skirt"), inner, tuple(reversed(low)), folds, 0.34)
    return Panel(path(high, side, low, mirror(reversed(side))), folds=drapes, lift=0.3)


def _dress_bodice(g: Garment, *, neck: float, drop: float, vee: bool = False) -> Bodice:
    """A body that ends at the waist."""
    ease = span(-0.5, 2.0, g.fit)
    return Bodice(
        neck=neck,
        drop=drop,
        vee=vee,
        shoulder=17.5,
        slope=3.6,
        chest=20.5 + ease,
        armhole=22.0,
        waist=17.5 + ease,
        waist_at=36.0,
        hem=17.0 + ease,
        length=42.0,
        curl=0.8,
    )


def a_line_dress(g: Garment) -> Drawing:
    """A fitted body over a flared skirt to the knee, sleeveless or with short sleeves."""
    block = _dress_bodice(g, neck=9.5, drop=10.0)
    end = span(88, 102, g.length)
    sleeves = block.sleeves(chance(g, "sleeve"), length=13.0, cuff=14.0, angle=50.0)
    return [
        *block.inside(),
        *(sleeves if g.sleeve > 0.5 else []),  # noqa: PLR2004
        skirt_part(g, block.hem, 41.6, span(33, 42, g.fit), end),
        block.body(chance(g, "body"), folds=3),
        *both(seam((9.5, 41.5), (10.5, 32.0), (9.0, 25.0), strength=0.3)),
        seam((-block.hem, 42.0), (0.0, 42.9), (block.hem, 42.0), width=0.35, strength=0.6),
        Stroke(block.neckline(0.9), 0.2, strength=0.4),
    ]


def maxi_dress(g: Garment) -> Drawing:
    """Thin straps, a gathered waist and tiers down to the ankle."""
    waist, end = span(15.5, 18.0, g.fit), span(126, 138, g.length)
    top = path(
        [(-11.0, 14.0), (-5.0, 15.2), (0.0, 18.5)], [(0.0, 18.5), (5.0, 15.2), (11.0, 14.0)],
        [(11.0, 14.0), (15.0, 18.0), (18.0, 25.5)], [(18.0, 25.5), (waist, 34.0), (waist, 42.0)],
        [(waist, 42.0), (0.0, 42.8), (-waist, 42.0)],
        [(-waist, 42.0), (-waist, 34.0), (-18.0, 25.5)],
        [(-18.0, 25.5), (-15.0, 18.0), (-11.0, 14.0)],
    )  # fmt: skip
    skirts = tiers(g, waist, 41.5, end)
    strap = curve((10.2, 15.0), (10.8, 6.0), (9.0, 0.0))
    behind = curve((9.0, 0.0), (8.0, 8.0), (7.0, 17.0))
    gathers = tuple(
        crease((x * waist / 8, 42.0), (x * waist / 7, 36.0), width=1.0) for x in range(-7, 8, 2)
    )
    back = path(
        [(-13.0, 21.0), (0.0, 18.0), (13.0, 21.0)], [(13.0, 21.0), (0.0, 15.8), (-13.0, 21.0)]
    )
    return [
        *both(Stroke(behind, 0.9, "lining", 1.0)),
        Panel(back, "lining", lift=0),
        *skirts,
        Panel(top, folds=gathers, lift=0.3),
        *both(Panel(ribbon(strap, 1.1), "plain", lift=0.6, puff=0.5)),
        Panel(
            ribbon(curve((-waist, 42.0), (0.0, 42.8), (waist, 42.0)), 2.2),
            "plain",
            lift=0.5,
            puff=0.4,
        ),
    ]


def tiers(g: Garment, waist: float, top: float, end: float) -> Drawing:
    """Three gathered tiers, each wider than the one above and hanging below it."""
    count, flare = 3, 13.0
    tall = (end - top) / count
    panels = []
    for i in reversed(range(count)):
        start, wide = top + i * tall, waist + i * flare * 0.62
        hem = wide + flare * 0.75
        panel = skirt_part(g, wide, start - 0.5, hem, start + tall + 1.0, folds=7 + 3 * i)
        gathers = tuple(
            crease(
                (wide * x / 9, start), (wide * x / 8.4, start + tall * 0.45), width=0.9, depth=-0.22
            )
            for x in range(-8, 9, 2)
        )
        panels.append(Panel(panel.outline, folds=(*panel.folds, *gathers), lift=0.6))
    return list(panels)


def shirt_dress(g: Garment) -> Drawing:
    """Collar, buttons from neck to hem, rolled sleeves and a belt."""
    block = _dress_bodice(g, neck=9.0, drop=5.0)
    end = span(96, 108, g.length)
    arm = span(20, 30, g.sleeve), 13.5, 60.0
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2]),
        *block.cuffs(arm[0] + 0.5, arm[1] + 0.8, arm[2], 3.5, "main"),
        skirt_part(g, block.hem, 41.5, span(29, 35, g.fit), end, folds=7),
        block.body(chance(g, "body"), folds=4),
        *placket(4.0, end + 2.6, 10),
        *shirt_collar(),
        Panel(
            box(-block.hem - 0.5, 40.0, block.hem + 0.5, 43.6, 0.6), "second", lift=1.0, puff=0.5
        ),
        Panel(box(-2.4, 39.4, 2.4, 44.2, 0.8), "metal", lift=0.6, puff=0.3),
        Panel(box(-1.3, 40.5, 1.3, 43.1, 0.4), "second", lift=0.2, puff=0.2),
    ]


def wrap_dress(g: Garment) -> Drawing:
    """Two fronts that cross, tied at the side, with sleeves to the elbow."""
    block = _dress_bodice(g, neck=9.0, drop=30.0, vee=True)
    end, hem = span(98, 112, g.length), span(30, 36, g.fit)
    arm = span(26, 40, g.sleeve), 14.5, 64.0
    lap = path(
        [(-9.0, 0.0), (-4.6, 14.5), (3.4, 28.0), (14.0, 41.0)],
        [(14.0, 41.0), (-17.0, 42.0)],
        [(-17.0, 42.0), (-17.5, 32.0), (-21.0, 23.0)],
        [(-21.0, 23.0), (-16.0, 14.0), (-17.0, 4.0)],
        [(-17.0, 4.0), (-9.0, 0.0)],
    )
    pulls = tuple(
        crease((13.0, 40.5), (2.0 - 3 * i, 34.0 - 2 * i), (-12.0 - i, 30.0 - 4 * i), width=1.5)
        for i in range(3)
    )
    edge = curve((13.0, 43.0), (10.0, 66.0), (0.0, end + 2.4))
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2], bulge=1.6),
        skirt_part(g, block.hem, 41.5, hem, end, folds=8),
        Stroke(edge, 0.5, strength=0.6),
        block.body(chance(g, "body"), folds=2),
        Panel(lap, folds=pulls, lift=0.9, puff=0.6),
        Panel(
            ribbon(curve((-17.6, 42.0), (0.0, 42.8), (17.6, 42.0)), 3.2),
            "plain",
            lift=0.8,
            puff=0.5,
        ),
        *_side_bow(13.0, 42.4),
    ]


def _side_bow(x: float, y: float) -> Drawing:
    tails = (
        curve((x, y), (x + 1.5, y + 9), (x + 0.2, y + 20)),
        curve((x, y), (x + 5.0, y + 8), (x + 6.0, y + 17)),
    )
    loops = (
        path([(x, y), (x + 6, y - 5), (x + 9, y - 1)], [(x + 9, y - 1), (x + 6, y + 3), (x, y)]),
        path([(x, y), (x - 5, y - 4), (x - 8, y + 1)], [(x - 8, y + 1), (x - 5, y + 4), (x, y)]),
    )
    return [
        *(Panel(ribbon(tail, 1.4, 2.6), "plain", lift=0.9, puff=0.5) for tail in tails),
        *(Panel(loop, "plain", lift=0.9, puff=0.7) for loop in loops),
        Panel(box(x - 1.4, y - 1.7, x + 1.4, y + 1.7, 0.9), "plain", lift=0.8, puff=0.5),
    ]


def slip_dress(g: Garment) -> Drawing:
    """Cut on the bias from thin straps to below the knee."""
    hip, end = span(19, 21, g.fit), span(98, 114, g.length)
    hem = hip + span(4, 8, g.fit)
    right = path(
        [(0.0, 20.0), (5.0, 16.5), (10.6, 12.0)],
        [(10.6, 12.0), (14.5, 18.0), (16.8, 24.0)],
        [(16.8, 24.0), (14.8, 38.0), (hip, 60.0), (hem, end)],
        [(hem, end), (hem / 2, end + 1.6), (0.0, end + 2.0)],
    )
    outline = right + mirror(reversed(right))[1:-1]
    cowl = tuple(
        crease(
            (0.0, 22.0 + 3 * i),
            (6.0 * s, 20.4 + 3 * i),
            (11.5 * s, 16.0 + 4 * i),
            width=0.9,
            depth=-0.16,
        )
        for i in range(2)
        for s in (-1, 1)
    )
    low = curve((-hem, end), (0.0, end + 2.0), (hem, end))
    falls = drape(chance(g, "skirt"), ((-12.0, 46.0), (12.0, 46.0)), low, 6, 0.36)
    strap, behind = (
        curve((10.4, 12.6), (10.4, 5.0), (8.6, 0.0)),
        curve((8.6, 0.0), (7.4, 9.0), (7.0, 18.0)),
    )
    back = path(
        [(-13.0, 19.0), (0.0, 17.0), (13.0, 19.0)], [(13.0, 19.0), (0.0, 24.0), (-13.0, 19.0)]
    )
    return [
        *both(Stroke(behind, 0.6, "lining", 1.0)),
        Panel(back, "lining", lift=0),
        Panel(outline, folds=(*cowl, *falls), lift=0.3),
        *both(Stroke(strap, 0.7, "plain", 1.0)),
    ]


_WARM = ("spring", "summer")
_FLOWERS = ("plain", "floral", "floral", "dots", "stripes")

DRESSES = {
    "a-line dress": Cut(
        "dress", a_line_dress, "cotton", (*_FLOWERS, "checks", "colour block"), ANY, 65, _WARM,
        "fitted above the waist with a skirt that flares to the knee", block=42.0,
    ),
    "maxi dress": Cut(
        "dress", maxi_dress, "cotton", _FLOWERS, ANY, 79, ("summer",),
        "in gathered tiers to the ankle with thin straps", print_size=1.3,
    ),
    "shirt dress": Cut(
        "dress", shirt_dress, "cotton", SHIRTING, ANY, 75, _WARM,
        "buttoned from collar to hem and belted at the waist",
    ),
    "wrap dress": Cut(
        "dress", wrap_dress, "cotton", ("plain", *_FLOWERS), ANY, 85, ("all year",),
        "with a crossed front that ties in a bow at the side", print_size=1.1,
    ),
    "slip dress": Cut(
        "dress", slip_dress, "satin", ("plain", "plain", "floral", "dots"), ANY, 69, ("summer",),
        "cut on the bias with thin straps and a softly draped neck",
    ),
}  # fmt: skip
