"""`manage.py train_embedder`: the compact embedder, trained on labelled photos."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any

from similarity.engine.datasets import Split
from similarity.management import training

if TYPE_CHECKING:
    from similarity.engine.training.lessons import Teacher
    from similarity.engine.training.trainer import Trainer

WEIGHTS = "compact_embedder.safetensors"
TITLE = "The compact embedder"
PURPOSE = (
    "The embedder `compact`: 128 numbers of a garment's crop, of which 64 tell its kind and 64 its "
    "looks. Crops of alike garments have a high cosine, whatever the background, light and camera."
)
LIMITS = (
    "It knows the kinds of garments that it was trained on, from photos like those. It says "
    "nothing of a garment's make, fabric, brand or price, and nothing of who wears it; it is not "
    "meant to tell people apart."
)


class Command(training.TrainingCommand):
    title = TITLE
    purpose = PURPOSE
    limits = LIMITS
    help = (
        "Train the compact embedder on a folder of labelled photos, or on the shop's own products."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, WEIGHTS)
        training.add_catalogue(parser)
        training.add_teacher(parser, "the labels first (not at all)")
        parser.add_argument(
            "--loss",
            choices=("contrastive", "triplet"),
            default="contrastive",
            help="what draws garments of one kind together (%(default)s)",
        )

    def trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.training.embedder import EmbedderTask

        # First, so that what it takes of the memory is free again.
        teacher = self._teacher(parts, options) if options["teacher"] else None
        task = EmbedderTask(parts.train, parts.held_out, loss=options["loss"], seed=options["seed"])
        if teacher is not None:
            task.listen_to(teacher)
        return training.trainer(task, parts, options)

    def _teacher(self, parts: Split, options: dict[str, Any]) -> Teacher:
        """As it is in its folder, or taught the labels first, with a checkpoint of its own."""
        from similarity.engine.training.embedder_teacher import TuningTask
        from similarity.engine.training.lessons import Teacher
        from similarity.engine.training.teacher import read_teacher

        network = read_teacher(options["teacher"])
        if not options["teacher_minutes"]:
            return Teacher(network)
        task = TuningTask(network, parts.train, parts.held_out, seed=options["seed"])
        return task.taught(training.taught(task, parts, options, self.stdout.write))

    def recipe(self, options: dict[str, Any]) -> dict[str, object]:
        return {"loss of kinds": options["loss"], "teacher": training.teacher_told(options)}

    def said(self, trained: Trainer, options: dict[str, Any]) -> dict[str, object]:
        from similarity.engine.training.embedder import EmbedderTask

        assert isinstance(trained.task, EmbedderTask)
        return {"labels": trained.task.labels}
