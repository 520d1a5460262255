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
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import Index, IndexInfo, Keys, TunableIndex, Tuning, Vectors

K = 10
"""Neighbours of which recall is the part found."""

CHOOSING, JUDGING = 3, 4
"""Seeds of the queries that choose, and of those that measure what was chosen."""

QUERIES = {CHOOSING: 256, JUDGING: 1024}
"""How many of each. Where a query finds all of its neighbours or none, a recall of 0.99 is told to
0.006 by the first and to 0.003 by the second (a standard deviation)."""

NOISE = 0.3
"""Length of what is added to every second query: it leaves a cosine of 0.96 with the vector."""

QUICK = 0.2
"""A search that takes this part of a scan's time is quick enough for its size to be kept,"""

QUICK_ROWS = 60_000
"""if it takes no longer than to scan so many vectors either: 2 ms at 128 dimensions."""

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


Draw = Callable[[int], Queries]
"""Gives the queries of a seed."""


def built(
    make: Make,
    options: Mapping[str, Any],
    keys: Keys,
    vectors: Vectors,
    *,
    into: Path,
    recall: float,
) -> tuple[dict[str, Any], IndexInfo, Measured]:
    """Build an index in a folder that finds so much of the truth: its options, and what it does.

    What `options` name stays. Where the index has sizes, the smallest is built of all vectors, and
    kept if it is quick. If not, what it finds with more effort foretells which size will be, and
    that one is built: two at most, since each takes its time. A sample would foretell little, as
    what lies close together in the whole is thinned out there. Where what was built takes longer
    than a scan, nothing is kept but the vectors, to be scanned.
    """
    draw = cache(lambda seed: Queries.drawn(vectors, QUERIES[seed], seed))

    def built_with(tried: Mapping[str, Any]) -> Opened:
        return Opened(make, tried, into, make(tried).build(keys, vectors, into), keys, draw)

    smallest, *larger = _sizes(make(options), options, len(keys))
    opened = built_with(smallest)
    if larger and (size := opened.quick_size(recall, [smallest, *larger])) != smallest:
        _empty(into)
        opened = built_with(size)
    chosen, info, measured = opened.tuned(recall)
    if opened.effort_to_choose is None:
        return dict(options), info, measured
    if opened.scans(chosen):
        _empty(into)
        info = make(chosen).build(keys, vectors, into)
    return chosen, info, measured


def _sizes(index: Index, options: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """The options with each size that so many vectors may be given, ascending."""
    if not isinstance(index, TunableIndex) or index.tuning.size in {None, *options}:
        return [dict(options)]
    tuning = index.tuning
    if tuning.effort in options:  # nothing would tell one from another
        return [dict(options)]
    smallest, *larger = tuning.sizes
    sizes = [smallest, *(size for size in larger if size * count <= tuning.most_work)]
    return [{**options, str(tuning.size): size} for size in sizes]


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An index that was built into a folder, to be opened with more or less effort."""

    make: Make
    options: Mapping[str, Any]
    folder: Path
    info: IndexInfo
    keys: Keys
    draw: Draw

    @property
    def effort_to_choose(self) -> str | None:
        """Its name; None if the index knows of none, scans without, or was given one."""
        index = self.make(self.options)
        if not isinstance(index, TunableIndex) or index.tuning.effort in self.options:
            return None
        return index.tuning.effort if index.tuning.effort in self.info.parameters else None

    def quick_size(self, recall: float, sizes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The first of some options that promises so much in a quick search; else the last.

        This index has the first of them. By how much a larger one spares effort is known, so this
        one is asked with as much more as that one is spared.
        """
        if self.effort_to_choose is None:
            return sizes[0]
        size = str(self._tuning.size)
        quick = self._most_effort(min(QUICK * len(self.keys), QUICK_ROWS))
        for options in sizes if quick else ():
            spared = (options[size] / sizes[0][size]) ** self._tuning.relief
            if self._measured(math.ceil(quick * spared), CHOOSING).recall >= recall:
                return options
        return sizes[-1]

    def tuned(self, recall: float) -> tuple[dict[str, Any], IndexInfo, Measured]:
        """Options, and what the index then says and does, with the least effort for that recall.

        As much as a scan takes, if even that falls short. If there is none to choose, it is only
        measured.
        """
        name = self.effort_to_choose
        if name is None:
            return dict(self.options), self.info, self._measured(None, JUDGING)
        effort = self._least_effort(recall)
        measured = self._measured(effort, JUDGING)
        while measured.recall < recall and effort < len(self.keys):
            effort = min(len(self.keys), math.ceil(1.2 * effort))
            measured = self._measured(effort, JUDGING)
        parameters = self.info.parameters | {name: effort}
        return {**self.options, name: effort}, replace(self.info, parameters=parameters), measured

    def scans(self, options: Mapping[str, Any]) -> bool:
        """Whether a scan takes no longer than a search with these options."""
        index = self.make(options)
        assert isinstance(index, TunableIndex)
        return index.rows_meanwhile(len(self.keys), K) >= len(self.keys)

    def _least_effort(self, recall: float) -> int:
        """The least effort that finds so much, to a tenth; what a scan takes if none below does."""
        most = self._most_effort(len(self.keys))
        low, high = 0, min(self._tuning.least, most)
        while self._measured(high, CHOOSING).recall < recall:
            if high == most:
                return most + 1
            low, high = high, min(2 * high, most)
        while low and high - low > max(1, high // 10):
            middle = (low + high) // 2
            is_enough = self._measured(middle, CHOOSING).recall >= recall
            low, high = (low, middle) if is_enough else (middle, high)
        return high

    def _most_effort(self, rows: float) -> int:
        """The most with which a search takes less time than to scan so many vectors."""
        count = len(self.keys)

        def meanwhile(effort: int) -> float:
            index = self.make({**self.options, self._tuning.effort: effort})
            assert isinstance(index, TunableIndex)
            return index.rows_meanwhile(count, K)

        return bisect_left(range(1, count + 1), rows, key=meanwhile)

    def _measured(self, effort: int | None, seed: int) -> Measured:
        changes = {} if effort is None else {self._tuning.effort: effort}
        index = self.make({**self.options, **changes})
        index.open(self.folder, self.info)
        return self.draw(seed).measure(index, self.keys)

    @property
    def _tuning(self) -> Tuning:
        index = self.make(self.options)
        assert isinstance(index, TunableIndex)
        return index.tuning
