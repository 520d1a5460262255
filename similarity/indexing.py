"""The nearest garments: a build on disk, the vectors newer than it, and the database's word.

Hits are embeddings' ids. Looking them up in the database masks what was deleted or described
anew since the build, and joins in the product; so an index never has to be changed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Max, QuerySet

from catalog.models import Product, Segment
from similarity import backends
from similarity.engine import BACKENDS, Hit, Keys, Vectors
from similarity.engine.builds import BuildStore, Manifest, ServingBuild
from similarity.models import Embedder, Embedding, IndexBuild, Run

logger = logging.getLogger("similarity.index")

BATCH = 5000
"""Vectors read from the database at a time: 2.5 MB at 128 dimensions."""

LOOKED_UP = 100
"""Hits looked up in the database at a time: the first few mostly do."""

FAR = 2000
"""A filtered search that would have to go through so many hits scans what its filter keeps."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The best garment of one product (or of one image that belongs to none)."""

    segment_id: int
    similarity: float
    """Cosine, -1 to 1."""


def serving_embedder() -> Embedder:
    """The row of the embedder that the settings name, with the weights that it has now.

    Raises MissingWeights if it has none.
    """
    embedder = backends.embedder()
    known = (settings.EMBEDDER, embedder.fingerprint)
    if known not in _embedders:
        _embedders[known], _ = Embedder.objects.get_or_create(
            name=settings.EMBEDDER,
            fingerprint=embedder.fingerprint,
            defaults={"dim": embedder.dim},
        )
    return _embedders[known]


_embedders: dict[tuple[str, str], Embedder] = {}


# --- Searching ------------------------------------------------------------------------------


def nearest(
    embedder: Embedder,
    vector: Vectors,
    *,
    limit: int,
    products: QuerySet[Product] | None = None,
    leave_out: Segment | None = None,
) -> list[Neighbour]:
    """The `limit` products most like a unit vector, shape (dim,), best first.

    With `products`, only those; the answer then equals a scan of all their garments, and holds
    `limit` entries if so many match. `leave_out` keeps a garment's own product (or image) out.
    """
    space = _space(embedder)
    own = None if leave_out is None else _entry(leave_out.image_id, leave_out.image.product_id)
    among: Keys | None = None
    reach = 2 * limit if products is None else 10 * limit
    while True:
        hits = space.search(vector, reach, among=among)
        found = _best_per_entry(hits, limit, products, own)
        if len(found) == limit or len(hits) < reach:
            return found
        if products is not None and 2 * limit * reach > FAR * len(found):
            among, products, reach = _described(embedder, products), None, 2 * limit
        else:
            reach *= 5


def _described(embedder: Embedder, products: QuerySet[Product]) -> Keys:
    """The keys of all embeddings of those products, ascending."""
    embeddings = Embedding.objects.filter(embedder=embedder, segment__image__product__in=products)
    return np.sort(np.fromiter(embeddings.values_list("pk", flat=True), dtype=np.int64))


Entry = tuple[str, int]


def _entry(image: int, product: int | None) -> Entry:
    """What one result stands for: a product, or an image that belongs to none."""
    return ("image", image) if product is None else ("product", product)


def _best_per_entry(
    hits: Sequence[Hit], limit: int, products: QuerySet[Product] | None, own: Entry | None
) -> list[Neighbour]:
    """The best hit of each entry that passes the filter and is not its own, best first."""
    best: dict[Entry, Neighbour] = {}
    for start in range(0, len(hits), LOOKED_UP):
        chunk = hits[start : start + LOOKED_UP]
        rows = _looked_up([hit.key for hit in chunk], products)
        for hit in chunk:
            segment, entry = rows.get(hit.key, (0, own))
            if entry is None or entry == own:  # gone since the build, filtered out, or its own
                continue
            best.setdefault(entry, Neighbour(segment, hit.similarity))
            if len(best) == limit:
                return list(best.values())
    return list(best.values())


# Resolving the columns takes as long as the query: once is enough.
ENTRIES = Embedding.objects.values_list(
    "pk", "segment_id", "segment__image_id", "segment__image__product_id"
)


def _looked_up(
    keys: Sequence[int], products: QuerySet[Product] | None
) -> dict[int, tuple[int, Entry]]:
    """Segment and entry of each embedding that is still there and passes the filter, by key."""
    rows = list(ENTRIES.filter(pk__in=keys))
    if products is not None:
        # The filter is put to these few products alone, whatever number it keeps in all.
        kept = set(products.filter(pk__in={row[3] for row in rows}).values_list("pk", flat=True))
        rows = [row for row in rows if row[3] in kept]
    return {pk: (segment, _entry(image, product)) for pk, segment, image, product in rows}


class SearchSpace:
    """All vectors of one embedder, as one process searches them."""

    def __init__(self, embedder: Embedder) -> None:
        self.store = build_store(embedder)
        self.serving = ServingBuild(self.store)
        self.tail = Tail(embedder)

    def search(self, vector: Vectors, k: int, *, among: Keys | None = None) -> list[Hit]:
        """The k nearest of the build and the tail together, best first."""
        rows = vector.reshape(1, -1)
        build = self.serving.get()
        hits = [] if build is None else build.search(rows, k, among=among)[0]
        after = 0 if build is None else last_embedding(build.manifest)
        hits = hits + self.tail.search(vector, k, after=after, among=among)
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.key))[:k]


class Tail:
    """The vectors that are newer than a build: held in memory, searched exactly.

    Ids grow in the order of commits, so what is new is what lies above the highest id seen.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._lock = threading.Lock()
        self._after = -1
        self._keys: Keys = np.empty(0, np.int64)
        self._vectors: Vectors = np.empty((0, embedder.dim), np.float32)

    def search(
        self, vector: Vectors, k: int, *, after: int, among: Keys | None = None
    ) -> list[Hit]:
        """The k nearest of those with ids above `after`, best first."""
        keys, vectors = self._refreshed(after)
        if among is not None:
            chosen = np.isin(keys, among)
            keys, vectors = keys[chosen], vectors[chosen]
        best = np.argsort(-(vectors @ vector), kind="stable")[:k]
        # As the engines do: single precision finds them, double precision measures them.
        measured = np.clip(vectors[best].astype(np.float64) @ vector.astype(np.float64), -1, 1)
        return [Hit(int(keys[i]), float(s)) for i, s in zip(best, measured, strict=True)]

    def _refreshed(self, after: int) -> tuple[Keys, Vectors]:
        with self._lock:
            if after != self._after:
                newer = self._keys > after
                if after < self._after:  # an older build serves again
                    newer[:] = False
                self._keys, self._vectors = self._keys[newer], self._vectors[newer]
                self._after = after
            seen = int(self._keys[-1]) if len(self._keys) else after
            batches = list(stored_vectors(self._embedder, after=seen))
            if batches:
                self._keys = np.concatenate([self._keys, *(keys for keys, _ in batches)])
                self._vectors = np.concatenate([self._vectors, *(rows for _, rows in batches)])
            return self._keys, self._vectors


def stored_vectors(
    embedder: Embedder, *, after: int = 0, upto: int | None = None
) -> Iterator[tuple[Keys, Vectors]]:
    """The vectors of an embedder by ascending id, a batch at a time: (n,) and (n, dim)."""
    rows = Embedding.objects.filter(embedder=embedder).order_by("pk")
    if upto is not None:
        rows = rows.filter(pk__lte=upto)
    while batch := list(rows.filter(pk__gt=after).values_list("pk", "vector")[:BATCH]):
        after = batch[-1][0]
        yield np.array([pk for pk, _ in batch], np.int64), np.stack([v for _, v in batch])


_spaces: dict[int, SearchSpace] = {}
_spaces_lock = threading.Lock()


def _space(embedder: Embedder) -> SearchSpace:
    with _spaces_lock:
        if embedder.pk not in _spaces:
            _spaces[embedder.pk] = SearchSpace(embedder)
        return _spaces[embedder.pk]


def forget() -> None:
    """Drop what this process holds in memory (tests start afresh)."""
    _embedders.clear()
    with _spaces_lock:
        _spaces.clear()


# --- Building -------------------------------------------------------------------------------


def build_store(embedder: Embedder) -> BuildStore:
    """Where the builds of an embedder lie."""
    return BuildStore(settings.INDEX_DIR / embedder.key, {*BACKENDS["index"], settings.INDEX})


def last_embedding(manifest: Manifest) -> int:
    """The highest embedding's id that a build took in."""
    return int(manifest.about["last_embedding"])


def rebuild(
    embedder: Embedder,
    *,
    run: Run | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> IndexBuild:
    """Build the index of an embedder anew and let it serve; the one before serves meanwhile.

    `on_progress` gets the part done, 0 to 1, and may raise to stop the build. Raises
    BuildInProgress while another process builds.
    """
    store = build_store(embedder)
    with store.lock():
        # The lock is free, so whoever was building has died.
        IndexBuild.objects.filter(embedder=embedder, state=IndexBuild.State.BUILDING).update(
            state=IndexBuild.State.FAILED, problem="It was interrupted."
        )
        build = IndexBuild.objects.create(embedder=embedder, run=run, engine=settings.INDEX)
        try:
            manifest = _write(store, embedder, on_progress)
            build.name = manifest.name
            on_progress(1.0)  # the last moment to stop it
            store.activate(manifest.name)
        except BaseException as error:
            if build.name:
                store.remove(build.name)
            build.state, build.problem = IndexBuild.State.FAILED, (str(error) or "Stopped.")[:300]
            build.save(update_fields=["state", "problem", "name"])
            raise
        _record(build, manifest)
        removed = store.prune(settings.INDEX_KEEP_BUILDS)
    IndexBuild.objects.filter(embedder=embedder, name__in=removed).update(
        state=IndexBuild.State.REMOVED
    )
    _gather_statistics()
    logger.info("Index build %s serves %d vectors", build.name, build.count)
    return build


def _gather_statistics() -> None:
    """Let SQLite know how its rows are spread, as other databases find out by themselves.

    Without, a filter that keeps one garment in a hundred is looked for among all of them.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA analysis_limit = 1000")
            cursor.execute("ANALYZE")


def _write(store: BuildStore, embedder: Embedder, on_progress: Callable[[float], None]) -> Manifest:
    rows = Embedding.objects.filter(embedder=embedder)
    last = rows.aggregate(last=Max("pk"))["last"] or 0
    total = max(1, rows.filter(pk__lte=last).count())
    return store.write(
        engine=settings.INDEX,
        options=backends.options(settings.INDEX),
        dim=embedder.dim,
        batches=stored_vectors(embedder, upto=last),
        about={
            "embedder": embedder.name,
            "fingerprint": embedder.fingerprint,
            "last_embedding": last,
        },
        on_progress=lambda done: on_progress(min(1.0, done / total)),
    )


def _record(build: IndexBuild, manifest: Manifest) -> None:
    build.state = IndexBuild.State.READY
    build.parameters = manifest.parameters
    build.count = manifest.count
    build.size = manifest.bytes
    build.seconds = manifest.seconds
    build.save()


def activate(build: IndexBuild) -> None:
    """Let an earlier build serve again.

    Raises BrokenBuild if it is damaged or gone, BuildInProgress while another is being built.
    """
    store = build_store(build.embedder)
    with store.lock():
        store.activate(build.name)
    logger.info("Index build %s serves again", build.name)


# --- Looking --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How the index of the serving embedder stands."""

    embedder: str
    serving: str | None
    """Name of the build that answers searches; None if all vectors are scanned."""
    indexed: int
    """Vectors in that build."""
    newer: int
    """Vectors since then, which are searched exactly."""
    problem: str | None
    """What is wrong with the build that ought to serve, if anything."""
    is_rolled_back: bool = False
    """Whether a newer good build stands by: somebody has gone back to this one."""

    @property
    def is_complete(self) -> bool:
        """Whether the index holds all there is."""
        return self.newer == 0 and self.problem is None

    @property
    def needs_rebuild(self) -> bool:
        """Whether scanning what is newer has become slow, or the index is broken."""
        return self.newer > settings.INDEX_TAIL_LIMIT or self.problem is not None


def status(embedder: Embedder) -> IndexStatus:
    """How an embedder's index stands, as this process sees it."""
    serving = _space(embedder).serving
    build = serving.get()
    after = 0 if build is None else last_embedding(build.manifest)
    return IndexStatus(
        embedder=embedder.key,
        serving=None if build is None else build.manifest.name,
        indexed=0 if build is None else build.manifest.count,
        newer=Embedding.objects.filter(embedder=embedder, pk__gt=after).count(),
        problem=serving.problem,
        is_rolled_back=build is not None and _newest_name(embedder) != build.manifest.name,
    )


def _newest_name(embedder: Embedder) -> str | None:
    ready = IndexBuild.objects.filter(embedder=embedder, state=IndexBuild.State.READY)
    return ready.values_list("name", flat=True).first()


def is_serving(build: IndexBuild) -> bool:
    """Whether that is the build which answers the searches of its embedder."""
    serving = _space(build.embedder).serving.get()
    return serving is not None and serving.manifest.name == build.name
