"""`manage.py train_triplet`: the embedder `triplet`, trained on labelled photos."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from similarity.management import training

PURPOSE = (
    "The embedder `triplet`: ResNet-50 with a head of 128 numbers. Crops of alike garments have a "
    "high cosine, and pictures of one product a higher one."
)
LIMITS = (
    "It knows the garments that it was trained on, from photos like those. Started from ImageNet's "
    "weights it needs hundreds of photos; from random ones, tens of thousands."
)


class Command(BaseCommand):
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

    def handle(self, *_: Any, **options: Any) -> None:
        training.check(options)
        with training.told():
            from similarity.engine.training.triplet import TripletTask

            parts = training.split(training.photos(options), options)
            task = TripletTask(
                parts.train, parts.held_out, size=options["size"], seed=options["seed"]
            )
            trainer = training.trainer(task, options)
            training.train(trainer, options, self.stdout.write)
            training.keep(
                trainer,
                options,
                title="The triplet embedder",
                purpose=PURPOSE,
                limits=LIMITS,
                parts=parts,
                recipe={"size": "x".join(map(str, options["size"]))},
                said={"labels": task.labels, "size": options["size"]},
            )
        self.stdout.write(f"Written: {options['output']} and its card.")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (32 <= width <= 1024 and 32 <= height <= 1024):  # noqa: PLR2004
        raise ArgumentTypeError(f"{text} is not WIDTHxHEIGHT, 32 to 1024 pixels each.")
    return width, height
