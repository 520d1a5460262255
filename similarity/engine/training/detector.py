"""The compact detector's lessons: garments on people, laid flat, drawn, and none at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL.Image import Image, Resampling, fromarray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from similarity.engine import datasets, foreground
from similarity.engine.contracts import Box, Detection
from similarity.engine.datasets import Garment, Photo
from similarity.engine.errors import BadDataset
from similarity.engine.evaluation import detection
from similarity.engine.networks.compact import DetectorNetwork
from similarity.engine.networks.looking import LOOKS, look
from similarity.engine.networks.mobilenet_v2 import MobileNetV2
from similarity.engine.networks.pixels import CELL
from similarity.engine.synthetic import KINDS, backgrounds, noise, scenes
from similarity.engine.synthetic.colours import PALETTE
from similarity.engine.training import augmentation
from similarity.engine.training.augmentation import Dice
from similarity.engine.training.detector_teacher import Prepared, Seen
from similarity.engine.training.targets import Boxes, boxes_loss, middles_loss, targets_of
from similarity.engine.training.trainer import quickly

COARSE: Mapping[str, str] = {
    **dict.fromkeys(
        ("t-shirt", "longsleeve", "shirt", "polo", "undershirt", "body", "blouse", "hoodie"), "top"
    ),
    "blazer": "outwear",
}
"""Finer labels of photos of single garments, by the label of the detector."""

PHOTOS = 12
"""Photos of a batch."""

AREAS = ((0.4, 176 * 264), (0.7, 208 * 312), (1.0, 256 * 384))
"""Pixels of a training picture, by how far the training has come: small ones first, as quick."""

AFAR = 0.25
"""Share of the batches that are as small as the detector's second look."""

SHAPES = ((2, 3), (2, 3), (2, 3), (2, 3), (2, 3), (2, 3), (1, 1), (3, 2))
"""Width by height of a batch's pictures; most photos of people are upright."""

SCALES = (0.7, 1.6)
"""How large a photo is put into a picture, against just fitting."""

LEAST_SEEN = 0.35
"""A garment of which less than this share is in the picture is not asked for."""

LEAST_SIDE = 6.0  # pixels

STORED_SIDE = {True: 600, False: 360}
"""Longer side at which photos of several garments, and of one, are kept in memory."""

TEACHERS_RATE = 5e-4
"""At which the teacher learns: most of it has been prepared."""

LEAST_SCORE = 0.05
"""Of boxes that are measured: what scores less hardly moves the average precision."""

THRESHOLDS = tuple(step / 20 for step in range(2, 17))

BETA = 2.0
"""By how much recall matters more than precision where the threshold is chosen (van Rijsbergen,
"Information retrieval", 1979, chapter 7): a box too many is one not clicked on, but what was not
found cannot be searched for."""

COARSER = 0.62
"""A photo that is shrunk to less than this is halved first, so that it is not undersampled."""

RARE = 0.3
"""A label that fewer of the boxed photos show is drawn more often, by the root of how much fewer:
Gupta, Dollar and Girshick, "LVIS", CVPR 2019, section 5 (repeat factor sampling)."""

DRAWN, EMPTY, DRAWN_SIDE = 220, 60, 400
"""Drawn scenes with garments, and pictures of nothing but a background, and
their longer side in pixels."""


class Sample(NamedTuple):
    """A photo in memory: bytes (3, h, w) and what it shows."""

    pixels: Tensor
    boxes: Boxes


class Batch(NamedTuple):
    """A step's pictures (n, 3, h, w), normalised, and what each shows."""

    images: Tensor
    boxes: list[Boxes]
    afar: bool
    """Whether they are looked at as from afar, for garments that fill them."""


class Mixture(NamedTuple):
    """Where photos are drawn from, and how often."""

    samples: Sequence[Sample]
    share: float
    weights: Tensor
    """How often each of the samples is drawn, against the others."""


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
        if not _parted(train)[0] or not _parted(held_out)[0]:
            raise BadDataset("Photos with boxes are needed, to learn from and to measure on.")
        self.labels = labels_of(train)
        self.seed = seed
        boxed, single = (_stored(part, self.labels, each) for part in _parted(train))
        self.mixture = [
            Mixture(samples, share, weights)
            for samples, share, weights in (
                (boxed, 0.66, repeats(boxed)),
                (single, 0.20, repeats(single)),
                (_Drawn(DRAWN, partial(_scene, labels=self.labels, seed=seed)), 0.09, _even(DRAWN)),
                (_Drawn(EMPTY, partial(_background, seed=seed)), 0.05, _even(EMPTY)),
            )
            if samples
        ]
        self.steps_per_epoch = max(1, (2 * len(boxed) + len(single)) // (2 * PHOTOS))
        self._held_out = _HeldOut(held_out, self.labels, each)
        self._teacher: DetectorNetwork | None = None
        torch.manual_seed(seed)  # of the weights to begin with
        self.modules = nn.ModuleDict({"network": DetectorNetwork(len(self.labels))})

    def for_teacher(self, backbone: MobileNetV2) -> DetectorTask:
        """The same lessons, for a detector that stands on what ImageNet has taught."""
        task = copy(self)
        task.learning_rate = TEACHERS_RATE
        torch.manual_seed(self.seed)
        network = DetectorNetwork(len(self.labels), Prepared(backbone))
        task.modules = nn.ModuleDict({"network": network})
        return task

    def listen_to(self, teacher: DetectorNetwork) -> None:
        """Learn from what it says of every batch, too."""
        self._teacher = teacher.eval()
        torch.manual_seed(self.seed)
        self.modules["seen"] = Seen()

    def batches(self) -> Dataset[Batch]:
        return _Batches(self.mixture, self.seed)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        images, boxes = _shrunk(batch, progress)
        network = self.modules["network"]
        assert isinstance(network, DetectorNetwork)
        with quickly(images.device):
            merged = network.features(images)
            middles, distances = network.told(merged)
        rows, columns = middles.shape[-2:]
        targets = targets_of(boxes, len(self.labels), (rows, columns))
        losses = {
            "middles": middles_loss(middles, targets.middles),
            "boxes": boxes_loss(distances, targets),
        }
        if self._teacher is None:
            return losses
        seen = self.modules["seen"]
        assert isinstance(seen, Seen)
        garments = sum(len(shown.labels) for shown in boxes)
        return losses | seen.losses(self._teacher, images, merged, middles, garments)

    def measure(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, DetectorNetwork)
        return self._held_out.measure(network)

    def best_threshold(self, network: nn.Module) -> float:
        """The score from which the network's boxes are worth showing."""
        assert isinstance(network, DetectorNetwork)
        return self._held_out.best_threshold(network)


def labels_of(photos: Sequence[Photo]) -> list[str]:
    """What the detector tells apart: the ten kinds, and what else is boxed."""
    boxed = {g.label for photo in photos for g in photo.garments if g.box is not None}
    return [*KINDS, *sorted(boxed - set(KINDS))]


def _parted(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Photos with boxes, and photos of a single garment."""
    boxed = [photo for photo in photos if any(g.box is not None for g in photo.garments)]
    single = [photo for photo in photos if [g.box for g in photo.garments] == [None]]
    return boxed, single


def _stored(
    photos: Sequence[Photo], labels: Sequence[str], each: Callable[[], None]
) -> list[Sample]:
    samples = []
    for photo in photos:
        if (sample := stored(photo, labels)) is not None:
            samples.append(sample)
        each()
    return samples


def stored(photo: Photo, labels: Sequence[str]) -> Sample | None:
    """A photo in memory; None where its single garment cannot be boxed, or has no label here."""
    image = datasets.open_rgb(photo)
    edges, known = [], []
    for garment in photo.garments:
        box = garment.box or foreground.box(image)
        label = COARSE.get(garment.label, garment.label)
        if box is None or label not in labels:
            return None
        edges.append(box.edges)
        known.append(labels.index(label))
    boxed = any(garment.box is not None for garment in photo.garments)
    return _sample(image, edges, known, STORED_SIDE[boxed])


def _sample(
    image: Image, edges: Sequence[Sequence[float]], labels: Sequence[int], side: int
) -> Sample:
    scale = min(1.0, side / max(image.size))
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Resampling.BOX)
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())
    boxes = torch.tensor(edges, dtype=torch.float32).view(-1, 4) * scale
    return Sample(pixels, Boxes(boxes, torch.tensor(labels, dtype=torch.long)))


def repeats(samples: Sequence[Sample]) -> Tensor:
    """How often each sample is drawn: by the rarest label that it shows, 1 or more."""
    shown = [set(sample.boxes.labels.tolist()) for sample in samples]
    counts = Counter(label for labels in shown for label in labels)
    often = {label: RARE * len(samples) / count for label, count in counts.items()}
    factors = [max(1.0, *(often[label] for label in labels)) if labels else 1.0 for labels in shown]
    return torch.tensor(factors).sqrt()


def _even(count: int) -> Tensor:
    return torch.ones(count)


class _Drawn(Sequence[Sample]):
    """Samples that are drawn when they are first asked for."""

    def __init__(self, count: int, draw: Callable[[int], Sample]) -> None:
        self._count = count
        self._draw = draw
        self._made: dict[int, Sample] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        if number not in self._made:
            self._made[number] = self._draw(number)
        return self._made[number]


def _scene(number: int, labels: Sequence[str], seed: int) -> Sample:
    """Garments laid on something, several of them, or worn by somebody."""
    view = (partial(scenes.photo, view=number // 3 % 4), scenes.outfit, scenes.street)[number % 3]
    scene: scenes.Scene = view(seed, number)
    edges = [placed.box.edges for placed in scene.placed]
    known = [labels.index(placed.garment.kind) for placed in scene.placed]
    return _sample(scene.image, edges, known, DRAWN_SIDE)


def _background(number: int, seed: int) -> Sample:
    makers = [*backgrounds.PLAIN.values(), *backgrounds.BUSY.values()]
    colour = list(PALETTE.values())[number % len(PALETTE)]
    image = makers[number % len(makers)](noise.rng(seed, number, "empty"), (300, 400), colour)
    return _sample(image, [], [], DRAWN_SIDE)


class _Batches(Dataset[Batch]):
    def __init__(self, mixture: Sequence[Mixture], seed: int) -> None:
        self.mixture = mixture
        self.shares = torch.tensor([part.share for part in mixture])
        self.seed = seed

    def __getitem__(self, step: int) -> Batch:
        dice = Dice(self.seed, step)
        size = _canvas(SHAPES[dice.index(len(SHAPES))], AREAS[-1][1])
        drawn = [self._draw(dice, size) for _ in range(PHOTOS)]
        images = augmentation.relit(
            torch.stack([image for image, _ in drawn]), dice, least_saturation=0.0
        )
        everywhere = torch.ones(len(images), *images.shape[-2:])
        pixels = augmentation.normalised(images, everywhere)
        return Batch(pixels, [boxes for _, boxes in drawn], dice.chance(AFAR))

    def _draw(self, dice: Dice, size: tuple[int, int]) -> tuple[Tensor, Boxes]:
        number = int(torch.multinomial(self.shares, 1, generator=dice.generator).item())
        part = self.mixture[number]
        chosen = int(torch.multinomial(part.weights, 1, generator=dice.generator).item())
        return placed(part.samples[chosen], size, dice)


def _canvas(shape: tuple[int, int], area: int) -> tuple[int, int]:
    """Width and height of about that area and shape, in whole cells."""
    unit = math.sqrt(area / (shape[0] * shape[1]))
    return round(shape[0] * unit / CELL) * CELL, round(shape[1] * unit / CELL) * CELL


def placed(sample: Sample, size: tuple[int, int], dice: Dice) -> tuple[Tensor, Boxes]:
    """A photo put somewhere into a picture of `size` (width, height), in a size and side by
    chance: the picture (3, h, w), 0 to 1, and the boxes that are seen in it."""
    high, wide = sample.pixels.shape[1:]
    scale = min(size[0] / wide, size[1] / high)
    scale *= math.exp(dice.uniform(math.log(SCALES[0]), math.log(SCALES[1])))
    stretch = math.exp(dice.uniform(-0.08, 0.08))
    width, height = scale * stretch * wide, scale / stretch * high
    left, top = (
        room / 2 + dice.uniform(-1, 1) * (abs(room) / 2 + 0.05 * side)
        for room, side in ((size[0] - width, size[0]), (size[1] - height, size[1]))
    )
    mirrored = dice.chance(0.5)
    x = ((torch.arange(size[0]) + 0.5 - left) / width * 2 - 1) * (-1 if mirrored else 1)
    y = (torch.arange(size[1]) + 0.5 - top) / height * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
    padding = ("zeros", "border")[dice.index(2)]  # a mirror would show garments twice
    image = augmentation.sampled(_coarsened(sample.pixels, scale), grid, padding)
    edges = _mirrored(sample.boxes.edges, wide) if mirrored else sample.boxes.edges
    edges = edges * torch.tensor([width / wide, height / high]).repeat(2)
    edges = edges + torch.tensor([left, top]).repeat(2)
    return image, _seen(Boxes(edges, sample.boxes.labels), size)


def _coarsened(pixels: Tensor, scale: float) -> Tensor:
    """The pixels at half their size where they are about to be shrunk to less than that."""
    if scale >= COARSER:
        return pixels
    return functional.avg_pool2d(pixels[None].float(), 2)[0].to(torch.uint8)


def _mirrored(edges: Tensor, width: int) -> Tensor:
    left, top, right, bottom = edges.unbind(1)
    return torch.stack([width - right, top, width - left, bottom], 1)


def _seen(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """What of the boxes can be seen in a picture of that size (width, height)."""
    edges = boxes.edges
    seen = edges.clamp(min=0).minimum(torch.tensor(size).repeat(2))
    sides = seen[:, 2:] - seen[:, :2]
    whole = (edges[:, 2:] - edges[:, :2]).prod(1)
    kept = (sides.prod(1) > LEAST_SEEN * whole) & (sides > LEAST_SIDE).all(1)
    return Boxes(seen[kept], boxes.labels[kept])


def _shrunk(batch: Batch, progress: float) -> tuple[Tensor, list[Boxes]]:
    """The batch at the size that this part of the training looks at, or that of the look from
    afar."""
    area = LOOKS[-1].area if batch.afar else next(a for until, a in AREAS if progress <= until)
    height, width = batch.images.shape[-2:]
    size = _canvas((width, height), area)
    if size == (width, height):
        return batch.images, batch.boxes
    scale = torch.tensor([size[0] / width, size[1] / height]).repeat(2)
    images = functional.interpolate(
        batch.images, size=(size[1], size[0]), mode="bilinear", antialias=True
    )
    return images, [Boxes(boxes.edges * scale, boxes.labels) for boxes in batch.boxes]


def _f_measure(
    truth: Sequence[Sequence[Box]], found: Sequence[list[Detection]], least: float
) -> float:
    """The weighted harmonic mean of precision and recall of boxes that score at least so much."""
    shown = [[one for one in photo if one.score >= least] for photo in found]
    curve = detection.curve(truth, shown, 0.5)
    if not curve.recall:
        return 0.0
    precision, recall = curve.precision[-1], curve.recall[-1]
    if not precision + recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


class _HeldOut:
    """Held-out photos, ready for the network."""

    def __init__(
        self, photos: Sequence[Photo], labels: Sequence[str], each: Callable[[], None]
    ) -> None:
        boxed, single = _parted(photos)
        self.labels = labels
        self.boxed = _stored(boxed, labels, each)
        self.single = _stored(single, labels, each)

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
        return max(THRESHOLDS, key=lambda least: _f_measure(truth, found, least))

    def _told(self, boxes: Boxes) -> list[tuple[list[float], str]]:
        known = [self.labels[label] for label in boxes.labels.tolist()]
        return list(zip(boxes.edges.tolist(), known, strict=True))

    def _found(self, network: DetectorNetwork, sample: Sample) -> list[Detection]:
        picture = fromarray(sample.pixels.permute(1, 2, 0).numpy())
        return look(network, picture, self.labels, LEAST_SCORE)
