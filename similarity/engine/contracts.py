"""The engine's contracts: what a detector, an embedder and an index promise.

Constructing a backend is cheap and imports nothing heavy; its first use loads what it needs,
once per process. So a web process may ask for `dim`, `fingerprint` or `missing()` without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

Vectors = NDArray[np.float32]
Keys = NDArray[np.int64]


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
    def edges(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
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
