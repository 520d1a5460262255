"""`manage.py rebuild_index`: build the index anew, here and now."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from similarity import indexing
from similarity.engine.errors import EngineError


class Command(BaseCommand):
    help = "Build the index of all described garments anew. Searches go on meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--if-needed", action="store_true", help="do nothing if the index lacks nothing"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            embedder = indexing.serving_embedder()
            status = indexing.status(embedder)
            if options["if_needed"] and status.is_complete:
                self.stdout.write(f"Nothing to do: {status.indexed} garments are indexed.")
                return
            with tqdm(total=100, unit="%", disable=not sys.stderr.isatty()) as bar:

                def show(done: float) -> None:
                    bar.update(round(100 * done) - bar.n)

                build = indexing.rebuild(embedder, on_progress=show)
        except EngineError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{build.count} garments indexed in {build.seconds:.1f} s: {build.name} "
            f"({build.engine}, {build.size / 2**20:.1f} MB) serves now."
        )
