"""The nearest garments: a build on disk, the vectors newer than it, and the database's word.

Hits are embeddings' ids. Looking them up in the database masks what was deleted or described
anew since the build, and joins in the product; so an index never has to be changed.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Exists, Max, OuterRef, QuerySet

from catalog.models import Product, ProductWord, Segment, SegmentColour, findable
from similarity import backends, serving
from similarity.engine import BACKENDS, NO_CATEGORY, Categories, Hit, Keys, LiveIndex, Vectors
from similarity.engine.builds import BuildStore, Manifest, ServingBuild
from similarity.engine.errors import IndexUnavailable, NothingServes
from similarity.engine.live import CATEGORISED, LiveStore
from similarity.models import Embedder, Embedding, IndexBuild, Run
from similarity.prepared import Prepared, composed_once

logger = logging.getLogger("similarity.index")

BATCH = 5000
"""Vectors read from the database at a time: 2.5 MB at 128 dimensions."""

LAST = 2**63 - 1
"""No id can be higher."""

LOOKED_UP = 300
"""Hits looked up in the database at a time: the first few mostly do."""

FEW = 2000
"""A filter that keeps so few products has their garments scanned, without a look at the rest."""

FAR = 2000
"""A filtered search that would have to go through so many hits scans what its filter keeps."""


BELIEVED = 60.0
"""Seconds for which a filter that keeps many is taken to keep many."""

REMEMBERED = 1000
"""Such filters that a process remembers."""

MOMENT = 2.0
"""Seconds for which the name of a live engine's serving collection is remembered."""

CATEGORY = "segment__image__product__category"
"""What leads from an embedding to what its product is sorted as."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The best garment of one product (or of one image that belongs to none)."""

    segment_id: int
    similarity: float | None
    """Cosine, -1 to 1; None for what was found by words alone."""
    matched: tuple[str, ...] = ()
    """Words asked for that the product's fields have."""
    pinned: bool = False
    """Whether a rule has put it first."""


# --- Searching ------------------------------------------------------------------------------


def nearest(
    embedder: Embedder,
    vector: Vectors,
    *,
    limit: int,
    products: QuerySet[Product] | None = None,
    categories: Collection[int] | None = None,
    colours: QuerySet[SegmentColour] | None = None,
    without: QuerySet[ProductWord, int] | None = None,
    leave_out: Collection[Segment] = (),
) -> list[Neighbour]:
    """The `limit` products most like a unit vector, shape (dim,), best first.

    With `products`, only those; with `categories`, only products of these (keys); with `colours`,
    only garments that have one of these rows. The answer then equals a scan of all such garments,
    and holds `limit` entries if so many match.
    `without` has keys of products that are kept out; `leave_out` keeps garments' own products (or
    images) out.
    """
    return nearest_to_any(
        embedder,
        vector.reshape(1, -1),
        limit=limit,
        products=products,
        categories=categories,
        colours=colours,
        without=without,
        own=entries_of(leave_out),
    )


def nearest_to_any(
    embedder: Embedder,
    vectors: Vectors,
    *,
    limit: int,
    products: QuerySet[Product] | None = None,
    categories: Collection[int] | None = None,
    colours: QuerySet[SegmentColour] | None = None,
    without: QuerySet[ProductWord, int] | None = None,
    own: Collection[Entry] = (),
) -> list[Neighbour]:
    """The same for several vectors, shape (n, dim): each product by its likeness to the best.

    `own` is what results must not name: what the vectors are of.
    """
    space = _space(embedder)
    if categories is not None and not space.narrows():
        # They are what any other filter of products is.
        products, categories = of_categories(products, categories), None
    sieve = Sieve(embedder, products, categories, colours, without)
    if sieve.keeps_at_most(FEW):
        return _nearest_of(sieve.all_kept(), space, vectors, limit, own)
    reach = 15 * limit if sieve.is_filtering else 2 * limit
    while True:
        hits = space.search(vectors, reach, categories=categories)
        found = _best_per_entry(hits, limit, sieve.rows, own)
        if len(found) == limit or len(hits) < reach:
            return found
        if not sieve.is_filtering:
            reach *= 5
            continue
        # Half as many again as the part that was kept so far lets one expect.
        reach = math.ceil(1.5 * limit * reach / max(1, len(found)))
        if reach > FAR:
            return _nearest_of(sieve.all_kept(), space, vectors, limit, own)


def of_categories(
    products: QuerySet[Product] | None, categories: Collection[int]
) -> QuerySet[Product]:
    """Those of the products, or of all, that are in these categories."""
    every = Product.objects.order_by() if products is None else products
    return every.filter(category__in=categories)


def nearest_among(
    embedder: Embedder,
    vectors: Vectors,
    among: Keys,
    *,
    limit: int,
    own: Collection[Entry] = (),
) -> list[Neighbour]:
    """As `nearest_to_any`, of the embeddings with those keys: all of them are scanned."""
    return _nearest_of(among, _space(embedder), vectors, limit, own)


def _nearest_of(
    among: Keys, space: Space, vectors: Vectors, limit: int, own: Collection[Entry]
) -> list[Neighbour]:
    """The answer from some embeddings, without a look at the rest."""
    reach = 2 * limit
    while True:
        hits = space.search(vectors, reach, among=among)
        found = _best_per_entry(hits, limit, ENTRIES, own)
        if len(found) == limit or len(hits) < reach:
            return found
        reach *= 5


class Sieve:
    """What the filters of one search keep.

    `products`, `colours` and `without` are as in `nearest`; so are `categories`, which the index
    keeps to as well: its hits may lag behind, and are asked all the same.
    """

    def __init__(
        self,
        embedder: Embedder,
        products: QuerySet[Product] | None,
        categories: Collection[int] | None,
        colours: QuerySet[SegmentColour] | None,
        without: QuerySet[ProductWord, int] | None,
    ) -> None:
        self._embedder, self._products, self._colours = embedder, products, colours
        self._categories, self._without = categories, without
        self.is_filtering = any(rows is not None for rows in (products, colours, without))
        """Whether hits have to be passed over that the index could not know of."""
        keeps_all = not self.is_filtering and categories is None
        self.rows: Rows = ENTRIES if keeps_all else composed_once(self._kept)
        """The rows of ENTRIES, by their keys, that are still there and pass the filters."""

    def keeps_at_most(self, few: int) -> bool:
        """Whether one of the filters keeps no more than so many products, or garments."""
        sets = (
            None if self._products is None else self._products.values("pk"),
            None if self._colours is None else self._colours.values("segment"),
        )
        return any(rows is not None and _is_at_most(few, rows) for rows in sets)

    def all_kept(self) -> Keys:
        """The keys of all embeddings that pass, ascending."""
        embeddings = Embedding.objects.filter(findable("segment__"), embedder=self._embedder)
        if self._categories is not None:
            embeddings = embeddings.filter(**{f"{CATEGORY}__in": self._categories})
        if self._products is not None:
            embeddings = embeddings.filter(segment__image__product__in=self._products)
        if self._colours is not None:
            embeddings = embeddings.filter(segment__in=self._colours.values("segment"))
        if self._without is not None:
            embeddings = embeddings.exclude(segment__image__product__in=self._without)
        return np.sort(np.fromiter(embeddings.values_list("pk", flat=True), dtype=np.int64))

    def _kept(self, keys: Sequence[int]) -> QuerySet[Any, Any]:
        # Each row is asked whether it passes: whatever number the filters keep in all, that
        # takes no longer.
        embeddings = Embedding.objects.filter(findable("segment__"), pk__in=keys)
        if self._categories is not None:
            embeddings = embeddings.filter(**{f"{CATEGORY}__in": self._categories})
        if self._products is not None:
            product = self._products.filter(pk=OuterRef("segment__image__product"))
            embeddings = embeddings.filter(Exists(product))
        if self._colours is not None:
            colour = self._colours.filter(segment=OuterRef("segment"))
            embeddings = embeddings.filter(Exists(colour))
        if self._without is not None:
            out = self._without.filter(product=OuterRef("segment__image__product"))
            embeddings = embeddings.filter(~Exists(out))
        return embeddings.values_list(*ENTRY)


def _is_at_most(few: int, rows: QuerySet[Any, Any]) -> bool:
    """Whether there are no more than so many rows. That there are more is believed for a while.

    Counting the products of a tag may take as long as the search. Who believes too long searches
    longer, and gives the same answer.
    """
    try:
        sql, values = rows.query.sql_with_params()
    except EmptyResultSet:
        return True  # Django has seen that nothing can pass
    asked = (few, sql, tuple(map(str, values)))
    now = time.monotonic()
    if _more.get(asked, -math.inf) > now:
        return False
    if rows[: few + 1].count() <= few:
        return True
    if len(_more) >= REMEMBERED:
        _more.clear()
    _more[asked] = now + BELIEVED
    return False


_more: dict[tuple[int, str, tuple[str, ...]], float] = {}
"""Until when a question is known to have more rows than were asked for."""


Entry = tuple[str, int]


def entry_of(image: int, product: int | None) -> Entry:
    """What one result stands for: a product, or an image that belongs to none."""
    return ("image", image) if product is None else ("product", product)


def entries_of(segments: Iterable[Segment]) -> set[Entry]:
    """What garments stand for among results."""
    return {entry_of(segment.image_id, segment.image.product_id) for segment in segments}


def entries_among(found: Sequence[Neighbour]) -> set[Entry]:
    """What the results of a search stand for."""
    rows = Segment.objects.filter(pk__in=[item.segment_id for item in found])
    return entries_of(rows.select_related("image")) if found else set()


def _best_per_entry(
    hits: Sequence[Hit], limit: int, rows: Rows, own: Collection[Entry]
) -> list[Neighbour]:
    """The best hit of each entry that `rows` knows of and that is not left out, best first."""
    best: dict[Entry, Neighbour] = {}
    for start in range(0, len(hits), LOOKED_UP):
        chunk = hits[start : start + LOOKED_UP]
        found = {row[0]: row[1:] for row in rows([hit.key for hit in chunk])}
        for hit in chunk:
            if hit.key not in found:  # gone since the build, or filtered out
                continue
            segment, image, product = found[hit.key]
            entry = entry_of(image, product)
            if entry in own:
                continue
            best.setdefault(entry, Neighbour(segment, hit.similarity))
            if len(best) == limit:
                return list(best.values())
    return list(best.values())


Rows = Callable[[Sequence[int]], list[Sequence[Any]]]
"""Gives the columns of ENTRY of those keys that there are."""

ENTRY = ("pk", "segment_id", "segment__image_id", "segment__image__product_id")

ENTRIES = Prepared(
    lambda keys: Embedding.objects.filter(findable("segment__"), pk__in=keys).values_list(*ENTRY)
)


class Space(Protocol):
    """All vectors of one embedder, as one process searches them."""

    def search(
        self,
        vectors: Vectors,
        k: int,
        *,
        among: Keys | None = None,
        categories: Collection[int] | None = None,
    ) -> list[Hit]:
        """The k nearest to any of the vectors, (n, dim), best first; with `among`, exactly the
        nearest of those. What is near to several of them counts as near as to the nearest.

        With `categories`, the nearest of what is of these, if it narrows; it may lag behind.
        """
        ...

    def narrows(self) -> bool:
        """Whether it knows the categories of what it holds."""
        ...

    def status(self) -> IndexStatus: ...

    def serving_name(self) -> str | None:
        """The name of the build that serves."""
        ...


def _ranked(found: Iterable[Sequence[Hit]], k: int) -> list[Hit]:
    """The k best of several lists, each key once."""
    best: dict[int, Hit] = {}
    for hit in sorted(chain.from_iterable(found), key=lambda hit: (-hit.similarity, hit.key)):
        best.setdefault(hit.key, hit)
    return list(best.values())[:k]


class SearchSpace:
    """A build on disk, and what is newer."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.store = build_store(embedder)
        self.serving = ServingBuild(self.store)
        self.tail = Tail(embedder)

    def search(
        self,
        vectors: Vectors,
        k: int,
        *,
        among: Keys | None = None,
        categories: Collection[int] | None = None,  # files know of none
    ) -> list[Hit]:
        """As `Space.search`, of the build and the tail together."""
        build = self.serving.get()
        found = [] if build is None else build.search(vectors, k, among=among)
        after = 0 if build is None else last_embedding(build.manifest)
        return _ranked([*found, *self.tail.search(vectors, k, after=after, among=among)], k)

    def narrows(self) -> bool:
        return False

    def status(self) -> IndexStatus:
        build = self.serving.get()
        after = 0 if build is None else last_embedding(build.manifest)
        name = None if build is None else build.manifest.name
        return IndexStatus(
            embedder=self.embedder.key,
            serving=name,
            indexed=0 if build is None else build.manifest.count,
            newer=Embedding.objects.filter(embedder=self.embedder, pk__gt=after).count(),
            problem=self.serving.problem,
            is_rolled_back=name is not None
            and _is_newer_there(self.embedder, name, [one.name for one in self.store.builds()]),
        )

    def serving_name(self) -> str | None:
        build = self.serving.get()
        return None if build is None else build.manifest.name


class LiveSpace:
    """What a live engine holds. Until it has a collection to search in, all vectors are scanned."""

    def __init__(self, embedder: Embedder, index: LiveIndex) -> None:
        self.embedder, self.index = embedder, index
        self.tail = Tail(embedder)
        self._serving: tuple[float, str | None] = (-math.inf, None)
        self._followed: str | None = None
        """The build whose effort this process searches with."""
        self._is_categorised = False
        """Whether that build was filled after vectors had categories."""

    def search(
        self,
        vectors: Vectors,
        k: int,
        *,
        among: Keys | None = None,
        categories: Collection[int] | None = None,
    ) -> list[Hit]:
        """As `Space.search`. Raises IndexUnavailable."""
        self._follow()
        try:
            found = self.index.search(vectors, k, among=among, categories=categories)
        except NothingServes:
            found = self.tail.search(vectors, k, after=0, among=among)
        return _ranked(found, k)

    def narrows(self) -> bool:
        """As `Space.narrows`. False while nothing serves."""
        self._follow()
        return self._is_categorised

    def status(self) -> IndexStatus:
        described = Embedding.objects.filter(embedder=self.embedder).count()
        serving, indexed, problem = None, 0, None
        collections: list[str] = []
        try:
            serving, collections = self.index.serving(), self.index.collections()
            indexed = 0 if serving is None else self.index.count(None)
        except IndexUnavailable as error:
            problem = str(error)
        return IndexStatus(
            embedder=self.embedder.key,
            serving=serving,
            indexed=indexed,
            newer=max(0, described - indexed),
            problem=problem,
            is_rolled_back=serving is not None
            and _is_newer_there(self.embedder, serving, collections),
            is_live=True,
        )

    def serving_name(self) -> str | None:
        """As it was a moment ago, since lists ask for it row by row; None while it is down."""
        asked, name = self._serving
        if time.monotonic() > asked + MOMENT:
            try:
                name = self.index.serving()
            except IndexUnavailable:
                name = None
            self._serving = (time.monotonic(), name)
        return name

    def _follow(self) -> None:
        """Search with the effort that was measured for the collection that serves."""
        name = self.serving_name()
        if name == self._followed:
            return
        self._followed, self._is_categorised = None, False
        ready = IndexBuild.objects.filter(state=IndexBuild.State.READY, name=name)
        for parameters in ready.values_list("parameters", flat=True):
            self.index.ef_search = parameters.get("ef_search", self.index.ef_search)
            self._is_categorised = CATEGORISED in parameters
            self._followed = name

    def look_again(self) -> None:
        """Another collection serves now."""
        self._serving = (-math.inf, None)


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
        self, wanted: Vectors, k: int, *, after: int, among: Keys | None = None
    ) -> list[list[Hit]]:
        """The k nearest of those with ids above `after` to each of (n, dim), best first."""
        keys, vectors = self._refreshed(after)
        if among is not None:
            chosen = np.isin(keys, among)
            keys, vectors = keys[chosen], vectors[chosen]
        return [_scanned(vector, keys, vectors, k) for vector in wanted]

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


def _scanned(vector: Vectors, keys: Keys, vectors: Vectors, k: int) -> list[Hit]:
    best = np.argsort(-(vectors @ vector), kind="stable")[:k]
    # As the engines do: single precision finds them, double precision measures them.
    measured = np.clip(vectors[best].astype(np.float64) @ vector.astype(np.float64), -1, 1)
    return [Hit(int(keys[i]), float(s)) for i, s in zip(best, measured, strict=True)]


VECTORS = Prepared(
    lambda embedder, after, upto: (
        Embedding.objects.filter(embedder=embedder, pk__gt=after, pk__lte=upto)
        .order_by("pk")
        .values_list("pk", "vector")[:BATCH]
    )
)


def stored_vectors(
    embedder: Embedder, *, after: int = 0, upto: int = LAST
) -> Iterator[tuple[Keys, Vectors]]:
    """The vectors of an embedder by ascending id, a batch at a time: (n,) and (n, dim)."""
    while batch := VECTORS(embedder.pk, after, upto):
        after = batch[-1][0]
        yield np.array([pk for pk, _ in batch], np.int64), np.stack([v for _, v in batch])


CATEGORIES = Prepared(
    lambda embedder, after, upto: Embedding.objects.filter(
        embedder=embedder, pk__gt=after, pk__lte=upto
    ).values_list("pk", CATEGORY)
)
"""Embeddings in a range of keys, and what their products are sorted as."""


def categories_of(embedder: Embedder, keys: Keys) -> Categories:
    """What the embeddings of some ascending keys (n,) are sorted as; those gone, as nothing."""
    known = _sorted_as(embedder, keys)
    return as_categories(known.get(key) for key in keys.tolist())


def _sorted_as(embedder: Embedder, keys: Keys) -> dict[int, int | None]:
    """The same by key; those gone are not in it."""
    rows = CATEGORIES(embedder.pk, int(keys[0]) - 1, int(keys[-1])) if len(keys) else []
    return {row[0]: row[1] for row in rows}


def as_categories(keys: Iterable[int | None]) -> Categories:
    """Keys of categories as engines are given them."""
    return np.array([key or NO_CATEGORY for key in keys], np.int64)


def missorted(embedder: Embedder, index: LiveIndex) -> Iterator[tuple[Keys, Categories]]:
    """Keys whose category a live index has otherwise than the database, and the right one.

    (n,) and (n,) at a time, by ascending key. What the database has not is passed over.
    """
    for keys, held in index.categories(None):
        known = _sorted_as(embedder, keys)
        right = as_categories(known.get(key) for key in keys.tolist())
        differs = (held != right) & np.array([key in known for key in keys.tolist()])
        if differs.any():
            yield keys[differs], right[differs]


_spaces: dict[tuple[int, str], Space] = {}
_spaces_lock = threading.Lock()


def _space(embedder: Embedder) -> Space:
    known = (embedder.pk, settings.INDEX)
    with _spaces_lock:
        if known not in _spaces:
            index = backends.live_index(embedder.key, embedder.dim)
            _spaces[known] = LiveSpace(embedder, index) if index else SearchSpace(embedder)
        return _spaces[known]


def live_index(embedder: Embedder) -> LiveIndex | None:
    """The service that answers an embedder's searches; None if builds on disk do."""
    space = _space(embedder)
    return space.index if isinstance(space, LiveSpace) else None


def narrows(embedder: Embedder) -> bool:
    """Whether the index that serves knows the categories of what it holds."""
    return _space(embedder).narrows()


def forget() -> None:
    """Drop what this process holds in memory (tests start afresh)."""
    serving.forget()
    _more.clear()
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
    store = _store(embedder)
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
        # It serves: what it could not be told of is found and repaired by `index_check`.
        _catch_up(store, embedder, after=last_embedding(manifest))
        removed = store.prune(settings.INDEX_KEEP_BUILDS)
    _look_again(embedder)
    IndexBuild.objects.filter(embedder=embedder, name__in=removed).update(
        state=IndexBuild.State.REMOVED
    )
    _gather_statistics()
    logger.info("Index build %s serves %d vectors", build.name, build.count)
    return build


def _look_again(embedder: Embedder) -> None:
    space = _space(embedder)
    if isinstance(space, LiveSpace):
        space.look_again()


def _gather_statistics() -> None:
    """Let SQLite know how its rows are spread, as other databases find out by themselves.

    Without, a filter that keeps one garment in a hundred is looked for among all of them.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA analysis_limit = 1000")
            cursor.execute("ANALYZE")


def _store(embedder: Embedder) -> BuildStore | LiveStore:
    files = build_store(embedder)
    index = live_index(embedder)
    return files if index is None else LiveStore(index, settings.INDEX, files)


def _write(
    store: BuildStore | LiveStore, embedder: Embedder, on_progress: Callable[[float], None]
) -> Manifest:
    rows = Embedding.objects.filter(embedder=embedder)
    last = rows.aggregate(last=Max("pk"))["last"] or 0
    total = max(1, rows.filter(pk__lte=last).count())
    batches = stored_vectors(embedder, upto=last)
    about = {
        "embedder": embedder.name,
        "fingerprint": embedder.fingerprint,
        "last_embedding": last,
    }

    def report(done: int) -> None:
        on_progress(min(1.0, done / total))

    if isinstance(store, LiveStore):
        is_free = "ef_search" not in backends.options(settings.INDEX)
        recall = settings.INDEX_RECALL if is_free else None
        sorted_batches = ((*batch, categories_of(embedder, batch[0])) for batch in batches)
        return store.write(batches=sorted_batches, about=about, recall=recall, on_progress=report)
    return store.write(
        engine=settings.INDEX,
        options=backends.options(settings.INDEX),
        dim=embedder.dim,
        batches=batches,
        about=about,
        recall=settings.INDEX_RECALL,
        on_progress=report,
    )


def _catch_up(store: BuildStore | LiveStore, embedder: Embedder, *, after: int) -> None:
    """Tell of what came, or moved, while a collection was filled: the one before was told."""
    if isinstance(store, LiveStore):
        for keys, vectors in stored_vectors(embedder, after=after):
            store.index.add(None, keys, vectors, categories_of(embedder, keys))
        for keys, categories in missorted(embedder, store.index):
            store.index.categorise(None, keys, categories)


def _record(build: IndexBuild, manifest: Manifest) -> None:
    build.state = IndexBuild.State.READY
    build.parameters = manifest.parameters
    build.count = manifest.count
    build.size = manifest.bytes
    build.seconds = manifest.seconds
    build.recall = manifest.measured.get("recall")
    build.search_ms = manifest.measured.get("p50_ms")
    build.save()
    if build.recall is not None and build.recall < settings.INDEX_RECALL:
        logger.warning("Index build %s finds only %.3f of the nearest", build.name, build.recall)


def activate(build: IndexBuild) -> None:
    """Let an earlier build serve again.

    Raises BrokenBuild if it is damaged or gone, BuildInProgress while another is being built.
    """
    store = _store(build.embedder)
    with store.lock():
        store.activate(build.name)
    _look_again(build.embedder)
    logger.info("Index build %s serves again", build.name)


def remove_all(embedder: Embedder) -> None:
    """Delete all builds of an embedder, wherever they are.

    Raises BuildInProgress while one is being built, IndexUnavailable.
    """
    store = _store(embedder)
    with store.lock():
        IndexBuild.objects.filter(embedder=embedder).exclude(state=IndexBuild.State.FAILED).update(
            state=IndexBuild.State.REMOVED
        )
        store.clear()
    with _spaces_lock:
        for known in [known for known in _spaces if known[0] == embedder.pk]:
            del _spaces[known]


# --- Looking --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How an embedder's index stands."""

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
    is_live: bool = False
    """Whether a service holds the vectors, and what is newer was missed by it."""

    @property
    def is_complete(self) -> bool:
        """Whether the index holds all there is."""
        return self.newer == 0 and self.problem is None

    @property
    def needs_rebuild(self) -> bool:
        """Whether scanning what is newer has become slow, or the index is broken.

        A live one needs its first build alone: what it has missed, `index_check` repairs.
        """
        if self.is_live:
            return self.serving is None and self.problem is None and self.newer > 0
        return self.newer > settings.INDEX_TAIL_LIMIT or self.problem is not None


def status(embedder: Embedder) -> IndexStatus:
    """How an embedder's index stands, as this process sees it."""
    return _space(embedder).status()


def held_vectors(embedder: Embedder) -> Iterator[tuple[Keys, Vectors]]:
    """All that the index that serves holds, by ascending key: (n,) and (n, dim) at a time."""
    space = _space(embedder)
    if isinstance(space, LiveSpace):
        yield from space.index.stored(None)
    elif isinstance(space, SearchSpace) and (build := space.serving.get()) is not None:
        yield from space.store.stored(build.manifest.name)


def _is_newer_there(embedder: Embedder, serving: str, names: Iterable[str]) -> bool:
    """Whether a good build is among those of these names that is newer than the serving one."""
    newer = [name for name in names if name > serving]  # they begin with the time
    ready = IndexBuild.objects.filter(embedder=embedder, state=IndexBuild.State.READY)
    return bool(newer) and ready.filter(name__in=newer).exists()


def is_serving(build: IndexBuild) -> bool:
    """Whether that is the build which answers the searches of its embedder."""
    return bool(build.name) and _space(build.embedder).serving_name() == build.name
