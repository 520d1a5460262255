"""`manage.py train_detector`: the compact detector, trained on labelled photos."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, cast

from django.core.management.base import CommandError

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


class Command(training.TrainingCommand):
    title = "The compact detector"
    purpose = PURPOSE
    limits = LIMITS
    help = "Train the compact detector on a folder of labelled photos, some of them with boxes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        training.add_arguments(parser, "compact_detector.safetensors")
        training.add_teacher(parser, "to find garments first (needed with --teacher)")

    def handle(self, *_: Any, **options: Any) -> None:
        if bool(options["teacher"]) != bool(options["teacher_minutes"]):
            raise CommandError("--teacher FOLDER and --teacher-minutes go together.")
        super().handle(**options)

    def trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        from similarity.engine.training.detector import DetectorTask

        with training.bar(len(parts.train) + len(parts.held_out), "reading") as update:
            task = DetectorTask(parts.train, parts.held_out, seed=options["seed"], each=update)
        if options["teacher"]:
            task.listen_to(self._teacher(task, parts, options))
        return training.trainer(task, parts, options)

    def _teacher(
        self, task: DetectorTask, parts: Split, options: dict[str, Any]
    ) -> DetectorNetwork:
        """MobileNetV2 below a detector's heads, taught what the task teaches."""
        from similarity.engine.training.teacher import read_teacher

        lessons = task.for_teacher(read_teacher(options["teacher"]))
        return cast("DetectorNetwork", training.taught(lessons, parts, options, self.stdout.write))

    def recipe(self, options: dict[str, Any]) -> dict[str, object]:
        return {"teacher": training.teacher_told(options)}

    def said(self, trained: Trainer, options: dict[str, Any]) -> dict[str, object]:
        from similarity.engine.training.detector import DetectorTask

        assert isinstance(trained.task, DetectorTask)
        return {
            "labels": trained.task.labels,
            "threshold": trained.task.best_threshold(trained.network),
        }
