"""`manage.py train_triplet`: the embedder `triplet`, trained on labelled photos."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import TYPE_CHECKING, Any

from similarity.engine.datasets import Split
from similarity.management import training

if TYPE_CHECKING:
    from similarity.engine.training.trainer import Trainer

PURPOSE = (
    "The embedder `triplet`: ResNet-50 with a head of 128 numbers. Crops of alike garments have a "
    "high cosine, and pictures of one product a higher one."
)
LIMITS = (
    "It knows the garments that it was trained on, from photos like those. Started from ImageNet's "
    "weights it needs hundreds of photos; from random ones, tens of thousands."
)


class Command(training.TrainingCommand):
    title = "The triplet embedder"
    purpose = PURPOSE
    limits = LIMITS
    help = "Train the triplet embedder on a folder of labelled photos, or on the shop's products."

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, "triplet.safetensors")
        training.add_catalogue(parser)
        parser.add_argument(
            "--size",
            type=_size,
            default=(168, 224),
            metavar="WIDTHxHEIGHT",
            help="at which the network looks at crops; work grows with it (168x224)",
        )

    def trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.training.triplet import TripletTask

        task = TripletTask(parts.train, parts.held_out, size=options["size"], seed=options["seed"])
        return training.trainer(task, parts, options)

    def recipe(self, options: dict[str, Any]) -> dict[str, object]:
        return {"size": "x".join(map(str, options["size"]))}

    def said(self, trained: Trainer, options: dict[str, Any]) -> dict[str, object]:
        from similarity.engine.training.triplet import TripletTask

        assert isinstance(trained.task, TripletTask)
        return {"labels": trained.task.labels, "size": options["size"]}


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (32 <= width <= 1024 and 32 <= height <= 1024):  # noqa: PLR2004
        raise ArgumentTypeError(f"{text} is not WIDTHxHEIGHT, 32 to 1024 pixels each.")
    return width, height
