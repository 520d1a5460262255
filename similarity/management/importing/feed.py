"""A shop's product feed: CSV or JSON lines, with pictures as files beside it or as addresses."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from similarity.ingestion import read_file
from similarity.intake import fetched
from similarity.management.importing import BadRow, Picture, Row
from similarity.management.ingesting import FIELDS, LISTS

PICTURES = "images"
KNOWN = ("reference", PICTURES, *FIELDS, *LISTS)
"""What a feed may say, by the names that its columns have unless it is told otherwise."""

JSON_LINES = {".jsonl", ".ndjson", ".json"}

ADDRESS = re.compile(r"https?://", re.IGNORECASE)

Cells = Mapping[str, Any]


class Feed:
    """The rows of a feed. Columns that are not known are passed over."""

    cut_out_by = ""

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.folder = path.resolve().parent
        self.columns = {name: name for name in KNOWN} | dict(columns or {})

    def rows(self) -> Iterator[Row]:
        read = _json_lines if self.path.suffix.lower() in JSON_LINES else _csv_rows
        try:
            for number, cells in read(self.path):
                yield self._row(f"line {number}", cells)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CommandError(f"{self.path} cannot be read: {error}") from error

    def _row(self, name: str, cells: Cells | BadRow) -> Row:
        if isinstance(cells, BadRow):
            return Row(name, problems=[str(cells)])
        row = Row(name)
        try:
            row.details.update(self._details(cells))
        except BadRow as error:
            row.problems.append(str(error))
            return row  # pictures of who knows what
        for address in _list(self._cell(cells, PICTURES)):
            try:
                row.pictures.append(self._picture(address))
            except BadRow as error:
                row.problems.append(str(error))
        return row

    def _cell(self, cells: Cells, name: str) -> Any:
        return cells.get(self.columns[name])

    def _details(self, cells: Cells) -> dict[str, Any]:
        """What the row says of its product; what is empty says nothing."""
        details: dict[str, Any] = {"reference": _text(self._cell(cells, "reference"), "reference")}
        if not details["reference"]:
            raise BadRow(f"It has no {self.columns['reference']}.")
        for name in FIELDS:
            if value := _text(self._cell(cells, name), name):
                details[name] = value
        for name in LISTS:
            if values := _list(self._cell(cells, name)):
                details[name] = values
        return details

    def _picture(self, address: str) -> Picture:
        if ADDRESS.match(address):
            return Picture(address, partial(fetched, address), is_address=True)
        try:
            path = (self.folder / address).resolve()
            is_there = path.is_relative_to(self.folder) and path.is_file()
        except (OSError, ValueError) as error:  # a name that no file can have
            raise BadRow(f"{address!r} is no name of a file.") from error
        if not is_there:
            raise BadRow(f"There is no picture {address!r} in the feed's folder.")
        return Picture(address, partial(read_file, path))


def _csv_rows(path: Path) -> Iterator[tuple[int, Cells | BadRow]]:
    """Divided by what divides the header most: comma, semicolon, tab or bar."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(",;\t|", key=header.count))
        for row in reader:
            fits = None not in row and None not in row.values()
            yield reader.line_num, row if fits else BadRow("It has too few or too many cells.")


def _json_lines(path: Path) -> Iterator[tuple[int, Cells | BadRow]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                cells = json.loads(line, parse_float=Decimal)
                json.dumps(cells, ensure_ascii=False, default=str).encode()
            except UnicodeEncodeError:  # an exporter has cut a text in the middle of an emoji
                yield number, BadRow("It has half of a character, which nothing can store.")
            except (ValueError, RecursionError) as error:
                yield number, BadRow(f"It is no JSON: {error}")
            else:
                yield number, cells if isinstance(cells, dict) else BadRow("It is no JSON object.")


def _text(value: Any, name: str) -> str:
    """A cell's value as text; none, and an empty one, as an empty text."""
    if isinstance(value, dict | list | bool):
        raise BadRow(f"{name} must be a text or a number.")
    return "" if value is None else str(value).strip()


def _list(value: Any) -> list[str]:
    """A cell's values: a list, or a text that | divides."""
    values = value if isinstance(value, list) else str(value or "").split("|")
    return [text for item in values if (text := str(item).strip())]
