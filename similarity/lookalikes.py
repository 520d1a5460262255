"""Which pictures of the catalogue may be one: near perceptual hashes, confirmed by vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import cast

import numpy as np
from django.db.models import Q

from catalog.models import Lookalike, PerceptualHash
from similarity.engine import Vectors
from similarity.engine.perceptual import RADIUS, distance, is_double, likeness, near, parts
from similarity.models import Embedder, Embedding

CLOSEST = 20
"""So many of the nearest hashes are looked at more closely: beyond them, all is one placeholder."""


def note(hashes: Mapping[int, int], embedder: Embedder) -> None:
    """Keep the hashes of images, by key, and each one's likeliest double, if it has one.

    To be called in the transaction that has written their embeddings, after the embedder's row was
    locked for it: of two who add the same picture at once, the second sees the first.
    """
    PerceptualHash.objects.filter(image__in=hashes).delete()
    PerceptualHash.objects.bulk_create(_row(image, value) for image, value in hashes.items())
    pairs = [pair for image, value in hashes.items() for pair in _double(image, value, embedder)]
    Lookalike.objects.bulk_create(pairs, ignore_conflicts=True)


def _row(image: int, value: int) -> PerceptualHash:
    signed = value - 2**64 if value >= 2**63 else value
    columns = {f"part_{place}": part for place, part in enumerate(parts(value))}
    return PerceptualHash(image_id=image, value=signed, **columns)


def _double(image: int, value: int, embedder: Embedder) -> Iterable[Lookalike]:
    """The pair of an image and what is likeliest to be the same, unless that has been asked."""
    distances = dict(nearest(value, besides=_asked(image) | {image}))
    vectors = _vectors([image, *distances], embedder)
    confirmed = [
        (cosine, -bits, -other)
        for other, bits in distances.items()
        if is_double(bits, cosine := likeness(vectors[image], vectors[other]))
    ]
    if confirmed:
        cosine, bits, other = max(confirmed)
        earlier, later = sorted((image, -other))
        yield Lookalike(earlier_id=earlier, later_id=later, distance=-bits, similarity=cosine)


def _asked(image: int) -> set[int]:
    """The images that this one has been compared with for somebody to decide, and itself."""
    pairs = Lookalike.objects.filter(Q(earlier=image) | Q(later=image))
    return {key for pair in pairs.values_list("earlier", "later") for key in pair}


def nearest(value: int, besides: Iterable[int] = ()) -> list[tuple[int, int]]:
    """The images whose hashes lie within RADIUS of one, with the distance: CLOSEST at most."""
    probes = reduce(
        or_, (Q(**{f"part_{i}__in": near(part)}) for i, part in enumerate(parts(value)))
    )
    rows = PerceptualHash.objects.filter(probes).values_list("image", "value")
    left_out = set(besides)
    found = [
        (bits, image)
        for image, other in rows.iterator()
        if (bits := distance(value, other % 2**64)) <= RADIUS and image not in left_out
    ]
    return [(image, bits) for bits, image in sorted(found)[:CLOSEST]]


def _vectors(images: Iterable[int], embedder: Embedder) -> dict[int, Vectors]:
    """The vectors of the garments of images, (n, dim) each."""
    rows = Embedding.objects.filter(embedder=embedder, segment__image__in=images)
    found: dict[int, list[Vectors]] = defaultdict(list)
    for image, vector in rows.order_by("segment").values_list("segment__image", "vector"):
        found[image].append(cast(Vectors, vector))
    empty = np.empty((0, embedder.dim), np.float32)
    return {image: np.stack(found[image]) if image in found else empty for image in images}
