"""`manage.py index_check`: does the index hold what the database says, and put it right."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from similarity import serving, upkeep
from similarity.engine.errors import EngineError
from similarity.upkeep import Difference


class Command(BaseCommand):
    help = (
        "Compare every vector of the serving index with the database. Exits 1 if searches would "
        "miss garments or misjudge them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="put right what a live engine (qdrant, pgvector) has missed",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            embedder = serving.serving_embedder()
            found = upkeep.check(embedder)
            self.stdout.write(_told(found))
            if options["repair"] and found.is_live and found.serving and not found.is_none:
                upkeep.repair(embedder, found)
                found = upkeep.check(embedder)
                self.stdout.write(f"Repaired. {_told(found)}")
        except EngineError as error:
            raise CommandError(str(error)) from error
        if not found.is_sound:
            raise CommandError(_advice(found))


def _told(found: Difference) -> str:
    if found.serving is None:
        return f"No build serves: all {len(found.missing)} vectors are scanned."
    lacking = "are missing" if found.is_live else "are newer, and scanned"
    return (
        f"{found.serving}: {found.compared} vectors compared with the database, "
        f"{len(found.wrong)} are wrong, {len(found.missing)} {lacking}, "
        f"{len(found.surplus)} have gone from the database, and are passed over."
    )


def _advice(found: Difference) -> str:
    if found.is_live and found.serving:
        return "Run: manage.py index_check --repair"
    return "Run: manage.py rebuild_index"
