"""Trousers, shorts and skirts; the origin is the middle of the waist."""

from __future__ import annotations

from dataclasses import dataclass

from similarity.engine.synthetic.cuts.cut import (
    ANY,
    DENIMS,
    SOLID,
    Cut,
    button,
    buttons,
    chance,
    crease,
    drape,
    patch,
    seam,
    span,
    steps,
    stitch,
)
from similarity.engine.synthetic.cuts.dresses import skirt_part, tiers
from similarity.engine.synthetic.garments import Drawing, Fold, Garment, Panel, Stroke, both
from similarity.engine.synthetic.geometry import Outline, box, curve, path, symmetric


@dataclass(frozen=True, slots=True)
class Legs:
    """Half widths and heights in centimetres of a pair of trousers or shorts."""

    waist: float = 17.5
    hip: float = 21.5
    rise: float = 27.0
    """Where the legs part."""
    knee: tuple[float, float] = (17.5, 4.5)
    """Outer and inner distance from the middle."""
    hem: tuple[float, float] = (16.0, 5.5)
    length: float = 102.0

    def panel(self, folds: tuple[Fold, ...] = ()) -> Panel:
        """Both legs in one piece."""
        half = (self.rise + self.length) / 2
        outer, inner, end = self.hem[0], self.hem[1], self.length
        right = path(
            [(0.0, 1.0), (self.waist, 0.0)],
            [(self.waist, 0.0), (self.hip, self.rise * 0.68), (self.knee[0], half), (outer, end)],
            [(outer, end), ((outer + inner) / 2, end + 0.7), (inner, end)],
            [(inner, end), (self.knee[1], half), (0.6, self.rise)],
        )
        return Panel(symmetric(right), folds=folds)

    def creases(self, garment: Garment) -> tuple[Fold, ...]:
        """Whiskers from the crotch, creases at the knees and folds from the hems."""
        random = chance(garment, "legs")
        half = (self.rise + self.length) / 2
        folds: list[Fold] = []
        for side in (-1, 1):
            for i in range(3):
                reach = random.uniform(0.45, 0.8)
                folds.append(
                    crease(
                        (1.0 * side, self.rise - 2 * i),
                        (self.hip * reach * side, self.rise - 4.5 - 3.5 * i),
                        width=1.3,
                        depth=-0.24,
                    )
                )
            for i in range(2):
                y = half + random.uniform(-4, 4) + 5 * i
                folds.append(
                    crease(
                        (self.knee[1] * side, y),
                        (self.knee[0] * 0.85 * side, y - 3),
                        width=1.3,
                        depth=-0.18,
                    )
                )
            middle = side * (self.hem[0] + self.hem[1]) / 2
            folds.append(
                crease((middle, self.length), (middle * 1.04, half + 8), width=1.8, depth=-0.2)
            )
        return tuple(folds)

    def waistband(self, deep: float = 4.0, cloth: str = "plain") -> Drawing:
        """The band, and the back's inside that shows above it."""
        w = self.waist
        inside = path([(-w, 0.2), (0.0, -1.6), (w, 0.2)], [(w, 0.2), (0.0, 1.8), (-w, 0.2)])
        band = path(
            [(-w, 0.0), (0.0, 1.4), (w, 0.0)],
            [(w, 0.0), (w + 0.9, deep)],
            [(w + 0.9, deep), (0.0, deep + 1.4), (-w - 0.9, deep)],
        )
        return [Panel(inside, "lining", lift=0, puff=0.3), Panel(band, cloth, lift=0.5, puff=0.4)]

    def loops(self) -> Drawing:
        """Belt loops."""
        places = (self.waist * 0.42, self.waist * 0.86)
        return both(
            *(
                Panel(box(x - 0.7, 0.3, x + 0.7, 5.4, 0.3), "plain", lift=0.7, puff=0.3)
                for x in places
            )
        )

    def fly(self, ink: str = "seam") -> Drawing:
        """The front's middle seam and the stitched curve beside it."""
        return [
            seam((0.0, 5.2), (0.0, self.rise), width=0.35, strength=0.6),
            stitch((3.4, 5.4), (3.2, 13.0), (0.3, 18.5), ink=ink, strength=0.7),
        ]

    def slant_pockets(self) -> Drawing:
        """Openings that slant from the waistband to the side."""
        line = (self.waist - 5.5, 5.2), (self.hip - 0.6, self.rise * 0.66)
        inner = (line[0][0] - 0.9, 5.3), (line[1][0] - 0.9, line[1][1])
        return both(seam(*line, width=0.45, strength=0.7), stitch(*inner, strength=0.4))


def jeans_front(block: Legs) -> Drawing:
    """Scooped pockets with rivets, a coin pocket, a fly and thread in a contrasting colour."""
    hip = block.hip - 1.2
    scoop = [(block.waist - 7.0, 5.2), (block.waist - 5.5, 10.0), (hip, 12.2)]
    inner = [(x - 0.8, y + 0.7) for x, y in scoop]
    return [
        *both(seam(*scoop, width=0.4, strength=0.7)),
        *both(stitch(*inner, ink="metal", strength=0.85)),
        *both(
            button(scoop[0][0] + 0.7, 6.2, 0.42, "metal"), button(hip - 0.4, 11.2, 0.42, "metal")
        ),
        *block.fly("metal"),
        *block.waistband(),
        *block.loops(),
        stitch(
            (-block.waist - 0.2, 3.5),
            (0.0, 4.9),
            (block.waist + 0.2, 3.5),
            ink="metal",
            strength=0.85,
        ),
        button(0.0, 3.4, 1.0, "metal"),
    ]


def _worn(x: float, width: float) -> tuple[Fold, ...]:
    """Where denim has paled on the thighs: from their middle up and down."""
    return tuple(
        Fold(curve((x * side, 42.0), (x * side * shift, end)), width, 0.15)
        for side in (-1, 1)
        for shift, end in ((1.2, 22.0), (0.94, 68.0))
    )


def skinny_jeans(g: Garment) -> Drawing:
    """Narrow to the ankle, with five pockets."""
    block = Legs(
        waist=16.5, hip=19.8, knee=(13.4, 4.2), hem=(10.6, 3.8), length=span(94, 102, g.length)
    )
    side = curve((19.3, 14.5), (15.6, 45.0), (12.4, 64.0), (9.9, block.length))
    worn = _worn(9.6, 5.0)
    return [
        block.panel((*block.creases(g), *worn)),
        *both(Stroke(side, 0.2, "metal", 0.45, stitched=True)),
        *both(
            stitch((10.4, block.length - 1.6), (4.0, block.length - 1.3), ink="metal", strength=0.8)
        ),
        *jeans_front(block),
    ]


def straight_jeans(g: Garment) -> Drawing:
    """Straight from the hip down, with five pockets and turned-up hems."""
    block = Legs(knee=(18.4, 3.8), hem=(17.6, 4.6), length=span(94, 102, g.length))
    worn = _worn(12.0, 6.0)
    turn = box(4.1, block.length - 5.0, 18.2, block.length + 0.9, 0.4)
    return [
        block.panel((*block.creases(g), *worn)),
        *both(Panel(turn, "rib", lift=0.6, puff=0.5)),
        *jeans_front(block),
    ]


def chinos(g: Garment) -> Drawing:
    """Gently tapered, with slanted pockets and a button."""
    block = Legs(knee=(16.6, 4.0), hem=(13.8, 4.4), length=span(96, 104, g.length))
    return [
        block.panel(block.creases(g)),
        *block.slant_pockets(),
        *block.fly(),
        *both(stitch((13.6, block.length - 2.8), (4.4, block.length - 2.5), strength=0.45)),
        *block.waistband(),
        *block.loops(),
        button(0.0, 3.2, 0.8),
    ]


def wide_trousers(g: Garment) -> Drawing:
    """High in the waist, with pleats and a crease down each wide leg."""
    block = Legs(
        waist=16.5,
        hip=21.5,
        rise=30.0,
        knee=(24.0, 2.0),
        hem=(span(25, 30, g.fit), 2.0),
        length=span(100, 110, g.length),
    )
    hem = (block.hem[0] + block.hem[1]) / 2
    falls = tuple(
        fold
        for s in (-1, 1)
        for fold in (
            crease((s * (hem + 6), block.length), (s * 19.0, 40.0), width=2.6, depth=-0.26),
            crease((s * (hem - 7), block.length), (s * 8.0, 48.0), width=2.4, depth=-0.26),
            Fold(curve((s * hem, block.length), (s * 12.5, 40.0), (s * 9.0, 6.0)), 1.6, 0.22),
        )
    )
    return [
        block.panel((*block.creases(g), *falls)),
        *both(seam((9.0, 5.5), (12.0, 40.0), (hem, block.length), width=0.25, strength=0.4)),
        *both(seam((5.5, 5.5), (6.5, 17.0), width=0.3, strength=0.5)),
        *block.slant_pockets(),
        *block.fly()[:1],
        *block.waistband(5.0),
        *block.loops()[:2],
        *buttons(-1.0, [3.6], 0.8),
    ]


def joggers(g: Garment) -> Drawing:
    """Soft, with an elastic waist, a cord and ribbed ankles."""
    block = Legs(
        hip=22.5, rise=29.0, knee=(18.6, 3.4), hem=(13.0, 4.4), length=span(92, 98, g.length)
    )
    cuff = path(
        [(12.6, block.length - 1.0), (11.4, block.length + 5.5)],
        [(11.4, block.length + 5.5), (5.4, block.length + 5.5)],
        [(5.4, block.length + 5.5), (4.6, block.length - 1.0)],
    )
    ribs = [
        seam(
            (5.4 + i * 0.9, block.length),
            (5.9 + i * 0.72, block.length + 5.0),
            width=0.22,
            strength=0.25,
        )
        for i in range(8)
    ]
    stripe = curve((21.6, 17.0), (18.0, 58.0), (12.2, block.length - 1))
    trim = [Stroke(stripe, 1.6, "second", 1.0)] if g.second_colour else []
    return [
        *both(Panel(cuff, "rib", lift=0, puff=0.8), *ribs),
        block.panel(block.creases(g)),
        *both(*trim),
        *block.slant_pockets(),
        *elastic_waist(block),
    ]


def elastic_waist(block: Legs) -> Drawing:
    """A gathered waistband with a tied cord."""
    w = block.waist
    gathers = [
        seam((x, 0.9), (x * 1.03, 4.9), width=0.22, strength=0.3) for x in steps(-w + 1, w - 1, 22)
    ]
    cords = (
        curve((0.9, 3.5), (2.4, 9.0), (1.8, 15.0)),
        curve((-0.9, 3.5), (-2.6, 8.0), (-3.0, 13.5)),
    )
    return [
        *block.waistband(4.6),
        *gathers,
        *(Stroke(cord, 0.65, "label", 1.0) for cord in cords),
        *both(button(1.3, 3.4, 0.5, "steel")),
    ]


def denim_shorts(g: Garment) -> Drawing:
    """Five pockets and turned-up hems."""
    end = span(36, 42, g.length)
    block = Legs(hip=22.5, rise=25.0, knee=(23.5, 2.0), hem=(24.0, 2.4), length=end)
    turn = (
        (2.2, end - 4.6),
        (24.3, end - 5.4),
        (24.7, end + 0.2),
        (14.0, end + 1.2),
        (2.2, end + 0.4),
    )
    return [
        block.panel(block.creases(g)[:3] + block.creases(g)[6:9]),
        *both(Panel(turn, "rib", lift=0.7, puff=0.6)),
        *jeans_front(block),
    ]


def chino_shorts(g: Garment) -> Drawing:
    """To the knee, with slanted pockets and neat hems."""
    end = span(46, 54, g.length)
    block = Legs(hip=22.0, rise=26.0, knee=(22.0, 1.8), hem=(21.0, 2.8), length=end)
    return [
        block.panel(block.creases(g)),
        *block.slant_pockets(),
        *block.fly(),
        *both(stitch((20.8, end - 3.0), (12.0, end - 2.2), (2.8, end - 2.7), strength=0.45)),
        *block.waistband(),
        *block.loops(),
        button(0.0, 3.2, 0.8),
    ]


def running_shorts(g: Garment) -> Drawing:
    """Light, with an elastic waist, piped edges and curved side vents."""
    end = span(31, 36, g.length)
    right = path(
        [(0.0, 1.0), (17.5, 0.0)],
        [(17.5, 0.0), (22.5, 15.0), (27.0, end - 5)],
        [(27.0, end - 5), (26.4, end - 1.2), (23.0, end + 0.4)],
        [(23.0, end + 0.4), (12.0, end + 1.2), (1.6, end)],
        [(1.6, end), (0.6, 24.0)],
    )
    edge = path(
        [(21.9, 15.0), (26.4, end - 5.2)],
        [(26.4, end - 5.2), (25.8, end - 1.8), (22.8, end - 0.4)],
        [(22.8, end - 0.4), (12.0, end + 0.4), (1.9, end - 0.6)],
    )
    low = curve((-26.0, end), (0.0, end), (26.0, end))
    folds = drape(chance(g, "legs"), ((-14.0, 8.0), (14.0, 8.0)), low, 7, 0.3)
    return [
        Panel(symmetric(right), folds=folds),
        *both(Stroke(edge, 1.1, "second", 1.0)),
        seam((0.0, 5.0), (0.0, 24.0), width=0.3, strength=0.5),
        *elastic_waist(Legs(length=end)),
    ]


def pencil_skirt(g: Garment) -> Drawing:
    """Close to the body down to the knee, with darts and a slit."""
    end, hip = span(56, 68, g.length), span(21, 23, g.fit)
    right = path(
        [(0.0, 1.0), (16.5, 0.0)],
        [(16.5, 0.0), (hip, 19.0), (hip - 1.2, end * 0.7), (hip - 3.6, end)],
        [(hip - 3.6, end), (8.0, end + 1.2), (0.0, end + 1.5)],
    )
    outline = symmetric(right)
    pulls = tuple(
        crease((s * (hip - 1), y), (s * hip * 0.45, y + 3.0), width=1.5, depth=-0.22)
        for s in (-1, 1)
        for y in (22.0, 29.0)
    )
    slit = ((9.0, end + 1.2), (10.2, end - 17.0), (12.4, end + 1.0))
    return [
        Panel(outline, folds=pulls),
        Panel(slit, "lining", lift=0, puff=0.2),
        seam((10.2, end - 17.0), (10.6, 34.0), (9.2, 5.0), strength=0.45),
        seam((-10.2, end), (-10.6, 34.0), (-9.2, 5.0), strength=0.45),
        *both(seam((5.0, 5.2), (5.4, 15.0), strength=0.45)),
        *Legs(waist=16.5).waistband(),
        Stroke(
            curve((2.0 - hip, end - 2.4), (0.0, end - 1.0), (8.8, end - 1.2)),
            0.2,
            strength=0.4,
            stitched=True,
        ),
    ]


def pleated_skirt(g: Garment) -> Drawing:
    """Knife pleats that fan out from a narrow waistband."""
    waist, end, count = 16.5, span(48, 72, g.length), 14
    hem = span(31, 40, g.fit)
    pleats: Drawing = []
    for i in range(count):
        pleats.append(_pleat(waist, hem, end, i / count, (i + 1) / count))
    return [*pleats, *Legs(waist=waist).waistband(4.5)]


def _pleat(waist: float, hem: float, end: float, start: float, stop: float) -> Panel:
    left, right = 2 * start - 1, 2 * stop - 1
    droop = 3.0 * (1 - ((left + right) / 2) ** 2)
    outline: Outline = path(
        [(waist * left, 2.0), (waist * right + 0.4, 2.0)],
        [(waist * right + 0.4, 2.0), (waist * right + (hem - waist) * right * 0.45, end * 0.42),
         (hem * right + 0.9, end + droop - 0.5)],
        [(hem * right + 0.9, end + droop - 0.5), (hem * left, end + droop + 0.8)],
        [(hem * left, end + droop + 0.8), (waist * left + (hem - waist) * left * 0.45, end * 0.42),
         (waist * left, 2.0)],
    )  # fmt: skip
    return Panel(outline, lift=0.75, puff=1.2)


def a_line_skirt(g: Garment) -> Drawing:
    """Flared a little, buttoned down the front, with patch pockets."""
    end, hem = span(42, 56, g.length), span(26, 32, g.fit)
    return [
        skirt_part(g, 17.0, 1.0, hem, end, folds=6),
        Panel(box(-1.9, 3.0, 1.9, end + 2.8), "main", lift=0.5, puff=0.25),
        *both(stitch((1.4, 4.0), (1.4, end + 2.4), strength=0.4)),
        *both(*patch(7.0, 13.0, 17.5, 25.5)),
        Stroke(
            curve((2.0 - hem, end - 2.2), (0.0, end + 0.8), (hem - 2.0, end - 2.2)),
            0.2,
            strength=0.4,
            stitched=True,
        ),
        *Legs(waist=17.0).waistband(),
        *buttons(0.0, [3.2, *steps(10.0, end - 4, 5)], 1.0),
    ]


def denim_mini_skirt(g: Garment) -> Drawing:
    """Short, with jeans pockets and contrasting thread."""
    end = span(34, 42, g.length)
    block = Legs(waist=17.5, hip=21.5, rise=20.0, length=end)
    right = path(
        [(0.0, 1.0), (17.5, 0.0)],
        [(17.5, 0.0), (22.0, 15.0), (24.0, end)],
        [(24.0, end), (12.0, end + 1.2), (0.0, end + 1.5)],
    )
    pulls = tuple(crease((s * 2.0, 19.0), (s * 14.0, 16.0), width=1.3, depth=-0.2) for s in (-1, 1))
    hem = curve((-23.4, end - 2.2), (0.0, end - 0.7), (23.4, end - 2.2))
    return [
        Panel(symmetric(right), folds=pulls),
        seam((0.0, 18.0), (0.0, end + 1.4), width=0.35, strength=0.6),
        stitch((0.8, 19.0), (0.8, end + 1.0), ink="metal", strength=0.85),
        Stroke(hem, 0.22, "metal", 0.85, stitched=True),
        *jeans_front(block),
    ]


def maxi_skirt(g: Garment) -> Drawing:
    """Three gathered tiers to the ankle on an elastic waist."""
    waist = 16.5
    gathers = [
        seam((x, 0.9), (x * 1.03, 4.9), width=0.22, strength=0.3)
        for x in steps(1 - waist, waist - 1, 20)
    ]
    return [
        *tiers(g, waist, 3.0, span(84, 96, g.length)),
        *Legs(waist=waist).waistband(4.6),
        *gathers,
    ]


_YEAR = ("all year",)
_WARM = ("spring", "summer")
_COLD = ("autumn", "winter")

PANTS = {
    "skinny jeans": Cut(
        "pants", skinny_jeans, "denim", SOLID, DENIMS, 59, _YEAR,
        "close from hip to ankle with five pockets and contrasting stitches",
    ),
    "straight jeans": Cut(
        "pants", straight_jeans, "denim", SOLID, DENIMS, 65, _YEAR,
        "straight from the hip down with five pockets and turned-up hems",
    ),
    "chinos": Cut(
        "pants", chinos, "cotton", SOLID, ANY, 55, _YEAR,
        "gently tapered with slanted pockets and a buttoned waist",
    ),
    "wide trousers": Cut(
        "pants", wide_trousers, "wool", ("plain", "plain", "plain", "pinstripes", "tartan"), ANY,
        69, _YEAR,
        "high in the waist with pleats and a crease down each wide leg",
    ),
    "joggers": Cut(
        "pants", joggers, "cotton", SOLID, ANY, 45, _YEAR,
        "soft with an elastic waist, a cord and ribbed ankles",
    ),
}  # fmt: skip

SHORTS = {
    "denim shorts": Cut(
        "shorts", denim_shorts, "denim", SOLID, DENIMS, 35, ("summer",),
        "with five pockets and turned-up hems",
    ),
    "chino shorts": Cut(
        "shorts", chino_shorts, "cotton", ("plain", "plain", "plain", "checks", "pinstripes"), ANY,
        39, _WARM,
        "ending at the knee with slanted pockets and neat hems",
    ),
    "running shorts": Cut(
        "shorts", running_shorts, "nylon", ("plain", "plain", "colour block", "zigzag"), ANY, 29,
        ("summer",),
        "light with an elastic waist, piped edges and side vents", block=22.0,
    ),
}  # fmt: skip

SKIRTS = {
    "pencil skirt": Cut(
        "skirt", pencil_skirt, "wool", ("plain", "plain", "checks", "pinstripes", "tartan"), ANY,
        49, _YEAR,
        "close to the body down to the knee with a slit", print_size=0.8,
    ),
    "pleated skirt": Cut(
        "skirt", pleated_skirt, "wool", ("plain", "plain", "tartan", "dots"), ANY, 55, _YEAR,
        "with knife pleats that fan out from a narrow waistband",
    ),
    "a-line skirt": Cut(
        "skirt", a_line_skirt, "cotton", ("plain", "plain", "checks", "floral", "tartan"), ANY, 45,
        _WARM,
        "buttoned down the front with two patch pockets",
    ),
    "denim mini skirt": Cut(
        "skirt", denim_mini_skirt, "denim", SOLID, DENIMS, 39, _WARM,
        "short with jeans pockets and contrasting stitches",
    ),
    "maxi skirt": Cut(
        "skirt", maxi_skirt, "cotton", ("plain", "floral", "floral", "dots", "stripes"), ANY, 59,
        ("summer",),
        "in three gathered tiers to the ankle", print_size=1.2,
    ),
}  # fmt: skip
