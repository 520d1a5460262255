"""What each category looks like: the mean of its garments' vectors, and what that is good for.

A mean is a sum and a count, kept in a row for each embedder and category. The worker brings them up
to date in two ways, and whatever either has seen they are exact:

- *New garments* are those with embeddings above the highest that the sums know of. Ids are given in
  the order of commits (see `pipeline`), so each is added once, and uploads know nothing of it.
- *Whatever else changes a category* (a garment, picture or product deleted, moved, sorted anew)
  leaves a `StaleCategory` in its own transaction, and the sum is made anew of all the garments.

Categories that were predicted teach nothing: a guess would confirm itself.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet, Subquery
from numpy.typing import NDArray

from catalog import word_index
from catalog.models import Category, OriginalImage, Product, Segment
from catalog.signals import BEFORE
from similarity import indexing, serving, upkeep
from similarity.engine import Keys, Vectors
from similarity.engine.errors import EngineError
from similarity.indexing import CATEGORIES, CATEGORY, Entry, Neighbour
from similarity.models import Embedder, Embedding, Prototype, StaleCategory
from similarity.prepared import Prepared

logger = logging.getLogger("similarity.prototypes")

PREDICTED = "segment__image__product__category_predicted"

BATCH = 5000
"""Vectors added up at a time."""

SCANNED = 20_000
"""So many garments are compared in less time than filtering takes."""

BEFORE_SAVED = "sorted_before"
"""The attribute in which a product keeps the category that it had, until it is saved."""

ROUNDING = 1e-9
"""More than sums of a hundred million numbers up to 1 differ by in double precision."""

Sum = NDArray[np.float64]


# --- Keeping them up to date ------------------------------------------------------------------


def refresh() -> int:
    """Bring the prototypes of all embedders that searches may use up to date.

    Gives how many embedders there was something to do for. Any number of processes may try.
    """
    used = _used()
    _forget_others(used)
    stale = list(StaleCategory.objects.order_by("pk").values_list("pk", "category"))
    categories = {category for _, category in stale}
    outcomes = [_refresh(embedder, categories) for embedder in used]
    if None not in outcomes:
        # Lines that came meanwhile stay, for the next time.
        StaleCategory.objects.filter(pk__in=[pk for pk, _ in stale]).delete()
    return sum(bool(outcome) for outcome in outcomes)


def rebuild(embedder: Embedder) -> None:
    """Make the prototypes of an embedder anew, from all of its vectors."""
    _forget(Embedder.objects.filter(pk=embedder.pk))
    _refresh(embedder, set())


def check(embedder: Embedder) -> list[str]:
    """Names of the categories whose prototypes are not what their garments say.

    None after `refresh`, unless something has changed the catalogue by a road of its own.
    """
    told = Embedder.objects.get(pk=embedder.pk)
    right = _sums(_known(embedder, upto=told.prototypes_upto), embedder.dim)
    rows = {row.category_id: row for row in Prototype.objects.filter(embedder=embedder)}

    def differs(category: int) -> bool:
        true, row = right.get(category), rows.get(category)
        if true is None or row is None:
            return True
        return true.count != row.count or bool(np.abs(true.total - row.total).max() > ROUNDING)

    wrong = [category for category in {*right, *rows} if differs(category)]
    return list(Category.objects.filter(pk__in=wrong).values_list("name", flat=True))


def _used() -> list[Embedder]:
    """Those that a search may ask for, or will once they are filled."""
    others = Q(is_kept=True) | Q(is_filled=True)
    try:
        others |= Q(pk=serving.serving_embedder().pk)
    except EngineError as error:
        logger.warning("The serving embedder's prototypes are left as they are: %s", error)
    return list(Embedder.objects.filter(others).order_by("pk"))


def _forget_others(used: Sequence[Embedder]) -> None:
    """What nobody keeps up to date must not be there when it is used again."""
    others = Embedder.objects.exclude(pk__in=[row.pk for row in used])
    _forget(others.filter(prototypes_upto__gt=0))


def _forget(embedders: QuerySet[Embedder]) -> None:
    with transaction.atomic():
        for embedder in embedders.select_for_update():
            Prototype.objects.filter(embedder=embedder).delete()
            Embedder.objects.filter(pk=embedder.pk).update(
                prototypes_upto=0, prototypes_version=F("prototypes_version") + 1
            )


@dataclass
class _Sum:
    total: Sum
    count: int = 0


def _refresh(embedder: Embedder, stale: set[int]) -> bool | None:
    """Whether there was something to do; None if somebody else was at it."""
    before = Embedder.objects.get(pk=embedder.pk)
    upto = Embedding.objects.filter(embedder=embedder).aggregate(last=Max("pk"))["last"] or 0
    upto = max(upto, before.prototypes_upto)
    if upto == before.prototypes_upto and not stale:
        return False
    version = before.prototypes_version + 1
    new = _known(embedder, after=before.prototypes_upto, upto=upto)
    added = _sums(new.exclude(**{f"{CATEGORY}__in": stale}), embedder.dim)
    anew = _sums(_known(embedder, upto=upto).filter(**{f"{CATEGORY}__in": stale}), embedder.dim)
    with transaction.atomic():
        # Whoever is first has the version; the other has seen what may be out of date by now.
        if not Embedder.objects.filter(
            pk=embedder.pk, prototypes_version=before.prototypes_version
        ).update(prototypes_upto=upto, prototypes_version=version):
            return None
        rows = Prototype.objects.filter(embedder=embedder)
        rows.filter(category__in=stale).delete()
        for row in rows.filter(category__in=added):
            both = added.pop(row.category_id)
            row.total, row.count = row.total + both.total, row.count + both.count
            row.save(update_fields=["total", "count"])
        there = set(Category.objects.filter(pk__in={*added, *anew}).values_list("pk", flat=True))
        Prototype.objects.bulk_create(
            Prototype(
                embedder=embedder,
                category_id=category,
                total=found.total,
                count=found.count,
                remade=version,
            )
            for category, found in {**added, **anew}.items()
            if category in there
        )
    return True


def _known(embedder: Embedder, *, after: int = 0, upto: int) -> QuerySet[Embedding]:
    """The embeddings, in a range of ids, of garments whose category somebody has said."""
    rows = Embedding.objects.filter(embedder=embedder, pk__gt=after, pk__lte=upto)
    return rows.filter(**{f"{CATEGORY}__isnull": False, PREDICTED: False})


def _sums(rows: QuerySet[Embedding], dim: int) -> dict[int, _Sum]:
    """The sum of the vectors of each category."""
    known = rows.order_by("pk").values_list("pk", CATEGORY)
    # Keys first: a driver may hold all rows of an answer in memory, and vectors are large.
    pairs = np.array(list(known.iterator(chunk_size=BATCH)), np.int64).reshape(-1, 2)
    sums: dict[int, _Sum] = {}
    for start in range(0, len(pairs), BATCH):
        part = dict(pairs[start : start + BATCH].tolist())
        found = list(Embedding.objects.filter(pk__in=part).values_list("pk", "vector"))
        of = np.array([part[pk] for pk, _ in found])
        vectors = np.array([vector for _, vector in found], np.float64).reshape(-1, dim)
        for category in set(of.tolist()):
            own = vectors[of == category]
            held = sums.setdefault(category, _Sum(np.zeros(dim)))
            held.total += own.sum(axis=0)
            held.count += len(own)
    return sums


# --- What has changed -------------------------------------------------------------------------
# Live indexes hear of it here as well: they know vectors' categories, and follow each commit.


def mark(products: QuerySet[Product]) -> None:
    """Have the categories of some products made anew: garments of theirs come, go or move."""
    known = products.filter(category__isnull=False)
    _mark(known.order_by().values_list("category", flat=True).distinct())


def _mark(categories: Iterable[int | None]) -> None:
    StaleCategory.objects.bulk_create(
        StaleCategory(category_id=key) for key in set(categories) if key is not None
    )


def _sorted_as(product: Product) -> tuple[int | None, bool]:
    return product.category_id, product.category_predicted


def remember_category(instance: Product, **_: Any) -> None:
    """Before a product is saved (a signal's receiver)."""
    rows = Product.objects.filter(pk=instance.pk) if instance.pk else Product.objects.none()
    before = rows.only("category", "category_predicted").first()
    setattr(instance, BEFORE_SAVED, None if before is None else _sorted_as(before))


def product_saved(instance: Product, **_: Any) -> None:
    before: tuple[int | None, bool] | None = getattr(instance, BEFORE_SAVED)
    if before is not None and before != _sorted_as(instance):
        _mark({before[0], instance.category_id})
        upkeep.sorted_anew(products=[instance.pk])


def image_saved(instance: OriginalImage, **_: Any) -> None:
    """After `catalog.signals` has remembered whose it was."""
    concerned = {*getattr(instance, BEFORE), instance.product_id}
    if len(concerned) > 1:
        mark(Product.objects.filter(pk__in=concerned - {None}))
        upkeep.sorted_anew(images=[instance.pk])


def category_deleted(instance: Category, **_: Any) -> None:
    """Its products are in none; `catalog.signals` has remembered which they were."""
    upkeep.sorted_anew(products=getattr(instance, BEFORE))


def about_to_be_deleted(sender: Any, instance: Any, origin: Any, **_: Any) -> None:
    """Before a product, picture or garment goes; nothing is done for what goes along with it."""
    if sender is not getattr(origin, "model", type(origin)):
        return
    if isinstance(instance, Product):
        _mark({instance.category_id})
    elif isinstance(instance, OriginalImage):
        mark(Product.objects.filter(images=instance.pk))
    elif isinstance(instance, Segment):
        mark(Product.objects.filter(images=instance.image_id))


# --- Using them -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a category is."""

    category: int
    slug: str
    name: str
    similarity: float
    """Cosine with its prototype, -1 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shelves:
    """The prototypes of an embedder as they were written last, and which garments they are of."""

    version: int
    upto: int = 0
    """The highest embedding that is on a shelf."""
    prototypes: dict[int, Prototype] = field(default_factory=dict)
    """By category, without their sums."""
    means: Sum = field(default_factory=lambda: np.empty((0, 0)))
    """(n, dim) of length 1, in the same order."""
    keys: dict[int, Keys] = field(default_factory=dict)
    """Of the embeddings of those categories that somebody has asked for, ascending."""


_shelves: dict[int, _Shelves] = {}
"""By embedder. Replaced as a whole: whoever reads one needs no lock."""

VERSION = Prepared(
    lambda embedder: Embedder.objects.filter(pk=embedder).values_list(
        "prototypes_version", "prototypes_upto"
    )
)


def ranked(embedder: Embedder, vector: Vectors) -> list[Likeness]:
    """All categories that have a prototype, the nearest to a vector (dim,) first."""
    ranking = _ranking(_read(embedder), vector)
    known = Category.objects.in_bulk([category for category, _ in ranking])
    found = [(known.get(category), score) for category, score in ranking]
    return [Likeness(one.pk, one.slug, one.name, score) for one, score in found if one]


def _ranking(shelves: _Shelves, vector: Vectors) -> list[tuple[int, float]]:
    """The keys of categories and the cosines with them, the nearest first."""
    if not shelves.prototypes:
        return []
    scores = np.clip(shelves.means @ vector.astype(np.float64), -1, 1)
    categories = list(shelves.prototypes)
    order = np.argsort(-scores, kind="stable").tolist()
    return [(categories[row], float(scores[row])) for row in order]


def _read(embedder: Embedder) -> _Shelves:
    [(version, upto)] = VERSION(embedder.pk)
    held = _shelves.get(embedder.pk)
    if held is None or held.version != version:
        held = _shelves[embedder.pk] = _reread(embedder, held, version, upto)
    return held


def _reread(embedder: Embedder, held: _Shelves | None, version: int, upto: int) -> _Shelves:
    rows = list(Prototype.objects.filter(embedder=embedder, count__gt=0).order_by("category"))
    if not rows:
        return _Shelves(version, upto)
    totals = np.stack([row.total for row in rows])
    lengths = np.linalg.norm(totals, axis=1, keepdims=True)
    # Vectors that cancel out leave a category that is like nothing.
    means = np.divide(totals, lengths, out=np.zeros_like(totals), where=lengths > 0)
    by_category = {row.category_id: row for row in rows}
    for row in rows:
        del row.total  # read again should anybody ask
    keys: dict[int, Keys] = {}
    if held is not None and held.keys:
        newer = CATEGORIES(embedder.pk, held.upto, upto)
        for category, own in list(held.keys.items()):
            before, now = held.prototypes[category], by_category.get(category)
            if now is not None and now.remade == before.remade:
                keys[category] = _with(own, newer, {category})
    return _Shelves(version, upto, by_category, means, keys)


def _with(keys: Keys, newer: Sequence[Sequence[Any]], categories: Collection[int]) -> Keys:
    """The same keys and, of newer ones, those of some categories; ascending."""
    more = sorted(pk for pk, category in newer if category in categories)
    return np.concatenate([keys, np.array(more, np.int64)]) if more else keys


def _on_shelves(embedder: Embedder, categories: Sequence[int]) -> Keys | None:
    """The keys of all embeddings of some categories; None if they are too many to be scanned."""
    shelves = _read(embedder)
    counts = [shelves.prototypes[key].count for key in categories if key in shelves.prototypes]
    if len(counts) < len(categories) or sum(counts) > SCANNED:
        return None
    for category in categories:
        if category not in shelves.keys:
            rows = Embedding.objects.filter(embedder=embedder, pk__lte=shelves.upto)
            found = rows.filter(**{CATEGORY: category}).order_by().values_list("pk", flat=True)
            shelves.keys[category] = np.sort(np.fromiter(found, np.int64))
    keys = np.sort(np.concatenate([shelves.keys[category] for category in categories]))
    # What has come since, which the worker has not seen yet.
    return _with(keys, CATEGORIES(embedder.pk, shelves.upto, indexing.LAST), categories)


def forget() -> None:
    """Drop what this process holds in memory (tests start afresh)."""
    _shelves.clear()


def nearest(
    embedder: Embedder,
    vectors: Vectors,
    *,
    top: int,
    limit: int,
    products: QuerySet[Product] | None = None,
    categories: Collection[int] | None = None,
    own: Collection[Entry] = (),
    **filters: Any,
) -> list[Neighbour]:
    """As `indexing.nearest_to_any`, of the products of the `top` categories nearest to the first.

    Where these hold too few, the next category follows, and at last what is in none: there are
    `limit` results if so many pass the filters at all.
    """
    ranking = [category for category, _ in _ranking(_read(embedder), vectors[0])]
    first, further = ranking[:top], ranking[top:]
    if categories is not None:
        first = [category for category in first if category in categories]
        further = [category for category in further if category in categories]
    kept = (products, categories, *filters.values())
    # A live index knows its vectors' categories: it needs no list of them.
    has_shelves = all(rows is None for rows in kept) and not indexing.narrows(embedder)

    def of(wanted: Sequence[int], found: Sequence[Neighbour]) -> list[Neighbour]:
        """The nearest of some categories, beside what is found already."""
        how: dict[str, Any] = {
            "limit": limit - len(found),
            # A product that was moved a moment ago may be on two shelves.
            "own": {*own, *indexing.entries_among(found)},
        }
        keys = _on_shelves(embedder, wanted) if has_shelves else None
        if keys is not None:
            return indexing.nearest_among(embedder, vectors, keys, **how)
        how |= {"products": products, "categories": wanted}
        return indexing.nearest_to_any(embedder, vectors, **how, **filters)

    found = of(first, ()) if first else []
    if len(found) < limit and further:
        held = indexing.of_categories(products, further).order_by()
        holding = set(held.values_list("category", flat=True).distinct())
        further = [category for category in further if category in holding]
    for category in further:
        if len(found) == limit:
            break
        found += of([category], found)
    if len(found) < limit:  # what is in none
        found += indexing.nearest_to_any(
            embedder,
            vectors,
            limit=limit - len(found),
            products=products,
            categories=categories,
            own={*own, *indexing.entries_among(found)},
            **filters,
        )
    return found


def predict(embedder: Embedder, vectors: Mapping[int, Vectors]) -> None:
    """Give products without a category the one whose prototype is nearest, marked as predicted.

    `vectors` has the garment that stands for each product. What a person has said stays.
    """
    sorted_now = []
    for product, vector in vectors.items():
        if not (ranking := ranked(embedder, vector)):
            return
        if Product.objects.filter(pk=product, category=None).update(
            category=ranking[0].category, category_predicted=True
        ):
            sorted_now.append(product)
    word_index.refresh(sorted_now)
    upkeep.sorted_anew(products=sorted_now)
    # Garments of theirs that were described before change shelves.
    mark(
        Product.objects.filter(
            pk__in=sorted_now,
            images__segments__embeddings__pk__lte=Subquery(
                Embedder.objects.filter(pk=embedder.pk).values("prototypes_upto")
            ),
        )
    )
