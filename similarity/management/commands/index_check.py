"""`manage.py index_check`: do index and prototypes hold what the database says, and mend them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from similarity import prototypes, serving, upkeep
from similarity.engine.errors import EngineError
from similarity.upkeep import Difference


class Command(BaseCommand):
    help = (
        "Compare every vector of the serving index, and the categories' prototypes, with the "
        "database. Exits 1 if searches would miss garments or misjudge them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="put right what a live engine (qdrant, pgvector) or the prototypes have missed",
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
            prototypes.refresh()
            if (odd := prototypes.check(embedder)) and options["repair"]:
                prototypes.rebuild(embedder)
                self.stdout.write(f"Wrong prototypes, now made anew: {', '.join(odd)}.")
                odd = prototypes.check(embedder)
        except EngineError as error:
            raise CommandError(str(error)) from error
        if not found.is_sound:
            raise CommandError(_advice(found))
        if odd:
            raise CommandError(
                f"The prototypes of {', '.join(odd)} are wrong. Run: manage.py index_check --repair"
            )


def _told(found: Difference) -> str:
    if found.serving is None:
        return f"No build serves: all {len(found.missing)} vectors are scanned."
    return f"{found.serving}: {found.told}"


def _advice(found: Difference) -> str:
    if found.is_live and found.serving:
        return "Run: manage.py index_check --repair"
    return "Run: manage.py rebuild_index"
