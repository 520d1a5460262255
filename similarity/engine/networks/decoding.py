"""From a detector network's maps to boxes."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import batched_nms

from similarity.engine.networks.compact import DetectorNetwork

IOU_THRESHOLD = 0.6
"""Of two boxes of one label that overlap by more, the better one is kept."""

MOST = 100
"""Peaks of a photo that are looked at: it never shows so many garments."""


class Found(NamedTuple):
    """Detections of one photo, best first: boxes (n, 4) as x0, y0, x1, y1 in pixels of the
    network's input, labels (n,) and scores (n,), 0 to 1."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor


def decode(
    middles: Tensor, distances: Tensor, threshold: float, iou_threshold: float
) -> list[Found]:
    """What the maps of `DetectorNetwork` show, a `Found` for each photo of the batch.

    A garment's middle is a cell that scores at least `threshold` and no less than its eight
    neighbours (Zhou et al., "Objects as points", 2019, section 4). Those have learnt the
    garment's box as well (`training.targets`): what they say of it is averaged, by the squares of
    their scores. Of boxes of one label whose IoU exceeds `iou_threshold` the best is kept.
    """
    scores = middles.sigmoid()
    peaks = (functional.max_pool2d(scores, 3, 1, 1) == scores) & (scores >= threshold)
    return [_found(*maps, iou_threshold) for maps in zip(scores, peaks, distances, strict=True)]


def _found(scores: Tensor, peaks: Tensor, distances: Tensor, iou_threshold: float) -> Found:
    labels, rows, columns = peaks.nonzero(as_tuple=True)
    best = scores[labels, rows, columns].argsort(descending=True, stable=True)[:MOST]
    labels, rows, columns = labels[best], rows[best], columns[best]
    boxes = _agreed(scores, distances, labels, rows, columns)
    kept = batched_nms(boxes, scores[labels, rows, columns], labels, iou_threshold)
    return Found(boxes[kept], labels[kept], scores[labels, rows, columns][kept])


def _agreed(
    scores: Tensor, distances: Tensor, labels: Tensor, rows: Tensor, columns: Tensor
) -> Tensor:
    """Boxes (n, 4) of garments with their middles there, by those cells and their neighbours."""
    down, across = torch.tensor(list(product((-1, 0, 1), repeat=2)), device=rows.device).unbind(1)
    rows, columns, labels = rows[:, None] + down, columns[:, None] + across, labels[:, None]
    high, wide = scores.shape[1:]
    there = (rows >= 0) & (rows < high) & (columns >= 0) & (columns < wide)
    rows, columns = rows.clamp(0, high - 1), columns.clamp(0, wide - 1)
    boxes = boxes_at(distances[labels, :, rows, columns], rows, columns)
    weights = (scores[labels, rows, columns] ** 2 * there)[..., None]
    agreed: Tensor = (weights * boxes).sum(1) / weights.sum(1)
    return agreed


def boxes_at(distances: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Boxes (..., 4) from the distances (..., 4) to the edges, as seen from cells' middles."""
    across, down = ((place + 0.5) * DetectorNetwork.stride for place in (columns, rows))
    left, top, right, bottom = distances.unbind(-1)
    return torch.stack([across - left, down - top, across + right, down + bottom], -1)
