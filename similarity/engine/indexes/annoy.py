"""Annoy's forest of random-projection trees, over memory-mapped vectors that have the last word.

Annoy only proposes candidates. Their similarities are the exact scan's, so the two engines differ
in what they may miss and in nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from similarity.engine.contracts import Hit, IndexInfo, Keys, Vectors
from similarity.engine.indexes import flat

TREES_FILE = "trees.ann"

NODES_PER_TREE = 10
"""Nodes to inspect for each tree and neighbour asked for, where that is more than `search_k`."""

ROWS_PER_NODE = 5
"""Rows scanned exactly in the time Annoy takes to inspect one node."""

SPARE = 16
"""Candidates asked for beyond k: Annoy's own float32 distances blur the last places."""


class AnnoyIndex:
    """Approximate search that turns exact wherever an exact scan is the faster of the two.

    `trees` and `search_k` trade size and time for recall, `seed` makes the trees and `jobs`
    limits the threads that build them (-1: one per core; only one makes a build repeatable).
    Searches may run concurrently.
    """

    def __init__(
        self, trees: int = 20, search_k: int = 5000, seed: int = 1, jobs: int = -1
    ) -> None:
        if trees < 1 or search_k < 1 or seed < 0 or jobs == 0:
            raise ValueError(f"Annoy cannot use {trees=}, {search_k=}, {seed=}, {jobs=}.")
        self.trees, self.search_k, self.seed, self.jobs = trees, search_k, seed, jobs
        self._flat: flat.FlatScan | None = None
        self._forest: Any = None

    def build(self, keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
        """Write `keys.npy`, `vectors.npy` and, unless a scan is faster, `trees.ann`.

        ValueError for anything but unit vectors, which Annoy itself would take.
        """
        info = flat.write(keys, vectors, into)
        parameters = {"trees": self.trees, "search_k": self.search_k, "seed": self.seed}
        files = info.files
        if not self._scan_is_faster(info.count, k=1):
            self._grow(vectors, into / TREES_FILE)
            files += (TREES_FILE,)
        return replace(info, parameters=parameters, files=files)

    def open(self, folder: Path, info: IndexInfo) -> None:
        """Map the files. ValueError if they are not of the shape that `info` says."""
        self._flat = flat.FlatScan(folder, info)
        self._forest = None
        if TREES_FILE in info.files:
            self._forest = _forest(info.dim)
            self._forest.load(str(folder / TREES_FILE))
            if self._forest.get_n_items() != info.count:
                raise ValueError(f"{TREES_FILE} does not hold {info.count} vectors.")

    def search(self, vectors: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """As `Index.search` promises, but for what Annoy misses; with `among` nothing is missed."""
        if self._flat is None:
            raise RuntimeError("The index is searched before it was opened.")
        exactly = among is not None or self._forest is None
        if exactly or self._scan_is_faster(len(self._flat.keys), k):
            return self._flat.search(vectors, k, among=among)
        return [self._nearest(self._flat, query, k) for query in self._flat.checked(vectors, k)]

    def _nearest(self, scan: flat.FlatScan, query: Vectors, k: int) -> list[Hit]:
        candidates = self._forest.get_nns_by_vector(query.tolist(), k + SPARE, self._nodes(k))
        if len(candidates) < k:
            return scan.search(query[np.newaxis], k)[0]
        return scan.rank(query, np.array(candidates, np.intp), k)

    def _nodes(self, k: int) -> int:
        return max(self.search_k, NODES_PER_TREE * self.trees * k)

    def _scan_is_faster(self, count: int, k: int) -> bool:
        return count <= ROWS_PER_NODE * self._nodes(k)

    def _grow(self, vectors: Vectors, path: Path) -> None:
        # In memory, of about the file's size: `on_disk_build` takes nearly twice as long and
        # dies of SIGBUS on a full disk, where saving raises OSError.
        forest = _forest(vectors.shape[1])
        forest.set_seed(self.seed)
        for position, vector in enumerate(np.asarray(vectors)):
            forest.add_item(position, vector.tolist())
        forest.build(self.trees, n_jobs=self.jobs)
        forest.save(str(path))


def _forest(dim: int) -> Any:
    from annoy import AnnoyIndex as Forest

    return Forest(dim, "angular")
