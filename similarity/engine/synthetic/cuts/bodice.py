"""The upper body's block: neckline, shoulders, armholes, sides, and the sleeves set into it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from similarity.engine.synthetic.cuts.cut import crease, drape, seam, stitch
from similarity.engine.synthetic.garments import Drawing, Fold, Panel, Stroke, both
from similarity.engine.synthetic.geometry import Outline, Point, box, curve, mirror, path, ribbon


@dataclass(frozen=True, slots=True)
class Bodice:
    """Half widths and heights in centimetres; the origin lies between the shoulders' necks."""

    neck: float = 9.0
    drop: float = 9.0
    """How deep the front neckline hangs."""
    vee: bool = False
    shoulder: float = 21.0
    slope: float = 4.5
    chest: float = 23.5
    armhole: float = 23.0
    waist: float = 22.5
    waist_at: float = 43.0
    hem: float = 23.5
    length: float = 68.0
    curl: float = 1.0
    """How far the hem's middle hangs below its ends."""

    def neckline(self, wider: float = 0.0) -> Outline:
        """The front neckline from left to right, moved outwards by `wider`."""
        n, d = self.neck + wider, self.drop + wider
        if self.vee:
            half = curve((0.0, d), (n * 0.55, d * 0.47), (n, 0.0))
        else:
            half = curve((0.0, d), (n * 0.62, d * 0.72), (n, 0.0))
        return mirror(reversed(half)) + half[1:]

    def back(self) -> Outline:
        """The back neckline from left to right."""
        return curve((-self.neck, 0.0), (0.0, 1.8), (self.neck, 0.0))

    def side(self) -> Outline:
        """From the right shoulder's neck round the arm and down to the hem's middle."""
        sleeve_edge = (self.shoulder - 0.09 * (self.armhole - self.slope), 0.62 * self.armhole)
        return path(
            [(self.neck, 0.0), (self.shoulder, self.slope)],
            [(self.shoulder, self.slope), sleeve_edge, (self.chest, self.armhole)],
            [(self.chest, self.armhole), (self.waist, self.waist_at), (self.hem, self.length)],
            [(self.hem, self.length), (self.hem / 2, self.length + 0.8 * self.curl), self.bottom],
        )

    @property
    def bottom(self) -> Point:
        """The hem's middle."""
        return 0.0, self.length + self.curl

    def hem_line(self, above: float = 0.0) -> Outline:
        """The hem from left to right, or a line that far above it."""
        y = self.length - above
        return curve((-self.hem, y), (0.0, y + self.curl), (self.hem, y))

    def inside(self) -> Drawing:
        """The back's inside that shows in the neckline, with its label."""
        front = tuple(reversed(self.neckline()))
        return [
            Panel(self.back() + front, "lining", lift=0, puff=0.3),
            Panel(box(-1.7, 2.6, 1.7, 4.6, 0.2), "label", lift=0.4, puff=0.2),
        ]

    def body(self, random: Random, cloth: str = "main", folds: int = 5) -> Panel:
        """Front and sides, with folds that rise from the hem and fall from the arms."""
        outline = self.neckline() + self.side()[1:] + mirror(reversed(self.side()))[1:-1]
        top = ((-self.chest * 0.7, self.armhole + 6), (self.chest * 0.7, self.armhole + 6))
        pulls = tuple(self._pull(random, side) for side in (-1, 1))
        return Panel(outline, cloth, folds=drape(random, top, self.hem_line(), folds) + pulls)

    def _pull(self, random: Random, side: int) -> Fold:
        x, y = self.chest * side, self.armhole
        reach = random.uniform(9, 14)
        return crease((x * 0.96, y), (x * 0.8, y + reach * 0.35), (x * 0.5, y + reach), width=2.0)

    def sleeves(
        self,
        random: Random,
        *,
        length: float,
        cuff: float,
        angle: float,
        bulge: float = 1.0,
        cloth: str = "main",
    ) -> Drawing:
        """Both sleeves: `length` along the arm, `cuff` wide at the hand, hanging at `angle`.

        They go below the body, which covers where they are set in.
        """
        return both(self.sleeve(random, length, cuff, angle, bulge=bulge, cloth=cloth))

    def sleeve(
        self,
        random: Random,
        length: float,
        cuff: float,
        angle: float,
        *,
        bulge: float = 1.0,
        cloth: str = "main",
    ) -> Panel:
        """The right sleeve."""
        top, under = (self.shoulder - 4, self.slope - 0.7), (self.chest - 0.4, self.armhole)
        cap = (self.shoulder + 1.0, self.slope + 1.6)
        outer, inner = self.cuff(length, cuff, angle)
        out, into = (
            self._elbow(cap, outer, angle, bulge),
            self._elbow(under, inner, angle, -bulge * 0.4),
        )
        hidden = (self.shoulder - 7, self.armhole * 0.6)
        outline = path(
            [top, cap, out, outer], [outer, inner], [inner, into, under], [under, hidden, top]
        )
        folds = [
            crease(under, _mid(under, outer, 0.22), width=1.8),
            crease(_mid(inner, under, 0.45), _mid(into, out, 0.55), width=1.5, depth=-0.22),
            crease(
                _mid(inner, outer, 0.4),
                _mid(into, out, random.uniform(0.3, 0.6)),
                width=1.3,
                depth=-0.2,
            ),
        ]
        if length > 40:  # noqa: PLR2004 - it bends at an elbow
            folds += [
                crease(into, _mid(into, out, 0.4), _mid(out, outer, 0.1), width=1.7, depth=-0.3),
                crease(_mid(into, inner, 0.6), _mid(out, outer, 0.5), width=1.2, depth=-0.2),
            ]
        return Panel(outline, cloth, grain=angle - 90, folds=tuple(folds))

    def cuff(self, length: float, cuff: float, angle: float) -> tuple[Point, Point]:
        """Outer and inner end of the right sleeve's cuff."""
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        x = (self.shoulder + self.chest) / 2 - 1 + length * cos
        y = (self.slope + self.armhole) / 2 + length * sin
        return (x + sin * cuff / 2, y - cos * cuff / 2), (x - sin * cuff / 2, y + cos * cuff / 2)

    def _elbow(self, start: Point, end: Point, angle: float, out: float) -> Point:
        x, y = _mid(start, end, 0.5)
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        return x + out * sin, y - out * cos

    def cuffs(
        self, length: float, cuff: float, angle: float, deep: float, cloth: str = "rib"
    ) -> Drawing:
        """Bands at the sleeves' ends, `deep` centimetres long."""
        return both(
            Panel(self.band(length, cuff, angle, deep), cloth, grain=angle - 90, lift=0.6, puff=0.6)
        )

    def band(self, length: float, cuff: float, angle: float, deep: float) -> Outline:
        """The right sleeve's last `deep` centimetres."""
        far, near = self.cuff(length, cuff, angle), self.cuff(length - deep, cuff + 0.3, angle)
        return far[0], far[1], near[1], near[0]

    def sleeve_hems(self, length: float, cuff: float, angle: float) -> Drawing:
        """A stitched line just above each sleeve's end."""
        outer, inner = self.cuff(length - 2.2, cuff + 0.2, angle)
        return both(stitch(outer, inner))

    def collar_band(self, width: float, cloth: str = "rib") -> Drawing:
        """A knitted band round the neckline, front and back."""
        front = self.neckline(width / 2 - 0.2)
        return [
            Panel(ribbon(curve(*self.back()[::4]), width * 0.8), cloth, lift=0.3, puff=0.4),
            Panel(ribbon(front, width), cloth, lift=0.35, puff=0.5),
            Stroke(self.neckline(width - 0.2), 0.2, strength=0.4),
        ]

    def hem_band(self, deep: float, cloth: str = "rib", tuck: float = 1.5) -> Drawing:
        """A ribbed band along the hem, drawn in by `tuck` on each side."""
        top, x, y = self.hem_line(deep), self.hem - tuck, self.length
        low = curve((x, y), (0.0, y + self.curl), (-x, y))
        ribs = [
            seam(
                (i * x / 12, y - deep + 0.8),
                (i * (x / 12) * 0.98, y + 0.4),
                width=0.22,
                strength=0.22,
            )
            for i in range(-11, 12)
        ]
        return [Panel(top + low, cloth, lift=0.4, puff=0.6), *ribs]


def _mid(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
