"""How much of the truth an index finds, and how much effort finds enough of it.

Recall@10 is measured on vectors drawn from those indexed: half as they are, each without itself
among its neighbours, and half with noise added, as no shopper's photo is one of the catalogue's.
The truth is a plain matrix product over all vectors, which shares no code with any index. One set
of queries chooses the effort and another measures it, so that the figure is not flattered.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import Index, IndexInfo, Keys, TunableIndex, Vectors

K = 10
"""Neighbours of which recall is the part found."""

QUERIES = 256
"""In each of the two sets; at a recall of 0.99 it is then right to about 0.003."""

NOISE = 0.3
"""Length of what is added to every second query: it leaves a cosine of 0.96 with the vector."""

TRIAL = 30_000
"""Vectors that sizes are tried on: how they compare there is how they compare among more."""

WORTH = 0.5
"""The next larger size, about twice as long in the making, must bring the effort down to this."""

STEP = 16_384
"""Vectors compared at a time."""

ROUNDING = 4e-6
"""More than the error of a float32 dot product of unit vectors of a few thousand dimensions."""

Make = Callable[[Mapping[str, Any]], Index]
"""Constructs an index with options."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What searching an index gave."""

    recall: float
    """Part of the k true neighbours that was found, 0 to 1, on average."""
    k: int
    queries: int
    p50_ms: float
    """Half of the searches, each by itself, took no longer."""
    p95_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """Vectors to search with, and what says whether a hit is right."""

    vectors: Vectors
    """(n, dim)"""
    own: NDArray[np.intp]
    """(n,) the position of the query itself among the indexed, -1 if it is not among them."""
    bar: Vectors
    """(n,) the similarity of its k-th true neighbour: whatever is as similar is as right."""

    @classmethod
    def drawn(cls, vectors: Vectors, count: int, seed: int) -> Queries:
        """So many at most, from the vectors (n, dim) of an index, every second with noise."""
        random = np.random.default_rng(seed)
        own = np.sort(random.choice(len(vectors), min(count, len(vectors)), replace=False))
        queries = np.array(vectors[own])
        noise = random.standard_normal((len(own[1::2]), vectors.shape[1]))
        queries[1::2] += NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        own[1::2] = -1
        return cls(queries, own, _bars(vectors, queries, own))

    def measure(self, index: Index, keys: Keys) -> Measured:
        """Search an open index of those vectors, one query at a time."""
        found, seconds = [], []
        for query, own, bar in zip(self.vectors, self.own, self.bar, strict=True):
            is_stored = bool(own >= 0)
            started = time.perf_counter()
            [hits] = index.search(query[np.newaxis], K + is_stored)
            seconds.append(time.perf_counter() - started)
            others = [hit for hit in hits if not is_stored or hit.key != keys[own]]
            wanted = min(K, len(keys) - is_stored)
            right = sum(hit.similarity >= bar - ROUNDING for hit in others[:wanted])
            found.append(right / wanted if wanted else 1.0)
        p50, p95 = np.percentile(seconds, [50, 95])
        return Measured(
            recall=round(statistics.fmean(found), 4),
            k=K,
            queries=len(found),
            p50_ms=round(1000 * p50, 3),
            p95_ms=round(1000 * p95, 3),
        )


def _bars(vectors: Vectors, queries: Vectors, own: NDArray[np.intp]) -> Vectors:
    best = np.full((len(queries), K), -np.inf, np.float32)
    for start in range(0, len(vectors), STEP):
        scores = queries @ vectors[start : start + STEP].T
        [rows] = np.nonzero((own >= start) & (own < start + STEP))
        scores[rows, own[rows] - start] = -np.inf
        both = np.concatenate([best, scores], axis=1)
        best = np.partition(both, -K, axis=1)[:, -K:]
    bars: Vectors = best.min(axis=1)
    return bars


def with_size(
    make: Make, options: Mapping[str, Any], vectors: Vectors, recall: float, workplace: Path
) -> dict[str, Any]:
    """The options with the size that is worth its making, by trials on some of the vectors.

    A size is worth it if it saves half of the effort that the next smaller one takes for the same
    recall. The options stay as they are if they name a size, the index knows of none, or a scan
    is faster than it. `workplace` is a folder for the trials' files.
    """
    index = make(options)
    if not isinstance(index, TunableIndex) or index.tuning.size in {None, *options}:
        return dict(options)
    some = np.sort(np.random.default_rng(1).choice(len(vectors), min(TRIAL, len(vectors)), False))
    rows, keys = np.array(vectors[some]), np.arange(len(some))
    queries = Queries.drawn(rows, QUERIES // 2, seed=2)
    chosen, least = dict(options), math.inf
    for size in index.tuning.sizes:
        tried = {**options, str(index.tuning.size): size}
        with TemporaryDirectory(dir=workplace) as folder:
            info = make(tried).build(keys, rows, Path(folder))
            opened = Opened(make, tried, Path(folder), info, keys)
            if opened.effort_to_choose is None:
                break
            effort = opened.least_effort(queries, recall)
        if effort > WORTH * least:
            break
        chosen, least = tried, effort
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An index that was built into a folder, to be opened with more or less effort."""

    make: Make
    options: Mapping[str, Any]
    folder: Path
    info: IndexInfo
    keys: Keys

    @property
    def effort_to_choose(self) -> str | None:
        """Its name; None if the index knows of none, scans without, or was given one."""
        index = self.make(self.options)
        if not isinstance(index, TunableIndex) or index.tuning.effort in self.options:
            return None
        return index.tuning.effort if index.tuning.effort in self.info.parameters else None

    def tuned(self, vectors: Vectors, recall: float) -> tuple[dict[str, Any], IndexInfo, Measured]:
        """Options, and what the index then says and does, with the least effort for that recall.

        As much as there is, if even that falls short. If there is none to choose, it is only
        measured.
        """
        judge = Queries.drawn(vectors, QUERIES, seed=4)
        name = self.effort_to_choose
        if name is None:
            return dict(self.options), self.info, judge.measure(self._opened(), self.keys)
        effort = self.least_effort(Queries.drawn(vectors, QUERIES, seed=3), recall)
        measured = judge.measure(self._opened(**{name: effort}), self.keys)
        while measured.recall < recall and effort < len(self.keys):
            effort = min(len(self.keys), math.ceil(1.2 * effort))
            measured = judge.measure(self._opened(**{name: effort}), self.keys)
        parameters = self.info.parameters | {name: effort}
        return {**self.options, name: effort}, replace(self.info, parameters=parameters), measured

    def least_effort(self, queries: Queries, recall: float) -> int:
        """The least effort that finds so much, to a tenth; one for each vector if none does."""
        index = self.make(self.options)
        assert isinstance(index, TunableIndex)

        def is_enough(effort: int) -> bool:
            opened = self._opened(**{index.tuning.effort: effort})
            return queries.measure(opened, self.keys).recall >= recall

        low, high, most = 0, index.tuning.least, len(self.keys)
        while high < most and not is_enough(high):
            low, high = high, 2 * high
        while low and high - low > max(1, high // 10):
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return min(high, most)

    def _opened(self, **changes: int) -> Index:
        index = self.make({**self.options, **changes})
        index.open(self.folder, self.info)
        return index
