"""Putting things into the shop, by the same road as everybody."""

from __future__ import annotations

from catalog.lookalikes import merge
from catalog.models import Lookalike, OriginalImage, Product, Segment
from catalog.services import save_product
from similarity import pipeline, services
from tests.pictures import photo


def add_photo(data: bytes, product: Product | None = None, **details) -> Segment:
    """A picture taken in and described at once; its best garment."""
    upload = services.start_upload(services.take_in(data), product=product, queued=False, **details)
    pipeline.execute(upload.run.pk)
    return upload.image.segments.select_related("image__product").get(number=0)


def add_product(reference: str, colour: str = "red", seed: int = 0, **details) -> Segment:
    """A product with one picture of that colour; its garment."""
    details.setdefault("name", f"{colour} thing")
    product = save_product(reference, **details)
    return add_photo(photo(colour, seed=seed), product)


def merge_into(kept: OriginalImage, other: OriginalImage) -> None:
    """Have somebody find that two pictures show the same."""
    earlier, later = sorted((kept, other), key=lambda image: image.pk)
    pair = Lookalike.objects.create(earlier=earlier, later=later, distance=1, similarity=1)
    merge(pair, kept, None)
