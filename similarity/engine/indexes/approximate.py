"""What approximate indexes share: they propose candidates, and memory-mapped vectors decide.

The similarities, their order and the answers to filtered searches are the exact scan's, so the
engines differ in what they may miss and in nothing else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from similarity.engine.contracts import Hit, IndexInfo, Keys, Vectors
from similarity.engine.indexes import flat

SPARE = 16
"""Candidates asked for beyond k: a library's own float32 distances blur the last places."""

USUAL_K = 10
"""An effort is meant for so many neighbours; more of them take more of it."""


class ApproximateIndex(ABC):
    """A structure in one file beside the vectors; none where a scan of them is faster.

    Searches may run concurrently.
    """

    file: ClassVar[str]
    """Name of what is written beside the vectors."""

    def __init__(self) -> None:
        self._flat: flat.FlatScan | None = None
        self._is_grown = False

    def build(self, keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
        """Write `keys.npy`, `vectors.npy` and, unless a scan is faster, the structure.

        ValueError for anything but unit vectors.
        """
        info = flat.write(keys, vectors, into)
        if self._scan_is_faster(info.count, k=1):
            return info
        self._grow(vectors, into / self.file)
        parameters = self._parameters(info.count)
        return replace(info, parameters=parameters, files=(*info.files, self.file))

    def open(self, folder: Path, info: IndexInfo) -> None:
        """Map the files. ValueError if they are not what `info` says."""
        self._flat = flat.FlatScan(folder, info)
        self._is_grown = self.file in info.files
        if self._is_grown:
            self._load(folder / self.file, info)

    def search(self, vectors: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """As `Index.search` promises, but for what is missed; with `among` nothing is."""
        if self._flat is None:
            raise RuntimeError("The index is searched before it was opened.")
        exactly = among is not None or not self._is_grown
        if exactly or self._scan_is_faster(len(self._flat.keys), k):
            return self._flat.search(vectors, k, among=among)
        return [self._nearest(self._flat, query, k) for query in self._flat.checked(vectors, k)]

    def _nearest(self, scan: flat.FlatScan, query: Vectors, k: int) -> list[Hit]:
        candidates = self._propose(query, k)
        if len(candidates) < k:
            return scan.search(query[np.newaxis], k)[0]
        return scan.rank(query, candidates, k)

    def _scan_is_faster(self, count: int, k: int) -> bool:
        return count <= self.rows_meanwhile(count, k)

    @abstractmethod
    def _parameters(self, count: int) -> dict[str, int]:
        """What is used for so many vectors, by name."""

    @abstractmethod
    def rows_meanwhile(self, count: int, k: int) -> float:
        """As `TunableIndex.rows_meanwhile`."""

    @abstractmethod
    def _grow(self, vectors: Vectors, path: Path) -> None:
        """Write the structure that will propose candidates."""

    @abstractmethod
    def _load(self, path: Path, info: IndexInfo) -> None:
        """Map the structure. ValueError if it is not of `info.count` vectors of `info.dim`."""

    @abstractmethod
    def _propose(self, query: Vectors, k: int) -> flat.Positions:
        """Positions that probably hold the k nearest; fewer than k if it cannot say."""


def scaled(effort: int, k: int) -> int:
    """The effort that finds k neighbours as surely as `effort` finds `USUAL_K`.

    By measurement on clustered vectors: 4 times the neighbours take about twice the effort.
    """
    return math.ceil(effort * math.sqrt(max(k, USUAL_K) / USUAL_K))
