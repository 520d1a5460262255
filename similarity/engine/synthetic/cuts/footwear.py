"""Shoes from the side, toes to the right, standing on y = 0; each drawing is a pair."""

from __future__ import annotations

from similarity.engine.synthetic.cuts.cut import (
    ANY,
    LEATHERS,
    Cut,
    crease,
    seam,
    span,
    steps,
    stitch,
)
from similarity.engine.synthetic.garments import Drawing, Garment, Panel, Stroke, shifted
from similarity.engine.synthetic.geometry import curve, path, ribbon


def _pair(shoe: Drawing, *, apart: tuple[float, float] = (7.5, -8.0)) -> Drawing:
    """The shoe, and its fellow behind it."""
    return [*shifted(shoe, *apart), *shoe]


def sneakers(g: Garment) -> Drawing:
    """Laced, on a thick light sole, with a toe cap and a heel patch."""
    thick = span(2.6, 4.0, g.fit)
    sole = path(
        [(-0.6, -thick), (-0.9, -1.4), (0.8, 0.0)],
        [(0.8, 0.0), (24.0, 0.0)],
        [(24.0, 0.0), (28.0, -0.9), (29.2, -2.6), (28.6, -thick - 0.6)],
        [(28.6, -thick - 0.6), (20.0, -thick), (8.0, -thick + 0.2), (-0.6, -thick)],
    )
    upper = path(
        [(0.0, -2.0), (-0.7, -6.5), (0.4, -11.8)],
        [(0.4, -11.8), (3.0, -10.4), (6.0, -9.6), (9.6, -11.4)],
        [(9.6, -11.4), (14.0, -9.4), (19.5, -6.9), (24.5, -6.5), (28.2, -4.9), (28.5, -2.4)],
        [(28.5, -2.4), (0.0, -2.0)],
    )
    inside = path(
        [(0.5, -11.7), (5.0, -12.8), (10.0, -12.2)], [(10.0, -12.2), (6.0, -8.8), (0.5, -11.7)]
    )
    tongue = path(
        [(8.4, -10.4), (8.2, -14.2), (11.0, -14.0)], [(11.0, -14.0), (13.5, -11.0), (13.0, -8.0)]
    )
    toe = path(
        [(21.6, -6.9), (23.6, -5.0), (23.8, -2.0)],
        [(23.8, -2.0), (28.5, -2.2)],
        [(28.5, -2.2), (28.1, -4.9), (24.6, -6.5), (21.6, -6.9)],
    )
    heel = path(
        [(0.4, -11.6), (3.0, -10.3), (4.2, -6.0), (3.6, -2.0)],
        [(3.6, -2.0), (0.0, -2.0)],
        [(0.0, -2.0), (-0.6, -6.5), (0.4, -11.6)],
    )
    eyestay = path(
        [(9.3, -11.2), (14.0, -9.2), (19.8, -6.8)],
        [(19.8, -6.8), (18.6, -5.0), (13.0, -6.4), (10.2, -8.0)],
        [(10.2, -8.0), (9.3, -11.2)],
    )
    bars = [ribbon(((x, -2.6 - (thick - 3)), (x + 3.2, -7.6)), 1.2) for x in (6.8, 9.6)]
    laces = [
        ((11.0 + 2.0 * i, -10.9 + 0.95 * i), (12.6 + 1.8 * i, -7.7 + 0.55 * i)) for i in range(4)
    ]
    shoe: Drawing = [
        Panel(tongue, "plain", lift=0),
        Panel(inside, "lining", lift=0),
        Panel(upper, folds=(crease((21.0, -6.8), (20.6, -4.6), width=0.7),), lift=0.4, puff=1.1),
        *(Panel(bar, "second", lift=0.3, puff=0.2) for bar in bars),
        Panel(heel, "second", lift=0.4, puff=0.6),
        Panel(toe, "label", lift=0.4, puff=0.7),
        Panel(eyestay, "second", lift=0.5, puff=0.4),
        *(Stroke(lace, 0.75, "label", 1.0) for lace in laces),
        Panel(sole, "sole", lift=0.7, puff=0.6),
        seam((-0.6, -1.3), (14.0, -1.2), (28.4, -1.5), width=0.3, strength=0.35),
    ]
    return _pair(shoe)


def ankle_boots(g: Garment) -> Drawing:
    """A shaft above the ankle with elastic sides and a pull tab."""
    top = -span(19, 25, g.length)
    upper = path(
        [(0.2, -3.0), (-0.5, -9.0), (1.0, -15.0), (0.6, top)],
        [(0.6, top), (6.0, top - 0.6), (11.6, top)],
        [
            (11.6, top),
            (11.8, -15.0),
            (14.5, -10.4),
            (20.0, -8.2),
            (26.0, -6.0),
            (28.4, -3.0),
            (28.2, -1.2),
        ],
        [(28.2, -1.2), (0.2, -1.2)],
    )
    gusset = path(
        [(4.0, top - 0.3), (8.6, top - 0.4)],
        [(8.6, top - 0.4), (8.0, -13.0), (6.6, -9.6)],
        [(6.6, -9.6), (4.6, -13.0), (4.0, top - 0.3)],
    )
    rib = [
        seam((4.5 + 0.8 * i, top), (5.3 + 0.5 * i, -12.5), width=0.25, strength=0.4)
        for i in range(5)
    ]
    sole = path(
        [(0.0, -1.8), (28.6, -1.8)],
        [(28.6, -1.8), (28.8, -0.4), (26.0, 0.0)],
        [(26.0, 0.0), (10.5, 0.0)],
        [(10.5, 0.0), (9.6, -0.9), (8.2, -1.0)],
        [(8.2, -1.0), (7.8, 1.6)],
        [(7.8, 1.6), (0.2, 1.6)],
        [(0.2, 1.6), (0.0, -1.8)],
    )
    tab = ribbon(curve((2.6, top + 2.6), (1.6, top - 2.4), (3.4, top + 2.4)), 0.8)
    opening = path(
        [(0.8, top), (6.0, top - 1.7), (11.4, top)], [(11.4, top), (6.0, top - 0.3), (0.8, top)]
    )
    folds = (
        crease((13.6, -11.0), (8.5, -9.6), (4.0, -10.0), width=1.3, depth=-0.3),
        crease((11.6, -15.0), (8.8, -13.4), width=1.0, depth=-0.25),
        crease((22.0, -7.2), (20.0, -4.0), width=1.0, depth=-0.25),
    )
    shoe: Drawing = [
        Panel(opening, "lining", lift=0),
        Panel(upper, folds=folds, lift=0.3, puff=1.2),
        Panel(gusset, "second", lift=0.3, puff=0.5),
        *rib,
        Panel(tab, "plain", lift=0.6, puff=0.4),
        seam((3.0, -2.0), (3.6, -6.5), (0.0, -10.0), strength=0.4),
        Panel(sole, "heel", lift=0.4, puff=0.4),
    ]
    return _pair(shoe, apart=(8.0, -7.0))


def pumps(g: Garment) -> Drawing:
    """A low-cut shoe with a pointed toe on a slim heel."""
    high = span(6.0, 9.5, g.length)
    upper = path(
        [(0.0, -high - 5.4), (5.0, -high - 1.9), (10.5, -6.0), (15.4, -5.0)],
        [(15.4, -5.0), (17.2, -5.6), (21.5, -4.0), (26.6, -0.9)],
        [(26.6, -0.9), (25.6, 0.0), (19.5, 0.0)],
        [(19.5, 0.0), (15.0, -0.9), (9.5, -high * 0.52), (4.6, -high + 0.2)],
        [(4.6, -high + 0.2), (-0.4, -high)],
        [(-0.4, -high), (-0.9, -high - 2.8), (0.0, -high - 5.4)],
    )
    inside = path(
        [(0.0, -high - 5.4), (7.0, -high - 2.0), (12.0, -6.9), (17.2, -5.5)],
        [(17.2, -5.5), (10.5, -5.4), (5.0, -high - 1.4), (0.0, -high - 5.4)],
    )
    heel = path(
        [(-0.5, -high - 0.4), (5.0, -high)],
        [(5.0, -high), (2.6, -high * 0.55), (2.0, 0.0)],
        [(2.0, 0.0), (0.5, 0.0)],
        [(0.5, 0.0), (0.2, -high * 0.5), (-0.5, -high - 0.4)],
    )
    sole = curve((4.6, -high + 0.2), (9.5, -high * 0.52), (15.0, -0.9), (19.5, -0.1))
    shoe: Drawing = [
        Panel(inside, "beige", lift=0, puff=0.4),
        Panel(heel, "plain", lift=0, puff=0.7),
        Panel(upper, lift=0.5, puff=1.0),
        Stroke(sole, 0.5, "heel", 0.9),
        Stroke(((19.5, -0.1), (25.6, -0.1)), 0.5, "heel", 0.9),
        Stroke(
            curve((0.2, -high - 4.9), (5.2, -high - 1.4), (10.6, -5.5), (15.4, -4.5)),
            0.18,
            strength=0.4,
        ),
    ]
    return _pair(shoe, apart=(7.0, -5.5))


def loafers(g: Garment) -> Drawing:
    """Slip-ons with a strap across the instep and a low heel."""
    toe = span(0.0, 0.8, g.fit)
    upper = path(
        [(0.3, -1.6), (-0.4, -5.0), (0.6, -8.8)],
        [(0.6, -8.8), (4.0, -7.2), (8.0, -6.8), (11.4, -8.6)],
        [(11.4, -8.6), (13.2, -10.0), (15.4, -8.8)],
        [(15.4, -8.8), (20.0, -6.8), (25.5, -5.4 - toe), (28.0, -3.4), (28.2, -1.4)],
        [(28.2, -1.4), (0.3, -1.6)],
    )
    inside = path(
        [(0.6, -8.7), (6.0, -9.4), (12.6, -9.8)], [(12.6, -9.8), (8.0, -6.2), (0.6, -8.7)]
    )
    apron = curve((13.6, -6.2), (20.0, -4.6), (25.0, -4.4), (26.4, -5.0))
    strap = path(
        [(13.0, -9.7), (16.8, -8.2)],
        [(16.8, -8.2), (16.4, -4.6), (15.4, -1.8)],
        [(15.4, -1.8), (11.2, -1.8)],
        [(11.2, -1.8), (12.4, -5.4), (13.0, -9.7)],
    )
    slot = ((13.9, -7.2), (15.6, -6.6), (15.2, -5.2), (13.6, -5.6))
    sole = path(
        [(0.0, -1.9), (28.6, -1.7)],
        [(28.6, -1.7), (28.6, -0.4), (26.0, 0.0)],
        [(26.0, 0.0), (9.6, -0.4)],
        [(9.6, -0.4), (7.6, -0.6)],
        [(7.6, -0.6), (7.4, 1.4)],
        [(7.4, 1.4), (0.2, 1.4)],
        [(0.2, 1.4), (0.0, -1.9)],
    )
    shoe: Drawing = [
        Panel(inside, "beige", lift=0, puff=0.4),
        Panel(upper, folds=(crease((19.0, -6.9), (18.6, -3.0), width=0.8),), lift=0.4, puff=1.2),
        Stroke(apron, 0.5, strength=0.55),
        stitch((13.8, -5.6), (20.0, -4.0), (25.0, -3.8)),
        Panel(strap, "plain", lift=0.9, puff=0.6),
        Panel(slot, "lining", lift=0, puff=0.1),
        Panel(sole, "heel", lift=0.4, puff=0.4),
    ]
    return _pair(shoe, apart=(7.5, -7.0))


def espadrilles(g: Garment) -> Drawing:
    """Cloth slip-ons on a plaited rope sole."""
    thick = span(2.2, 3.2, g.fit)
    rope = path(
        [(-0.4, -thick), (-0.7, -1.2), (0.8, 0.0)],
        [(0.8, 0.0), (25.0, 0.0)],
        [(25.0, 0.0), (28.6, -0.8), (28.8, -thick)],
        [(28.8, -thick), (20.0, -thick + 0.3), (10.0, -thick + 0.3), (-0.4, -thick)],
    )
    upper = path(
        [(0.2, -1.6), (-0.3, -4.6), (0.7, -8.4)],
        [(0.7, -8.4), (4.0, -6.4), (8.6, -5.6), (12.4, -7.4)],
        [(12.4, -7.4), (14.0, -8.6), (16.4, -7.8)],
        [(16.4, -7.8), (21.0, -6.4), (26.0, -5.0), (28.4, -3.2), (28.4, -1.6)],
        [(28.4, -1.6), (0.2, -1.6)],
    )
    inside = path(
        [(0.7, -8.3), (6.0, -8.8), (13.4, -8.5)], [(13.4, -8.5), (8.6, -5.2), (0.7, -8.3)]
    )
    strands = [((x, -0.2), (x + 1.5, -thick + 0.1)) for x in steps(0.4, 26.6, 24)]
    stitches = [((x, -thick - 0.3), (x + 0.5, -thick - 1.6)) for x in steps(1.0, 27.0, 20)]
    shoe: Drawing = [
        Panel(inside, "beige", lift=0, puff=0.4),
        Panel(upper, folds=(crease((20.0, -6.6), (19.6, -3.0), width=0.8),), lift=0.4, puff=1.1),
        stitch((0.9, -7.6), (4.2, -5.7), (8.8, -4.9), (12.6, -6.5), (16.2, -6.9)),
        seam((13.6, -8.0), (12.4, -5.0), (12.8, -thick), width=0.3, strength=0.5),
        Panel(rope, "rope", lift=0.6, puff=0.6),
        *(Stroke(strand, 0.3, "gum", 0.8) for strand in strands),
        seam(
            (-0.4, -thick / 2),
            (14.0, -thick / 2 + 0.1),
            (28.7, -thick / 2),
            width=0.25,
            strength=0.3,
        ),
        *(Stroke(thread, 0.3, "rope", 0.95) for thread in stitches),
    ]
    return _pair(shoe, apart=(7.5, -7.0))


_YEAR = ("all year",)

FOOTWEAR = {
    "sneakers": Cut(
        "shoes", sneakers, "cotton", ("plain", "plain", "checks"), ANY, 75, _YEAR,
        "laced, with a capped toe and a light rubber sole", print_size=0.5,
    ),
    "ankle boots": Cut(
        "shoes", ankle_boots, "leather", ("plain",), LEATHERS, 129, ("autumn", "winter"),
        "with elastic sides, a pull tab and a low stacked heel",
    ),
    "pumps": Cut(
        "shoes", pumps, "leather", ("plain",), (*LEATHERS, "pink", "coral", "lilac"), 89, _YEAR,
        "with a pointed toe and a slim heel",
    ),
    "loafers": Cut(
        "shoes", loafers, "leather", ("plain",), LEATHERS, 99, ("spring", "autumn"),
        "with a strap across the instep and a low heel",
    ),
    "espadrilles": Cut(
        "shoes", espadrilles, "linen", ("plain", "plain", "stripes", "checks"), ANY, 45,
        ("summer",),
        "in cloth on a plaited rope sole", print_size=0.5,
    ),
}  # fmt: skip
