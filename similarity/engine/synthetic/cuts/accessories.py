"""Hats from the front, bags with their straps, and scarves."""

from __future__ import annotations

import math
from random import Random

from similarity.engine.synthetic.cuts.cut import (
    ANY,
    LEATHERS,
    SOLID,
    Cut,
    button,
    chance,
    crease,
    seam,
    span,
    steps,
    stitch,
)
from similarity.engine.synthetic.garments import Drawing, Fold, Garment, Panel, Stroke, both
from similarity.engine.synthetic.geometry import (
    Outline,
    between,
    box,
    curve,
    ellipse,
    path,
    ribbon,
    symmetric,
)


def bucket_hat(g: Garment) -> Drawing:
    """A flat crown and a sloping brim with rows of stitches."""
    flare, deep = span(17, 20, g.fit), span(7.5, 10.0, g.length)
    crown = path(
        [(0.0, -14.6), (7.0, -14.2), (10.0, -12.8)],
        [(10.0, -12.8), (11.4, -6.0), (12.6, 0.5)],
        [(12.6, 0.5), (6.0, 2.6), (0.0, 3.0)],
    )
    brim = path(
        [(0.0, 1.8), (6.0, 1.4), (12.4, -1.0)],
        [(12.4, -1.0), (15.5, 3.0), (flare, deep - 2.4)],
        [(flare, deep - 2.4), (flare * 0.55, deep + 1.4), (0.0, deep + 2.6)],
    )
    rows = [
        curve(
            (-12.6 - (flare - 12.6) * i / 4, -0.4 + (deep - 2.4) * i / 4),
            (0.0, 2.2 + deep * i / 4),
            (12.6 + (flare - 12.6) * i / 4, -0.4 + (deep - 2.4) * i / 4),
        )
        for i in (1, 2, 3)
    ]
    folds = tuple(
        crease((s * 15.5, deep), (s * 11.0, 1.5), width=1.6, depth=-0.24) for s in (-1, 1)
    )
    return [
        Panel(symmetric(crown), lift=0, puff=1.2),
        seam((-10.0, -12.7), (0.0, -10.9), (10.0, -12.7), width=0.3, strength=0.5),
        *both(seam((7.0, -11.3), (8.2, 1.6), width=0.2, strength=0.35)),
        *both(button(9.6, -6.0, 0.4, "lining")),
        Panel(symmetric(brim), folds=folds, lift=0.9, puff=0.9),
        *(Stroke(row, 0.18, strength=0.4, stitched=True) for row in rows),
    ]


def baseball_cap(g: Garment) -> Drawing:
    """A rounded crown of panels with a curved peak to the right."""
    reach = span(21, 24, g.length)
    crown = path(
        [(-11.5, 1.0), (-12.0, -5.0), (-7.0, -12.0), (0.5, -13.6), (8.5, -10.5), (12.0, -2.0)],
        [(12.0, -2.0), (4.0, 0.6), (-4.0, 1.8), (-11.5, 1.0)],
    )
    peak = path(
        [(0.5, 1.2), (6.0, -1.6), (12.0, -3.0)],
        [(12.0, -3.0), (18.0, -1.8), (reach, 3.2)],
        [(reach, 3.2), (reach - 0.6, 5.0), (reach - 3.0, 5.0)],
        [(reach - 3.0, 5.0), (13.0, 2.4), (7.0, 2.6), (0.5, 1.2)],
    )
    under = path(
        [(1.5, 1.6), (8.0, 1.4), (reach - 2.0, 5.2)], [(reach - 2.0, 5.2), (12.0, 4.6), (1.5, 1.6)]
    )
    badge = ellipse(7.0, -6.2, 2.3, 2.7)
    inside = curve((3.0, 1.4), (9.0, -0.2), (17.0, 1.4))
    outer = curve((4.5, 1.8), (11.0, 0.8), (19.0, 3.0))
    return [
        Panel(under, "lining", lift=0),
        Panel(crown, lift=0, puff=1.4),
        seam((0.4, -13.5), (-4.4, -7.0), (-5.0, 1.6), width=0.3, strength=0.5),
        seam((0.6, -13.5), (3.4, -7.0), (3.0, 0.8), width=0.3, strength=0.5),
        *(button(x, y, 0.45, "lining") for x, y in ((-1.0, -8.0), (-7.4, -7.0))),
        Panel(ellipse(0.5, -13.7, 1.3, 0.8), "second", lift=0.4, puff=0.6),
        Panel(badge, "second", lift=0.4, puff=0.5),
        Stroke((*ellipse(7.0, -6.2, 1.6, 1.9), (8.6, -6.2)), 0.25, strength=0.5),
        Panel(peak, "second" if g.second_colour else "main", lift=0.8, puff=0.9),
        Stroke(inside, 0.18, strength=0.4, stitched=True),
        Stroke(outer, 0.18, strength=0.4, stitched=True),
    ]


def beanie(g: Garment) -> Drawing:
    """Knitted, with a turned-up rib and, on some, a bobble."""
    top = -span(15, 18, g.length)
    dome = path(
        [
            (-10.4, -2.0),
            (-10.6, -8.0),
            (-6.5, top + 1.6),
            (0.0, top),
            (6.5, top + 1.6),
            (10.6, -8.0),
            (10.4, -2.0),
        ],
        [(10.4, -2.0), (-10.4, -2.0)],
    )
    rib = path(
        [(-11.0, -4.4), (0.0, -3.2), (11.0, -4.4)],
        [(11.0, -4.4), (11.5, -0.6), (10.9, 3.0)],
        [(10.9, 3.0), (0.0, 4.4), (-10.9, 3.0)],
        [(-10.9, 3.0), (-11.5, -0.6), (-11.0, -4.4)],
    )
    gathers = tuple(
        crease((x * 1.3, -4.5), (x * 1.2, -9.0), (x * 0.35, top + 0.8), width=1.0, depth=-0.2)
        for x in (-6.5, -3.6, -1.0, 1.8, 4.4, 7.0)
    )
    ribs = [
        seam(
            (x, -3.9 + 0.9 * (1 - (x / 11) ** 2)),
            (x, 3.1 + 1.2 * (1 - (x / 11) ** 2)),
            width=0.3,
            strength=0.3,
        )
        for x in steps(-9.8, 9.8, 15)
    ]
    bobble = _bobble(chance(g, "bobble"), top - 3.2) if g.fit > 0.4 else []  # noqa: PLR2004
    return [
        *bobble,
        Panel(dome, folds=gathers, lift=0, puff=1.3),
        Panel(rib, "plain", lift=0.9, puff=0.9),
        *ribs,
    ]


def _bobble(random: Random, y: float) -> Drawing:
    """A ball of yarn with a ragged edge."""
    turns = [math.tau * i / 56 for i in range(56)]
    radii = [4.4 * random.uniform(0.88, 1.06) for _ in turns]
    outline = tuple(
        (r * math.cos(t), y + r * math.sin(t)) for r, t in zip(radii, turns, strict=True)
    )
    yarns = []
    for _ in range(26):
        turn, far = random.uniform(0, math.tau), random.uniform(1.0, 3.6)
        x0, y0 = far * math.cos(turn), y + far * math.sin(turn)
        yarns.append(seam((x0, y0), (x0 * 1.25, y0 + (y0 - y) * 0.3), width=0.25, strength=0.3))
    return [Panel(outline, "second", lift=0, puff=1.4), *yarns]


def _brimmed(g: Garment, *, wide: float, pinch: float) -> Drawing:
    """A crown with a band on a wide oval brim."""
    tall = span(10.5, 13.0, g.length)
    crown = path(
        [(0.0, -tall + pinch), (4.2, -tall - 0.5), (8.4, -tall + 1.2), (10.0, -5.0), (11.0, 1.6)],
        [(11.0, 1.6), (6.0, 3.0), (0.0, 3.4)],
    )
    brim = ellipse(0.0, 2.0, wide, wide * 0.27)
    band = path(
        [(-10.4, -2.6), (0.0, -0.6), (10.4, -2.6)],
        [(10.4, -2.6), (11.0, 1.6)],
        [(11.0, 1.6), (0.0, 3.5), (-11.0, 1.6)],
    )
    dents = tuple(
        crease((s * 2.2, -tall + 2), (s * 3.6, -tall + 6.5), width=1.6, depth=-0.3) for s in (-1, 1)
    )
    rim = curve((-wide * 0.93, 3.6), (0.0, 2.0 + wide * 0.24), (wide * 0.93, 3.6))
    tails = [ribbon(curve((10.0, 0.4), (13.5, 3.0), (15.0, 5.6)), 1.6, 2.2)] if not pinch else []
    return [
        Panel(brim, lift=0, puff=0.7),
        Stroke(rim, 0.22, strength=0.4, stitched=True),
        Panel(symmetric(crown), folds=dents if pinch else (), lift=1.4, puff=1.3),
        Panel(band, "second", lift=0.3, puff=0.7),
        *(Panel(tail, "second", lift=0.6, puff=0.5) for tail in tails),
        Panel(box(8.2, -2.0, 10.2, 2.0, 0.6), "second", lift=0.6, puff=0.5),
    ]


def fedora(g: Garment) -> Drawing:
    """Felt, with a pinched crown and a ribbon."""
    return _brimmed(g, wide=span(19, 21, g.fit), pinch=1.8)


def straw_hat(g: Garment) -> Drawing:
    """Plaited straw with a very wide brim and a ribbon."""
    return _brimmed(g, wide=span(23, 26, g.fit), pinch=0.0)


def tote(g: Garment) -> Drawing:
    """An open bag with two long handles."""
    wide, deep = span(17, 20, g.fit), span(34, 40, g.length)
    body = path(
        [(-wide, 0.0), (0.0, 0.8), (wide, 0.0)],
        [(wide, 0.0), (wide - 0.6, deep * 0.6), (wide - 1.4, deep - 1.5)],
        [(wide - 1.4, deep - 1.5), (wide - 3.0, deep), (0.0, deep + 0.6), (3.0 - wide, deep)],
        [(3.0 - wide, deep), (1.4 - wide, deep - 1.5)],
        [(1.4 - wide, deep - 1.5), (0.6 - wide, deep * 0.6), (-wide, 0.0)],
    )
    inside = path([(-wide, 0.0), (0.0, -1.8), (wide, 0.0)], [(wide, 0.0), (0.0, 1.2), (-wide, 0.0)])
    arch = curve((-8.5, 7.0), (-8.0, -12.0), (0.0, -23.0), (8.0, -12.0), (8.5, 7.0))
    behind = curve((-8.0, 0.0), (-7.2, -14.0), (0.8, -25.5), (8.4, -14.0), (8.8, 0.0))
    folds = (
        crease((-wide + 4, deep - 3), (-wide * 0.4, deep * 0.55), width=2.4, depth=-0.24),
        crease((wide - 3, deep * 0.9), (wide * 0.5, deep * 0.4), width=2.2, depth=-0.24),
        crease((2.0, 1.0), (0.0, deep * 0.4), width=2.0, depth=-0.18),
    )
    square = box(-10.0, 3.0, -7.0, 6.6)
    return [
        Panel(ribbon(behind, 2.2), "second", lift=0, puff=0.5),
        Panel(inside, "lining", lift=0, puff=0.4),
        Panel(body, folds=folds, lift=0.2),
        Stroke(curve((-wide, 2.4), (0.0, 3.2), (wide, 2.4)), 0.22, strength=0.45, stitched=True),
        Panel(ribbon(arch, 2.4), "second", lift=0.9, puff=0.5),
        *both(Stroke((*square, square[0], square[2]), 0.2, strength=0.5)),
    ]


def backpack(g: Garment) -> Drawing:
    """Rounded, with a zipped front pocket, side pockets, a handle and straps."""
    tall = span(40, 46, g.length)
    shell = path(
        [(0.0, 0.0), (9.0, 0.6), (14.6, 6.0), (15.8, 18.0), (16.0, tall - 5)],
        [(16.0, tall - 5), (15.0, tall - 0.6), (10.0, tall), (0.0, tall + 0.4)],
    )
    pocket = box(-11.6, tall * 0.5, 11.6, tall - 2.5, 3.5)
    side = path(
        [(14.8, tall * 0.52), (18.4, tall * 0.56)],
        [(18.4, tall * 0.56), (18.6, tall - 4), (15.6, tall - 1.2)],
    )
    strap = curve((11.5, 4.0), (19.0, 12.0), (20.6, 26.0), (17.0, tall - 3))
    handle = curve((-4.0, 1.2), (-3.4, -3.6), (0.0, -4.6), (3.4, -3.6), (4.0, 1.2))
    zip_arc = curve(
        (-13.4, tall * 0.45), (-12.6, 9.0), (0.0, 3.2), (12.6, 9.0), (13.4, tall * 0.45)
    )
    mouth = ((-9.6, tall * 0.57), (9.6, tall * 0.57))
    return [
        *both(Panel(ribbon(strap, 3.4, 2.2), "rib", lift=0, puff=0.7)),
        Panel(ribbon(handle, 1.7), "second", lift=0, puff=0.6),
        *both(Panel(side, "rib", lift=0.2, puff=0.8)),
        Panel(symmetric(shell), lift=0.6, puff=1.3),
        Stroke(zip_arc, 0.5, "lining", 0.9),
        Stroke(zip_arc, 0.35, "steel", 0.5, stitched=True),
        Panel(box(-3.0, 14.0, 3.0, 17.0, 0.4), "second", lift=0.5, puff=0.3),
        Panel(pocket, "main", lift=0.9, puff=1.1),
        Stroke(mouth, 0.6, "lining", 0.9),
        Panel(
            ribbon(((8.6, tall * 0.57), (8.2, tall * 0.57 + 4.2)), 1.0),
            "second",
            lift=0.8,
            puff=0.3,
        ),
        seam(
            (-11.0, tall * 0.66), (0.0, tall * 0.665), (11.0, tall * 0.66), width=0.2, strength=0.3
        ),
    ]


def crossbody_bag(g: Garment) -> Drawing:
    """Small, with a rounded flap, a clasp and a long thin strap."""
    wide, deep = span(11.5, 13.5, g.fit), span(16, 19, g.length)
    body = box(-wide, 0.0, wide, deep, 2.6)
    flap = path(
        [
            (-wide - 0.3, 0.4),
            (1.4 - wide, -1.2),
            (0.0, -1.5),
            (wide - 1.4, -1.2),
            (wide + 0.3, 0.4),
        ],
        [(wide + 0.3, 0.4), (wide, deep * 0.42), (wide * 0.6, deep * 0.64), (0.0, deep * 0.7)],
        [(0.0, deep * 0.7), (-wide * 0.6, deep * 0.64), (-wide, deep * 0.42), (-wide - 0.3, 0.4)],
    )
    strap = curve(
        (-wide + 0.4, 2.0),
        (-wide - 2.6, -12.0),
        (-4.0, -27.0),
        (7.0, -24.0),
        (wide + 1.6, -10.0),
        (wide - 0.4, 2.0),
    )
    rim = curve(
        (-wide + 0.6, 0.8),
        (-wide + 0.9, deep * 0.4),
        (-wide * 0.58, deep * 0.6),
        (0.0, deep * 0.65),
        (wide * 0.58, deep * 0.6),
        (wide - 0.9, deep * 0.4),
        (wide - 0.6, 0.8),
    )
    return [
        Panel(ribbon(strap, 1.1), "second" if g.second_colour else "plain", lift=0, puff=0.5),
        Panel(body, lift=0.3, puff=1.1),
        Panel(flap, "second" if g.pattern == "colour block" else "main", lift=1.1, puff=0.9),
        Stroke(rim, 0.18, strength=0.5, stitched=True),
        *both(Panel(ellipse(wide - 0.4, 1.4, 1.0, 1.0), "metal", lift=0.5, puff=0.4)),
        Panel(box(-1.7, deep * 0.56, 1.7, deep * 0.76, 0.6), "metal", lift=0.9, puff=0.5),
        seam((-0.9, deep * 0.66), (0.9, deep * 0.66), width=0.3, strength=0.6),
    ]


def handbag(g: Garment) -> Drawing:
    """Structured, with a rolled handle on rings and a turn lock."""
    wide, deep = span(15, 17.5, g.fit), span(21, 25, g.length)
    body = path(
        [(-wide + 2.6, 0.0), (wide - 2.6, 0.0)],
        [(wide - 2.6, 0.0), (wide - 1.2, deep * 0.5), (wide, deep - 1.6)],
        [
            (wide, deep - 1.6),
            (wide - 1.4, deep),
            (0.0, deep + 0.4),
            (1.4 - wide, deep),
            (-wide, deep - 1.6),
        ],
        [(-wide, deep - 1.6), (1.2 - wide, deep * 0.5), (2.6 - wide, 0.0)],
    )
    flap = path(
        [(-wide + 2.2, -0.6), (wide - 2.2, -0.6)],
        [(wide - 2.2, -0.6), (wide - 1.9, deep * 0.36)],
        [(wide - 1.9, deep * 0.36), (0.0, deep * 0.46), (1.9 - wide, deep * 0.36)],
    )
    handle = curve((-7.2, 3.4), (-7.4, -7.0), (0.0, -13.6), (7.4, -7.0), (7.2, 3.4))
    base = path(
        [(0.5 - wide, deep - 4.6), (0.0, deep - 4.0), (wide - 0.5, deep - 4.6)],
        [(wide - 0.5, deep - 4.6), (wide - 0.1, deep - 1.6)],
        [
            (wide - 0.1, deep - 1.6),
            (wide - 1.4, deep),
            (0.0, deep + 0.4),
            (1.4 - wide, deep),
            (0.1 - wide, deep - 1.6),
        ],
    )
    tab = box(-1.9, deep * 0.3, 1.9, deep * 0.56, 0.9)
    return [
        Panel(body, lift=0.2, puff=1.1),
        Panel(base, "second", lift=0.3, puff=0.5),
        Panel(flap, "main", lift=0.9, puff=0.8),
        stitch((-wide + 2.6, deep * 0.33), (0.0, deep * 0.42), (wide - 2.6, deep * 0.33)),
        Panel(tab, "second", lift=0.7, puff=0.5),
        Panel(ellipse(0.0, deep * 0.46, 1.2, 1.2), "metal", lift=0.6, puff=0.5),
        Panel(ribbon(handle, 1.9), "second", lift=1.0, puff=0.9),
        *both(
            Panel(ellipse(7.2, 2.8, 1.5, 1.5), "metal", lift=0.7, puff=0.4),
            Panel(ellipse(7.2, 2.8, 0.75, 0.75), "plain", lift=0.2, puff=0.2),
        ),
    ]


def _fringe(
    random: Random, left: tuple[float, float], right: tuple[float, float], long: float
) -> Drawing:
    """Threads that hang from an edge."""
    threads: Drawing = []
    for i in range(13):
        x, y = between(left, right, (i + 0.5) / 13)
        sway = random.uniform(-0.6, 0.6)
        threads.append(
            Stroke(
                curve((x, y - 0.6), (x + sway, y + long * 0.5), (x + sway * 0.4, y + long)),
                0.55,
                "plain",
                1.0,
            )
        )
    return threads


def fringed_scarf(g: Garment) -> Drawing:
    """Long, laid in a loop with two fringed ends."""
    random, wide = chance(g, "scarf"), span(13, 17, g.fit)
    under = curve((-7.0, -12.0), (4.0, 6.0), (8.5, 22.0), (10.0, span(58, 68, g.length)))
    over = curve((7.0, -12.0), (-4.0, 6.0), (-8.5, 24.0), (-10.5, span(66, 78, g.length)))
    loop = curve((-5.0, -5.0), (-11.6, -13.0), (0.0, -22.0), (11.6, -13.0), (5.0, -5.0))
    parts: Drawing = [
        Panel(ellipse(0.0, -12.0, 8.0, 7.0), "lining", lift=0),
        Panel(ribbon(loop, wide * 0.75), lift=0.5, folds=_along(loop, wide * 0.2), grain=90),
    ]
    for line in (under, over):
        band = ribbon(line, wide * 0.72, wide)
        half = len(band) // 2
        parts += _fringe(random, band[half - 1], band[half], 6.0)
        parts.append(Panel(band, folds=_along(line, wide * 0.18), lift=1.0, puff=1.2))
    return parts


def _along(line: Outline, aside: float) -> tuple[Fold, ...]:
    """Folds that follow a band, on both sides of its middle."""
    tail = tuple(reversed(line))
    share = len(tail) * 2 // 3
    return tuple(
        crease(*[(x + shift, y) for x, y in tail[step : share + step : 4]], width=1.6, depth=-0.3)
        for shift, step in ((-aside, 1), (aside, 2))
    )


def silk_scarf(g: Garment) -> Drawing:
    """A square with a rolled hem and a border, one corner turned over."""
    side = span(30, 34, g.fit)
    right = curve((side, -side), (side + 0.8, 0.0), (side - 0.3, side))
    square = path(
        [(-side, -side + 0.4), (0.0, -side - 0.6), (side, -side)],
        right,
        [(side - 0.3, side), (8.0, side + 0.7), (-side + 14.0, side)],
        [(-side + 14.0, side), (-side, side - 14.0)],
        [(-side, side - 14.0), (-side - 0.6, 0.0), (-side, -side + 0.4)],
    )
    inset = side - 5.5
    field, line = _cut_square(inset, side), _cut_square(inset - 1.6, side)
    corner = path(
        [(-side + 14.0, side), (-side + 15.5, side - 15.0), (-side, side - 14.0)],
        [(-side, side - 14.0), (-side + 14.0, side)],
    )
    waves = tuple(
        crease((x, side), (x + 5, side * 0.2), (x - 2, -side * 0.7), width=3.4, depth=-0.16)
        for x in (-side * 0.5, side * 0.15, side * 0.7)
    )
    hem = tuple((x * 0.975, y * 0.975) for x, y in square)
    return [
        Panel(square, "second", folds=waves, puff=0.5),
        Stroke((*hem, hem[0]), 0.3, strength=0.35),
        Panel(field, folds=waves, lift=0, puff=0.05),
        Stroke((*line, line[0]), 0.5, "second", 1.0),
        Panel(corner, "second", lift=1.2, puff=0.8),
    ]


def _cut_square(half: float, side: float) -> Outline:
    """A square without the corner that the turned-over one takes with it."""
    cut = 2 * side - 14.0 - half
    return (-half, -half), (half, -half), (half, half), (-cut, half), (-half, cut)


def snood(g: Garment) -> Drawing:
    """A knitted ring worn in two loops."""
    thick = span(10, 13, g.fit)
    back = ellipse(0.0, -3.0, 15.0 + thick * 0.4, 10.0 + thick * 0.4)
    parts: Drawing = [
        Panel(back, "rib", lift=0, puff=1.3),
        Panel(ellipse(0.0, -5.0, 11.0, 6.0), "lining", puff=0.4),
    ]
    for wide, top, low in ((17.5, 1.0, 1.0 + thick), (18.5, 6.0, 8.0 + thick)):
        side = (wide, top - 8.0)
        crescent = path(
            [(-wide, top - 8.0), (-wide * 0.62, top - 0.5), (0.0, top + 2.0),
             (wide * 0.62, top - 0.5), side],
            [side, (wide + 1.2, top - 4.0), (wide * 0.72, low - 4.0), (0.0, low),
             (-wide * 0.72, low - 4.0), (-wide - 1.2, top - 4.0), (-wide, top - 8.0)],
        )  # fmt: skip
        folds = tuple(
            crease(
                (-wide * 0.8, y - 4.0),
                (0.0, y + 1.5),
                (wide * 0.85, y - 4.5),
                width=1.4,
                depth=-0.26,
            )
            for y in ((2 * top + low) / 3, (top + 2 * low) / 3)
        )
        parts.append(Panel(crescent, folds=folds, lift=1.1, puff=1.3))
    return parts


def blanket_scarf(g: Garment) -> Drawing:
    """Wide and folded twice, with fringes below."""
    random, deep, wide = chance(g, "scarf"), span(62, 72, g.length), span(17, 20, g.fit)
    layers: Drawing = []
    for shift, drop in ((4.0, -5.0), (0.0, 0.0)):
        x0, x1 = -wide + shift, wide + shift
        layers += _fringe(random, (x0, deep + drop), (x1, deep + drop), 6.5)
        layers += _fringe(random, (x0 + 1.2, deep + drop), (x1 - 1.2, deep + drop), 6.5)
        sheet = path(
            [(x0, 0.0), (x0 + 1.5, -1.6), (0.0, -2.2), (x1 - 1.5, -1.6), (x1, 0.0)],
            [(x1, 0.0), (x1 + 0.5, deep / 2), (x1, deep + drop)],
            [(x1, deep + drop), (x0, deep + drop)],
            [(x0, deep + drop), (x0 - 0.5, deep / 2), (x0, 0.0)],
        )
        folds = (
            crease((x0 + 9, deep), (x0 + 11, deep * 0.4), (x0 + 10, 4.0), width=2.2, depth=-0.2),
            crease((x1 - 9, deep), (x1 - 10, deep * 0.5), (x1 - 12, 10.0), width=2.4, depth=-0.22),
        )
        layers.append(Panel(sheet, folds=folds, lift=1.0, puff=1.1))
    return layers


_YEAR = ("all year",)
_COLD = ("autumn", "winter")
_SUN = ("spring", "summer")

HATS = {
    "bucket hat": Cut(
        "hat", bucket_hat, "cotton", ("plain", "plain", "checks", "floral"), ANY, 25, _SUN,
        "with a sloping brim held by rows of stitches", print_size=0.5,
    ),
    "baseball cap": Cut(
        "hat", baseball_cap, "cotton", SOLID, ANY, 22, _YEAR,
        "with a round badge, eyelets and a curved peak",
    ),
    "beanie": Cut(
        "hat", beanie, "knit", ("plain", "plain", "stripes"), ANY, 19, _COLD,
        "knitted with a deep turned-up rib", print_size=0.6,
    ),
    "fedora": Cut(
        "hat", fedora, "wool", SOLID, LEATHERS, 45, _COLD,
        "of felt with a pinched crown and a ribbon",
    ),
    "straw hat": Cut(
        "hat", straw_hat, "straw", SOLID, ("beige", "ivory", "camel", "mustard", "brown"), 35,
        ("summer",),
        "plaited with a wide brim and a ribbon",
    ),
}  # fmt: skip

BAGS = {
    "tote": Cut(
        "bag", tote, "linen", ("plain", "plain", "stripes", "colour block", "floral"), ANY, 29,
        _YEAR,
        "roomy and open with two long handles", block=24.0,
    ),
    "backpack": Cut(
        "bag", backpack, "nylon", ("plain", "plain", "colour block", "dots"), ANY, 69, _YEAR,
        "with a zipped front pocket, side pockets and padded straps", block=20.0, print_size=0.6,
    ),
    "crossbody bag": Cut(
        "bag", crossbody_bag, "leather", SOLID, (*LEATHERS, "pink", "teal", "mustard"), 79, _YEAR,
        "with a rounded flap, a clasp and a long thin strap",
    ),
    "handbag": Cut(
        "bag", handbag, "leather", SOLID, (*LEATHERS, "green", "grey"), 119, _YEAR,
        "structured with a rolled handle and a turn lock",
    ),
}  # fmt: skip

SCARVES = {
    "fringed scarf": Cut(
        "scarf", fringed_scarf, "wool", ("plain", "plain", "stripes", "tartan", "checks"), ANY, 35,
        _COLD,
        "long and soft with fringed ends",
    ),
    "silk scarf": Cut(
        "scarf", silk_scarf, "satin", ("floral", "dots", "zigzag", "plain", "floral"), ANY, 49,
        _YEAR,
        "square with a border and a hand-rolled hem",
    ),
    "snood": Cut(
        "scarf", snood, "knit", SOLID, ANY, 29, ("winter",),
        "a knitted ring worn in two loops",
    ),
    "blanket scarf": Cut(
        "scarf", blanket_scarf, "wool", ("tartan", "tartan", "checks", "plain"), ANY, 39, _COLD,
        "wide enough for the shoulders with fringes at both ends",
    ),
}  # fmt: skip
