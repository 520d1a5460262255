"""What is like something, asked in passing: no run is kept of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from django.db.models import Case, When
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Segment, findable
from similarity import pipeline, rules, serving
from similarity.engine import Box
from similarity.engine.images import crop, open_stored
from similarity.errors import NotDescribed
from similarity.indexing import Neighbour
from similarity.models import Embedding, Query
from similarity.prepared import Prepared
from similarity.services.uploads import take_in


def similar(
    segment: Segment,
    *,
    limit: int,
    filters: Mapping[str, Any] | None = None,
    model: str | None = None,
    beside_others: bool = False,
) -> list[Neighbour]:
    """What is most like a known garment; leaves no trace. Raises NotDescribed, ModelNotReady.

    `beside_others` is for one of several rows of results: nothing is pinned there.
    """
    embedder = serving.chosen(model)
    ruling = rules.in_force(filters or {}, segment)
    return rules.nearest(
        embedder,
        pipeline.segment_vector(segment.pk, embedder).reshape(1, -1),
        limit=limit,
        among=pipeline.among(filters or {}, own=[segment]),
        ruling=ruling.without_pins() if beside_others else ruling,
    )


def goes_with(
    segment: Segment, seen_with: Sequence[Segment], *, limit: int, kinds: int
) -> list[tuple[Segment, list[Neighbour]]]:
    """What the shop has like the garments that are worn with one: complete the look.

    Of `seen_with` (garments of the same product's pictures) the surest of each other label
    counts, at most `kinds` of them; each with up to `limit` products, none of them its own.
    What has not been described, or finds nothing, is left out.
    """
    surest: dict[str, Segment] = {}
    for other in sorted(seen_with, key=lambda one: (-one.score, one.pk)):
        if other.label != segment.label:
            surest.setdefault(other.label, other)
    looks: list[tuple[Segment, list[Neighbour]]] = []
    for other in list(surest.values())[:kinds]:
        with suppress(NotDescribed):
            if found := similar(other, limit=limit, beside_others=True):
                looks.append((other, found))
    return looks


def outfit(query: Query, *, limit: int) -> list[list[Neighbour]]:
    """What the shop has like each garment that was found in a photo, in their order.

    Computed at once, so for light embedders alone, and leaves no trace.
    """
    boxes = [Box(*found["box"]) for found in query.detections or []]
    picture = pipeline.stored(query.file)
    embedder = serving.serving_embedder()
    vectors = serving.backend_of(embedder).embed([crop(picture, box) for box in boxes])
    how: dict[str, Any] = {
        "limit": limit,
        "among": pipeline.among({}),
        "ruling": rules.in_force({}).without_pins(),
    }
    return [rules.nearest(embedder, vector.reshape(1, -1), **how) for vector in vectors]


MOST_PICTURES = 20
"""So many of a product's pictures are looked at for products like it."""


def similar_products(
    product: Product, *, limit: int, filters: Mapping[str, Any] | None = None
) -> list[Neighbour]:
    """The products most like one, in the order of the best of its pictures; leaves no trace.

    Each picture speaks by its best garment. Raises NotDescribed if none has been described.
    """
    embedder = serving.serving_embedder()
    rows = VECTORS(product.pk, embedder.pk)
    best = {image: vector for image, vector in reversed(rows)}  # noqa: C416  (rows are tuples)
    if not best:
        raise NotDescribed(_("This product has no described picture yet."))
    return rules.nearest(
        embedder,
        np.stack(list(best.values())[-MOST_PICTURES:]),
        limit=limit,
        among=pipeline.among(filters or {}).of_products().but([product.pk]),
        ruling=rules.for_product(filters or {}, product.pk),
    )


VECTORS = Prepared(
    lambda product, embedder: (
        Embedding.objects.filter(
            findable("segment__"), segment__image__product=product, embedder=embedder
        )
        .order_by("segment__image__position", "segment__image", "segment__number")
        .values_list("segment__image", "vector")
    )
)
"""Of a product's garments, with their images, in their order."""


def find_similar(data: bytes, *, limit: int, model: str | None = None) -> list[Neighbour]:
    """What is most like the picture of those bytes; leaves no trace.

    The picture goes the way that an uploaded one goes, through its stored JPEG. Raises BadImage,
    ModelNotReady.
    """
    embedder = serving.chosen(model)
    picture = open_stored(io.BytesIO(take_in(data).jpeg))
    vectors = serving.backend_of(embedder).embed([picture])
    return rules.nearest(
        embedder, vectors, limit=limit, among=pipeline.among({}), ruling=rules.in_force({})
    )


KNOWN = Segment.objects.select_related("image").only("identifier", "image__product")
"""Garments with all that a search by one of them needs to know of it."""


def main_segment(product: Product) -> Segment:
    """The garment that stands for a product: of its first picture that has any, the main or best.

    Where there is none in any of them, its first picture as a whole.
    """
    nothing_found = Case(When(detector=Segment.NOTHING_FOUND, then=1), default=0)
    segment = (
        Segment.objects.filter(findable(), image__product=product)
        .select_related("image__product")
        .order_by(nothing_found, "image__position", "image_id", "number")
        .first()
    )
    if segment is None:
        raise NotDescribed(_("This product has no described picture yet."))
    return segment
