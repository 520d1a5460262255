"""`manage.py rebuild_index`: build the index anew, here and now."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from similarity import indexing, prototypes, serving
from similarity.engine.errors import EngineError


class Command(BaseCommand):
    help = "Build the index of all described garments anew. Searches go on meanwhile."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--if-needed", action="store_true", help="do nothing if the index lacks nothing"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            embedder = serving.serving_embedder()
            status = indexing.status(embedder)
            if options["if_needed"] and status.is_complete:
                self.stdout.write(f"Nothing to do: {status.indexed} garments are indexed.")
                return
            with tqdm(total=100, unit="%", disable=not sys.stderr.isatty()) as bar:

                def show(done: float) -> None:
                    bar.update(round(100 * done) - bar.n)

                build = indexing.rebuild(embedder, on_progress=show)
            prototypes.refresh()
        except EngineError as error:
            raise CommandError(str(error)) from error
        made = [build.engine, f"{build.size / 2**20:.1f} MB"]
        made += [f"{name} {value}" for name, value in build.parameters.items()] or ["all scanned"]
        if build.recall is not None:
            made.append(f"recall@10 {build.recall:.3f} in {build.search_ms:.2f} ms")
        self.stdout.write(
            f"{build.count} garments indexed in {build.seconds:.1f} s: {build.name} "
            f"({', '.join(made)}) serves now."
        )
