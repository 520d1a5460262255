"""faiss: a compact scan, cells around centroids, and a graph of neighbours.

Its copy of the vectors is quantised to `bits` per number (Douze et al., "The Faiss library",
arXiv 2401.08281), mapped from its file and shared by all processes that read it.

GNU OpenMP's threads do not outlive a fork, and a child that waits for them hangs. So a search
uses the one thread that it runs in, and a build has threads that end with it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from similarity.engine.contracts import IndexInfo, Tuning, Vectors
from similarity.engine.indexes import flat
from similarity.engine.indexes.approximate import SPARE, ApproximateIndex, scaled
from similarity.engine.weights import not_installed

QUANTISERS = {16: "SQfp16", 8: "SQ8"}
"""By bits per number, as `faiss.index_factory` names them."""

SMALL = 2000
"""Vectors that numpy scans in about the time that a call of faiss takes."""

ROWS_PER_STEP = 20
"""Rows scanned exactly in the time that a step of a walk through the graph takes."""

TAUGHT = 100_000
"""Vectors that a quantiser learns its ranges from, at most."""

TAUGHT_PER_CELL = 64
"""Vectors that centroids are learnt from, at most, for each."""

FEWEST_PER_CELL = 39
"""faiss warns of centroids that are learnt from fewer vectors."""

ADDED = 20_000
"""Vectors added at a time: Ctrl-C is heard in between."""


class FaissIndex(ApproximateIndex):
    """What faiss's indexes share. `jobs` limits the threads that build (-1: one per core)."""

    file: ClassVar[str] = "index.faiss"

    def __init__(self, bits: int = 8, jobs: int = -1) -> None:
        super().__init__()
        if bits not in {32, *QUANTISERS} or jobs == 0 or jobs < -1:
            raise ValueError(f"faiss cannot use {bits=}, {jobs=}: bits are 32, 16 or 8.")
        self.bits, self.jobs = bits, jobs
        self._faiss: Any = None
        self._ways: dict[int, Any] = {}

    def missing(self) -> list[str]:
        """What must be installed before first use, a sentence each; empty if nothing."""
        return not_installed("faiss", requirements="engines.txt")

    def _parameters(self, count: int) -> dict[str, int]:
        return {"bits": self.bits}

    @property
    def _codes(self) -> str:
        return QUANTISERS.get(self.bits, "Flat")

    def _candidates(self, k: int) -> int:
        """How many to ask for: quantised vectors blur more places than float32 does."""
        return k + SPARE if self.bits > 8 else 2 * k + SPARE  # noqa: PLR2004

    def _taught(self, count: int) -> int:
        """How many of so many vectors an empty index learns from, at most."""
        return TAUGHT

    def _grow(self, vectors: Vectors, path: Path) -> None:
        import faiss

        rows = np.asarray(vectors)
        index = self._empty(*rows.shape)
        with ThreadPoolExecutor(1) as pool:

            def apart(step: Callable[..., None], *arguments: Any) -> None:
                pool.submit(step, *arguments).result()

            apart(faiss.omp_set_num_threads, (os.cpu_count() or 1) if self.jobs < 0 else self.jobs)
            apart(index.train, _sample(rows, self._taught(len(rows))))
            for start in range(0, len(rows), ADDED):
                apart(index.add, rows[start : start + ADDED])
        faiss.write_index(index, str(path))

    def _load(self, path: Path, info: IndexInfo) -> None:
        import faiss

        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ValueError(f"{path.name} cannot be read: {error}") from error
        # What is read may be of a narrower class than what was made: IndexFlatIP for IndexFlat.
        if not issubclass(type(index), type(self._empty(info.count, info.dim))):
            kind = type(index).__name__
            raise ValueError(f"{path.name} is another kind of index: {kind}.")  # noqa: TRY004  (the file is wrong)
        if (index.ntotal, index.d) != (info.count, info.dim):
            raise ValueError(
                f"{path.name} holds {index.ntotal} vectors of {index.d} dimensions, "
                f"not {info.count} of {info.dim}."
            )
        self._faiss = index

    def _propose(self, query: Vectors, k: int) -> flat.Positions:
        import faiss

        faiss.omp_set_num_threads(1)
        wanted = min(self._candidates(k), self._faiss.ntotal)
        _, [positions] = self._faiss.search(query[np.newaxis], wanted, params=self._way(k))
        return np.asarray(positions[positions >= 0], np.intp)

    def _empty(self, count: int, dim: int) -> Any:
        """A new index, meant for so many vectors."""
        import faiss

        return faiss.index_factory(dim, self._layout(count), faiss.METRIC_INNER_PRODUCT)

    def _layout(self, count: int) -> str:
        """What `faiss.index_factory` is to make for so many vectors."""
        return self._codes

    def _way(self, k: int) -> Any:
        """As `_how`, but made once: it takes a tenth of a search's time, and searches share it."""
        if k not in self._ways:
            self._ways[k] = self._how(k)
        return self._ways[k]

    def _how(self, k: int) -> Any:
        """faiss's parameters of one search."""
        return None


class FaissFlatIndex(FaissIndex):
    """Every vector compared with the query, in the compact copy."""

    def rows_meanwhile(self, count: int, k: int) -> float:
        """As `TunableIndex.rows_meanwhile`."""
        return SMALL


class FaissIvfIndex(FaissIndex):
    """Vectors in cells, each around a centroid; a search scans the `probes` nearest cells.

    There are `cells_per_root` times the square root of the vectors' number of them, or fewer, so
    that each is learnt from as many vectors as faiss asks for.
    """

    tuning: ClassVar[Tuning] = Tuning(effort="probes", least=1)

    def __init__(
        self, probes: int = 32, bits: int = 8, cells_per_root: int = 4, jobs: int = -1
    ) -> None:
        super().__init__(bits, jobs)
        if probes < 1 or cells_per_root < 1:
            raise ValueError(f"faiss cannot use {probes=}, {cells_per_root=}.")
        self.probes, self.cells_per_root = probes, cells_per_root

    def _parameters(self, count: int) -> dict[str, int]:
        return {"cells": self._cells(count), "probes": self.probes} | super()._parameters(count)

    def _cells(self, count: int) -> int:
        return max(1, min(self.cells_per_root * math.isqrt(count), count // FEWEST_PER_CELL))

    def rows_meanwhile(self, count: int, k: int) -> float:
        """As `TunableIndex.rows_meanwhile`."""
        cells = self._cells(count)
        return max(SMALL, cells + count * scaled(self.probes, k) // cells)

    def _layout(self, count: int) -> str:
        return f"IVF{self._cells(count)},{self._codes}"

    def _taught(self, count: int) -> int:
        return max(TAUGHT, TAUGHT_PER_CELL * self._cells(count))

    def _how(self, k: int) -> Any:
        import faiss

        return faiss.SearchParametersIVF(nprobe=scaled(self.probes, k))


class FaissHnswIndex(FaissIndex):
    """A graph in which each vector is linked to `links` near ones, walked towards the query.

    Malkov and Yashunin, arXiv 1603.09320. A walk keeps the `ef_search` best met so far; `ef_build`
    is the same while building. With faiss's own 40, one in twenty-five of a million vectors in
    tight clusters was out of reach of any walk; docs/scaling.md has the figures.
    """

    tuning: ClassVar[Tuning] = Tuning(effort="ef_search", least=32)

    def __init__(
        self,
        ef_search: int = 128,
        bits: int = 8,
        links: int = 32,
        ef_build: int = 100,
        jobs: int = -1,
    ) -> None:
        super().__init__(bits, jobs)
        if ef_search < 1 or links < 2 or ef_build < 1:  # noqa: PLR2004
            raise ValueError(f"faiss cannot use {ef_search=}, {links=}, {ef_build=}.")
        self.ef_search, self.links, self.ef_build = ef_search, links, ef_build

    def _parameters(self, count: int) -> dict[str, int]:
        own = {"links": self.links, "ef_build": self.ef_build, "ef_search": self.ef_search}
        return own | super()._parameters(count)

    def rows_meanwhile(self, count: int, k: int) -> float:
        """As `TunableIndex.rows_meanwhile`."""
        return max(SMALL, ROWS_PER_STEP * scaled(self.ef_search, k))

    def _layout(self, count: int) -> str:
        return f"HNSW{self.links},{self._codes}"

    def _empty(self, count: int, dim: int) -> Any:
        index = super()._empty(count, dim)
        index.hnsw.efConstruction = self.ef_build
        return index

    def _how(self, k: int) -> Any:
        import faiss

        effort = max(scaled(self.ef_search, k), self._candidates(k))
        return faiss.SearchParametersHNSW(efSearch=effort)


def _sample(rows: Vectors, size: int) -> Vectors:
    """So many of the rows at most, evenly spread."""
    return np.ascontiguousarray(rows[:: max(1, math.ceil(len(rows) / size))])
