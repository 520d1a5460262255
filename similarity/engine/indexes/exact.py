"""Every vector compared with the query: always right, and enough up to some tens of thousands."""

from __future__ import annotations

from pathlib import Path

from similarity.engine.contracts import Hit, IndexInfo, Keys, Vectors
from similarity.engine.indexes import flat


class ExactIndex:
    """The plain scan of memory-mapped vectors."""

    def __init__(self) -> None:
        self._flat: flat.FlatScan | None = None

    def build(self, keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
        """Write `keys.npy` and `vectors.npy`. ValueError for anything but unit vectors."""
        return flat.write(keys, vectors, into)

    def open(self, folder: Path, info: IndexInfo) -> None:
        """Map the two files. ValueError if they are not of the shape that `info` says."""
        self._flat = flat.FlatScan(folder, info)

    def search(self, vectors: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """As `Index.search` promises; equal similarities are ordered by key."""
        if self._flat is None:
            raise RuntimeError("The index is searched before it was opened.")
        return self._flat.search(vectors, k, among=among)
