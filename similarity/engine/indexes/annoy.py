"""Annoy's forest of random-projection trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from similarity.engine.contracts import IndexInfo, Tuning, Vectors
from similarity.engine.indexes import flat
from similarity.engine.indexes.approximate import SPARE, ApproximateIndex, scaled

ROWS_PER_NODE = 5
"""Rows scanned exactly in the time Annoy takes to inspect one node."""

RELIEF = 0.7
"""Twice the trees find as much with 0.62 of the nodes: by measurement 0.54 to 0.63."""

PLANTED = 40_000_000
"""Trees times vectors that two cores plant in about a minute and a half."""


class AnnoyIndex(ApproximateIndex):
    """Approximate search that turns exact wherever an exact scan is the faster of the two.

    `trees` and `search_k`, the nodes that a search inspects, trade size and time for recall;
    `seed` makes the trees and `jobs` limits the threads that build them (-1: one per core; only
    one makes a build repeatable).
    """

    file: ClassVar[str] = "trees.ann"
    tuning: ClassVar[Tuning] = Tuning(
        effort="search_k",
        least=100,
        size="trees",
        sizes=(10, 20, 40, 80),
        relief=RELIEF,
        most_work=PLANTED,
    )

    def __init__(
        self, trees: int = 20, search_k: int = 5000, seed: int = 1, jobs: int = -1
    ) -> None:
        super().__init__()
        if trees < 1 or search_k < 1 or seed < 0 or jobs == 0:
            raise ValueError(f"Annoy cannot use {trees=}, {search_k=}, {seed=}, {jobs=}.")
        self.trees, self.search_k, self.seed, self.jobs = trees, search_k, seed, jobs
        self._forest: Any = None

    def _parameters(self, count: int) -> dict[str, int]:
        return {"trees": self.trees, "search_k": self.search_k, "seed": self.seed}

    def rows_meanwhile(self, count: int, k: int) -> float:
        """As `TunableIndex.rows_meanwhile`."""
        return ROWS_PER_NODE * scaled(self.search_k, k)

    def _grow(self, vectors: Vectors, path: Path) -> None:
        # In memory, of about the file's size: `on_disk_build` takes nearly twice as long and
        # dies of SIGBUS on a full disk, where saving raises OSError.
        forest = _forest(vectors.shape[1])
        forest.set_seed(self.seed)
        for position, vector in enumerate(np.asarray(vectors)):
            forest.add_item(position, vector.tolist())
        forest.build(self.trees, n_jobs=self.jobs)
        forest.save(str(path))

    def _load(self, path: Path, info: IndexInfo) -> None:
        self._forest = _forest(info.dim)
        self._forest.load(str(path))
        if self._forest.get_n_items() != info.count:
            raise ValueError(f"{path.name} does not hold {info.count} vectors.")

    def _propose(self, query: Vectors, k: int) -> flat.Positions:
        nodes = scaled(self.search_k, k)
        return np.array(self._forest.get_nns_by_vector(query.tolist(), k + SPARE, nodes), np.intp)


def _forest(dim: int) -> Any:
    from annoy import AnnoyIndex as Forest

    return Forest(dim, "angular")
