"""The compact detector's pictures: garments on people, laid flat, drawn, and none at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image, Resampling, fromarray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from similarity.engine import datasets, foreground
from similarity.engine.contracts import Box
from similarity.engine.datasets import NOBODY, Photo
from similarity.engine.networks.pixels import CELL
from similarity.engine.synthetic import backgrounds, noise, scenes
from similarity.engine.synthetic.colours import PALETTE
from similarity.engine.training import augmentation
from similarity.engine.training.augmentation import UNKNOWN, Dice
from similarity.engine.training.targets import Boxes

COARSE: Mapping[str, str] = {
    **dict.fromkeys(
        ("t-shirt", "longsleeve", "shirt", "polo", "undershirt", "body", "blouse", "hoodie"), "top"
    ),
    "blazer": "outwear",
}
"""What finer labels are to a detector that does not tell them apart."""

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

EXCHANGED = 0.4
"""Share of the photos with outlines whose background is exchanged for another's: a few hundred
photos show few places, and a network remembers those as well as the garments (Dwibedi et al.,
"Cut, paste and learn", ICCV 2017). Of a picture of nothing, that other background is all that is
left: what stands about in a street is no bag."""

DYED = 0.4
"""Share of the garments with an outline that get another colour: a few hundred people wear few
colours of each kind, and a network remembers whose coat is red."""

LEAST_BACKGROUND = 0.3
"""Least share of another photo's background that is taken."""

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
    shown: Tensor | None = None
    """What each pixel shows, bytes (h, w) as of `datasets.outlined`, where that is known."""


class Placed(NamedTuple):
    """A photo as it lies in a picture."""

    image: Tensor
    """(3, h, w), 0 to 1."""
    boxes: Boxes
    """What is seen of its garments."""
    shown: Tensor
    """Bytes (h, w): as of a sample, or `augmentation.UNKNOWN`."""


class Batch(NamedTuple):
    """A step's pictures (n, 3, h, w), normalised, and what each shows."""

    images: Tensor
    boxes: list[Boxes]
    shown: Tensor
    """What each of their pixels shows: bytes (n, h, w), `augmentation.UNKNOWN` among them."""
    afar: bool
    """Whether they are looked at as from afar, for garments that fill them."""


class Mixture(NamedTuple):
    """Where photos are drawn from, and how often."""

    samples: Sequence[Sample]
    share: float
    weights: Tensor
    """How often each of the samples is drawn, against the others."""


def parted(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Photos with boxes, and photos of a single garment."""
    boxed = [photo for photo in photos if any(g.box is not None for g in photo.garments)]
    single = [photo for photo in photos if [g.box for g in photo.garments] == [None]]
    return boxed, single


def all_stored(
    photos: Sequence[Photo], labels: Sequence[str], each: Callable[[], None]
) -> list[Sample]:
    samples = []
    for photo in photos:
        if (sample := stored(photo, labels)) is not None:
            samples.append(sample)
        each()
    return samples


def stored(photo: Photo, labels: Sequence[str]) -> Sample | None:
    """A photo in memory; None where a garment has no label here, or cannot be boxed."""
    known = [
        garment.label if garment.label in labels else COARSE.get(garment.label, garment.label)
        for garment in photo.garments
    ]
    if not set(known) <= set(labels):
        return None
    numbers = [labels.index(label) for label in known]
    image = datasets.open_rgb(photo)
    found = (datasets.box_in(image, photo, garment) for garment in photo.garments)
    boxes = [box for box in found if box is not None]
    if len(boxes) == len(numbers):
        return _sample(image, boxes, numbers, STORED_SIDE[True], datasets.outlined(photo, labels))
    judged = foreground.box_and_mask(image) if len(numbers) == 1 else None
    if judged is None:
        return None
    box, mask = judged
    shown = np.where(mask, np.uint8(numbers[0] + 1), np.uint8(NOBODY))
    return _sample(image, [box], numbers, STORED_SIDE[False], shown)


def _sample(
    image: Image,
    boxes: Sequence[Box],
    labels: Sequence[int],
    side: int,
    shown: NDArray[np.uint8] | None = None,
) -> Sample:
    """A sample no larger than `side`; what is shown may be told on another scale."""
    scale = min(1.0, side / max(image.size))
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Resampling.BOX)
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())
    edges = torch.tensor([box.edges for box in boxes], dtype=torch.float32).view(-1, 4) * scale
    told = Boxes(edges, torch.tensor(labels, dtype=torch.long))
    return Sample(pixels, told, None if shown is None else _resized(shown, image.size))


def _resized(marks: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """Marks of pixels on a picture of another width and height."""
    return torch.from_numpy(np.array(fromarray(marks).resize(size, Resampling.NEAREST)))


def repeats(samples: Sequence[Sample]) -> Tensor:
    """How often each sample is drawn: by the rarest label that it shows, 1 or more."""
    shown = [set(sample.boxes.labels.tolist()) for sample in samples]
    counts = Counter(label for labels in shown for label in labels)
    often = {label: RARE * len(samples) / count for label, count in counts.items()}
    factors = [max(1.0, *(often[label] for label in labels)) if labels else 1.0 for labels in shown]
    return torch.tensor(factors).sqrt()


def mixture_of(
    boxed: Sequence[Sample], single: Sequence[Sample], labels: Sequence[str], seed: int
) -> list[Mixture]:
    """What batches are drawn from: photos, drawn scenes, and pictures of nothing."""
    drawn = _Drawn(DRAWN, partial(_scene, labels=labels, seed=seed))
    empty = _Drawn(EMPTY, partial(_empty, seed=seed))
    return [
        Mixture(samples, share, weights)
        for samples, share, weights in (
            (boxed, 0.62, repeats(boxed)),
            (single, 0.20, repeats(single)),
            (drawn, 0.06, torch.ones(DRAWN)),
            (empty, 0.12, torch.ones(EMPTY)),
        )
        if samples
    ]


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
    known = [labels.index(worn.garment.kind) for worn in scene.placed]
    return _sample(scene.image, [worn.box for worn in scene.placed], known, DRAWN_SIDE)


def _empty(number: int, seed: int) -> Sample:
    makers = [*backgrounds.PLAIN.values(), *backgrounds.BUSY.values()]
    colour = list(PALETTE.values())[number % len(PALETTE)]
    image = makers[number % len(makers)](noise.rng(seed, number, "empty"), (300, 400), colour)
    return _sample(image, [], [], DRAWN_SIDE, np.full((1, 1), NOBODY, dtype=np.uint8))


class Batches(Dataset[Batch]):
    """Item i is the batch of step i; photos with outlines lend one another their backgrounds."""

    def __init__(
        self, mixture: Sequence[Mixture], outlined: Sequence[Sequence[Sample]], seed: int
    ) -> None:
        """`outlined` has photos of several kinds, each of which lends as often as another."""
        self.mixture = mixture
        self.outlined = [part for part in outlined if part]
        self.shares = torch.tensor([part.share for part in mixture])
        self.seed = seed

    def __getitem__(self, step: int) -> Batch:
        dice = Dice(self.seed, step)
        size = canvas(SHAPES[dice.index(len(SHAPES))], AREAS[-1][1])
        drawn = [self._draw(dice, size) for _ in range(PHOTOS)]
        images = augmentation.relit(
            torch.stack([one.image for one in drawn]), dice, least_saturation=0.0
        )
        everywhere = torch.ones(len(images), *images.shape[-2:])
        return Batch(
            augmentation.normalised(images, everywhere),
            [one.boxes for one in drawn],
            torch.stack([one.shown for one in drawn]),
            dice.chance(AFAR),
        )

    def _draw(self, dice: Dice, size: tuple[int, int]) -> Placed:
        number = int(torch.multinomial(self.shares, 1, generator=dice.generator).item())
        part = self.mixture[number]
        chosen = int(torch.multinomial(part.weights, 1, generator=dice.generator).item())
        sample = part.samples[chosen]
        drawn = dyed(placed(sample, size, dice), dice)
        if sample.shown is None or not dice.chance(EXCHANGED):
            return drawn
        return elsewhere(drawn, self._background(dice, size))

    def _background(self, dice: Dice, size: tuple[int, int]) -> Tensor | None:
        if not self.outlined:
            return None
        part = self.outlined[dice.index(len(self.outlined))]
        return background(part[dice.index(len(part))], size, dice)


def canvas(shape: tuple[int, int], area: int) -> tuple[int, int]:
    """Width and height of about that area and shape, in whole cells."""
    unit = math.sqrt(area / (shape[0] * shape[1]))
    return round(shape[0] * unit / CELL) * CELL, round(shape[1] * unit / CELL) * CELL


def placed(sample: Sample, size: tuple[int, int], dice: Dice) -> Placed:
    """A photo put somewhere into a picture of `size` (width, height), in a size and side by
    chance."""
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
    shown = (
        torch.full(image.shape[1:], UNKNOWN, dtype=torch.uint8)
        if sample.shown is None
        else augmentation.looked_up(sample.shown, grid)
    )
    return Placed(image, _seen(Boxes(edges, sample.boxes.labels), size), shown)


def dyed(drawn: Placed, dice: Dice) -> Placed:
    """Some of the kinds of garments that are seen, where their outlines are known, in other
    colours."""
    image = drawn.image
    for label in sorted(set(drawn.boxes.labels.tolist())):
        outline = drawn.shown == label + 1
        if outline.any() and dice.chance(DYED):
            coloured = augmentation.dyed(image, dice)
            image = augmentation.laid_on(coloured, image, _softened(outline))
    return Placed(image, drawn.boxes, drawn.shown)


def elsewhere(drawn: Placed, floor: Tensor | None) -> Placed:
    """The same before another background (3, h, w), 0 to 1, if there is one."""
    if floor is None:
        return drawn
    somebody = (drawn.shown != NOBODY) & (drawn.shown != UNKNOWN)
    image = augmentation.laid_on(drawn.image, floor, _softened(somebody))
    return Placed(image, drawn.boxes, drawn.shown * somebody)


def _softened(outline: Tensor) -> Tensor:
    """An outline (h, w) of truths as 0 to 1, its edges blurred."""
    return functional.avg_pool2d(outline[None].float(), 3, 1, 1, count_include_pad=False)[0]


def background(sample: Sample, size: tuple[int, int], dice: Dice) -> Tensor | None:
    """A picture (3, height, width), 0 to 1, of what a photo shows beside its garments, mirrored
    where it ends; None if it shows nothing beside them, or where they are is not known."""
    part = None if sample.shown is None else augmentation.beside(sample.shown)
    if part is None:
        return None
    pixels = sample.pixels[:, part[0], part[1]]
    cut = augmentation.part(dice, LEAST_BACKGROUND)
    grid, _ = augmentation.grid_of(cut, (pixels.shape[2], pixels.shape[1]), size)
    return augmentation.sampled(pixels, grid, "reflection")


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
