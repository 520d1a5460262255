"""What is shown of results, read as plain rows: three queries for any number of them.

A search answers with dozens of results of some thirty fields each. Reading them as rows takes a
third of the time that model instances and serializer fields do; a test holds both equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.models import Product, Segment
from similarity.indexing import Neighbour
from similarity.models import Run

SEGMENT = ("identifier", "label", "x0", "y0", "x1", "y1", "image__identifier", "image__product")

PRODUCT = {
    "reference": "reference",
    "name": "name",
    "description": "description",
    "url": "url",
    "store": "store",
    "brand": "brand",
    "category": "category__name",
    "price": "price",
    "currency": "currency",
    "rating": "rating",
    "sale_status": "sale_status",
    "waist_type": "waist_type",
    "listing_season": "listing_season",
    "season": "season",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
"""What is shown of a product, and where it stands; tags and sizes are read apart."""


# Resolving two dozen columns across five tables takes longer than the query: once is enough.
ROWS = Segment.objects.order_by().values_list(
    "pk", *SEGMENT, *(f"image__product__{column}" for column in PRODUCT.values())
)
TAGS = Product.tags.through.objects.order_by("tag__name").values_list("product", "tag__name")
SIZES = Product.sizes.through.objects.order_by("size__name").values_list("product", "size__name")


@dataclass(frozen=True, slots=True)
class Result:
    """One result: the best garment of a product, or of an image that belongs to none."""

    rank: int
    """0 is the most similar."""
    similarity: float
    """Cosine, -1 to 1."""
    segment: str
    label: str
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, in pixels of the image."""
    image: str
    product: dict[str, Any] | None
    """The details named in PRODUCT, with tags and sizes."""


def read(neighbours: Sequence[Neighbour]) -> list[Result]:
    """Neighbours with what is shown of them; those that have gone meanwhile are left out."""
    found = ROWS.filter(pk__in=[neighbour.segment_id for neighbour in neighbours])
    rows = {pk: row for pk, *row in found}
    products = {row[len(SEGMENT) - 1] for row in rows.values()} - {None}
    tags = _names(TAGS, products)
    sizes = _names(SIZES, products)
    results = []
    for rank, neighbour in enumerate(neighbours):
        if (row := rows.get(neighbour.segment_id)) is None:
            continue
        segment, label, x0, y0, x1, y1, image, key, *details = row
        product = None
        if key is not None:
            product = dict(zip(PRODUCT, details, strict=True))
            product |= {"tags": tags[key], "sizes": sizes[key]}
        box = (x0, y0, x1, y1)
        results.append(Result(rank, neighbour.similarity, segment, label, box, image, product))
    return results


def of_run(run: Run) -> list[Neighbour]:
    """What a search has found, best first; nothing before it is done."""
    hits = run.hits.order_by("rank").values_list("segment_id", "similarity")
    return [Neighbour(segment, similarity) for segment, similarity in hits]


def _names(rows: Any, products: Collection[int]) -> dict[int, list[str]]:
    """The names of the tags, or sizes, of each product, in alphabetical order."""
    names = defaultdict(list)
    for product, value in rows.filter(product__in=products):
        names[product].append(value)
    return names
