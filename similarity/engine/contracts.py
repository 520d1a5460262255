"""The engine's contracts: what a detector, an embedder and an index promise.

Constructing a backend is cheap and imports nothing heavy; its first use loads what it needs,
once per process. So a web process may ask for `dim`, `fingerprint` or `missing()` without torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

Vectors = NDArray[np.float32]
Keys = NDArray[np.int64]
Categories = NDArray[np.int64]
"""Keys of categories, beside those of vectors."""

NO_CATEGORY = 0
"""Stands among them for none: no category has this key."""

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in pixels of an upright image: left, top, right, bottom.

    The right and bottom edges are exclusive, so `Box(0, 0, width, height)` is the whole image.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def whole(cls, image: Image) -> Box:
        """The box that holds the whole image."""
        return cls(0.0, 0.0, float(image.width), float(image.height))

    @property
    def width(self) -> float:
        return max(0.0, self.x1 - self.x0)

    @property
    def height(self) -> float:
        return max(0.0, self.y1 - self.y0)

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def edges(self) -> Edges:
        return (self.x0, self.y0, self.x1, self.y1)

    def clamped(self, width: int, height: int) -> Box:
        """The part of this box that lies inside an image of that size; its area may be 0."""
        return Box(
            min(max(self.x0, 0.0), width),
            min(max(self.y0, 0.0), height),
            min(max(self.x1, 0.0), width),
            min(max(self.y1, 0.0), height),
        )

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, 0 to 1."""
        shared = Box(
            max(self.x0, other.x0),
            max(self.y0, other.y0),
            min(self.x1, other.x1),
            min(self.y1, other.y1),
        ).area
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def pixels(self) -> tuple[int, int, int, int]:
        """The smallest whole-pixel rectangle that holds the box, as Pillow's `crop` takes it."""
        return (
            int(np.floor(self.x0)),
            int(np.floor(self.y0)),
            int(np.ceil(self.x1)),
            int(np.ceil(self.y1)),
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """One garment found in an image."""

    box: Box
    label: str
    score: float
    """Confidence, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One neighbour found in an index."""

    key: int
    similarity: float
    """Cosine similarity, -1 to 1."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What an index says of the files it has just written."""

    count: int
    dim: int
    parameters: dict[str, int]
    """What went into them, and what searches go by; empty if a plain scan does."""
    files: tuple[str, ...]
    """Names, inside the folder it was built into, of the files that it needs to be opened."""


class Backend(Protocol):
    """What detectors and embedders share."""

    light: ClassVar[bool]
    """True if one call is fast enough, and small enough, to run inside a web request."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of the weights or, without weights, of the algorithm's version.

        Raises MissingWeights if the weights are not there.
        """
        ...

    def missing(self) -> list[str]:
        """What must be put in place before first use, a sentence each; empty if nothing."""
        ...


class Detector(Backend, Protocol):
    def detect(self, image: Image) -> list[Detection]:
        """The garments of an upright RGB image: boxes in its pixels, clamped to it, best first."""
        ...


class Embedder(Backend, Protocol):
    @property
    def dim(self) -> int:
        """Length of a vector; known without loading the model."""
        ...

    def embed(self, crops: Sequence[Image]) -> Vectors:
        """Shape (n, dim), float32, every row of length 1; (0, dim) for no crops.

        A crop's vector does not depend on the others in its batch (cosine >= 0.9999).
        """
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder that describes words by vectors of the same space as its crops'."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Shape (n, dim), float32, every row of length 1; (0, dim) for no texts."""
        ...


@dataclass(frozen=True, slots=True)
class Tuning:
    """Which options of an index's constructor trade time and space for recall."""

    effort: str
    """What each search looks at, and no file depends on: the more, the more it finds."""
    least: int
    """The effort to begin with when the right one is looked for."""
    size: str | None = None
    """What makes the files larger, and lets less effort find as much; None if nothing does."""
    sizes: tuple[int, ...] = ()
    """Its values worth trying, ascending."""
    relief: float = 0.0
    """By which power of the size the effort falls that finds as much: 1 if twice the size spares
    half of it."""
    most_work: float = math.inf
    """Size times vectors that can be built without a long wait."""


class Index(Protocol):
    """Nearest neighbours by cosine among unit vectors, kept in a folder.

    A folder is written once by `build` and then only read, by `open`, from any number of
    processes.
    """

    def build(self, keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
        """Write the index of `vectors` (n, dim), which may be memory-mapped, into a folder.

        `keys` (n,) are unique and ascending; position i of the index stands for `keys[i]`.
        """
        ...

    def open(self, folder: Path, info: IndexInfo) -> None:
        """Serve from a folder that `build` has written and a caller has verified."""
        ...

    def search(self, vectors: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """For each row of `vectors` (m, dim) its k nearest by cosine, best first.

        With `among`, exactly the nearest of those keys (unknown ones are passed over).
        Fewer than k only if the index, or `among`, holds fewer.
        """
        ...


@runtime_checkable
class TunableIndex(Index, Protocol):
    """An index that may miss neighbours; how many is a matter of its options."""

    tuning: ClassVar[Tuning]

    def rows_meanwhile(self, count: int, k: int) -> float:
        """How many vectors a scan compares in the time that a search for k among `count` takes."""
        ...


@runtime_checkable
class LiveIndex(Protocol):
    """Nearest neighbours by cosine in a service that all machines share, changed as it serves.

    Vectors lie in collections, each named when it is made, of which at most one serves, and each
    vector is of a category or of none. It is constructed for one space of vectors of one
    dimension, and keeps away from other spaces'.
    Every method raises IndexUnavailable if the service does not answer; each may be repeated.
    """

    dim: int
    ef_search: int
    """What a search of this process looks at: the more, the more it finds."""

    def missing(self) -> list[str]:
        """What must be put in place before first use, a sentence each; empty if nothing."""
        ...

    def create(self, name: str) -> None:
        """Make an empty collection."""
        ...

    def add(self, name: str | None, keys: Keys, vectors: Vectors, categories: Categories) -> None:
        """Add vectors (n, dim) under unique ascending keys (n,), or replace those there.

        `categories` (n,) are what they are of. None is the collection that serves; ValueError for
        anything but unit vectors.
        """
        ...

    def categorise(self, name: str | None, keys: Keys, categories: Categories) -> None:
        """Say anew which categories (n,) the vectors of these keys (n,) are of.

        Unknown keys are passed over.
        """
        ...

    def remove(self, name: str | None, keys: Keys) -> None:
        """Remove what has these keys; unknown ones are passed over."""
        ...

    def finish(self, name: str) -> None:
        """Get a filled collection ready for searches."""
        ...

    def serve(self, name: str) -> None:
        """Let it serve, from one moment to the next. BrokenBuild if there is none of the name."""
        ...

    def serving(self) -> str | None:
        """The name of the collection that serves."""
        ...

    def collections(self) -> list[str]:
        """The names of all collections of the space, newest first."""
        ...

    def drop(self, name: str) -> None:
        """Delete a collection, if there is one of the name."""
        ...

    def stored(self, name: str | None) -> Iterator[tuple[Keys, Vectors]]:
        """All that a collection holds, by ascending key, a batch at a time."""
        ...

    def categories(self, name: str | None) -> Iterator[tuple[Keys, Categories]]:
        """What it is of, in the same order: (n,) and (n,) at a time."""
        ...

    def count(self, name: str | None) -> int:
        """Vectors in it."""
        ...

    def size(self, name: str) -> int:
        """Bytes that it takes up, as far as the service tells; else those of its vectors."""
        ...

    def search(
        self,
        vectors: Vectors,
        k: int,
        *,
        among: Keys | None = None,
        categories: Collection[int] | None = None,
        name: str | None = None,
        exactly: bool = False,
    ) -> list[list[Hit]]:
        """As `Index.search`, in the collection that serves or the named one.

        With `categories`, the nearest of what is of these (unknown ones have nothing).
        `exactly` lets nothing be missed. NothingServes if there is no such collection.
        """
        ...
