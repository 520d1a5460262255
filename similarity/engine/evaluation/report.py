"""An evaluation as one small HTML file: figures, precision-recall plots, good and bad cases.

It needs nothing beside it: pictures are inlined as JPEG thumbnails, plots as SVG, and there is no
script. All text is escaped; names of files and labels come from whoever made the data.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from PIL import Image, ImageDraw

from similarity.engine.contracts import Box
from similarity.engine.images import encode_jpeg

THUMBNAIL = 140
"""Longer side of a picture, in pixels."""

COLOURS = ("#0b62a4", "#c8501e", "#3d8b37", "#7a4aa0", "#8c6d1f")
"""Of the lines in a plot, the first for the model that the report is about."""

WIDTH, HEIGHT, MARGIN = 420, 300, 44
"""Of a plot, and the room for its axes."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;text-align:right;
border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}
.case{display:flex;flex-wrap:wrap;gap:.6rem;margin:.5rem 0 1.2rem}figure{margin:0;width:150px}
figcaption{font-size:12px;line-height:1.3;overflow-wrap:anywhere}img{border:3px solid #999}
.right img{border-color:#3d8b37}.wrong img{border-color:#c0392b}.plots{display:flex;flex-wrap:wrap}
"""


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """For a terminal: columns aligned, the first to the left."""
        lines = [self.columns, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


@dataclass(frozen=True)
class Line:
    """A line of a precision-recall plot: points (recall, precision), 0 to 1."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Picture:
    """A picture of a case."""

    image: Image.Image
    caption: str
    right: bool | None = None
    """Framed green or red; None is neither."""
    boxes: Sequence[tuple[Box, str]] = ()
    """Drawn into it, each in a colour that Pillow knows."""


@dataclass(frozen=True)
class Section:
    """What is told of one measure."""

    title: str
    note: str
    tables: Sequence[Table]
    lines: Sequence[Line] = ()
    cases: Mapping[str, Sequence[Sequence[Picture]]] = field(default_factory=dict)
    """Rows of pictures under a heading: "Good cases"."""


def page(title: str, facts: Mapping[str, str], sections: Iterable[Section]) -> str:
    """The report as an HTML document."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items()
    )
    body = "".join(map(_section, sections))
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>'
        f"<table>{rows}</table>{body}</body></html>\n"
    )


def plot(lines: Sequence[Line]) -> str:
    """Precision over recall as SVG."""
    ticks = "".join(_tick(step / 5) for step in range(6))
    drawn = "".join(
        _line(line, COLOURS[number % len(COLOURS)], number) for number, line in enumerate(lines)
    )
    names = (
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">recall</text>'
        f'<text transform="translate(12 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        "precision</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11" role="img" '
        f'aria-label="Precision over recall">{ticks}{names}{drawn}</svg>'
    )


def thumbnail(picture: Picture) -> str:
    """A small copy, its boxes drawn, as a data address."""
    small = picture.image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    scale = small.width / picture.image.width
    pen = ImageDraw.Draw(small)
    for box, colour in picture.boxes:
        left, top, right, bottom = (edge * scale for edge in box.edges)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode()


def _section(section: Section) -> str:
    tables = "".join(map(_table, section.tables))
    drawn = f'<div class="plots">{plot(section.lines)}</div>' if section.lines else ""
    cases = "".join(
        f"<h3>{escape(heading)}</h3>{''.join(map(_case, rows))}"
        for heading, rows in section.cases.items()
        if rows
    )
    title, note = escape(section.title), escape(section.note)
    return f"<h2>{title}</h2><p>{note}</p>{tables}{drawn}{cases}"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _case(pictures: Sequence[Picture]) -> str:
    return f'<div class="case">{"".join(map(_figure, pictures))}</div>'


def _figure(picture: Picture) -> str:
    kind = {None: "", True: ' class="right"', False: ' class="wrong"'}[picture.right]
    caption = escape(picture.caption)
    return (
        f'<figure{kind}><img src="{thumbnail(picture)}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _at(recall: float, precision: float) -> tuple[float, float]:
    """A point of the plot in its pixels."""
    return (
        round(MARGIN + recall * (WIDTH - 2 * MARGIN), 1),
        round(HEIGHT - MARGIN - precision * (HEIGHT - 2 * MARGIN), 1),
    )


def _tick(value: float) -> str:
    """A line of the grid and its number, along both axes."""
    (left, low), (right, high) = _at(0, 0), _at(1, 1)
    x, y = _at(value, value)
    return (
        f'<path d="M{x} {low}V{high}M{left} {y}H{right}" stroke="#ddd" fill="none"/>'
        f'<text x="{x}" y="{low + 14}" text-anchor="middle">{value:g}</text>'
        f'<text x="{left - 5}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    )


def _line(line: Line, colour: str, number: int) -> str:
    points = " ".join("{:g},{:g}".format(*_at(*point)) for point in line.points)
    top = 14 + 14 * number
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{WIDTH - MARGIN}" y="{top}" text-anchor="end" fill="{colour}">'
        f"{escape(line.name)}</text>"
    )
