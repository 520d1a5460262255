"""`manage.py seed_demo`: a catalogue that draws itself."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog import word_index
from catalog.models import OriginalImage, Product
from catalog.services import save_product
from similarity.engine import Box
from similarity.engine.synthetic import main_place, product, worn
from similarity.engine.synthetic.files import outfit_file, photo_file
from similarity.ingestion import Item
from similarity.management.ingesting import check_models, ingest_visibly

VIEWS = 3
"""Pictures of each product."""

PRODUCTS_PER_OUTFIT = 5
"""One picture in so many shows a whole look, of two to four garments."""

MOSTLY = 0.8
"""So much of a detected box lies where the look has its main garment, if it is that one's."""


class Command(BaseCommand):
    help = (
        "Draw a demonstration catalogue and take it in like any photos. Adds nothing twice: what "
        "is there is not drawn again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--items", type=int, default=300, help="products (default 300)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, another shop")

    def handle(self, *_: Any, **options: Any) -> None:
        items, seed = options["items"], options["seed"]
        if items < 1:
            raise CommandError("--items must be at least 1.")
        check_models()
        products = [_save(seed, number) for number in range(items)]
        pictures = _not_there(_pictures(seed, products))
        counts = ingest_visibly(pictures, source=OriginalImage.Source.DEMO, unit="picture")
        added = {picture.name for picture in pictures}
        looks = {_look(seed, number): number for number in _looks(products)}
        _choose_main(seed, {name: number for name, number in looks.items() if name in added})
        self.stdout.write(f"{items} products; {counts['added']} pictures added.")
        if counts["rejected"]:
            raise CommandError(f"{counts['rejected']} pictures could not be described.")


def _save(seed: int, number: int) -> Product:
    facts = asdict(product(seed, number).facts)
    facts["season"] = facts["season"].replace(" ", "_")
    return save_product(facts.pop("reference"), **facts)


def _pictures(seed: int, products: Sequence[Product]) -> list[Item]:
    """The pictures of the products, then looks of several of them; drawn when they are read."""
    views = [
        Item(f"{shown.reference}-{seed}-{view}.jpg", partial(photo_file, seed, number, view), shown)
        for number, shown in enumerate(products)
        for view in range(VIEWS)
    ]
    looks = []
    for number in _looks(products):
        # A look belongs to its first garment; a small shop may not have that one.
        first = worn(seed, number)[0]
        shown = products[first] if first < len(products) else None
        looks.append(Item(_look(seed, number), partial(outfit_file, seed, number), shown))
    return views + looks


def _looks(products: Sequence[Product]) -> range:
    return range(len(products) // PRODUCTS_PER_OUTFIT)


def _look(seed: int, number: int) -> str:
    """What the picture of a look is called."""
    return f"look-{seed}-{number}.jpg"


def _choose_main(seed: int, looks: Mapping[str, int]) -> None:
    """Have looks stand for their first garment alone: a blouse is not to be shown by trousers.

    `looks` has their numbers by name. Where the detector has missed that garment, all are found.
    """
    images = OriginalImage.objects.filter(
        source=OriginalImage.Source.DEMO, source_name__in=looks, product__isnull=False
    ).prefetch_related("segments")
    chosen = []
    for image in images:
        place = main_place(looks[image.source_name])
        if inside := [row for row in image.segments.all() if _lies_in(Box(*row.box), place)]:
            image.main_segment = max(inside, key=lambda row: Box(*row.box).area)
            chosen.append(image)
    OriginalImage.objects.bulk_update(chosen, ["main_segment"])
    word_index.refresh({image.product_id for image in chosen})  # of its colours alone now


def _lies_in(box: Box, place: Box) -> bool:
    """Whether most of a box is there, whatever a detector adds at its edges."""
    left, top = max(box.x0, place.x0), max(box.y0, place.y0)
    right, bottom = min(box.x1, place.x1), min(box.y1, place.y1)
    return Box(left, top, right, bottom).area >= MOSTLY * box.area


def _not_there(pictures: list[Item]) -> list[Item]:
    drawn = OriginalImage.objects.filter(
        source=OriginalImage.Source.DEMO, status=OriginalImage.Status.READY
    )
    there = set(drawn.values_list("source_name", flat=True))
    return [picture for picture in pictures if picture.name not in there]
