"""What the commands that train models have in common: options, progress and what is kept."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from similarity.engine import datasets
from similarity.engine.datasets import HELD_OUT, Split
from similarity.engine.device import pick_device, prepare_torch, read_metadata
from similarity.engine.errors import EngineError
from similarity.engine.weights import digest, not_installed, sha256
from similarity.labelled import catalogue_photos

if TYPE_CHECKING:
    from torch import nn

    from similarity.engine.training.trainer import Task, Trainer


class TrainingCommand(BaseCommand, ABC):
    """A command that learns from some photos, measures itself on others, and keeps the weights
    with a card."""

    title: ClassVar[str]
    purpose: ClassVar[str]
    limits: ClassVar[str]

    @abstractmethod
    def trainer(self, parts: Split, options: dict[str, Any]) -> Trainer:
        """What learns from the photos."""

    @abstractmethod
    def recipe(self, options: dict[str, Any]) -> dict[str, object]:
        """What the card says of how it learnt, beside what it says of every training."""

    @abstractmethod
    def said(self, trained: Trainer, options: dict[str, Any]) -> dict[str, object]:
        """What the file of weights tells of itself, beside its lineage."""

    def handle(self, *_: Any, **options: Any) -> None:
        check(options)
        with told():
            check_device(options)
            parts = parted(options)
            trainer = self.trainer(parts, options)
            train(trainer, options, self.stdout.write)
            keep(
                trainer,
                options,
                title=self.title,
                purpose=self.purpose,
                limits=self.limits,
                parts=parts,
                recipe=self.recipe(options),
                said=self.said(trainer, options),
            )
        self.stdout.write(f"Written: {options['output']} and its card.")


def add_arguments(parser: ArgumentParser, weights: str, checkpoint: str = ".checkpoint") -> None:
    """`checkpoint` is what a checkpoint's name ends in, where the weights' ends in .safetensors."""
    parser.set_defaults(checkpoint=checkpoint)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="labelled photos")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(settings.MODELS_DIR) / weights,
        metavar="FILE",
        help="where the weights go, and beside them their card and checkpoint (%(default)s)",
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=positive(float), help="how long to train")
    budget.add_argument("--epochs", type=positive(int), help="how often to see all photos")
    parser.add_argument("--seed", type=int, default=0, help="of everything that chance decides")
    parser.add_argument(
        "--held-out",
        type=_share,
        default=HELD_OUT,
        metavar="SHARE",
        help="share of the photos to measure on instead of learning from them (%(default)s)",
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="FILE",
        help="take over what fits of these weights: a backbone, or all of a model's own",
    )
    parser.add_argument(
        "--blend",
        type=_share,
        metavar="SHARE",
        help="how much of the final weights is what was learnt; the rest is what --start-from gave",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--device", default=settings.DEVICE, help="cpu, cuda, mps or auto")


def add_catalogue(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from-catalogue",
        action="store_true",
        help="learn from the catalogue: images of one product are alike",
    )


def add_teacher(parser: ArgumentParser, what: str) -> None:
    """`what` the teacher is taught first, and what if no minutes are given."""
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="FOLDER",
        help="holds MobileNetV2's weights; what it makes of the photos is learnt as well",
    )
    parser.add_argument(
        "--teacher-minutes",
        type=positive(float),
        metavar="MINUTES",
        help=f"how long the teacher itself is taught {what}",
    )


def _of_teacher(options: dict[str, Any]) -> dict[str, Any]:
    """The options by which a teacher is taught first, with weights and checkpoint of its own."""
    return options | {
        "minutes": options["teacher_minutes"],
        "epochs": None,
        "start_from": None,
        "blend": None,
        "output": options["output"].with_suffix(".teacher.safetensors"),
    }


def teacher_told(options: dict[str, Any]) -> str:
    """What a card says of the teacher."""
    if not options["teacher"]:
        return "none"
    minutes = options["teacher_minutes"]
    return f"MobileNetV2, taught for {minutes:g} minutes" if minutes else "MobileNetV2"


def positive(kind: type[float] | type[int]) -> Any:
    """What reads a number above 0 from a command's line."""

    def read(text: str) -> float | int:
        value = kind(text)
        if not value > 0:
            raise ArgumentTypeError(f"{text} is not more than 0.")
        return value

    return read


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ArgumentTypeError(f"{text} is not between 0 and 1.")
    return value


def check(options: dict[str, Any]) -> None:
    """What can be known to be wrong before hours of work."""
    if options["data"] is None and not options.get("from_catalogue"):
        raise CommandError("Name the photos to learn from: --data FOLDER.")
    known = [_checkpoint(options)]
    if "teacher" in options:
        known.append(_checkpoint(_of_teacher(options)))
    if options["resume"] and not any(path.is_file() for path in known):
        raise CommandError(f"There is no checkpoint {known[0]} to resume from.")
    if options["start_from"] and not options["start_from"].is_file():
        raise CommandError(f"There are no weights {options['start_from']} to start from.")
    if options["blend"] and not options["start_from"]:
        raise CommandError("--blend needs --start-from: weights to blend with.")
    if options.get("teacher_minutes") and not options["teacher"]:
        raise CommandError("--teacher-minutes needs --teacher: a folder with its weights.")
    _check_output(options["output"])


def _check_output(path: Path) -> None:
    if path.suffix != ".safetensors" or path.is_dir():
        raise CommandError(f"{path} is no name for weights: they go into a file .safetensors.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.") from error


def check_device(options: dict[str, Any]) -> None:
    try:
        pick_device(options["device"])
    except ValueError as error:
        raise CommandError(str(error)) from error


def trainer(task: Task, parts: Split, options: dict[str, Any]) -> Trainer:
    """A trainer of the task, from random weights, from given ones, or from its checkpoint.

    One that is to be resumed may have none of its own yet: see `check`.
    """
    from similarity.engine.networks.compact import read_weights
    from similarity.engine.training.keeping import start_from
    from similarity.engine.training.trainer import Budget, Trainer, must_be_blendable

    if options["start_from"]:
        network, before = task.modules["network"], read_weights(options["start_from"])
        if options["blend"]:
            must_be_blendable(network, before)
        if not start_from(network, before):
            raise CommandError(f"Nothing in {options['start_from']} fits this network.")
    made = Trainer(
        task,
        Budget(options["minutes"], options["epochs"]),
        _checkpoint(options),
        device=options["device"],
        about=_about(parts, options),
    )
    if options["resume"] and made.checkpoint.is_file():
        made.resume()
    return made


@contextmanager
def told() -> Iterator[None]:
    """What the engine raises, as a command's error; what training needs and is not there."""
    lacking = not_installed("torch", "torchvision", "safetensors", "pytorch_metric_learning", "cv2")
    if lacking:
        raise CommandError(" ".join(lacking))
    prepare_torch()
    try:
        yield
    except EngineError as error:
        raise CommandError(str(error)) from error


def parted(options: dict[str, Any]) -> Split:
    """The photos of the catalogue, a folder, or both, parted, neither part empty.

    Each by itself, so that a folder is parted as `evaluate_embedder` parts it.
    """
    sources = [catalogue_photos()] if options.get("from_catalogue") else []
    if options["data"]:
        sources.append(datasets.read(options["data"]))
    splits = [datasets.split(source, options["held_out"]) for source in sources]
    train, held_out = (
        tuple(chain.from_iterable(halves))
        for halves in zip(*((one.train, one.held_out) for one in splits), strict=True)
    )
    if not train or not held_out:
        photos = [*train, *held_out]
        raise CommandError(
            f"{len(photos)} photos of {len({p.group for p in photos})} groups are too few to learn "
            f"from some and measure on others."
        )
    return Split(train, held_out)


def _about(parts: Split, options: dict[str, Any]) -> dict[str, object]:
    """What a training has to have in common with the checkpoint that it goes on from."""
    before = options["start_from"]
    learnt = [(p.path.name, p.group, [(g.label, g.box) for g in p.garments]) for p in parts.train]
    return {
        "--seed": options["seed"],
        "--start-from": sha256(before) if before else "",
        "--loss": str(options.get("loss", "")),
        "photos": digest(*map(str, learnt)),
    }


def _checkpoint(options: dict[str, Any]) -> Path:
    output: Path = options["output"]
    return output.with_suffix(options["checkpoint"])


@contextmanager
def bar(total: int, what: str) -> Iterator[Any]:
    """A progress bar on standard error, where that is a terminal; yields its `update`."""
    with tqdm(total=total, desc=what, disable=not sys.stderr.isatty()) as drawn:
        yield drawn.update


def train(trainer: Trainer, options: dict[str, Any], say: Any) -> None:
    """Run a training: a bar with the losses, and a line with the figures after each epoch.

    What it started from is blended in at the end, if that is wanted.
    """
    with tqdm(total=100, unit="%", disable=not sys.stderr.isatty()) as drawn:
        for progress in trainer.run():
            drawn.n = round(100 * progress.share, 1)
            drawn.set_postfix_str(_listed(progress.losses))
            if progress.figures is not None:
                figures, losses = _listed(progress.figures), _listed(progress.losses)
                say(f"epoch {progress.epoch}, {trainer.seconds / 60:.1f} min: {figures} ({losses})")
    if options["blend"]:
        from similarity.engine.networks.compact import read_weights

        trainer.blend(read_weights(options["start_from"]), options["blend"])
        say(f"blended: {_listed(trainer.figures)}")


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items())


def taught(task: Task, parts: Split, options: dict[str, Any], say: Any) -> nn.Module:
    """The network of a teacher's task, after its own training."""
    options = _of_teacher(options)
    teachers = trainer(task, parts, options)
    train(teachers, options, say)
    return teachers.network


def keep(
    trained: Trainer,
    options: dict[str, Any],
    *,
    title: str,
    purpose: str,
    limits: str,
    parts: Split,
    recipe: dict[str, object],
    said: dict[str, object],
) -> None:
    """Write the weights with their card.

    The file remembers every training that its numbers went through, the ones of the weights that
    it started from included.
    """
    from similarity.engine.training import keeping

    stage = _stage(trained, options, parts) | recipe
    lineage = [*_lineage(options["start_from"]), stage]
    card = keeping.Card(
        title=title,
        purpose=purpose,
        limits=limits,
        lineage=lineage,
        figures=trained.figures,
        history=trained.history,
    )
    keeping.keep(trained.network, options["output"], card, said | {"lineage": lineage})


def _stage(trained: Trainer, options: dict[str, Any], parts: Split) -> dict[str, object]:
    blended = {"share of what was learnt": options["blend"]} if options["blend"] else {}
    return {
        "photos": len(parts.train),
        "held out": len(parts.held_out),
        "seed": options["seed"],
        "minutes": round(trained.seconds / 60, 1),
        "steps": trained.step,
        "started from": options["start_from"].name if options["start_from"] else "random weights",
        **blended,
    }


def _lineage(path: Path | None) -> list[Any]:
    """The trainings that given weights went through, as far as they say."""
    return told_by(path, "lineage") if path else []


def told_by(path: Path, name: str) -> list[Any]:
    """A list that a file of weights tells of itself; empty if it does not."""
    if path.suffix != ".safetensors":
        return []
    return list(json.loads(read_metadata(path).get(name, "[]")))
