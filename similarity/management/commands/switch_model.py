"""`manage.py switch_model`: let another embedder answer the searches, or the one before again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from similarity import golden, serving, switching
from similarity.engine.errors import EngineError
from similarity.engine.evaluation.report import Table
from similarity.errors import Refused
from similarity.models import Embedder
from similarity.switching import SAMPLE, Comparison


class Command(BaseCommand):
    help = (
        "Compare another embedder with the serving one, and let it answer all searches from now "
        "on, in every process at once. It must have described the catalogue: embed_catalogue."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("name", nargs="?", help="the embedder to go over to")
        which.add_argument("--back", action="store_true", help="go back to the one before")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--force",
            action="store_true",
            help="even if it lacks garments, which nobody finds then",
        )
        parser.add_argument(
            "--sample",
            type=int,
            default=SAMPLE,
            metavar="N",
            help="garments to search with, to compare both (default %(default)s)",
        )

        parser.add_argument(
            "--golden",
            metavar="NAME",
            help="the golden set to measure both by (default: the only one, if there is one)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["sample"] < 1:
            raise CommandError("--sample must be at least 1.")
        try:
            if options["back"]:
                self._back(force=options["force"])
            else:
                self._forth(switching.candidate(options["name"]), **options)
        except (EngineError, Refused) as error:
            raise CommandError(str(error)) from error

    def _back(self, *, force: bool) -> None:
        switched = switching.switch(switching.last_switch().before, force=force)
        self.stdout.write(f"{switched.embedder} serves again, in the place of {switched.before}.")

    def _forth(self, embedder: Embedder, **options: Any) -> None:
        before = serving.serving_embedder()
        missing = serving.lacking(embedder).count()
        if missing and not options["force"]:
            raise CommandError(
                f"{embedder} has not described {missing} garments yet. "
                f"Run: manage.py embed_catalogue --embedder {embedder.name}"
            )
        golden_set = golden.get(options["golden"]) if options["golden"] else golden.only_one()
        comparison = switching.compare(
            before, embedder, sample=options["sample"], golden_set=golden_set
        )
        self.stdout.write(_shown(comparison))
        if not options["yes"] and not _confirmed(f"Let {embedder} serve? [y/N] "):
            raise CommandError(f"{before} goes on serving.")
        switched = switching.switch(embedder, comparison=comparison, force=options["force"])
        self.stdout.write(
            f"{switched.embedder} serves now. {switched.before} is kept filled: "
            "switch_model --back goes back to it."
        )


def _shown(comparison: Comparison) -> str:
    figures = {
        "recall@1": comparison.recall_at_1,
        "recall@10": comparison.recall_at_10,
        "mAP": comparison.mean_average_precision,
    }
    overlap = f"{comparison.overlap_at_10:.3f}"
    rows = [[f"overlap@10 of {comparison.queries} searches", "", overlap]]
    note = "No product has several pictures, so nothing tells which of the two finds better."
    if comparison.golden:
        rows += [[name, *(f"{value:.3f}" for value in pair)] for name, pair in figures.items()]
        note = (
            f"Overlap: the part of the results that both have. The rest: how well pictures of one "
            f"product find each other, in {comparison.golden} searches."
        )
    text = f"{Table(['', *comparison.models], rows).as_text()}\n\n{note}\n"
    if comparison.by_golden_set is None:
        return text
    marked = golden.table(comparison.golden_set, comparison.models, comparison.by_golden_set)
    return f"{text}\n{marked}\n"


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:  # nobody is there to be asked
        return False
