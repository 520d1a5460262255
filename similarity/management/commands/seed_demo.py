"""`manage.py seed_demo`: a catalogue that draws itself."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.models import OriginalImage, Product
from catalog.services import save_product
from similarity.engine.synthetic import product, worn
from similarity.engine.synthetic.files import outfit_file, photo_file
from similarity.ingestion import Item
from similarity.management.ingesting import check_models, ingest_visibly

VIEWS = 3
"""Pictures of each product."""

PRODUCTS_PER_OUTFIT = 5
"""One picture in so many shows a whole look, of two to four garments."""


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
        self.stdout.write(f"{items} products; {counts['added']} pictures added.")
        if counts["rejected"]:
            raise CommandError(f"{counts['rejected']} pictures could not be described.")


def _save(seed: int, number: int) -> Product:
    facts = asdict(product(seed, number).facts)
    facts["season"] = facts["season"].replace(" ", "_")
    return save_product(facts.pop("reference"), **facts)


def _pictures(seed: int, products: list[Product]) -> list[Item]:
    """The pictures of the products, then looks of several of them; drawn when they are read."""
    views = [
        Item(f"{shown.reference}-{seed}-{view}.jpg", partial(photo_file, seed, number, view), shown)
        for number, shown in enumerate(products)
        for view in range(VIEWS)
    ]
    looks = []
    for number in range(len(products) // PRODUCTS_PER_OUTFIT):
        # A look belongs to its first garment; a small shop may not have that one.
        first = worn(seed, number)[0]
        shown = products[first] if first < len(products) else None
        looks.append(Item(f"look-{seed}-{number}.jpg", partial(outfit_file, seed, number), shown))
    return views + looks


def _not_there(pictures: list[Item]) -> list[Item]:
    drawn = OriginalImage.objects.filter(
        source=OriginalImage.Source.DEMO, status=OriginalImage.Status.READY
    )
    there = set(drawn.values_list("source_name", flat=True))
    return [picture for picture in pictures if picture.name not in there]
