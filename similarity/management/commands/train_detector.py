"""`manage.py train_detector`: the compact detector, trained on labelled photos."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, cast

from django.core.management.base import BaseCommand, CommandError

from similarity.engine import datasets
from similarity.engine.datasets import Split
from similarity.management import training

if TYPE_CHECKING:
    from similarity.engine.networks.compact import DetectorNetwork
    from similarity.engine.training.detector import DetectorTask
    from similarity.engine.training.trainer import Trainer

PURPOSE = (
    "The detector `compact`: boxes of garments in photos of people and in photos of garments laid "
    "flat or hung, each with a label and a score."
)
LIMITS = (
    "It knows the labels that it was trained for, on photos of one or a few upright people and on "
    "photos of single garments. Crowds, garments of a few pixels, and people lying or seen from "
    "above are beyond it. A pair of shoes is one garment. It finds garments, not people, and says "
    "nothing of who wears them."
)


class Command(BaseCommand):
    help = "Train the compact detector on a folder of labelled photos, some of them with boxes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, "compact_detector.safetensors")
        training.add_teacher(parser, "to find garments first (needed with --teacher)")

    def handle(self, *_: Any, **options: Any) -> None:
        if bool(options["teacher"]) != bool(options["teacher_minutes"]):
            raise CommandError("--teacher FOLDER and --teacher-minutes go together.")
        training.check(options)
        with training.told():
            parts = training.split(datasets.read(options["data"]), options)
            trainer = self._trainer(parts, options)
            training.train(trainer, options, self.stdout.write)
            self._keep(trainer, parts, options)

    def _trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.training.detector import DetectorTask

        with training.bar(len(parts.train) + len(parts.held_out), "reading") as update:
            task = DetectorTask(parts.train, parts.held_out, seed=options["seed"], each=update)
        if options["teacher"]:
            task.listen_to(self._teacher(task, options))
        return training.trainer(task, options)

    def _teacher(self, task: DetectorTask, options: dict[str, Any]) -> DetectorNetwork:
        """MobileNetV2 below a detector's heads, taught what the task teaches."""
        from similarity.engine.training.teacher import read_teacher

        lessons = task.for_teacher(read_teacher(options["teacher"]))
        return cast("DetectorNetwork", training.taught(lessons, options, self.stdout.write))

    def _keep(self, trainer: Trainer, parts: Split, options: dict[str, Any]) -> None:
        from similarity.engine.training.detector import DetectorTask

        assert isinstance(trainer.task, DetectorTask)
        training.keep(
            trainer,
            options,
            title="The compact detector",
            purpose=PURPOSE,
            limits=LIMITS,
            parts=parts,
            recipe={"teacher": training.teacher_told(options)},
            said={
                "labels": trainer.task.labels,
                "threshold": trainer.task.best_threshold(trainer.network),
            },
        )
        self.stdout.write(f"Written: {options['output']} and its card.")
