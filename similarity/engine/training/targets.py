"""What a detector's maps ought to show, and how far they are from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss

from similarity.engine.datasets import NOBODY
from similarity.engine.networks.compact import DetectorNetwork
from similarity.engine.networks.decoding import boxes_at
from similarity.engine.training.augmentation import UNKNOWN

SPREAD = 0.54
"""Share of a box over which its Gaussian spreads: alpha and beta of TTFNet."""

BOX_WEIGHT = 5.0
"""Of the boxes' loss against the middles', as in TTFNet."""


class Boxes(NamedTuple):
    """The garments of a picture: boxes (n, 4) as x0, y0, x1, y1 in pixels, and labels (n,)."""

    edges: Tensor
    labels: Tensor


class Targets(NamedTuple):
    """For a batch: the map of middles, and the cells from which boxes are told."""

    middles: Tensor
    """(n, labels, h, w): 1 where a garment has its middle, falling off around it."""
    cells: Tensor
    """(m, 4): picture, label, row, column."""
    boxes: Tensor
    """(m, 4): the box that is to be told from each of the cells."""
    weights: Tensor
    """(m,)"""


def targets_of(
    pictures: Sequence[Boxes],
    labels: int,
    size: tuple[int, int],
    device: torch.device | str = "cpu",
) -> Targets:
    """Targets on a grid of `size` (rows, columns), on a device; the boxes are on the processor.

    Each garment gets an elliptic Gaussian in the shape of its box, and every cell under it
    learns the box, weighted by the Gaussian and by the logarithm of the box's area: Liu et al.,
    "Training-time-friendly network for real-time object detection", AAAI 2020, section 3.
    """
    middles = torch.zeros(len(pictures), labels, *size)
    cells, boxes, weights = (
        [torch.empty(0, 4, dtype=torch.long)],
        [torch.empty(0, 4)],
        [torch.empty(0)],
    )
    for number, picture in enumerate(pictures):
        for edges, label in zip(picture.edges, picture.labels.tolist(), strict=True):
            rows, columns, bell = _bell(edges, size)
            part = middles[number, label, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            torch.maximum(part, bell, out=part)
            down, across = torch.meshgrid(rows, columns, indexing="ij")
            place = torch.tensor([number, label]).expand(bell.numel(), 2)
            cells.append(torch.cat([place, torch.stack([down, across], -1).view(-1, 2)], 1))
            boxes.append(edges.expand(bell.numel(), 4))
            weights.append((bell / bell.sum()).flatten() * _importance(edges))
    parts = (middles, torch.cat(cells), torch.cat(boxes), torch.cat(weights))
    return Targets(*(part.to(device) for part in parts))


def _bell(edges: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The rows and columns that a box's Gaussian covers, and the Gaussian there."""
    x0, y0, x1, y1 = (edges / DetectorNetwork.stride).tolist()
    row = min(size[0] - 1, int((y0 + y1) / 2))
    column = min(size[1] - 1, int((x0 + x1) / 2))
    down, across = int(SPREAD / 2 * (y1 - y0)), int(SPREAD / 2 * (x1 - x0))
    rows = torch.arange(max(0, row - down), min(size[0], row + down + 1))
    columns = torch.arange(max(0, column - across), min(size[1], column + across + 1))
    vertical = ((rows - row) / ((2 * down + 1) / 6)) ** 2
    horizontal = ((columns - column) / ((2 * across + 1) / 6)) ** 2
    return rows, columns, torch.exp(-(vertical[:, None] + horizontal[None]) / 2)


def _importance(edges: Tensor) -> float:
    width, height = (edges[2:] - edges[:2]).tolist()
    return max(1.0, math.log(max(1.0, width * height)))


def middles_loss(logits: Tensor, middles: Tensor) -> Tensor:
    """The focal loss of Law and Deng, "CornerNet", ECCV 2018, equation 1 (alpha 2, beta 4).

    A cell near a middle counts less as a wrong one. torchvision's focal loss knows hard targets
    only.
    """
    scores = logits.sigmoid()
    exact = middles.eq(1)
    right = functional.logsigmoid(logits) * (1 - scores) ** 2
    wrong = functional.logsigmoid(-logits) * scores**2 * (1 - middles) ** 4
    return -torch.where(exact, right, wrong).sum() / exact.sum().clamp(min=1)


def boxes_loss(distances: Tensor, targets: Targets) -> Tensor:
    """Generalised IoU (Rezatofighi et al., CVPR 2019), weighted; 0 without any garment."""
    picture, label, row, column = targets.cells.unbind(1)
    told = boxes_at(distances[picture, label, :, row, column], row, column)
    losses: Tensor = generalized_box_iou_loss(told, targets.boxes)
    return BOX_WEIGHT * (losses * targets.weights).sum() / targets.weights.sum().clamp(min=1e-6)


def outlines_loss(logits: Tensor, shown: Tensor) -> Tensor:
    """How unlike what pixels show, bytes (n, h, w), logits (n, kinds, rows, columns) of cells are.

    The cross-entropy of the cells that show something, and of those that show nothing, in equal
    parts, since most show nothing. Cells of which nothing is known do not count.
    """
    marks = shown[:, None].float()
    cells = functional.interpolate(marks, size=logits.shape[-2:], mode="nearest-exact")[:, 0]
    nothing, unknown = cells == NOBODY, cells == UNKNOWN
    losses = functional.cross_entropy(logits, cells.long(), ignore_index=UNKNOWN, reduction="none")
    parts = [losses[nothing], losses[~nothing & ~unknown]]
    return torch.stack([part.sum() / max(1, part.numel()) for part in parts]).mean()
