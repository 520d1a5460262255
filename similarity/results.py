"""What is shown of results, read as plain rows: four queries for any number of them.

A search answers with dozens of results of some thirty fields each. Reading them as rows takes a
third of the time that model instances and serializer fields do; a test holds both equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from catalog.models import Product, Segment, SegmentColour
from similarity.indexing import Neighbour
from similarity.models import Run
from similarity.prepared import Prepared

SEGMENT = ("identifier", "label", "x0", "y0", "x1", "y1", "image__identifier", "image__product")

PRODUCT = {
    "reference": "reference",
    "name": "name",
    "description": "description",
    "url": "url",
    "store": "store",
    "brand": "brand",
    "category": "category__name",
    "category_predicted": "category_predicted",
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


ROWS = Prepared(
    lambda segments: (
        Segment.objects.filter(pk__in=segments)
        .order_by()
        .values_list("pk", *SEGMENT, *(f"image__product__{column}" for column in PRODUCT.values()))
    )
)
TAGS = Prepared(
    lambda products: (
        Product.tags.through.objects.filter(product__in=products)
        .order_by("tag__name")
        .values_list("product", "tag__name")
    )
)
SIZES = Prepared(
    lambda products: (
        Product.sizes.through.objects.filter(product__in=products)
        .order_by("size__name")
        .values_list("product", "size__name")
    )
)
COLOURS = Prepared(
    lambda segments: SegmentColour.objects.filter(segment__in=segments).values_list(
        "segment", "colour", "share"
    )
)


@dataclass(frozen=True, slots=True)
class Result:
    """One result: the best garment of a product, or of an image that belongs to none."""

    rank: int
    """0 is the most similar."""
    similarity: float | None
    """Cosine, -1 to 1; None for what words alone have found."""
    matched: tuple[str, ...]
    """Words asked for that the product's fields have."""
    pinned: bool
    """Whether a rule has put it first."""
    segment: str
    label: str
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, in pixels of the image."""
    colours: list[dict[str, Any]]
    """Name and share of each, most first."""
    image: str
    product: dict[str, Any] | None
    """The details named in PRODUCT, with tags and sizes."""


def read(neighbours: Sequence[Neighbour]) -> list[Result]:
    """Neighbours with what is shown of them; those that have gone meanwhile are left out."""
    found = ROWS([neighbour.segment_id for neighbour in neighbours])
    rows = {pk: row for pk, *row in found}
    products = list({row[len(SEGMENT) - 1] for row in rows.values()} - {None})
    tags = _by_product(TAGS(products))
    sizes = _by_product(SIZES(products))
    colours = _colours(list(rows))
    results = []
    for rank, neighbour in enumerate(neighbours):
        if (row := rows.get(neighbour.segment_id)) is None:
            continue
        segment, label, x0, y0, x1, y1, image, key, *details = row
        product = None
        if key is not None:
            product = dict(zip(PRODUCT, details, strict=True))
            product |= {"tags": tags[key], "sizes": sizes[key]}
        results.append(
            Result(
                rank=rank,
                similarity=neighbour.similarity,
                matched=neighbour.matched,
                pinned=neighbour.pinned,
                segment=segment,
                label=label,
                box=(x0, y0, x1, y1),
                colours=colours[neighbour.segment_id],
                image=image,
                product=product,
            )
        )
    return results


def of_run(run: Run) -> list[Neighbour]:
    """What a search has found, best first; nothing before it is done."""
    return [Neighbour(*row) for row in run.ranking]


def _by_product(rows: Iterable[Sequence[Any]]) -> dict[int, list[str]]:
    """The names of the tags, or sizes, of each product, in their order."""
    names = defaultdict(list)
    for product, value in rows:
        names[product].append(value)
    return names


def _colours(segments: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The dominant colours of each garment, most first."""
    colours = defaultdict(list)
    for segment, name, share in COLOURS(segments):
        colours[segment].append({"name": name, "share": share})
    return colours
