"""The compact detector's lessons: where garments are, and which pixels are theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import torch
from PIL.Image import fromarray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from similarity.engine.contracts import Box, Detection
from similarity.engine.datasets import Garment, Photo
from similarity.engine.errors import BadDataset
from similarity.engine.evaluation import detection
from similarity.engine.networks.compact import NECK, DetectorNetwork
from similarity.engine.networks.looking import LOOKS, look
from similarity.engine.networks.mobilenet_v2 import MobileNetV2
from similarity.engine.synthetic import KINDS
from similarity.engine.training.detector_teacher import Prepared, Seen
from similarity.engine.training.pictures import (
    AREAS,
    PHOTOS,
    Batch,
    Batches,
    Sample,
    all_stored,
    canvas,
    mixture_of,
    parted,
)
from similarity.engine.training.targets import (
    Boxes,
    boxes_loss,
    middles_loss,
    outlines_loss,
    targets_of,
)
from similarity.engine.training.trainer import quickly

OUTLINES_WEIGHT = 0.5
"""Of the outlines' loss against the middles'."""

TEACHERS_RATE = 5e-4
"""At which the teacher learns: most of it has been prepared."""

LEAST_SCORE = 0.05
"""Of boxes that are measured: what scores less hardly moves the average precision."""

THRESHOLDS = tuple(step / 50 for step in range(5, 41))

BETA = 2.0
"""By how much recall matters more than precision where the threshold is chosen (van Rijsbergen,
"Information retrieval", 1979, chapter 7): a box too many is one not clicked on, but what was not
found cannot be searched for."""


class DetectorTask:
    """Learns where garments are, from boxed photos and from photos of a single garment.

    The latter have no boxes: `engine.foreground` finds the garment in those where it can, and
    the others are left out. Drawn scenes and empty backgrounds are mixed in, so that pictures of
    every kind are known, and that nothing is found where there is nothing. Raises BadDataset
    unless some of either part are boxed.
    """

    learning_rate = 1e-3

    def __init__(
        self,
        train: Sequence[Photo],
        held_out: Sequence[Photo],
        *,
        seed: int = 0,
        each: Callable[[], None] = lambda: None,
    ) -> None:
        if not parted(train)[0] or not parted(held_out)[0]:
            raise BadDataset("Photos with boxes are needed, to learn from and to measure on.")
        self.labels = labels_of(train)
        self.seed = seed
        boxed, single = (all_stored(part, self.labels, each) for part in parted(train))
        self.mixture = mixture_of(boxed, single, self.labels, seed)
        self.outlined = [_outlined(boxed), _outlined(single)]
        self.steps_per_epoch = max(1, (2 * len(boxed) + len(single)) // (2 * PHOTOS))
        self._held_out = _HeldOut(held_out, self.labels, each)
        self._teacher: DetectorNetwork | None = None
        torch.manual_seed(seed)  # of the weights to begin with
        self.modules = self._learning(DetectorNetwork(len(self.labels)))

    def for_teacher(self, backbone: MobileNetV2) -> DetectorTask:
        """The same lessons, for a detector that stands on what ImageNet has taught."""
        task = copy(self)
        task.learning_rate = TEACHERS_RATE
        torch.manual_seed(self.seed)
        network = DetectorNetwork(len(self.labels), Prepared(backbone))
        task.modules = self._learning(network)
        return task

    def listen_to(self, teacher: DetectorNetwork) -> None:
        """Learn from what it says of every batch, too."""
        self._teacher = teacher.eval()
        torch.manual_seed(self.seed)
        self.modules["seen"] = Seen()

    def batches(self) -> Dataset[Batch]:
        return Batches(self.mixture, self.outlined, self.seed)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        images, boxes = _shrunk(batch, progress)
        network = self.modules["network"]
        assert isinstance(network, DetectorNetwork)
        with quickly(images.device):
            merged = network.features(images)
            middles, distances = network.told(merged)
        guesses = self.modules["outlines"](merged.float())
        rows, columns = middles.shape[-2:]
        targets = targets_of(boxes, len(self.labels), (rows, columns), images.device)
        losses = {
            "middles": middles_loss(middles, targets.middles),
            "boxes": boxes_loss(distances, targets),
            "outlines": OUTLINES_WEIGHT * outlines_loss(guesses, batch.shown),
        }
        if self._teacher is None:
            return losses
        seen = self.modules["seen"]
        assert isinstance(seen, Seen)
        garments = sum(len(shown.labels) for shown in boxes)
        return losses | seen.losses(self._teacher, images, merged, middles, garments)

    def _learning(self, network: DetectorNetwork) -> nn.ModuleDict:
        """The network, and what guesses from its merged map what each cell shows."""
        outlines = nn.Conv2d(NECK, len(self.labels) + 2, 1)  # nobody, and the rest of somebody
        return nn.ModuleDict({"network": network, "outlines": outlines})

    def measure(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, DetectorNetwork)
        return self._held_out.measure(network)

    def best_threshold(self, network: nn.Module) -> float:
        """The score from which the network's boxes are worth showing."""
        assert isinstance(network, DetectorNetwork)
        return self._held_out.best_threshold(network)


def _outlined(samples: Sequence[Sample]) -> list[Sample]:
    """Those of which is known what each pixel shows."""
    return [one for one in samples if one.shown is not None]


def labels_of(photos: Sequence[Photo]) -> list[str]:
    """What the detector tells apart: the ten kinds, and what else is boxed."""
    boxed = {g.label for photo in photos for g in photo.garments if g.box is not None}
    return [*KINDS, *sorted(boxed - set(KINDS))]


def _shrunk(batch: Batch, progress: float) -> tuple[Tensor, list[Boxes]]:
    """The batch at the size that this part of the training looks at, or that of the look from
    afar; its boxes on the processor, where targets are made of them one by one."""
    boxes = [Boxes(shown.edges.cpu(), shown.labels.cpu()) for shown in batch.boxes]
    area = LOOKS[-1].area if batch.afar else next(a for until, a in AREAS if progress <= until)
    height, width = batch.images.shape[-2:]
    size = canvas((width, height), area)
    if size == (width, height):
        return batch.images, boxes
    scale = torch.tensor([size[0] / width, size[1] / height]).repeat(2)
    images = functional.interpolate(
        batch.images, size=(size[1], size[0]), mode="bilinear", antialias=True
    )
    return images, [Boxes(shown.edges * scale, shown.labels) for shown in boxes]


def f_measure(
    truth: Sequence[Sequence[Box]], found: Sequence[list[Detection]], least: float
) -> float:
    """The weighted harmonic mean of precision and recall of boxes that score at least so much."""
    shown = [[one for one in photo if one.score >= least] for photo in found]
    right = detection.right(truth, shown, 0.5)
    missed, wrong = sum(map(len, truth)) - right, sum(map(len, shown)) - right
    weighed = (1 + BETA**2) * right
    return weighed / (weighed + BETA**2 * missed + wrong) if right else 0.0


class _HeldOut:
    """Held-out photos, ready for the network."""

    def __init__(
        self, photos: Sequence[Photo], labels: Sequence[str], each: Callable[[], None]
    ) -> None:
        boxed, single = parted(photos)
        self.labels = labels
        self.boxed = all_stored(boxed, labels, each)
        self.single = all_stored(single, labels, each)

    def measure(self, network: DetectorNetwork) -> dict[str, float]:
        truth = [
            [Garment(label, Box(*edges)) for edges, label in self._told(sample.boxes)]
            for sample in self.boxed
        ]
        found = detection.evaluate(truth, [self._found(network, one) for one in self.boxed])
        figures = {"AP50, mean": found.mean.ap50, "AP50, any label": found.agnostic.ap50}
        figures |= {f"AP50, {name}": part.ap50 for name, part in found.by_label.items()}
        if self.single:
            boxes = [Box(*sample.boxes.edges[0].tolist()) for sample in self.single]
            best = detection.flat_lay(boxes, [self._found(network, one) for one in self.single])
            figures["flat lay, held"] = best.held
        return figures

    def best_threshold(self, network: DetectorNetwork) -> float:
        """The score from which boxes are shown: where the held-out boxes, labels left out,
        have the highest F-measure."""
        truth = [[Box(*edges) for edges, _ in self._told(sample.boxes)] for sample in self.boxed]
        found = [self._found(network, sample) for sample in self.boxed]
        return max(THRESHOLDS, key=lambda least: f_measure(truth, found, least))

    def _told(self, boxes: Boxes) -> list[tuple[list[float], str]]:
        known = [self.labels[label] for label in boxes.labels.tolist()]
        return list(zip(boxes.edges.tolist(), known, strict=True))

    def _found(self, network: DetectorNetwork, sample: Sample) -> list[Detection]:
        picture = fromarray(sample.pixels.permute(1, 2, 0).numpy())
        return look(network, picture, self.labels, LEAST_SCORE)
