"""A teacher for the compact detector: MobileNetV2 from ImageNet below a detector's heads.

There are a few hundred photos of people to learn from, and a network from random weights knows
them by heart long before it knows garments. One that has met a million other pictures first
generalises better, and what it makes of each picture teaches more than the boxes do: Hinton et
al., "Distilling the knowledge in a neural network", 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from similarity.engine.networks.compact import NECK, DetectorNetwork, Pyramid
from similarity.engine.networks.mobilenet_v2 import MobileNetV2
from similarity.engine.training.teacher import as_seen_by_teacher, free, widths
from similarity.engine.training.trainer import quickly

ELSEWHERE = 0.02
"""How much a cell counts in which the teacher sees nothing, against one where it is sure."""


class Prepared(Pyramid):
    """MobileNetV2 for photos as the pupil sees them; its later two thirds learn."""

    def __init__(self, teacher: MobileNetV2) -> None:
        super().__init__()
        free(teacher)
        self.teacher = teacher
        self.widths = widths(teacher)[1:]

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.teacher.pyramid(as_seen_by_teacher(images))[1:]


class Seen(nn.Module):
    """What a taught detector says of a batch, and how far its pupil is from it."""

    def __init__(self) -> None:
        super().__init__()
        self.translated = nn.Conv2d(NECK, NECK, 1)

    def losses(
        self, teacher: DetectorNetwork, images: Tensor, merged: Tensor, middles: Tensor, count: int
    ) -> dict[str, Tensor]:
        """Of the pupil's merged map (n, 80, h, w) and its logits (n, labels, h, w), for pictures
        of so many garments in all."""
        with torch.no_grad(), quickly(images.device):
            wanted = teacher.features(images)
            told = teacher.told(wanted)[0].sigmoid()
        return {
            "told": _unlike_scores(middles, told) / max(1, count),
            "seen": _unlike_maps(self.translated(merged.float()), wanted.float(), told),
        }


def _unlike_scores(logits: Tensor, told: Tensor) -> Tensor:
    """The quality focal loss: Li et al., "Generalized focal loss", NeurIPS 2020, equation 3.

    With beta 2: a cell counts by how far its score is from the one it was told.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, told, reduction="none")
    return (losses * (told - logits.sigmoid()) ** 2).sum()


def _unlike_maps(made: Tensor, wanted: Tensor, told: Tensor) -> Tensor:
    """How far a map is from another, squared, against how far that varies; mostly where there is
    something: Wang et al., "Distilling object detectors with fine-grained feature imitation",
    CVPR 2019."""
    weights = told.amax(1) + ELSEWHERE
    cells = functional.mse_loss(made, wanted, reduction="none").mean(1)
    return (cells * weights).sum() / weights.sum() / wanted.var().clamp(min=1e-6)
