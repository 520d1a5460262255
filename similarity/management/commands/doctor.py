"""`manage.py doctor`: what is configured, what is missing, how to mend it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import Error, run_checks
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from catalog.models import Lookalike, OriginalImage, Product, ProductWord, Segment
from similarity import indexing, services, serving
from similarity.engine.errors import EngineError
from similarity.models import Run


class Ailment(Exception):
    """Something that keeps the product from working, with the way to mend it."""


class Command(BaseCommand):
    help = "Say what is configured, what is missing and how to mend it. Exits 1 if anything is."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **options: Any) -> None:
        ailing = False
        for title, look in LOOKS:
            try:
                for line in look():
                    self.stdout.write(f"{self.style.SUCCESS('ok  ')} {title}: {line}")
            except (Ailment, EngineError, DatabaseError, OSError) as error:
                ailing = True
                self.stdout.write(f"{self.style.ERROR('MEND')} {title}: {error}")
        if ailing:
            raise SystemExit(1)


def configuration() -> Iterator[str]:
    messages = run_checks(databases=["default"])
    for message in messages:
        if isinstance(message, Error) or (message.id or "").startswith("similarity."):
            raise Ailment(f"{message.msg} {message.hint or ''}")
    yield f"detector {settings.DETECTOR}, index {settings.INDEX}"


def embedder() -> Iterator[str]:
    name = serving.serving_name()
    if name != settings.EMBEDDER:
        yield f"{name} serves since it was switched to; EMBEDDER, {settings.EMBEDDER}, does not"
    for row in serving.describing():
        if missing := serving.lacking(row).count():
            raise Ailment(
                f"{missing} garments are not described by {row}. "
                f"Run: manage.py embed_catalogue --embedder {row.name}"
            )
        yield f"{row} has described all garments"


def data_folder() -> Iterator[str]:
    if not os.access(settings.DATA_DIR, os.W_OK):
        raise Ailment(f"{settings.DATA_DIR} cannot be written to. Change its owner or DATA_DIR.")
    free = shutil.disk_usage(settings.DATA_DIR).free / 2**30
    if free < 1:
        raise Ailment(f"Only {free:.1f} GB are left at {settings.DATA_DIR}. Make room.")
    yield f"{settings.DATA_DIR}, {free:.0f} GB free"


def database() -> Iterator[str]:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Ailment(f"{len(plan)} migrations are not applied. Run: manage.py migrate")
    yield connection.vendor


def queue() -> Iterator[str]:
    services.probe_queue()
    if Run.objects.waiting(services.UNCLAIMED).exists() and services.is_stalled():
        raise Ailment("Runs wait and nobody works on them. Start: manage.py worker")
    waiting = Run.objects.filter(state=Run.State.PENDING).count()
    yield f"{'Redis' if settings.REDIS_URL else 'in the database'}, {waiting} runs wait"


def catalogue() -> Iterator[str]:
    failed = OriginalImage.objects.filter(status=OriginalImage.Status.FAILED).count()
    yield (
        f"{Product.objects.count()} products, {OriginalImage.objects.count()} images "
        f"({failed} failed), {Segment.objects.count()} garments"
    )


def colours() -> Iterator[str]:
    if lacking := Segment.objects.filter(colours=None).count():
        raise Ailment(
            f"{lacking} garments have no colours, and no filter finds them. "
            "Run: manage.py name_colours"
        )
    yield "all garments have theirs"


def words() -> Iterator[str]:
    if Product.objects.exists() and not ProductWord.objects.exists():
        raise Ailment("No product is found by words. Run: manage.py index_words")
    yield "products are found by theirs"


def duplicates() -> Iterator[str]:
    ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
    if lacking := ready.filter(perceptual_hash=None).count():
        raise Ailment(
            f"{lacking} pictures were not compared with the others. Run: manage.py find_duplicates"
        )
    waiting = Lookalike.objects.filter(decision=Lookalike.Decision.OPEN).count()
    yield f"all pictures looked at, {waiting} pairs wait for somebody to decide"


def quality() -> Iterator[str]:
    ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
    if lacking := ready.filter(quality=None).count():
        raise Ailment(
            f"{lacking} pictures were not measured, and blurry ones among them are not told of. "
            "Run: manage.py measure_pictures"
        )
    yield "all pictures measured"


def index() -> Iterator[str]:
    status = indexing.status(serving.serving_embedder())
    if status.problem:
        mend = (
            "Start it, or correct its address."
            if status.is_live
            else "Run: manage.py rebuild_index"
        )
        raise Ailment(f"{status.problem} {mend}")
    if status.needs_rebuild:
        raise Ailment(f"{status.newer} garments are not indexed. Run: manage.py rebuild_index")
    if status.is_live and status.newer:
        raise Ailment(f"{status.newer} garments are missing. Run: manage.py index_check --repair")
    yield f"{status.indexed} garments indexed, {status.newer} newer ones are scanned"


def search() -> Iterator[str]:
    if reasons := services.readiness():
        raise Ailment(" ".join(f"{part}: {reason}" for part, reason in reasons.items()))
    yield "a search is answered"


LOOKS: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
    ("configuration", configuration),
    ("data folder", data_folder),
    ("database", database),
    ("queue", queue),
    ("catalogue", catalogue),
    ("embedder", embedder),
    ("colours", colours),
    ("words", words),
    ("duplicates", duplicates),
    ("quality", quality),
    ("index", index),
    ("search", search),
)
