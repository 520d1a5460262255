"""Jackets and coats."""

from __future__ import annotations

from similarity.engine.synthetic.cuts.bodice import Bodice
from similarity.engine.synthetic.cuts.cut import (
    DENIMS,
    OUTDOORS,
    SOLID,
    Cut,
    button,
    buttons,
    chance,
    crease,
    patch,
    seam,
    span,
    steps,
    stitch,
)
from similarity.engine.synthetic.cuts.tops import shirt_collar
from similarity.engine.synthetic.garments import Drawing, Garment, Panel, Stroke, both
from similarity.engine.synthetic.geometry import box, curve, ellipse, path, ribbon


def zip_line(top: float, bottom: float) -> Drawing:
    """A zip with its puller."""
    return [
        Panel(box(-1.1, top, 1.1, bottom), "rib", lift=0.5, puff=0.2),
        Stroke(((0.0, top), (0.0, bottom)), 0.7, "steel", 0.85, stitched=True),
        Stroke(((0.0, top), (0.0, bottom)), 0.2, strength=0.8),
        Panel(box(-0.5, top + 2.5, 0.5, top + 6.5, 0.4), "steel", lift=1.0, puff=0.3),
    ]


def bomber_jacket(g: Garment) -> Drawing:
    """Zipped, with ribbed collar, cuffs and hem and slanted pockets."""
    ease = span(-1.0, 2.5, g.fit)
    block = Bodice(
        drop=7.0,
        shoulder=23.0,
        chest=26 + ease,
        waist=26.5 + ease,
        hem=25.5 + ease,
        length=span(60, 66, g.length),
    )
    arm = 53.0, 10.0, 69.0
    pocket = (12.5, 40.0), (17.5, 51.0)
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0] - 5, cuff=15.5, angle=arm[2], bulge=2.2),
        *block.cuffs(*arm, 7.0, "second"),
        block.body(chance(g, "body"), folds=6),
        *both(Panel(ribbon(pocket, 1.6), "main", lift=0.7, puff=0.3)),
        *both(seam(*pocket, width=0.25, strength=0.7)),
        *block.hem_band(6.5, "second"),
        *block.collar_band(4.2, "second"),
        *zip_line(5.0, block.length + 0.8),
    ]


def denim_jacket(g: Garment) -> Drawing:
    """Yoke, flapped chest pockets, metal buttons and contrasting stitches."""
    ease = span(-1.0, 2.0, g.fit)
    block = Bodice(
        drop=5.0,
        shoulder=22.5,
        chest=25 + ease,
        waist=23.5 + ease,
        hem=23 + ease,
        length=span(58, 64, g.length),
        curl=0.6,
    )
    arm = 52.0, 11.5, 70.0
    end = block.length
    flap = ((7.0, 19.5), (17.5, 19.5), (17.5, 22.5), (12.2, 25.2), (7.0, 22.5))
    chest = block.chest
    return [
        *block.inside(),
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=14.0, angle=arm[2]),
        *block.cuffs(*arm, 5.0, "plain"),
        block.body(chance(g, "body"), folds=3),
        *both(stitch((0.0, 19.0), (chest - 3, 19.0), ink="metal", strength=0.8)),
        *both(
            stitch((8.5, 25.0), (6.0, 42.0), (5.0, end - 5), ink="metal", strength=0.8),
            stitch((16.0, 25.0), (13.5, 42.0), (12.5, end - 5), ink="metal", strength=0.8),
        ),
        *both(Panel(flap, "plain", lift=0.8, puff=0.4)),
        *both(Stroke(flap[2:], 0.2, "metal", 0.8, stitched=True)),
        *both(button(12.2, 23.2, 0.8, "metal")),
        Panel(box(-2.0, 4.0, 2.0, end - 4), "plain", lift=0.5, puff=0.25),
        *both(stitch((1.5, 5.0), (1.5, end - 5), ink="metal", strength=0.8)),
        *block.hem_band(5.0, "plain", tuck=0.4)[:1],
        Stroke(block.hem_line(4.2), 0.2, "metal", 0.8, stitched=True),
        *buttons(0.0, [*steps(10.0, end - 10, 5), end - 2], 0.95, "metal"),
        *shirt_collar(11.0, 8.5),
    ]


def _lapels(depth: float, notch: float, wide: float) -> Drawing:
    """A tailored collar whose lapels fold back along a line that ends at `depth`."""
    lapel = path(
        [(9.2, 1.0), (5.5, notch), (0.4, depth)],
        [(0.4, depth), (wide * 0.75, depth * 0.66), (wide, notch + 2.0)],
        [(wide, notch + 2.0), (wide - 4.5, notch - 0.8)],
        [(wide - 4.5, notch - 0.8), (9.2, 1.0)],
    )
    collar = path(
        [(7.6, -1.8), (10.8, 1.2), (wide - 0.5, notch - 4.0)],
        [(wide - 0.5, notch - 4.0), (wide - 4.6, notch - 0.2)],
        [(wide - 4.6, notch - 0.2), (7.5, 6.0), (7.6, -1.8)],
    )
    back = path([(-8.6, -1.4), (0.0, -3.8), (8.6, -1.4)], [(8.6, -1.4), (0.0, 2.6), (-8.6, -1.4)])
    return [
        Panel(back, "main", lift=0, puff=0.4),
        *both(
            Panel(lapel, "main", grain=-12, lift=1.3, puff=0.6),
            Stroke((*lapel, lapel[0]), 0.25, strength=0.5),
            Panel(collar, "main", grain=-30, lift=1.3, puff=0.6),
            Stroke((*collar, collar[0]), 0.25, strength=0.5),
        ),
    ]


def blazer(g: Garment) -> Drawing:
    """Notched lapels, two buttons, flapped pockets and a breast pocket."""
    ease = span(-1.5, 1.5, g.fit)
    block = Bodice(
        drop=34.0,
        vee=True,
        shoulder=22.0,
        slope=4.0,
        chest=24 + ease,
        waist=21.5 + ease,
        hem=25 + ease,
        length=span(70, 76, g.length),
        curl=1.5,
    )
    arm = 56.0, 12.5, 72.0
    front = curve((0.6, 33.5), (1.6, 52.0), (0.4, block.length + 1.2))
    flap = box(8.0, 50.0, 20.0, 54.5, 0.8)
    outer = block.cuff(arm[0] - 2.0, 11.0, arm[2])[0]
    return [
        *block.inside()[:1],
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2]),
        *both(
            *(button(outer[0] - 0.8 - 0.7 * i, outer[1] - 0.4 - 2.0 * i, 0.55) for i in range(3))
        ),
        block.body(chance(g, "body"), folds=2),
        *both(seam((14.0, 30.0), (13.0, 44.0), (13.5, 50.0), strength=0.3)),
        Stroke(front, 0.3, strength=0.7),
        *both(Panel(flap, "main", lift=0.8, puff=0.3)),
        Panel(((10.5, 24.5), (18.0, 23.2), (18.0, 25.4), (10.5, 26.7)), "main", lift=0.5, puff=0.3),
        *_lapels(34.0, 15.0, 16.0),
        *buttons(-0.6, [37.0, 47.0], 1.15),
    ]


def trench_coat(g: Garment) -> Drawing:
    """Double-breasted and belted, with lapels, storm flap and epaulettes."""
    ease = span(-1.0, 2.0, g.fit)
    length = span(98, 112, g.length)
    block = Bodice(
        drop=24.0,
        vee=True,
        shoulder=22.5,
        chest=25 + ease,
        waist=22 + ease,
        waist_at=50.0,
        hem=33 + ease,
        length=length,
        curl=2.0,
    )
    arm = 57.0, 14.0, 71.0
    waist = block.waist + 0.6
    strap = box(-waist, 48.0, waist, 52.6, 0.5)
    storm = path(
        [(9.0, 1.0), (20.5, 5.0)],
        [(20.5, 5.0), (20.0, 20.0), (12.0, 25.0), (3.5, 22.0)],
        [(3.5, 22.0), (9.0, 1.0)],
    )
    tab = ((13.0, 1.3), (21.8, 4.2), (21.2, 7.2), (12.4, 4.0))
    cuff_strap = block.band(arm[0] - 5, 14.6, arm[2], 2.6)
    tail = path(
        [(4.0, 52.0), (6.0, 60.0), (5.4, 70.0)],
        [(5.4, 70.0), (9.0, 69.0)],
        [(9.0, 69.0), (9.2, 60.0), (7.6, 51.0)],
    )
    return [
        *block.inside()[:1],
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2]),
        *both(Panel(cuff_strap, "plain", grain=arm[2], lift=0.8, puff=0.4)),
        block.body(chance(g, "body"), folds=8),
        *both(Panel(storm, "main", lift=0.8, puff=0.3)),
        seam((-7.5, 24.0), (-8.0, 48.0), width=0.3, strength=0.6),
        seam((-8.0, 52.0), (-9.5, length + 1.4), width=0.3, strength=0.6),
        *both(Panel(tab, "plain", lift=0.8, puff=0.4)),
        *both(button(14.5, 3.2, 0.6)),
        *both(Panel(ribbon(((15.0, 60.0), (18.5, 74.0)), 3.4), "main", lift=0.6, puff=0.3)),
        *buttons(-5.6, [31.0, 42.0, 60.0, 72.0], 1.1),
        *buttons(5.6, [31.0, 42.0, 60.0, 72.0], 1.1),
        *_lapels(24.0, 11.5, 17.0),
        Panel(tail, "plain", lift=1.0, puff=0.5),
        Panel(strap, "plain", lift=1.0, puff=0.6),
        *_buckle(1.5, 50.3),
    ]


def _buckle(x: float, y: float) -> Drawing:
    frame = box(x - 3.2, y - 3.0, x + 3.2, y + 3.0, 0.8)
    return [
        Stroke((*frame, frame[0]), 0.9, "leather", 1.0),
        Stroke(((x, y), (x + 3.2, y)), 0.6, "metal", 1.0),
    ]


def puffer_jacket(g: Garment) -> Drawing:
    """Quilted in rounded baffles, with a high collar and a zip."""
    ease = span(-0.5, 2.5, g.fit)
    block = Bodice(
        neck=10.0,
        drop=5.0,
        shoulder=23.0,
        chest=26.5 + ease,
        waist=26.5 + ease,
        hem=26 + ease,
        length=span(62, 70, g.length),
    )
    arm = 53.0, 12.0, 68.0
    edges = steps(16.0, block.length - 4, 6)
    return [
        *_high_collar(),
        *both(
            *(
                Panel(block.band(end, wide, arm[2], 10.5), "main", arm[2] - 90, puff=1.5)
                for end, wide in ((52.0, 14.0), (42.0, 16.2), (32.0, 18.0), (22.0, 19.5))
            )
        ),
        *both(Panel(block.sleeve(chance(g, "sleeve"), 13.0, 19.5, arm[2]).outline, puff=1.5)),
        *block.cuffs(arm[0] + 1.5, 11.5, arm[2], 3.0),
        *_baffles(block, edges),
        *block.hem_band(3.5, tuck=1.0)[:1],
        *zip_line(-6.0, block.length + 0.6),
    ]


def _baffles(block: Bodice, edges: list[float]) -> Drawing:
    """The body in level strips that bulge a little over the sides."""
    x = block.chest
    yoke = path(
        [(-10.0, 0.0), (0.0, 3.0), (10.0, 0.0)],
        [(10.0, 0.0), (23.0, 4.5)],
        [(23.0, 4.5), (22.4, 11.0), (x - 1.6, edges[0])],
        [(x - 1.6, edges[0]), (0.0, edges[0] + 1.2), (1.6 - x, edges[0])],
        [(1.6 - x, edges[0]), (-22.4, 11.0), (-23.0, 4.5)],
    )
    strips = [
        Panel(
            path(
                [(-x, top), (0.0, top + 1.0), (x, top)],
                [(x, top), (x + 1.1, (top + low) / 2), (x, low)],
                [(x, low), (0.0, low + 1.4), (-x, low)],
                [(-x, low), (-x - 1.1, (top + low) / 2), (-x, top)],
            ),
            puff=1.5,
            lift=0.5,
        )
        for top, low in zip(edges, [*edges[1:], block.length], strict=True)
    ]
    return [Panel(yoke, puff=1.4), *strips]


def _high_collar() -> Drawing:
    inside = path(
        [(-10.0, 1.0), (-9.5, -7.0), (0.0, -9.5)], [(0.0, -9.5), (9.5, -7.0), (10.0, 1.0)]
    )
    front = path(
        [(-10.2, 2.0), (-10.4, -6.5)],
        [(-10.4, -6.5), (0.0, -4.0), (10.4, -6.5)],
        [(10.4, -6.5), (10.2, 2.0)],
        [(10.2, 2.0), (0.0, 5.0), (-10.2, 2.0)],
    )
    return [Panel(inside, "lining", lift=0), Panel(front, "main", lift=0.4, puff=1.4)]


def duffle_coat(g: Garment) -> Drawing:
    """A hooded coat that closes with toggles and loops."""
    ease = span(-0.5, 2.0, g.fit)
    length = span(86, 98, g.length)
    block = Bodice(
        neck=10.0,
        drop=8.0,
        shoulder=22.5,
        chest=26 + ease,
        waist=26.5 + ease,
        hem=31 + ease,
        length=length,
        curl=1.5,
    )
    arm = 55.0, 15.0, 71.0
    hood = path(
        [(-13.0, 5.5), (-15.0, -3.5), (0.0, -9.0), (15.0, -3.5), (13.0, 5.5)],
        [(13.0, 5.5), (0.0, 11.0), (-13.0, 5.5)],
    )
    opening = path([(-9.5, 2.0), (0.0, -4.5), (9.5, 2.0)], [(9.5, 2.0), (0.0, 9.0), (-9.5, 2.0)])
    folds = tuple(
        crease((4.0 * s, 8.0), (10.0 * s, 3.0), (12.5 * s, -2.0), width=1.4) for s in (-1, 1)
    )
    return [
        *block.sleeves(chance(g, "sleeve"), length=arm[0], cuff=arm[1], angle=arm[2], bulge=1.5),
        block.body(chance(g, "body"), folds=5),
        seam((-2.2, 8.0), (-2.2, length + 1.0), width=0.3, strength=0.6),
        *both(*patch(8.0, length - 38, 23.0, length - 19)),
        *both(Panel(box(7.5, length - 40, 23.5, length - 34.5, 0.8), "main", lift=0.7, puff=0.4)),
        Panel(hood, "main", folds=folds, lift=0.9),
        Panel(opening, "lining", lift=0.2, puff=0.6),
        *(mark for y in steps(18.0, length - 44, 4) for mark in _toggle(y)),
    ]


def _toggle(y: float) -> Drawing:
    cord = ((-6.5, y), (6.5, y))
    pads = [
        Panel(box(side - 1.8, y - 1.8, side + 1.8, y + 1.8, 0.5), "leather", lift=0.6, puff=0.3)
        for side in (-7.5, 7.5)
    ]
    return [
        Stroke(cord, 0.7, "leather", 0.95),
        *pads,
        Panel(ellipse(0.0, y, 3.0, 0.95), "gum", puff=0.6),
    ]


_CLASSIC = ("beige", "camel", "beige", "olive", "navy", "black", "ivory", "burgundy")
_COOL = ("spring", "autumn")
_COLD = ("autumn", "winter")

OUTERWEAR = {
    "bomber jacket": Cut(
        "outwear", bomber_jacket, "nylon", SOLID, OUTDOORS, 99, _COOL,
        "with ribbed collar, cuffs and hem and two slanted pockets",
    ),
    "denim jacket": Cut(
        "outwear", denim_jacket, "denim", SOLID, DENIMS, 89, _COOL,
        "with flapped chest pockets, metal buttons and contrasting stitches",
    ),
    "blazer": Cut(
        "outwear", blazer, "wool", ("plain", "plain", "pinstripes", "tartan"), OUTDOORS, 129,
        ("spring", "autumn", "all year"),
        "with notched lapels, two buttons and flapped pockets", print_size=0.8,
    ),
    "trench coat": Cut(
        "outwear", trench_coat, "cotton", SOLID,
        _CLASSIC,
        169, _COOL, "double-breasted with storm flaps, epaulettes and a buckled belt",
    ),
    "puffer jacket": Cut(
        "outwear", puffer_jacket, "nylon", SOLID,
        (*OUTDOORS, "red", "mustard", "sky blue", "lilac"),
        139, ("winter",), "quilted in wide baffles with a high collar and a full zip",
    ),
    "duffle coat": Cut(
        "outwear", duffle_coat, "wool", ("plain", "plain", "tartan"), OUTDOORS, 179, _COLD,
        "with a roomy hood, toggles and two patch pockets",
    ),
}  # fmt: skip
