"""`manage.py train_looks`: how garments look, learnt anew over a compact embedder as it is."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from similarity.engine.datasets import Split
from similarity.engine.weights import own_or_shipped
from similarity.management import training
from similarity.management.commands.train_embedder import LIMITS, PURPOSE, TITLE, WEIGHTS

if TYPE_CHECKING:
    from similarity.engine.training.trainer import Trainer

VIEWS = 12


class Command(training.TrainingCommand):
    title = TITLE
    purpose = PURPOSE
    limits = LIMITS
    help = (
        "Learn anew how garments look (colour, pattern, the very garment) over a compact embedder "
        "whose backbone and kinds stay as they are. It takes minutes where train_embedder takes "
        "hours, and is worth doing after it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, WEIGHTS, ".looks.checkpoint")
        training.add_catalogue(parser)
        parser.add_argument(
            "--views",
            type=training.positive(int),
            default=VIEWS,
            help="how often each garment is looked at, by chance always otherwise (%(default)s)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        options["start_from"] = options["start_from"] or own_or_shipped(
            Path(settings.MODELS_DIR), WEIGHTS, "train_embedder"
        )
        super().handle(**options)

    def trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.networks.compact import read_embedder
        from similarity.engine.training.looks import LooksTask, steps_of

        garments = sum(len(photo.garments) for photo in parts.train)
        with training.bar(steps_of(options["views"], garments), "views") as looked:
            task = LooksTask(
                read_embedder(options["start_from"]),
                parts.train,
                parts.held_out,
                views=options["views"],
                seed=options["seed"],
                device=options["device"],
                each=looked,
            )
        return training.trainer(task, parts, options)

    def recipe(self, options: dict[str, Any]) -> dict[str, object]:
        return {"looks alone, views of each garment": options["views"]}

    def said(self, trained: Trainer, options: dict[str, Any]) -> dict[str, object]:
        return {"labels": training.told_by(options["start_from"], "labels")}
