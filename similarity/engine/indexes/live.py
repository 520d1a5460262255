"""What live engines share: the service proposes candidates, their own vectors decide here.

So the same pair of vectors has the same similarity by whatever engine it was found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import NO_CATEGORY, Categories, Hit, Keys, Vectors
from similarity.engine.indexes import flat
from similarity.engine.indexes.approximate import SPARE

PREFIX = "fashionsim"
"""What the names of our things in a service begin with."""

CATEGORY = "category"
"""What a service calls that which a vector is of."""

BATCH = 1000
"""Vectors sent or read at a time: 0.5 MB at 128 dimensions, some 2 MB as JSON."""

AMONG_AT_ONCE = 200_000
"""Keys that a search may be kept to at a time: 2 MB as JSON. Qdrant refuses what is above 32 MB,
and a list of millions would hold up its other searches."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a search is kept to; None: all there is."""

    among: Keys | None
    categories: Collection[int] | None

    @property
    def is_nothing(self) -> bool:
        return any(kept is not None and not len(kept) for kept in (self.among, self.categories))


class LiveService(ABC):
    """The part of `LiveIndex` that is no service's own."""

    def __init__(self, space: str, dim: int, ef_search: int, timeout: float) -> None:
        if ef_search < 1 or timeout <= 0:
            raise ValueError(f"It cannot use {ef_search=}, {timeout=}.")
        self.space, self.dim = space, dim
        self.ef_search, self.timeout = ef_search, timeout

    def add(self, name: str | None, keys: Keys, vectors: Vectors, categories: Categories) -> None:
        """As `LiveIndex.add`."""
        if len(flat.ascending(keys)) != len(flat.unit_rows(vectors)):
            raise ValueError(f"{len(keys)} keys for {len(vectors)} vectors.")
        self._refuse_other_dimensions(vectors, "Vectors")
        _refuse_other_number(keys, categories)
        for start in range(0, len(keys), BATCH):
            part = slice(start, start + BATCH)
            self._add(name, keys[part], vectors[part], categories[part])

    def categorise(self, name: str | None, keys: Keys, categories: Categories) -> None:
        """As `LiveIndex.categorise`."""
        _refuse_other_number(keys, categories)
        for start in range(0, len(keys), BATCH):
            part = slice(start, start + BATCH)
            self._categorise(name, keys[part], categories[part])

    def remove(self, name: str | None, keys: Keys) -> None:
        """As `LiveIndex.remove`."""
        for start in range(0, len(keys), BATCH):
            self._remove(name, keys[start : start + BATCH])

    def size(self, name: str) -> int:
        """As `LiveIndex.size`."""
        return self.count(name) * self.dim * 4

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
        """As `LiveIndex.search`; equal similarities are ordered by key."""
        if k <= 0:
            raise ValueError(f"k is {k}: ask for at least one neighbour.")
        self._refuse_other_dimensions(flat.unit_rows(vectors), "A query")
        if among is not None:
            among, exactly = np.unique(np.asarray(among, np.int64)), True
        if among is None or len(among) <= AMONG_AT_ONCE:
            kept = [Kept(among, categories)]
        else:
            parts = np.array_split(among, -(-len(among) // AMONG_AT_ONCE))
            kept = [Kept(part, categories) for part in parts]
        return [
            _best((self._nearest(name, query, k, part, exactly) for part in kept), k)
            for query in vectors
        ]

    def _nearest(
        self, name: str | None, query: Vectors, k: int, kept: Kept, exactly: bool
    ) -> list[Hit]:
        if kept.is_nothing:
            return []
        wanted = k + SPARE
        while True:
            keys, vectors = self._candidates(name, query, wanted, kept, exactly)
            similarities = _measured(query, vectors)
            order = np.lexsort((keys, -similarities))
            if len(keys) < wanted:
                if exactly:
                    break
                exactly = True  # an approximate search may have come to its end too early
            elif similarities[order[-1]] < similarities[order[k - 1]] - flat.ROUNDING:
                break
            else:
                wanted *= 4  # ties: those that were not given may come first by their keys
        best = order[:k]
        pairs = zip(keys[best].tolist(), similarities[best].tolist(), strict=True)
        return [Hit(*pair) for pair in pairs]

    def _refuse_other_dimensions(self, vectors: Vectors, what: str) -> None:
        if vectors.shape[1] != self.dim:
            raise ValueError(f"{what} of {vectors.shape[1]} dimensions in an index of {self.dim}.")

    @abstractmethod
    def count(self, name: str | None) -> int: ...

    @abstractmethod
    def _add(self, name: str | None, keys: Keys, vectors: Vectors, categories: Categories) -> None:
        """Add or replace one batch."""

    @abstractmethod
    def _categorise(self, name: str | None, keys: Keys, categories: Categories) -> None:
        """Say anew what one batch is of."""

    @abstractmethod
    def _remove(self, name: str | None, keys: Keys) -> None:
        """Remove one batch."""

    @abstractmethod
    def _candidates(
        self, name: str | None, query: Vectors, k: int, kept: Kept, exactly: bool
    ) -> tuple[Keys, Vectors]:
        """Keys and vectors of the k nearest of what is kept, or probably."""


def named(category: int) -> int | None:
    """A category as services have it: nothing, where it is none."""
    return None if category == NO_CATEGORY else category


def categories_of(named: Iterable[int | None]) -> Categories:
    """The same, as they are given back."""
    return np.array([NO_CATEGORY if one is None else one for one in named], np.int64)


def _refuse_other_number(keys: Keys, categories: Categories) -> None:
    if len(keys) != len(categories):
        raise ValueError(f"{len(categories)} categories for {len(keys)} keys.")


def _best(found: Iterable[list[Hit]], k: int) -> list[Hit]:
    """The k best of several lists of different keys."""
    return nsmallest(k, chain.from_iterable(found), key=lambda hit: (-hit.similarity, hit.key))


def _measured(query: Vectors, vectors: Vectors) -> NDArray[np.float32]:
    # As `flat.FlatScan` measures.
    found = (vectors * query.astype(np.float64)).sum(axis=1).astype(np.float32)
    clipped: NDArray[np.float32] = np.clip(found, -1, 1)
    return clipped
