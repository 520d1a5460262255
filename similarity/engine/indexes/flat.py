"""Vectors kept flat in a folder, memory-mapped, and the exact scan over them.

Rows are shortlisted by a float32 matrix product, whose last bits depend on where in a block a row
stands. The shortlist is then measured again, row by row in float64, so that the same pair of
vectors has the same similarity wherever it is met and ties are real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import Hit, IndexInfo, Keys, Vectors

KEYS_FILE = "keys.npy"
VECTORS_FILE = "vectors.npy"

Positions = NDArray[np.intp]

LENGTH_TOLERANCE = 1e-3
"""How far from 1 a vector's length may be: room for vectors once stored in half precision."""

ROUNDING = 4e-6
"""More than the error of a float32 dot product of unit vectors of a few thousand dimensions."""

SCRATCH = 4_194_304
"""Numbers a step may hold at once: 16 MB of float32. A search takes less than 100 MB in all."""

QUERIES_AT_ONCE = 256


def unit_rows(vectors: Vectors) -> Vectors:
    """The same vectors, or ValueError unless (n, dim) float32 with every row of length 1."""
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not vectors.shape[1]:  # noqa: PLR2004
        raise ValueError(f"Not float32 rows: shape {vectors.shape}, type {vectors.dtype}.")
    if len(vectors) == 1 and abs(float(vectors[0] @ vectors[0]) - 1) <= LENGTH_TOLERANCE:
        return vectors  # as a rule, a query: each call that is spared counts
    for block in _slices(len(vectors), vectors.shape[1]):
        _refuse_odd_lengths(vectors[block], block.start)
    return vectors


def ascending(keys: Keys) -> Keys:
    """The same keys, or ValueError unless (n,) int64, unique and ascending."""
    if keys.ndim != 1 or keys.dtype != np.int64:
        raise ValueError(f"Not int64 keys: shape {keys.shape}, type {keys.dtype}.")
    if not np.all(keys[1:] > keys[:-1]):
        raise ValueError("The keys are not unique and ascending.")
    return keys


def write(keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
    """Write both files, or raise ValueError and write nothing if they are not as promised."""
    if len(ascending(keys)) != len(unit_rows(vectors)):
        raise ValueError(f"{len(keys)} keys for {len(vectors)} vectors.")
    np.save(into / KEYS_FILE, keys, allow_pickle=False)
    np.save(into / VECTORS_FILE, vectors, allow_pickle=False)
    count, dim = vectors.shape
    return IndexInfo(count, dim, parameters={}, files=(KEYS_FILE, VECTORS_FILE))


class FlatScan:
    """Exact nearest neighbours by cosine in a folder that `write` has written."""

    def __init__(self, folder: Path, info: IndexInfo) -> None:
        self.keys: Keys = _mapped(folder / KEYS_FILE, np.int64, (info.count,))
        self.vectors: Vectors = _mapped(folder / VECTORS_FILE, np.float32, (info.count, info.dim))

    def checked(self, queries: Vectors, k: int) -> Vectors:
        """The same queries, or ValueError if they or k cannot be searched for."""
        if k <= 0:
            raise ValueError(f"k is {k}: ask for at least one neighbour.")
        if unit_rows(queries).shape[1] != self.vectors.shape[1]:
            dims = f"{queries.shape[1]} dimensions in an index of {self.vectors.shape[1]}"
            raise ValueError(f"A query of {dims}.")
        return queries

    def search(self, queries: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """As `Index.search` promises; equal similarities are ordered by key."""
        queries = self.checked(queries, k)
        positions = None if among is None else self._positions(among)
        hits: list[list[Hit]] = []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            hits += self._nearest(queries[start : start + QUERIES_AT_ONCE], k, positions)
        return hits

    def rank(self, query: Vectors, positions: Positions, k: int) -> list[Hit]:
        """The k nearest of some rows, named by their positions, to one query (dim,)."""
        similarities = self._similarities(query, positions)
        order = np.lexsort((positions, -similarities))[:k]
        keys = self.keys[positions[order]]
        return [
            Hit(*pair) for pair in zip(keys.tolist(), similarities[order].tolist(), strict=True)
        ]

    def _nearest(self, queries: Vectors, k: int, among: Positions | None) -> list[list[Hit]]:
        shortlists = [_Shortlist(k) for _ in queries]
        for positions in self._blocks(among, row_size=max(queries.shape)):
            scores = self._scores(queries, positions)
            for shortlist, row in zip(shortlists, scores, strict=True):
                shortlist.add(positions, row)
        return [
            self.rank(query, shortlist.positions, k)
            for query, shortlist in zip(queries, shortlists, strict=True)
        ]

    def _blocks(self, among: Positions | None, row_size: int) -> Iterator[Positions]:
        for block in _slices(len(self.keys) if among is None else len(among), row_size):
            yield np.arange(block.start, block.stop) if among is None else among[block]

    def _scores(self, queries: Vectors, positions: Positions) -> Vectors:
        first, last = int(positions[0]), int(positions[-1])
        span = last - first + 1
        if span > 2 * len(positions):
            return queries @ self.vectors[positions].T
        # Rows that lie close together are cheaper to multiply where they are than to gather.
        scores = queries @ self.vectors[first : last + 1].T
        return scores if span == len(positions) else scores[:, positions - first]

    def _similarities(self, query: Vectors, positions: Positions) -> Vectors:
        exact = query.astype(np.float64)
        if len(positions) * len(query) <= SCRATCH:
            few: Vectors = (self.vectors[positions] * exact).sum(axis=1).astype(np.float32)
            return few.clip(-1, 1, out=few)
        found = np.empty(len(positions), np.float32)
        for block in _slices(len(positions), len(query)):
            found[block] = (self.vectors[positions[block]] * exact).sum(axis=1)
        return np.clip(found, -1, 1, out=found)

    def _positions(self, keys: Keys) -> Positions:
        wanted = np.sort(np.asarray(keys, np.int64))
        positions = np.searchsorted(self.keys, wanted)
        inside = positions < len(self.keys)
        positions, wanted = positions[inside], wanted[inside]
        known: Positions = positions[self.keys[positions] == wanted]
        # They ascend, so a repeat is next to the first; `np.unique` takes ten times as long.
        firsts = np.flatnonzero(np.diff(known, prepend=-1))
        return known[firsts]


class _Shortlist:
    """The rows that may be among the k nearest of a query, going by float32 scores."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.positions: Positions = np.empty(0, np.intp)
        self.scores: Vectors = np.empty(0, np.float32)

    def add(self, positions: Positions, scores: Vectors) -> None:
        near = self._contenders(scores)
        self.positions = np.concatenate([self.positions, positions[near]])
        self.scores = np.concatenate([self.scores, scores[near]])
        near = self._contenders(self.scores)
        self.positions, self.scores = self.positions[near], self.scores[near]

    def _contenders(self, scores: Vectors) -> Positions:
        if len(scores) <= self.k:
            return np.arange(len(scores))
        kth_best = np.partition(scores, -self.k)[-self.k]
        return np.flatnonzero(scores >= kth_best - ROUNDING)


def _slices(count: int, row_size: int) -> Iterator[slice]:
    step = max(1, SCRATCH // row_size)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _refuse_odd_lengths(rows: Vectors, first: int) -> None:
    with np.errstate(over="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    # Written so that NaN, which compares as false with everything, is odd too.
    odd = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_TOLERANCE))
    if len(odd):
        row = int(odd[0])
        raise ValueError(f"Row {first + row} is not a unit vector: its length is {lengths[row]}.")


def _mapped(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{path.name} holds {array.dtype} {array.shape}, not {dtype} {shape}.")
    return array
