"""Outlines in centimetres: x to the right of the garment's middle, y downwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

Point = tuple[float, float]
Outline = tuple[Point, ...]

_STEPS = 8


def curve(*points: Point) -> Outline:
    """An open smooth line through the points.

    Cubic Hermite segments whose tangents run parallel to the neighbours' chord, as in
    Catmull-Rom splines, but as long as their own segment, so uneven spacing does not overshoot.
    """
    if len(points) == 2:  # noqa: PLR2004 - two points make a straight line
        return points
    line = [points[0]]
    for i in range(len(points) - 1):
        line += _segment(points, i)
    return tuple(line)


def _segment(points: Sequence[Point], i: int) -> list[Point]:
    start, end = points[i], points[i + 1]
    leave, arrive = _tangent(points, i, start, end), _tangent(points, i + 1, start, end)
    if i == 0:
        leave = _natural(start, end, arrive)
    if i == len(points) - 2:
        arrive = _natural(start, end, leave)
    return [_hermite(start, end, leave, arrive, step / _STEPS) for step in range(1, _STEPS + 1)]


def _tangent(points: Sequence[Point], i: int, start: Point, end: Point) -> Point:
    before, after = points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)]
    chord = math.dist(before, after) or 1.0
    length = math.dist(start, end) / chord
    return (after[0] - before[0]) * length, (after[1] - before[1]) * length


def _natural(start: Point, end: Point, other: Point) -> Point:
    """The end tangent that bends the segment no further than its other end asks."""
    return (
        1.5 * (end[0] - start[0]) - other[0] / 2,
        1.5 * (end[1] - start[1]) - other[1] / 2,
    )


def _hermite(start: Point, end: Point, leave: Point, arrive: Point, t: float) -> Point:
    a, b = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2
    c, d = t * t * (3 - 2 * t), t * t * (t - 1)
    return (
        a * start[0] + b * leave[0] + c * end[0] + d * arrive[0],
        a * start[1] + b * leave[1] + c * end[1] + d * arrive[1],
    )


def path(*runs: Sequence[Point]) -> Outline:
    """Runs one after the other, each smooth in itself; where two meet there is a corner."""
    return tuple(point for run in runs for point in curve(*run))


def mirror(outline: Iterable[Point]) -> Outline:
    """The same outline on the other side of the middle."""
    return tuple((-x, y) for x, y in outline)


def symmetric(right: Outline) -> Outline:
    """A closed outline from its right half, given from top to bottom."""
    return right + mirror(reversed(right))


def moved(outline: Iterable[Point], dx: float, dy: float) -> Outline:
    """The outline shifted by (dx, dy)."""
    return tuple((x + dx, y + dy) for x, y in outline)


def ellipse(x: float, y: float, rx: float, ry: float) -> Outline:
    """A closed ellipse around (x, y)."""
    turns = [math.tau * step / 32 for step in range(32)]
    return tuple((x + rx * math.cos(turn), y + ry * math.sin(turn)) for turn in turns)


def box(x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> Outline:
    """A closed rectangle with rounded corners."""
    if not corner:
        return (x0, y0), (x1, y0), (x1, y1), (x0, y1)
    quarters = (
        (x1 - corner, y0 + corner, 3),
        (x1 - corner, y1 - corner, 0),
        (x0 + corner, y1 - corner, 1),
        (x0 + corner, y0 + corner, 2),
    )
    turns = [math.tau * step / 24 for step in range(7)]
    return tuple(
        (
            x + corner * math.cos(turn + quarter * math.pi / 2),
            y + corner * math.sin(turn + quarter * math.pi / 2),
        )
        for x, y, quarter in quarters
        for turn in turns
    )


def ribbon(line: Sequence[Point], width: float, end: float | None = None) -> Outline:
    """A closed band along a line, as wide at its start as `width` and at its end as `end`."""
    last = width if end is None else end
    left, right = [], []
    for i, (x, y) in enumerate(line):
        half = (width + (last - width) * i / (len(line) - 1)) / 2
        nx, ny = _normal(line, i)
        left.append((x + nx * half, y + ny * half))
        right.append((x - nx * half, y - ny * half))
    return (*left, *reversed(right))


def _normal(line: Sequence[Point], i: int) -> Point:
    (x0, y0), (x1, y1) = line[max(i - 1, 0)], line[min(i + 1, len(line) - 1)]
    length = math.dist((x0, y0), (x1, y1)) or 1.0
    return (y1 - y0) / length, (x0 - x1) / length


def dashes(line: Sequence[Point], on: float, off: float) -> list[Outline]:
    """The line cut into stitches of length `on` with gaps of length `off`."""
    stitches: list[Outline] = []
    walked = 0.0
    for start, end in pairwise(line):
        length = math.dist(start, end)
        place = -(walked % (on + off))
        while place < length:
            if place + on > 0:
                stitches.append(_part(start, end, max(place, 0.0), min(place + on, length)))
            place += on + off
        walked += length
    return stitches


def _part(start: Point, end: Point, from_: float, to: float) -> Outline:
    length = math.dist(start, end) or 1.0
    return between(start, end, from_ / length), between(start, end, to / length)


def between(start: Point, end: Point, share: float) -> Point:
    """The point that lies at `share` (0 to 1) of the way from start to end."""
    return (
        start[0] + (end[0] - start[0]) * share,
        start[1] + (end[1] - start[1]) * share,
    )
