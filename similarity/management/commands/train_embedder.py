"""`manage.py train_embedder`: the compact embedder, trained on labelled photos."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from similarity.engine.datasets import Photo, Split
from similarity.management import training

if TYPE_CHECKING:
    from similarity.engine.training.trainer import Trainer

PURPOSE = (
    "The embedder `compact`: 128 numbers of a garment's crop, of which 64 tell its kind and 64 its "
    "looks. Crops of alike garments have a high cosine, whatever the background, light and camera."
)
LIMITS = (
    "It knows the kinds of garments that it was trained on, from photos like those. It says "
    "nothing of a garment's make, fabric, brand or price, and nothing of who wears it; it is not "
    "meant to tell people apart."
)


class Command(BaseCommand):
    help = (
        "Train the compact embedder on a folder of labelled photos, or on the shop's own products."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, "compact_embedder.safetensors")
        training.add_catalogue(parser)
        parser.add_argument(
            "--teacher",
            type=Path,
            metavar="FOLDER",
            help="holds MobileNetV2's weights, whose features of the photos are learnt as well",
        )
        parser.add_argument(
            "--loss",
            choices=("contrastive", "triplet"),
            default="contrastive",
            help="what draws garments of one kind together (%(default)s)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        training.check(options)
        with training.told():
            parts = training.split(training.photos(options), options)
            trainer = self._trainer(parts, options)
            training.train(trainer, self.stdout.write)
            self._keep(trainer, parts, options)

    def _trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.training.embedder import EmbedderTask

        lessons = self._lessons(parts.train, options["teacher"]) if options["teacher"] else None
        task = EmbedderTask(
            parts.train,
            parts.held_out,
            lessons=lessons,
            loss=options["loss"],
            seed=options["seed"],
        )
        return training.trainer(task, options)

    def _lessons(self, photos: tuple[Photo, ...], folder: Path) -> Any:
        from similarity.engine.training.teacher import Lessons, read_teacher

        with training.bar(len(photos), "teacher") as update:
            return Lessons.learn(read_teacher(folder), photos, update)

    def _keep(self, trainer: Trainer, parts: Split, options: dict[str, Any]) -> None:
        from similarity.engine.training.embedder import EmbedderTask

        assert isinstance(trainer.task, EmbedderTask)
        training.keep(
            trainer,
            options,
            title="The compact embedder",
            purpose=PURPOSE,
            limits=LIMITS,
            parts=parts,
            recipe={
                "loss of kinds": options["loss"],
                "teacher": "MobileNetV2" if options["teacher"] else "none",
            },
            said={"labels": trainer.task.labels},
        )
        self.stdout.write(f"Written: {options['output']} and its card.")
