"""`manage.py embed_catalogue`: the whole catalogue described by another embedder as well."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from similarity import pipeline, serving, switching
from similarity.engine.errors import EngineError
from similarity.errors import Refused
from similarity.models import Run

LOOK_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Describe all garments by another installed embedder, too, and build its index; from then "
        "on new ones are described by it as well. May be stopped at any time, and goes on where "
        "it was; searches and uploads go on meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verb = parser.add_mutually_exclusive_group(required=True)
        verb.add_argument("--embedder", metavar="NAME", help="the one to describe with")
        verb.add_argument("--cancel", metavar="NAME", help="stop describing; what is there stays")
        verb.add_argument(
            "--drop",
            metavar="NAME",
            help="delete what it has described, and its index; never the serving one's",
        )
        parser.add_argument(
            "--background", action="store_true", help="leave it to a worker, and return at once"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            if name := options["drop"]:
                dropped = ", ".join(map(str, switching.drop(name)))
                self.stdout.write(f"{dropped}: vectors and index are gone.")
            elif name := options["cancel"]:
                switching.stop_filling(name)
                self.stdout.write(f"{name} is no longer filled. What it has described stays.")
            else:
                self._fill(options["embedder"], in_background=options["background"])
        except (EngineError, Refused) as error:
            raise CommandError(str(error)) from error

    def _fill(self, name: str, *, in_background: bool) -> None:
        run = switching.start_filling(name, queued=in_background)
        if in_background:
            self.stdout.write(f"Left to a worker: run {run.pk}.")
            return
        _see_through(run)
        assert run.embedder is not None
        if run.state != Run.State.DONE:
            raise CommandError(run.error_message or "It was cancelled. What was described stays.")
        missing = serving.lacking(run.embedder).count()
        described = serving.described(run.embedder)
        self.stdout.write(f"{run.embedder} has described {described} garments.")
        if missing:
            raise CommandError(f"{missing} garments could not be described: see the log.")


def _see_through(run: Run) -> None:
    """Carry a filling out to its end, or watch while somebody else does."""
    with tqdm(total=100, unit="%", disable=not sys.stderr.isatty()) as bar:
        while not run.has_ended:
            pipeline.execute(run.pk)
            run.refresh_from_db()
            bar.set_description(run.step or None)
            bar.update(round(100 * run.progress) - bar.n)
            if run.state == Run.State.RUNNING:  # a worker is at it
                time.sleep(LOOK_SECONDS)
