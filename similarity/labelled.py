"""The shop's own catalogue as labelled photos, to train on and to measure with."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, cast

from django.core.files.storage import default_storage

from catalog.models import OriginalImage, Segment
from similarity.engine.contracts import Box
from similarity.engine.datasets import Garment, Photo


def catalogue_photos() -> list[Photo]:
    """Every described picture of a product, with its garments.

    A garment's label is its product's category, or what the detector called it. The best
    garment of a picture is taken for the product itself. Photos of one product are one group.
    Pictures in which no garment was found are left out: they may show a label, or a table of sizes.
    """
    segments = (
        Segment.objects.filter(
            image__status=OriginalImage.Status.READY, image__product__isnull=False
        )
        .exclude(detector=Segment.NOTHING_FOUND)
        .select_related("image__product__category")
        .order_by("image_id", "number")
    )
    return [
        Photo(
            Path(str(image.file.name)),
            f"product {image.product.reference}",
            tuple(map(_garment, found)),
            partial(_opened, str(image.file.name)),
        )
        for image, found in groupby(segments.iterator(), key=lambda segment: segment.image)
        if image.product
    ]


def _opened(name: str) -> BinaryIO:
    return cast(BinaryIO, default_storage.open(name))


def _garment(segment: Segment) -> Garment:
    image, product = segment.image, segment.image.product
    assert product is not None
    box = Box(*segment.box)
    whole = Box(0, 0, image.width, image.height)
    main = segment.number == 0
    category = product.category.name if main and product.category else segment.label
    return Garment(
        category.lower(),
        None if box == whole else box,
        product=product.reference if main else None,
    )
