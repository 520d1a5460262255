"""`manage.py import_legacy`: what a shop has elsewhere, into the catalogue."""

from __future__ import annotations

import csv
import hashlib
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from catalog.models import OriginalImage, Product
from catalog.services import save_product
from similarity import services
from similarity.engine.errors import EngineError
from similarity.ingestion import Item, ingest, read_file
from similarity.management.importing import Picture, Row, Source
from similarity.management.importing.feed import KNOWN, Feed
from similarity.management.importing.mysql import OldTables
from similarity.management.ingesting import (
    check_folder,
    check_models,
    pictures_in,
    sentence,
    shown,
)

IMPORT = OriginalImage.Source.IMPORT


class Folder:
    """A folder of photos."""

    cut_out_by = ""

    def __init__(self, path: Path) -> None:
        check_folder(path)
        self.path = path

    def rows(self) -> Iterator[Row]:
        for path in pictures_in(self.path):
            name = shown(path, self.path)
            yield Row(name, pictures=[Picture(name, partial(read_file, path))])


class Errors:
    """What could not be taken, row by row: as a CSV file, or told on stderr."""

    def __init__(self, file: TextIO | None) -> None:
        self.file = file
        self.count = 0
        if file:
            csv.writer(file).writerow(["row", "picture", "reason"])

    def add(self, row: str, picture: str, reason: str) -> None:
        self.count += 1
        if self.file:
            csv.writer(self.file).writerow([row, picture, reason])
            self.file.flush()  # whoever kills us can read so far
        else:
            tqdm.write(": ".join(filter(None, [row, picture, reason])), file=sys.stderr)


class Command(BaseCommand):
    help = (
        "Take in what a shop has elsewhere: the tables of the old service in MySQL, a folder of "
        "photos, or a product feed. May be stopped, even killed, and run again: it goes on where "
        "it was, and what is there is not added twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
        mysql = sources.add_parser("mysql", help="the tables splitted_images and image_details")
        mysql.add_argument("url", metavar="URL", help="mysql://user:password@host:3306/name")
        folder = sources.add_parser("folder", help="a folder of photos")
        folder.add_argument("path", type=Path, metavar="DIR")
        feed = sources.add_parser("feed", help="products as CSV or JSON lines")
        feed.add_argument("path", type=Path, metavar="FILE")
        feed.add_argument(
            "--map",
            dest="columns",
            type=_mapping,
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help=f"what a column of the feed is; fields: {', '.join(KNOWN)}. May be repeated",
        )
        for source in (mysql, folder, feed):
            source.add_argument("--errors", type=Path, metavar="FILE", help="write errors as CSV")
            source.add_argument(
                "--dry-run", action="store_true", help="look at everything, change nothing"
            )

    def handle(self, *_: Any, **options: Any) -> None:
        source = _source(options)
        if not options["dry_run"]:
            check_models()
        with ExitStack() as stack:
            file = None
            if path := options["errors"]:
                try:
                    file = stack.enter_context(path.open("w", newline="", encoding="utf-8"))
                except OSError as error:
                    raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
            self._import(source, Errors(file), is_dry=options["dry_run"])

    def _import(self, source: Source, errors: Errors, *, is_dry: bool) -> None:
        started = time.monotonic()
        counts: Counter[str] = Counter()
        items = list(_items(source, errors, counts, is_dry=is_dry))
        outcomes = _looked_at(items) if is_dry else _taken_in(items, source.cut_out_by)
        with tqdm(total=len(items), unit="picture", disable=not sys.stderr.isatty()) as bar:
            for (row, item), (status, reason) in zip(items, outcomes, strict=True):
                counts[status] += 1
                bar.update()
                if status == "rejected":
                    errors.add(row, item.name, reason)
        if isinstance(source, OldTables):
            self.stdout.write(f"Vectors: {source.vectors}.")
        self.stdout.write(
            f"{'Would be: ' if is_dry else ''}{counts['products']} products, "
            f"{counts['added']} pictures added, {counts['known']} known already, "
            f"{errors.count} errors in {time.monotonic() - started:.1f} s."
        )
        if not counts["products"] + counts["added"] + counts["known"]:
            raise CommandError("Nothing could be taken in.")


def _source(options: dict[str, Any]) -> Source:
    if options["source"] == "mysql":
        return OldTables(options["url"])
    if options["source"] == "folder":
        return Folder(options["path"])
    return Feed(options["path"], dict(options["columns"]))


def _items(
    source: Source, errors: Errors, counts: Counter[str], *, is_dry: bool
) -> Iterator[tuple[str, Item]]:
    """The pictures that are still to be taken, with their rows' names; products are saved."""
    settled = set(
        OriginalImage.objects.filter(source=IMPORT, status=OriginalImage.Status.READY).values_list(
            "source_name", flat=True
        )
    )
    products: dict[str, Product | None] = {}
    saved: set[str] = set()
    for row in source.rows():
        for problem in row.problems:
            errors.add(row.name, "", problem)
        product = None
        if row.details:
            try:
                product = _product(row.details, products, is_dry=is_dry)
                saved.add(row.details["reference"])
            except ValidationError as error:
                errors.add(row.name, "", sentence(error))
                products[row.details["reference"]] = None
                continue
        for picture in row.pictures:
            name = _short(picture.name)
            if picture.is_address and name in settled:
                counts["known"] += 1
            else:
                yield row.name, Item(name, picture.read, product, picture.vector, picture.former)
    counts["products"] = len(saved)


def _short(name: str) -> str:
    """A name that fits its column, and still is no other's."""
    longest = 200
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: longest - 17]}#{digest}"


def _product(
    details: dict[str, Any], products: dict[str, Product | None], *, is_dry: bool
) -> Product | None:
    """The product of a row, saved with what the row says of it; none in a dry run."""
    reference = details["reference"]
    if set(details) == {"reference"} and reference in products:
        return products[reference]
    if "name" not in details and not Product.objects.filter(reference=reference).exists():
        details = {**details, "name": reference}
    with transaction.atomic():
        product = save_product(**details)
        transaction.set_rollback(is_dry)
    products[reference] = None if is_dry else product
    return products[reference]


def _taken_in(items: list[tuple[str, Item]], cut_out_by: str) -> Iterator[tuple[str, str]]:
    for outcome in ingest([item for _, item in items], source=IMPORT, cut_out_by=cut_out_by):
        yield outcome.status, outcome.reason


def _looked_at(items: list[tuple[str, Item]]) -> Iterator[tuple[str, str]]:
    """What would become of each, were it taken in now."""
    seen: set[str] = set()
    for _, item in items:
        try:
            digest = services.take_in(item.read()).sha256
        except (EngineError, OSError) as error:
            yield "rejected", str(error)
            continue
        is_known = digest in seen or OriginalImage.objects.filter(sha256=digest).exists()
        seen.add(digest)
        yield "known" if is_known else "added", ""


def _mapping(text: str) -> tuple[str, str]:
    name, _, column = text.partition("=")
    if name not in KNOWN or not column:
        raise ArgumentTypeError(f"{text!r} is not FIELD=COLUMN with one of {', '.join(KNOWN)}.")
    return name, column
