"""The builds of one embedder's vectors in a live engine: collections in place of folders."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from similarity.engine import tuning
from similarity.engine.builds import BuildStore, Manifest
from similarity.engine.contracts import Categories, Keys, LiveIndex, Vectors

LEAST_EFFORT = 64
"""A search for ten asks for as many candidates in any case."""

MOST_EFFORT = 1000
"""pgvector takes no more."""

CATEGORISED = "categories"
"""The parameter, 1, of a collection whose vectors were filled in with their categories."""

_Query = tuple[Vectors, float, int]
"""A vector, the similarity that is near enough, and how many are as near."""

QUERIES = 512
"""Half of them choose, half measure what was chosen. The service scans for each."""

SAMPLED = 8
"""Vectors of each batch that recall is measured with."""


class LiveStore:
    """As `BuildStore`; the service is where everything lies, for all machines alike.

    `lock` holds off other builders of this machine.
    """

    def __init__(self, index: LiveIndex, engine: str, files: BuildStore) -> None:
        self.index, self.engine = index, engine
        self._files = files

    @contextmanager
    def lock(self) -> Iterator[None]:
        """As `BuildStore.lock`."""
        with self._files.lock():
            yield

    def write(
        self,
        *,
        batches: Iterable[tuple[Keys, Vectors, Categories]],
        about: Mapping[str, Any],
        recall: float | None,
        on_progress: Callable[[int], None],
    ) -> Manifest:
        """Fill a new collection, without letting it serve; nothing stays if this raises.

        With `recall`, 0 to 1, the `ef_search` is looked for that finds so much of what a scan by
        the service finds. It is in the manifest, and what it then found.
        """
        created, started = datetime.now(UTC), time.monotonic()
        name = f"{created:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}"
        count, sample = 0, [np.empty((0, self.index.dim), np.float32)]
        try:
            self.index.create(name)
            for keys, vectors, categories in batches:
                self.index.add(name, keys, vectors, categories)
                count += len(keys)
                sample.append(vectors[:: max(1, len(vectors) // SAMPLED)])
                on_progress(count)
            self.index.finish(name)
            queries = self._queries(name, np.concatenate(sample))
            if recall is not None and queries:
                self.index.ef_search = self._least_effort(name, queries[::2], recall)
            measured = self._measured(name, queries[1::2] or queries)
        except BaseException:
            self.index.drop(name)
            raise
        return Manifest(
            name=name,
            engine=self.engine,
            options={},
            parameters={"ef_search": self.index.ef_search, CATEGORISED: 1},
            metric="cosine",
            dim=self.index.dim,
            count=count,
            measured=measured,
            bytes=self.index.size(name),
            checksums={},
            created=created.isoformat(),
            seconds=round(time.monotonic() - started, 3),
            about=dict(about),
        )

    def activate(self, name: str) -> None:
        """As `BuildStore.activate`."""
        self.index.serve(name)

    def remove(self, name: str) -> None:
        """Delete a collection."""
        self.index.drop(name)

    def clear(self) -> None:
        """Delete all collections, the one that serves included, and files of a former engine."""
        for name in self.index.collections():
            self.index.drop(name)
        self._files.clear()

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` and the one that serves; the names deleted."""
        names = self.index.collections()
        doomed = [name for name in names[keep:] if name != self.index.serving()]
        for name in doomed:
            self.index.drop(name)
        return doomed

    def _queries(self, name: str, sample: Vectors) -> list[_Query]:
        """Vectors to search with, and the similarity of the last that is right to find."""
        step = max(1, len(sample) // QUERIES)
        queries = []
        for vector in sample[::step][:QUERIES]:
            [right] = self.index.search(vector[np.newaxis], tuning.K, name=name, exactly=True)
            queries.append((vector, right[-1].similarity - tuning.ROUNDING, len(right)))
        return queries

    def _least_effort(self, name: str, queries: Sequence[_Query], recall: float) -> int:
        """The least effort that finds so much, to a tenth; the most there is if none does."""

        def is_enough(effort: int) -> bool:
            self.index.ef_search = effort
            return self._measured(name, queries)["recall"] >= recall

        low, high = 0, LEAST_EFFORT
        while high < MOST_EFFORT and not is_enough(high):
            low, high = high, min(MOST_EFFORT, 2 * high)
        while low and high - low > max(1, high // 10):
            middle = (low + high) // 2
            low, high = (low, middle) if is_enough(middle) else (middle, high)
        return high

    def _measured(self, name: str, queries: Sequence[_Query]) -> dict[str, float]:
        """What searches of the collection find of what a scan of it finds."""
        if not queries:
            return {}
        found, seconds = [], []
        for vector, bar, count in queries:
            started = time.perf_counter()
            [near] = self.index.search(vector[np.newaxis], tuning.K, name=name)
            seconds.append(time.perf_counter() - started)
            found.append(sum(hit.similarity >= bar for hit in near) / count)
        p50, p95 = np.percentile(seconds, [50, 95])
        return asdict(
            tuning.Measured(
                recall=round(float(np.mean(found)), 4),
                k=tuning.K,
                queries=len(queries),
                p50_ms=round(1000 * float(p50), 3),
                p95_ms=round(1000 * float(p95), 3),
            )
        )
