"""How well boxes hold the garments: average precision, by label and for boxes alone.

A detection is right if its intersection over union (IoU) with a garment reaches a threshold. In
each photo the detections choose by falling score, each the best of the garments that are left, so
that every garment is found once and what finds it again is wrong: the matching of COCO (Lin et
al., "Microsoft COCO: common objects in context", ECCV 2014).

- Average precision is the area under precision over recall, each precision being the highest at
  that recall or a higher one, at all points where recall changes: PASCAL VOC from 2010 on
  (Everingham et al., "The PASCAL visual object classes challenge", IJCV 2010). Detections of equal
  score enter together, so no figure depends on the order of the photos.
- AP50 is that at an IoU of 0.5; AP is its mean over 0.5, 0.55, ... 0.95 as in COCO, which, unlike
  us, reads the curve at 101 points only.
- "Class-agnostic" leaves the labels out: a garment that is found and called by a wrong name counts.

Photos of a single garment that nobody has boxed have figures of their own, see `flat_lay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import Box, Detection
from similarity.engine.datasets import Garment

Floats = NDArray[np.float64]
Found = Sequence[Sequence[Detection]]
"""What a detector gave for each photo, best first."""
Truth = Sequence[Sequence[Garment]]
"""The garments of each photo, all boxed."""

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())

HELD, HELD_IOU = 0.8, 0.5
"""A box holds a garment laid flat if it covers so much of the reference box, at so much IoU: a
box that covers all of it holds it as long as it is no more than twice as large."""


@dataclass(frozen=True)
class Figures:
    """Average precisions, 0 to 1; all 0 without garments."""

    garments: int
    ap50: float
    ap: float


@dataclass(frozen=True)
class Curve:
    """Precision and recall as the score that is asked for falls, and the area under them.

    Points where recall does not change are left out.
    """

    recall: tuple[float, ...]
    """Ascending."""
    precision: tuple[float, ...]
    area: float
    """The average precision, with all-point interpolation."""


@dataclass(frozen=True)
class DetectionFigures:
    """What a detector found of boxed garments."""

    photos: int
    detections: int
    agnostic: Figures
    by_label: Mapping[str, Figures]
    """Of the labels that any garment has."""
    curve: Curve
    """Class-agnostic, at an IoU of 0.5."""

    @property
    def mean(self) -> Figures:
        """The mean over labels, each counting the same."""
        rows = list(self.by_label.values())
        if not rows:
            return Figures(0, 0.0, 0.0)
        means = np.mean([(row.ap50, row.ap) for row in rows], axis=0).tolist()
        return Figures(sum(row.garments for row in rows), *means)

    def as_dict(self) -> dict[str, Any]:
        return {
            "photos": self.photos,
            "detections": self.detections,
            "class_agnostic": asdict(self.agnostic),
            "mean_over_labels": asdict(self.mean),
            "by_label": {label: asdict(figures) for label, figures in self.by_label.items()},
            "precision_recall": [
                list(point) for point in zip(self.curve.recall, self.curve.precision, strict=True)
            ],
        }


@dataclass(frozen=True)
class FlatLay:
    """How the best box of each photo lies to a reference box."""

    photos: int
    left_out: int
    """Photos without a reference."""
    held: float
    """Share of photos whose best box holds the garment: see HELD."""
    iou50: float
    """Share whose best box has an IoU of at least 0.5 with the reference."""
    iou75: float
    mean_iou: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(truth: Truth, found: Found) -> DetectionFigures:
    """The figures of what was found, photo by photo, against what there is."""
    labels = sorted({garment.label for photo in truth for garment in photo})
    boxes = [[_boxed(garment) for garment in photo] for photo in truth]
    return DetectionFigures(
        photos=len(truth),
        detections=sum(map(len, found)),
        agnostic=_figures(boxes, found),
        by_label={
            label: _figures(
                [[_boxed(g) for g in photo if g.label == label] for photo in truth],
                [[d for d in photo if d.label == label] for photo in found],
            )
            for label in labels
        },
        curve=curve(boxes, found, THRESHOLDS[0]),
    )


def curve(boxes: Sequence[Sequence[Box]], found: Found, threshold: float) -> Curve:
    """Precision over recall of detections against the boxes of each photo, labels left out."""
    overlaps = [_overlaps(*pair) for pair in zip(boxes, found, strict=True)]
    return _curve(overlaps, found, sum(map(len, boxes)), threshold)


def right(boxes: Sequence[Sequence[Box]], found: Found, threshold: float) -> int:
    """How many detections find one of their photo's boxes, labels left out."""
    overlaps = [_overlaps(*pair) for pair in zip(boxes, found, strict=True)]
    return sum(_right(overlaps, found, threshold))


def matches(overlaps: Floats, scores: Sequence[float], threshold: float) -> list[int | None]:
    """Which garment each detection of a photo finds; IoUs (detections, garments)."""
    chosen: list[int | None] = [None] * len(scores)
    left = overlaps.copy()
    if not left.size:
        return chosen
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        column = int(left[row].argmax())
        if left[row, column] >= threshold:
            chosen[row] = column
            left[:, column] = -1.0
    return chosen


def flat_lay(references: Sequence[Box | None], found: Found) -> FlatLay:
    """Figures for photos of one garment, whose extent is known only by estimate."""
    pairs = [
        (reference, max(photo, key=lambda d: d.score).box if photo else None)
        for reference, photo in zip(references, found, strict=True)
        if reference is not None
    ]
    ious = np.array([best.iou(reference) if best else 0.0 for reference, best in pairs])
    held = [best is not None and holds(best, reference) for reference, best in pairs]
    return FlatLay(
        photos=len(pairs),
        left_out=len(references) - len(pairs),
        held=_share(held),
        iou50=_share(ious >= 0.5),  # noqa: PLR2004
        iou75=_share(ious >= 0.75),  # noqa: PLR2004
        mean_iou=float(ious.mean()) if pairs else 0.0,
    )


def holds(box: Box, reference: Box) -> bool:
    """Whether a box holds the garment whose estimated extent is the reference."""
    iou = box.iou(reference)
    shared = iou * (box.area + reference.area) / (1 + iou)
    return iou >= HELD_IOU and shared >= HELD * reference.area


def _boxed(garment: Garment) -> Box:
    if garment.box is None:
        raise ValueError(f"A garment has no box: {garment.label}.")
    return garment.box


def _figures(boxes: Sequence[Sequence[Box]], found: Found) -> Figures:
    overlaps = [_overlaps(*pair) for pair in zip(boxes, found, strict=True)]
    count = sum(map(len, boxes))
    areas = [_curve(overlaps, found, count, threshold).area for threshold in THRESHOLDS]
    return Figures(count, areas[0], float(np.mean(areas)))


def _overlaps(boxes: Sequence[Box], found: Sequence[Detection]) -> Floats:
    """IoUs, shape (detections, boxes)."""
    rows = [[detection.box.iou(box) for box in boxes] for detection in found]
    return np.array(rows, dtype=np.float64).reshape(len(found), len(boxes))


def _right(overlaps: Sequence[Floats], found: Found, threshold: float) -> list[bool]:
    """Whether each detection, photo by photo, finds a box."""
    return [
        match is not None
        for ious, photo in zip(overlaps, found, strict=True)
        for match in matches(ious, [detection.score for detection in photo], threshold)
    ]


def _curve(overlaps: Sequence[Floats], found: Found, count: int, threshold: float) -> Curve:
    scores = np.array([detection.score for photo in found for detection in photo])
    right = np.array(_right(overlaps, found, threshold), dtype=bool)
    if not count or not len(scores):
        return Curve((), (), 0.0)
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(right[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of those of one score
    rises = last[np.diff(true[last], prepend=0) > 0]
    recall, precision = true[rises] / count, true[rises] / (rises + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    area = float((np.diff(recall, prepend=0.0) * highest).sum())
    return Curve(tuple(recall.tolist()), tuple(precision.tolist()), area)


def _share(flags: Any) -> float:
    return float(np.mean(flags)) if len(flags) else 0.0
