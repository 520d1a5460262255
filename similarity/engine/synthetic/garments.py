"""What a drawn garment is, and what its drawing is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from similarity.engine.synthetic.geometry import Outline, mirror, moved

KINDS = (
    "top",
    "outwear",
    "dress",
    "pants",
    "shorts",
    "skirt",
    "shoes",
    "hat",
    "bag",
    "scarf",
)


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment as its drawing needs it; equal garments are drawn with the same pixels."""

    kind: str
    """One of KINDS."""
    cut: str
    """A name in CUTS, such as "crew-neck tee"."""
    colour: str
    """A name in the palette."""
    second_colour: str | None
    """The pattern's or the trim's colour; None if there is neither."""
    pattern: str
    """A name in PATTERNS, such as "plain"."""
    length: float
    """From the shortest (0) to the longest (1) that the cut allows."""
    sleeve: float
    """From the shortest (0) to the longest (1) that the cut allows."""
    fit: float
    """From slim (0) to loose (1)."""
    variant: int
    """Seeds what is left to chance: folds, and where a print's flowers lie."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A soft crease inside a panel, widest at its start; negative depth is a shadow."""

    line: Outline
    width: float
    depth: float


@dataclass(frozen=True, slots=True)
class Panel:
    """A closed piece of cloth."""

    outline: Outline
    cloth: str = "main"
    """The role whose colour it takes; only "main" carries the garment's pattern."""
    grain: float = 0.0
    """Degrees by which its pattern is turned, clockwise."""
    folds: tuple[Fold, ...] = ()
    lift: float = 1.0
    """How strong a shadow it casts on the panels below it; 0 is none."""
    puff: float = 1.0
    """How round its edges look; 0 is flat."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A drawn line: a seam, a row of stitches, a zip, a lace."""

    line: Outline
    width: float = 0.25
    ink: str = "seam"
    """A cloth's role, or "seam", which is darker than dark cloth's and lighter than light's."""
    strength: float = 0.45
    stitched: bool = False


Mark = Panel | Stroke
Drawing = list[Mark]


def flipped(mark: Mark) -> Mark:
    """The same mark on the other side of the garment's middle."""
    if isinstance(mark, Stroke):
        return replace(mark, line=mirror(mark.line))
    folds = tuple(replace(fold, line=mirror(fold.line)) for fold in mark.folds)
    return replace(mark, outline=mirror(mark.outline), grain=-mark.grain, folds=folds)


def both(*marks: Mark) -> Drawing:
    """Each mark, and the same on the other side."""
    return [side for mark in marks for side in (mark, flipped(mark))]


def shifted(drawing: Drawing, dx: float, dy: float) -> Drawing:
    """The drawing moved by (dx, dy) centimetres."""
    return [_shifted(mark, dx, dy) for mark in drawing]


def _shifted(mark: Mark, dx: float, dy: float) -> Mark:
    if isinstance(mark, Stroke):
        return replace(mark, line=moved(mark.line, dx, dy))
    folds = tuple(replace(fold, line=moved(fold.line, dx, dy)) for fold in mark.folds)
    return replace(mark, outline=moved(mark.outline, dx, dy), folds=folds)
