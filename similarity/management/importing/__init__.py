"""Where `import_legacy` takes things from: each source gives its rows in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from similarity.engine import Vectors


class BadRow(Exception):
    """What is wrong with a row, or a part of it, in a sentence."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a row names. Other processes call `read` and `vector`: both picklable."""

    name: str
    """Of this picture in this source, the same each time; shown, never used as a path."""
    read: Callable[[], bytes]
    """Raises EngineError, OSError."""
    vector: Callable[[], Vectors | None] | None = None
    """That it comes with, as a unit vector; None if there is none that fits."""
    former: tuple[int, str] | None = None
    """Number and name that it had as an item of the old service."""
    is_address: bool = False
    """Whether the name says where on the web it is: what was taken is not fetched again."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one row of a source says."""

    name: str
    """Of the row, for people: "line 3"."""
    details: dict[str, Any] = field(default_factory=dict)
    """Of a product, as `save_product` takes them; empty if the row names none."""
    pictures: list[Picture] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What of the row is left out, and why, a sentence each."""


class Source(Protocol):
    """Where rows come from."""

    cut_out_by: str
    """The detector whose crops the pictures are; empty if their garments are to be looked for."""

    def rows(self) -> Iterator[Row]:
        """All rows, in an order that is the same each time. Raises CommandError."""
        ...
