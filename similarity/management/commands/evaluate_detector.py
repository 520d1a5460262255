"""`manage.py evaluate_detector`: how well a detector finds and names garments."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.models import OriginalImage
from similarity.engine import Detection, Detector, datasets, foreground
from similarity.engine.errors import EngineError
from similarity.engine.evaluation import detection
from similarity.engine.evaluation.report import Line, Picture, Section, Table
from similarity.engine.weights import not_installed
from similarity.management import evaluating
from similarity.management.evaluating import CASES, Model, Sample

SHOWN = 10
"""Boxes drawn of a photo, the best ones."""

THERE, FOUND = "lime", "red"
"""What is drawn in which colour."""

STREET_NOTE = (
    "AP50: average precision (all-point interpolation) at an IoU of 0.5; AP: its mean over 0.5 to "
    "0.95. Class-agnostic figures leave the labels out; those over labels count each label the "
    f"same. In the pictures what is there is {THERE}, what was found is {FOUND}."
)
FLAT_NOTE = (
    "Nobody has boxed these photos: the reference is the garment's extent as estimated from the "
    "photo alone, where two independent estimates agree; other photos are left out. The best box "
    f"holds the garment if it covers at least {detection.HELD:.0%} of the reference at an IoU of "
    f"at least {detection.HELD_IOU}. In the pictures the reference is {THERE}, the best box "
    f"{FOUND}."
)

Truth = Sequence[Sequence[datasets.Garment]]
Found = Sequence[Sequence[Detection]]


class Command(BaseCommand):
    help = (
        "Print how well a detector finds garments: AP50 and AP by label and class-agnostic, and "
        "how often its best box holds a garment that is laid flat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        evaluating.add_arguments(parser, "detector")

    def handle(self, *_: Any, **options: Any) -> None:
        models = evaluating.models("detector", options)
        if lacking := not_installed("cv2"):
            raise CommandError(" ".join(lacking))
        try:
            if options["catalogue"]:
                measures: list[Street | FlatLay] = [FlatLay(models, _catalogue())]
            else:
                measures = _of_folder(models, evaluating.photos(options))
        except (EngineError, OSError) as error:
            raise CommandError(str(error)) from error
        for measure in measures:
            for text in measure.texts():
                self.stdout.write(f"{text}\n\n")
        evaluating.save(
            f"Detector {models[0].name}",
            options,
            evaluating.facts("detector", options, models),
            {measure.name: measure.as_dict() for measure in measures},
            (measure.section() for measure in measures),
        )


class Street:
    """What the models find of garments that are boxed and named."""

    name = "street"

    def __init__(self, models: Sequence[Model], samples: Sequence[Sample], truth: Truth) -> None:
        self.models, self.samples, self.truth = models, samples, truth
        self.found = [_detected(model, samples) for model in models]
        self.results = [detection.evaluate(truth, found) for found in self.found]

    def texts(self) -> Iterator[str]:
        first = self.results[0]
        yield f"street: {first.agnostic.garments} garments in {first.photos} photos"
        yield from (table.as_text() for table in self._tables())

    def as_dict(self) -> dict[str, Any]:
        return {m.name: r.as_dict() for m, r in zip(self.models, self.results, strict=True)}

    def section(self) -> Section:
        curves = [result.curve for result in self.results]
        lines = [
            Line(model.name, list(zip(curve.recall, curve.precision, strict=True)))
            for model, curve in zip(self.models, curves, strict=True)
        ]
        return Section(
            self.name,
            STREET_NOTE,
            list(self._tables()),
            lines,
            _cases(self._scores(), self._picture),
        )

    def _tables(self) -> Iterator[Table]:
        columns = ["", "AP50", "AP", "AP50 over labels", "AP over labels", "boxes"]
        pairs = list(zip(self.models, self.results, strict=True))
        yield Table(columns, [_row(model, result) for model, result in pairs])
        labels = list(self.results[0].by_label)
        heads = [f"{model.name} {figure}" for model, _ in pairs for figure in ("AP50", "AP")]
        yield Table(
            ["label", "garments", *heads],
            [[label, *self._cells(label)] for label in labels],
        )

    def _cells(self, label: str) -> list[str]:
        figures = [result.by_label[label] for result in self.results]
        rounded = [f"{value:.3f}" for each in figures for value in (each.ap50, each.ap)]
        return [str(figures[0].garments), *rounded]

    def _scores(self) -> list[float]:
        """Of each photo the average precision of its own garments, labels left out."""
        return [
            detection.curve([[g.box for g in there if g.box]], [found], 0.5).area
            for there, found in zip(self.truth, self.found[0], strict=True)
        ]

    def _picture(self, row: int) -> Picture:
        found = [(each.box, FOUND) for each in self.found[0][row][:SHOWN]]
        there = [(garment.box, THERE) for garment in self.truth[row] if garment.box]
        sample = self.samples[row]
        return Picture(sample.open(), sample.name, boxes=[*found, *there])


class FlatLay:
    """How the models' best boxes lie to the extent of garments laid flat, as it is estimated."""

    name = "flat-lay"

    def __init__(self, models: Sequence[Model], samples: Sequence[Sample]) -> None:
        self.models, self.samples = models, samples
        shown = evaluating.visibly(samples, "photo", "extent")
        self.references = [foreground.box(sample.open()) for sample in shown]
        self.found = [_detected(model, samples) for model in models]
        self.results = [detection.flat_lay(self.references, found) for found in self.found]

    def texts(self) -> Iterator[str]:
        first = self.results[0]
        yield f"flat-lay: {first.photos} photos; {first.left_out} left out without an estimate"
        yield self._table().as_text()

    def as_dict(self) -> dict[str, Any]:
        return {m.name: r.as_dict() for m, r in zip(self.models, self.results, strict=True)}

    def section(self) -> Section:
        scores = [
            max(found, key=lambda each: each.score).box.iou(reference) if found else 0.0
            for reference, found in zip(self.references, self.found[0], strict=True)
            if reference is not None
        ]
        known = [row for row, reference in enumerate(self.references) if reference is not None]
        return Section(
            self.name,
            FLAT_NOTE,
            [self._table()],
            cases=_cases(scores, lambda place: self._picture(known[place])),
        )

    def _table(self) -> Table:
        columns = ["", "held", "IoU >= 0.5", "IoU >= 0.75", "mean IoU"]
        rows = [
            [model.name, *(f"{x:.3f}" for x in (r.held, r.iou50, r.iou75, r.mean_iou))]
            for model, r in zip(self.models, self.results, strict=True)
        ]
        return Table(columns, rows)

    def _picture(self, row: int) -> Picture:
        best = sorted(self.found[0][row], key=lambda each: -each.score)[:1]
        reference = self.references[row]
        boxes = [(each.box, FOUND) for each in best]
        if reference is not None:
            boxes.append((reference, THERE))
        return Picture(self.samples[row].open(), self.samples[row].name, boxes=boxes)


def _of_folder(models: Sequence[Model], photos: Sequence[datasets.Photo]) -> list[Street | FlatLay]:
    """Photos whose garments are boxed have other figures than those that are named as a whole."""
    boxed = [photo for photo in photos if all(garment.box for garment in photo.garments)]
    flat = [photo for photo in photos if not all(garment.box for garment in photo.garments)]
    measures: list[Street | FlatLay] = []
    if boxed:
        measures.append(Street(models, _samples(boxed), [photo.garments for photo in boxed]))
    if flat:
        measures.append(FlatLay(models, _samples(flat)))
    return measures


def _samples(photos: Sequence[datasets.Photo]) -> list[Sample]:
    return [Sample(photo.path.name, partial(datasets.open_rgb, photo)) for photo in photos]


def _catalogue() -> list[Sample]:
    """Pictures of products: nobody has boxed them, and most show one garment."""
    pictures = OriginalImage.objects.filter(product__isnull=False).order_by("pk")
    if samples := [
        Sample(image.identifier, partial(evaluating.picture, image)) for image in pictures
    ]:
        return samples
    raise CommandError("The catalogue has no pictures of products.")


def _detected(model: Model, samples: Sequence[Sample]) -> list[list[Detection]]:
    detector: Detector = model.backend
    shown = evaluating.visibly(samples, "photo", model.name)
    return [detector.detect(sample.open()) for sample in shown]


def _row(model: Model, result: detection.DetectionFigures) -> list[str]:
    agnostic, mean = result.agnostic, result.mean
    figures = (agnostic.ap50, agnostic.ap, mean.ap50, mean.ap)
    return [model.name, *(f"{figure:.3f}" for figure in figures), str(result.detections)]


def _cases(
    scores: Sequence[float], picture: Callable[[int], Picture]
) -> dict[str, list[list[Picture]]]:
    """The photos with the highest and the lowest score, none of them twice."""
    order = sorted(range(len(scores)), key=lambda row: -scores[row])
    most = min(CASES, len(order) // 2)
    return {
        "Good cases": [[picture(row) for row in order[:most]]],
        "Bad cases": [[picture(row) for row in order[::-1][:most]]],
    }
