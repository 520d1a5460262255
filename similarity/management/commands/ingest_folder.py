"""`manage.py ingest_folder`: a folder of pictures into the catalogue."""

from __future__ import annotations

import csv
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from catalog.models import OriginalImage, Product
from catalog.services import save_product
from similarity.ingestion import Item, read_file
from similarity.management.ingesting import (
    FIELDS,
    LISTS,
    check_folder,
    check_models,
    ingest_visibly,
    pictures_in,
    sentence,
    shown,
)


class Command(BaseCommand):
    help = "Take in all pictures of a folder, find their garments and describe them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--products",
            type=Path,
            metavar="CSV",
            help=(
                "product details: columns file (relative to the folder) and reference, and any "
                f"of {', '.join(FIELDS)}, {' and '.join(LISTS)} (those divided by |); several "
                "rows may share a reference"
            ),
        )

    def handle(self, *_: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        check_folder(folder)
        check_models()
        files = pictures_in(folder)
        products = self._products(options["products"], folder, files) if options["products"] else {}
        counts = self._ingest(folder, files, products)
        if not counts["added"] + counts["known"]:
            raise CommandError("Not one picture could be taken in.")

    def _ingest(
        self, folder: Path, files: list[Path], products: dict[Path, Product]
    ) -> Counter[str]:
        items = [
            Item(shown(path, folder), partial(read_file, path), products.get(path))
            for path in files
        ]
        started = time.monotonic()
        counts = ingest_visibly(items, source=OriginalImage.Source.FOLDER, unit="photo")
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{counts['added']} added, {counts['known']} known already, {counts['rejected']} "
            f"rejected in {seconds:.1f} s ({len(files) / seconds:.0f} photos/s)."
        )
        return counts

    def _products(self, path: Path, folder: Path, files: list[Path]) -> dict[Path, Product]:
        """The product of each picture that the CSV file names; a bad row is reported."""
        products: dict[Path, Product] = {}
        known = set(files)
        for number, row in _rows(path):
            try:
                picture = _picture(row, folder, known)
                products[picture] = save_product(**_details(row))
            except ValidationError as error:
                self.stderr.write(f"{path.name}, line {number}: {sentence(error)}")
        return products


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"file", "reference"} <= set(reader.fieldnames or ()):
                raise CommandError(f"{path} needs the columns file and reference.")
            if unknown := set(reader.fieldnames or ()) - {"file", "reference", *FIELDS, *LISTS}:
                raise CommandError(f"{path} has unknown columns: {', '.join(sorted(unknown))}.")
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _picture(row: dict[str, str], folder: Path, known: set[Path]) -> Path:
    """Take the picture's name out of a row; its path. ValidationError if the row is a bad one."""
    if None in row or None in row.values():
        raise ValidationError("it has too few or too many cells.")
    name = row.pop("file")
    if (path := folder / name) not in known:
        raise ValidationError(f"there is no picture {name!r} in the folder.")
    return path


def _details(row: dict[str, str]) -> dict[str, Any]:
    """A row's values as `save_product` takes them; an empty cell says nothing."""
    cells = {name: value.strip() for name, value in row.items()}
    details: dict[str, Any] = {name: value for name, value in cells.items() if value}
    reference = details.setdefault("reference", "")
    if "name" not in details and not Product.objects.filter(reference=reference).exists():
        details["name"] = reference
    for name in LISTS:
        if name in details:
            details[name] = details[name].split("|")
    return details
