"""Plots as SVG: where everything in them lies is worked out here, and templates draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from similarity.figures import Day

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 24
"""Room for the numbers beside the plot, and the days below it."""

LINES = 4
"""Lines across the plot, at most, above that of zero."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: its searches as a bar, and those without a good result as its lower part."""

    day: Day
    x: int
    width: int
    y: int
    height: int
    poor_y: int
    poor_height: int
    has_label: bool
    middle: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line across, with the number that it stands for."""

    y: int
    value: int


@dataclass(frozen=True, slots=True)
class BarPlot:
    """Searches by day."""

    bars: list[Bar]
    lines: list[Line]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    end: int = WIDTH - RIGHT
    foot: int = HEIGHT - BOTTOM

    @property
    def searches(self) -> int:
        return sum(bar.day.searches for bar in self.bars)

    @property
    def poor(self) -> int:
        return sum(bar.day.poor for bar in self.bars)

    @property
    def share(self) -> float:
        """Of searches without a good result, 0 to 1."""
        return self.poor / max(1, self.searches)


def bar_plot(days: Sequence[Day]) -> BarPlot:
    """The searches of some days, oldest first."""
    top = _round_up(max((day.searches for day in days), default=0))
    room = HEIGHT - TOP - BOTTOM
    pace = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    width = max(2, round(pace * 0.72))

    def tall(value: int) -> int:
        return max(round(room * value / top), 2 if value else 0)

    bars = []
    for number, day in enumerate(days):
        x = round(LEFT + number * pace + (pace - width) / 2)
        height, poor = tall(day.searches), tall(day.poor)
        bars.append(
            Bar(
                day=day,
                x=x,
                width=width,
                y=HEIGHT - BOTTOM - height,
                height=height,
                poor_y=HEIGHT - BOTTOM - poor,
                poor_height=poor,
                has_label=(len(days) - 1 - number) % 7 == 0,
                middle=x + width // 2,
            )
        )
    step = max(1, top // LINES)
    values = range(0, top + 1, step)
    return BarPlot(bars, [Line(HEIGHT - BOTTOM - round(room * v / top), v) for v in values])


def _round_up(value: int) -> int:
    """The next number that reads well at the top of a plot, which LINES lines part evenly."""
    sizes = (LINES * part * int(10**power) for power in count() for part in (1, 2, 5))
    return next(size for size in sizes if size >= value)
