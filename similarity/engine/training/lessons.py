"""What a teacher makes of a batch: targets for a small network to learn.

Knowledge distillation: Hinton et al., 2015; of feature maps: Romero et al., "FitNets", ICLR 2015.
Pupil and teacher look at the very same pixels, also at pictures that nobody could label, of which
there are many more than photos ("a good teacher is patient and consistent": Beyer et al., CVPR
2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import Tensor, nn
from torch.nn import functional

from similarity.engine.networks.halved import placed
from similarity.engine.networks.mobilenet_v2 import MobileNetV2
from similarity.engine.training.teacher import as_seen_by_teacher, widths
from similarity.engine.training.trainer import precision_on, quickly

SIZE = (160, 192)
"""Width and height at which the teacher looks at a crop: nearer to the 224 pixels of its first
training than the pupil's."""

LOOKED_AT = 3
"""Maps that are learnt: those at the strides 8, 16 and 32."""

SEEN, RELATIONS, TOLD = 2.0, 8.0, 1.0
"""Weights of the losses."""


class Seen(NamedTuple):
    """What a teacher makes of a batch."""

    maps: list[Tensor]
    """Feature maps at the strides 8, 16 and 32."""
    labels: Tensor | None
    """Logits (n, labels), of one that was taught the labels."""


class Teacher:
    """MobileNetV2, and the proxies of the labels if it was taught those."""

    def __init__(self, network: MobileNetV2, proxies: NormalizedSoftmaxLoss | None = None) -> None:
        self.network = network.eval().requires_grad_(False)
        self.proxies = proxies
        self._quick: MobileNetV2 | None = None

    @property
    def widths(self) -> list[int]:
        """Channels of the maps that it gives."""
        return widths(self.network)[-LOOKED_AT:]

    @torch.no_grad()
    def look(self, images: Tensor) -> Seen:
        """At pictures (n, 3, h, w) as the pupil takes them."""
        images = functional.interpolate(images, size=SIZE[::-1], mode="bilinear")
        if self._quick is None:  # it learns no more, so that it can be laid out for good
            self._quick = placed(deepcopy(self.network), images.device, precision_on(images.device))
        with quickly(images.device):
            maps = self._quick.pyramid(as_seen_by_teacher(images))[-LOOKED_AT:]
        maps = [map_.float() for map_ in maps]
        if self.proxies is None:
            return Seen(maps, None)
        rows = functional.normalize(maps[-1].mean((2, 3)))
        return Seen(maps, self.proxies.get_logits(rows))


class Lessons(nn.Module):
    """Puts what a pupil sees in its teacher's terms, and tells how far they are apart."""

    def __init__(self, own: Sequence[int], wanted: Sequence[int]) -> None:
        """Of maps with so many channels: all of the pupil's, and those that its teacher gives."""
        super().__init__()
        pairs = zip(own[-LOOKED_AT:], wanted, strict=True)
        self.translated = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in pairs)

    def losses(
        self, seen: Seen, maps: Sequence[Tensor], kind: Tensor, guesses: Tensor
    ) -> dict[str, Tensor]:
        """Of the pupil's feature maps, its unit rows (n, d) of kinds, and their logits (n, labels).

        Which garments are alike to the teacher is learnt as well: Park et al., "Relational
        knowledge distillation", CVPR 2019.
        """
        pairs = zip(self.translated, maps[-LOOKED_AT:], seen.maps, strict=True)
        unlike = [_unlike_maps(layer(own.float()), wanted) for layer, own, wanted in pairs]
        said = {
            "seen": SEEN * torch.stack(unlike).mean(),
            "relations": RELATIONS * _unlike_relations(kind, seen.maps[-1].mean((2, 3))),
        }
        if seen.labels is not None:
            said["told"] = TOLD * _unlike_labels(guesses, seen.labels)
        return said


def _unlike_maps(made: Tensor, wanted: Tensor) -> Tensor:
    """How far a map is from another, of whatever size, squared, against how far that varies."""
    wanted = functional.interpolate(wanted, size=made.shape[-2:], mode="bilinear")
    return functional.mse_loss(made, wanted) / wanted.var().clamp(min=1e-6)


def _unlike_relations(kind: Tensor, seen: Tensor) -> Tensor:
    """How far cosines of unit rows (n, d) are from those of what the teacher saw, squared.

    The mean of a batch is taken from that first: it is what all pictures have in common.
    """
    rows = functional.normalize(seen - seen.mean(0))
    return functional.mse_loss(kind @ kind.T, rows @ rows.T)


def _unlike_labels(guesses: Tensor, told: Tensor) -> Tensor:
    """Kullback-Leibler divergence of logits (n, labels) from others, a row's mean."""
    return functional.kl_div(
        guesses.log_softmax(1), told.log_softmax(1), reduction="batchmean", log_target=True
    )
