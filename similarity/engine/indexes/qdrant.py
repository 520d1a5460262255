"""Vectors in Qdrant (https://qdrant.tech), which spreads collections over machines.

The collection that serves is known by an alias, which is switched in one moment for all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from similarity.engine.contracts import Categories, Keys, Vectors
from similarity.engine.errors import BrokenBuild, IndexUnavailable, NothingServes
from similarity.engine.indexes.live import (
    BATCH,
    CATEGORY,
    PREFIX,
    Kept,
    LiveService,
    categories_of,
    named,
)
from similarity.engine.weights import not_installed

PAUSES = (0.1, 0.5)
"""Seconds before a call is repeated that the service has not answered."""

NOT_FOUND = 404
TOO_MANY = 429
SERVER_ERROR = 500


class QdrantIndex(LiveService):
    """HNSW over the dot product, which is the cosine of unit vectors and leaves them as they are.

    `url` is a server's, or ":memory:" or a folder's path for the client's own local mode. A
    collection is cut into `shards`, each kept `replicas` times. `ef_search` is Qdrant's hnsw_ef.
    """

    def __init__(
        self,
        url: str = "",
        *,
        space: str = "",
        dim: int = 1,
        api_key: str = "",
        shards: int = 1,
        replicas: int = 1,
        ef_search: int = 128,
        timeout: float = 10,
    ) -> None:
        super().__init__(space, dim, ef_search, timeout)
        if shards < 1 or replicas < 1:
            raise ValueError(f"Qdrant cannot use {shards=}, {replicas=}.")
        self.url, self.api_key = url, api_key
        self.shards, self.replicas = shards, replicas
        self._client: Any = None

    def missing(self) -> list[str]:
        """What must be put in place before first use, a sentence each; empty if nothing."""
        if lacking := not_installed("qdrant_client", requirements="engines.txt"):
            return lacking
        return [] if self.url else ["Set QDRANT_URL: http://host:6333"]

    def create(self, name: str) -> None:
        """As `LiveIndex.create`."""
        from qdrant_client import models

        self._call(
            "create_collection",
            self._collection(name),
            vectors_config=models.VectorParams(size=self.dim, distance=models.Distance.DOT),
            shard_number=self.shards,
            replication_factor=self.replicas,
        )
        if self._is_remote:  # local mode looks at each payload
            # Before there are vectors: graphs are given links within each category as they grow.
            self._call(
                "create_payload_index",
                self._collection(name),
                CATEGORY,
                models.IntegerIndexParams(
                    type=models.IntegerIndexType.INTEGER, lookup=True, range=False
                ),
            )

    def finish(self, name: str) -> None:
        """Nothing: Qdrant builds its graphs by itself, and scans what has none yet."""

    def serve(self, name: str) -> None:
        """As `LiveIndex.serve`."""
        from qdrant_client import models

        if name not in self.collections():
            raise BrokenBuild(f"There is no collection named {name!r}.")
        alias = models.CreateAlias(collection_name=self._collection(name), alias_name=self._alias)
        steps: list[Any] = [models.CreateAliasOperation(create_alias=alias)]
        if self.serving() is not None:
            gone = models.DeleteAlias(alias_name=self._alias)
            steps.insert(0, models.DeleteAliasOperation(delete_alias=gone))
        self._call("update_collection_aliases", steps)

    def serving(self) -> str | None:
        """As `LiveIndex.serving`."""
        for alias in self._call("get_aliases").aliases:
            if alias.alias_name == self._alias:
                return str(alias.collection_name).removeprefix(self._collection(""))
        return None

    def collections(self) -> list[str]:
        """As `LiveIndex.collections`."""
        names = (found.name for found in self._call("get_collections").collections)
        prefix = self._collection("")
        return sorted((n.removeprefix(prefix) for n in names if n.startswith(prefix)), reverse=True)

    def drop(self, name: str) -> None:
        """As `LiveIndex.drop`."""
        if name in self.collections():
            self._call("delete_collection", self._collection(name))

    def stored(self, name: str | None) -> Iterator[tuple[Keys, Vectors]]:
        """As `LiveIndex.stored`."""
        for points in self._scrolled(name, with_payload=False, with_vectors=True):
            yield self._arrays(points)

    def categories(self, name: str | None) -> Iterator[tuple[Keys, Categories]]:
        """As `LiveIndex.categories`."""
        for points in self._scrolled(name, with_payload=True, with_vectors=False):
            yield _keys(points), categories_of((one.payload or {}).get(CATEGORY) for one in points)

    def count(self, name: str | None) -> int:
        """As `LiveIndex.count`."""
        return int(self._call("count", self._collection(name), exact=True).count)

    def _scrolled(self, name: str | None, **with_what: bool) -> Iterator[list[Any]]:
        """All points, a batch at a time."""
        offset: Any = None
        while True:
            points, offset = self._call(
                "scroll", self._collection(name), limit=BATCH, offset=offset, **with_what
            )
            if points:
                yield points
            if offset is None:
                return

    def _add(self, name: str | None, keys: Keys, vectors: Vectors, categories: Categories) -> None:
        from qdrant_client import models

        payloads: Any = [{CATEGORY: named(one)} for one in categories.tolist()]
        points = models.Batch(ids=_ids(keys), vectors=vectors.tolist(), payloads=payloads)
        self._call("upsert", self._collection(name), points, wait=True)

    def _categorise(self, name: str | None, keys: Keys, categories: Categories) -> None:
        from qdrant_client import models

        # A list of points would be refused for one that is not there; a filter passes it over.
        changes = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload={CATEGORY: named(one)},
                    filter=models.Filter(must=[_has_id(keys[categories == one])]),
                )
            )
            for one in np.unique(categories).tolist()
        ]
        self._call("batch_update_points", self._collection(name), changes, wait=True)

    def _remove(self, name: str | None, keys: Keys) -> None:
        from qdrant_client import models

        points = models.PointIdsList(points=_ids(keys))
        self._call("delete", self._collection(name), points, wait=True)

    def _candidates(
        self, name: str | None, query: Vectors, k: int, kept: Kept, exactly: bool
    ) -> tuple[Keys, Vectors]:
        from qdrant_client import models

        must: list[Any] = [] if kept.among is None else [_has_id(kept.among)]
        if kept.categories is not None:
            wanted = models.MatchAny(any=list(kept.categories))
            must.append(models.FieldCondition(key=CATEGORY, match=wanted))
        how = None  # local mode scans in any case
        if self._is_remote:
            how = models.SearchParams(exact=exactly, hnsw_ef=max(self.ef_search, 2 * k))
        answer = self._call(
            "query_points",
            self._collection(name),
            query=query.tolist(),
            query_filter=models.Filter(must=must) if must else None,
            search_params=how,
            limit=k,
            with_payload=False,
            with_vectors=True,
        )
        return self._arrays(answer.points)

    def _arrays(self, points: list[Any]) -> tuple[Keys, Vectors]:
        vectors = np.array([point.vector for point in points], np.float32)
        return _keys(points), vectors.reshape(len(points), self.dim)

    @property
    def _is_remote(self) -> bool:
        return "://" in self.url

    @property
    def _alias(self) -> str:
        return f"{PREFIX}-{self.space}"

    def _collection(self, name: str | None) -> str:
        return self._alias if name is None else f"{self._alias}.{name}"

    def _call(self, method: str, *values: Any, **options: Any) -> Any:
        """Call the client, again after a while if the service does not answer.

        All that is called may be repeated.
        """
        from httpx import HTTPError
        from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

        problem: Exception | None = None
        for pause in (*PAUSES, None):
            try:
                return getattr(self._connected(), method)(*values, **options)
            except (ResponseHandlingException, HTTPError) as error:
                problem = error
            except UnexpectedResponse as error:
                if error.status_code == NOT_FOUND:
                    raise NothingServes(f"Qdrant has no such collection: {values[0]}.") from error
                problem = error
                if error.status_code not in {TOO_MANY, None} and error.status_code < SERVER_ERROR:
                    break
            except (ValueError, RuntimeError) as error:  # local mode's own
                if "not found" in str(error):
                    raise NothingServes(f"Qdrant has no such collection: {values[0]}.") from error
                problem = error
                break
            if pause is not None:
                time.sleep(pause)
        raise IndexUnavailable(f"Qdrant does not answer: {problem}") from problem

    def _connected(self) -> Any:
        if self._client is None:
            from qdrant_client import QdrantClient

            if self._is_remote:
                self._client = QdrantClient(
                    url=self.url,
                    api_key=self.api_key or None,
                    timeout=max(1, round(self.timeout)),
                    check_compatibility=False,
                )
            else:
                self._client = QdrantClient(
                    location=self.url if self.url == ":memory:" else None,
                    path=None if self.url == ":memory:" else self.url,
                    force_disable_check_same_thread=True,
                )
        return self._client


def _ids(keys: Keys) -> list[Any]:
    """Qdrant's ids are unsigned."""
    ids: list[Any] = keys.astype(np.uint64).tolist()
    return ids


def _keys(points: list[Any]) -> Keys:
    return np.array([point.id for point in points], np.uint64).astype(np.int64)


def _has_id(keys: Keys) -> Any:
    from qdrant_client import models

    return models.HasIdCondition(has_id=_ids(keys))
