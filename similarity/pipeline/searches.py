"""Searches: what is most like a photo or a garment, and the garments in a photo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.filters import concerns_products, passing
from catalog.models import Category, Product, Segment, SegmentColour
from similarity import backends, combined, indexing, prototypes, rules, serving
from similarity.combined import Wish
from similarity.engine import Box, Vectors
from similarity.engine.images import crop
from similarity.errors import NotDescribed
from similarity.indexing import Neighbour
from similarity.models import Embedder, Embedding, Hit, Run, SearchDay
from similarity.pipeline.runs import checkpoint, finish, stored
from similarity.prepared import Prepared
from similarity.rules import Among


def search(run: Run) -> None:
    """Find what is most like a photo, a box of it, or a known garment, and fits what is said."""
    checkpoint(run, "comparing", 0.5)
    neighbours = _neighbours(run)

    def end() -> None:
        finish(run)
        Run.objects.filter(pk=run.pk).update(embedder=run.embedder)

    _keep(run, neighbours, end)


def answer(run: Run) -> None:
    """Carry out a search that is not saved yet, and save it as done, with its results.

    For light searches, inside the request that asks: what goes wrong is raised, and leaves no
    row. Raises EngineError, Refused.
    """
    run.started_at = timezone.now()
    neighbours = _neighbours(run)
    run.state, run.progress, run.finished_at = Run.State.DONE, 1.0, timezone.now()
    _keep(run, neighbours, lambda: run.save(force_insert=True))


def _keep(run: Run, neighbours: Sequence[Neighbour], end: Callable[[], None]) -> None:
    """End a search with what it has found, in one transaction.

    What was deleted since it was found is left out; looking at that each time would take longer.
    """
    try:
        with transaction.atomic():
            end()
            _add_hits(run, neighbours)
    except IntegrityError:
        segments = [item.segment_id for item in neighbours]
        there = set(Segment.objects.filter(pk__in=segments).values_list("pk", flat=True))
        if there.issuperset(segments):  # something else is the matter
            raise
        _keep(run, [item for item in neighbours if item.segment_id in there], end)


def _neighbours(run: Run) -> list[Neighbour]:
    embedder = run.embedder or serving.chosen(run.options.get("model"))
    run.embedder = embedder  # one describes the query and what is found: a list mixes no two
    wish = Wish.of(run.options)
    filters = run.options.get("filters") or {}
    return combined.find(
        embedder,
        wish,
        seed=_query_vector(run, embedder),
        texts=backends.text_side(serving.backend_of(embedder)) if wish.has_words else None,
        limit=run.options["limit"],
        among=among(
            filters,
            own=[] if run.segment is None else [run.segment],
            top_categories=run.options.get("top_categories"),
        ),
        ruling=rules.in_force(filters, run.segment),
    )


def sort(run: Run) -> None:
    """Find the categories that are most like a photo, a box of it, or a known garment."""
    checkpoint(run, "comparing", 0.5)
    _compare_with_categories(run)
    with transaction.atomic():
        finish(run)
        run.save(update_fields=["embedder", "categories"])


def answer_with_categories(run: Run) -> None:
    """The same for a run that is not saved yet, as `answer` does a search."""
    run.started_at = timezone.now()
    _compare_with_categories(run)
    run.state, run.progress, run.finished_at = Run.State.DONE, 1.0, timezone.now()
    run.save(force_insert=True)


def _compare_with_categories(run: Run) -> None:
    run.embedder = run.embedder or serving.chosen(run.options.get("model"))
    vector = _query_vector(run, run.embedder)
    if vector is None:
        raise NotDescribed(_("What was to be compared has been deleted."))
    ranking = prototypes.ranked(run.embedder, vector)[: run.options["limit"]]
    run.categories = [(found.slug, found.similarity) for found in ranking]


def _add_hits(run: Run, neighbours: Sequence[Neighbour]) -> None:
    run.ranking = [
        (item.segment_id, item.similarity, item.matched, item.pinned) for item in neighbours
    ]
    transaction.on_commit(lambda: _count_search(run), robust=True)
    Hit.objects.bulk_create(
        Hit(
            run_id=run.pk,
            rank=rank,
            segment_id=item.segment_id,
            similarity=item.similarity,
            matched=item.matched,
            pinned=item.pinned,
        )
        for rank, item in enumerate(neighbours)
    )


def _count_search(run: Run) -> None:
    """Count a search for the staff's figures: that there was one, and whether it found anything.

    What words alone have found has no similarity, and is what was asked for.
    """
    best = max((1.0 if like is None else like for _, like, *_ in run.ranking), default=-1.0)
    SearchDay.note(timezone.localdate(), is_poor=best < settings.GOOD_SIMILARITY)


def _query_vector(run: Run, embedder: Embedder) -> Vectors | None:
    """The vector of the photo or garment that a run searches with; None if it has neither."""
    if run.query is not None:
        picture = stored(run.query.file)
        if box := run.options.get("box"):
            picture = crop(picture, Box(*box))
        return cast(Vectors, serving.backend_of(embedder).embed([picture])[0])
    return None if run.segment_id is None else segment_vector(run.segment_id, embedder)


VECTOR = Prepared(
    lambda segment, embedder: Embedding.objects.filter(
        segment=segment, embedder=embedder
    ).values_list("vector")
)


def segment_vector(segment_id: int | None, embedder: Embedder) -> Vectors:
    """A garment's vector. Raises NotDescribed if the embedder has not seen it."""
    rows = [] if segment_id is None else VECTOR(segment_id, embedder.pk)
    if not rows:
        raise NotDescribed(_("This garment has not been described yet. Try again in a moment."))
    return cast(Vectors, rows[0][0])


def among(
    filters: Mapping[str, Any], own: Iterable[Segment] = (), top_categories: int | None = None
) -> Among:
    """What passes the filters, and is not a garment's own; see `Among` for `top_categories`."""
    categories = chosen_categories(filters)
    beside = dict(filters)
    if categories is not None:
        del beside["category"]
    return Among(
        products=chosen_products(beside),
        categories=categories,
        colours=chosen_colours(dict(filters)),
        own=indexing.entries_of(own),
        top_categories=top_categories,
    )


def chosen_products(filters: dict[str, object]) -> QuerySet[Product] | None:
    """The products that pass the filters; None if there are none for products to pass."""
    return passing(filters) if concerns_products(filters) else None


def chosen_categories(filters: Mapping[str, Any]) -> list[int] | None:
    """The keys of the categories whose products pass; None if there is none to be of."""
    slugs = filters.get("category")
    if not slugs:
        return None
    named = Category.objects.filter(slug__in=[slugs] if isinstance(slugs, str) else slugs)
    return list(named.order_by().values_list("pk", flat=True))


def chosen_colours(filters: dict[str, Any]) -> QuerySet[SegmentColour] | None:
    """The rows of the garments that pass the filter of colours; None if there is none to pass."""
    names = filters.get("colour")
    return SegmentColour.objects.prominent(names).order_by() if names else None


def detect_in_query(run: Run) -> None:
    """Find the garments of a query's photo: the hotspots of the search page."""
    assert run.query is not None
    checkpoint(run, "reading", 0.1)
    picture = stored(run.query.file)
    checkpoint(run, "detecting", 0.3)
    detections = backends.detector().detect(picture)
    with transaction.atomic():
        finish(run)
        run.query.detections = [
            {"box": item.box.edges, "label": item.label, "score": item.score} for item in detections
        ]
        run.query.save(update_fields=["detections"])
