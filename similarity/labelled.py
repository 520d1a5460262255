"""The shop's own catalogue as labelled photos, to train on and to measure with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.storage import default_storage
from django.db.models import QuerySet

from catalog.models import OriginalImage, Segment
from similarity.engine.contracts import Box
from similarity.engine.datasets import Garment, Photo


def garments() -> QuerySet[Segment]:
    """Those of the described pictures of products, with their products and categories."""
    of_products = Segment.objects.filter(
        image__status=OriginalImage.Status.READY, image__product__isnull=False
    ).exclude(detector=Segment.NOTHING_FOUND)
    return of_products.select_related("image__product__category")


def catalogue_photos() -> list[Photo]:
    """Every described picture of a product, with its garments.

    The garment that a picture is of, the chosen one or else its best, is taken for the product
    itself and has its category for a label; others have what the detector called them. Photos of
    one product are one group.
    Pictures in which no garment was found are left out: they may show a label, or a table of sizes.
    """
    segments = garments().order_by("image_id", "number")
    return [
        Photo(
            Path(str(image.file.name)),
            f"product {image.product.reference}",
            _garments(image, list(found)),
            partial(_opened, str(image.file.name)),
        )
        for image, found in groupby(segments.iterator(), key=lambda segment: segment.image)
        if image.product
    ]


def _opened(name: str) -> BinaryIO:
    return cast(BinaryIO, default_storage.open(name))


def _garments(image: OriginalImage, found: Sequence[Segment]) -> tuple[Garment, ...]:
    main = next((one for one in found if one.pk == image.main_segment_id), found[0])
    return tuple(_garment(one, is_main=one is main) for one in found)


def _garment(segment: Segment, *, is_main: bool) -> Garment:
    image, product = segment.image, segment.image.product
    assert product is not None
    box = Box(*segment.box)
    whole = Box(0, 0, image.width, image.height)
    category = product.category.name if is_main and product.category else segment.label
    return Garment(
        category.lower(),
        None if box == whole else box,
        product=product.reference if is_main else None,
    )
