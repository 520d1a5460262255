"""Garments as an embedder's lessons: read from photos, seen twice a batch, held out to measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image, Resampling, fromarray
from torch import Tensor, nn
from torch.utils.data import Dataset

from similarity.engine import datasets, foreground
from similarity.engine.contracts import Box, Edges, Vectors
from similarity.engine.datasets import Photo
from similarity.engine.errors import BadDataset
from similarity.engine.evaluation import instance, retrieval
from similarity.engine.networks.pixels import letterboxed
from similarity.engine.training import augmentation
from similarity.engine.training.augmentation import Dice

GARMENTS = 16
"""Garments of a batch; each is seen twice. Few, because from little data and time many small
steps learn more than few large ones; what contrast lacks in others it finds in the memory."""

MARGIN = 0.2
"""What is kept around a garment's box, in its sides: boxes of a detector are never exact."""

LEAST_PART = 0.5
"""Least share of a photo's area that is taken, of one that shows a single garment."""

SLACK = 0.12
"""By how much of its side an edge of a box is moved."""

EXCHANGED = 0.5
"""Share of the garments with a mask that are laid on a corner of another photo: people differ in
their floors and beds as much as in their garments, and those are what a small network remembers
(Dwibedi et al., "Cut, paste and learn", ICCV 2017)."""

MEASURED_AT_ONCE = 64
"""Held-out crops of a batch."""


class Sample(NamedTuple):
    """A garment in memory."""

    pixels: Tensor
    """Bytes (3, h, w): the garment with some margin, no larger than it will be looked at."""
    inner: Edges | None
    """Where the garment's box lies in the pixels, as shares; None for the whole photo."""
    label: int
    identity: int
    """Garments of one product share it."""
    mask: Tensor | None
    """Bytes (1, h, w): which pixels are the garment's, or of who wears it, where that is known."""


class View(NamedTuple):
    """A garment seen once."""

    image: Tensor
    """(3, height, width), 0 to 1."""
    frame: Tensor
    """(height, width): 1 within the picture, 0 in the margin of its letterbox."""


class Batch(NamedTuple):
    """A step's pictures, each garment's two views in the two halves."""

    images: Tensor
    """(n, 3, h, w), normalised."""
    labels: Tensor
    identities: Tensor
    mixed: bool
    """Each picture has a part of another's: a teacher may still say what it shows."""


class Batches(Dataset[Batch]):
    """Item i is the batch of step i: so many garments, each in two views of a width and height."""

    def __init__(
        self,
        samples: Sequence[Sample],
        size: tuple[int, int],
        seed: int,
        *,
        mixed: float = 0.0,
    ) -> None:
        """`mixed` is the share of the batches that a teacher alone can say something of."""
        self.samples = samples
        self.size = size
        self.seed = seed
        self.mixed = mixed
        self._alike: dict[int, list[int]] = {}
        for number, sample in enumerate(samples):
            self._alike.setdefault(sample.identity, []).append(number)
        self._weights = _evened(samples)

    def __getitem__(self, step: int) -> Batch:
        dice = Dice(self.seed, step)
        count = min(GARMENTS, len(self.samples))
        chosen = torch.multinomial(self._weights, count, generator=dice.generator).tolist()
        again = [self._like(number, dice) for number in chosen]
        views = [self._view(number, dice) for number in (*chosen, *again)]
        images = torch.stack([view.image for view in views])
        images = augmentation.relit(images, dice, least_saturation=0.6)
        augmentation.erase(images, dice)
        mixed = dice.chance(self.mixed)
        if mixed:
            images = augmentation.mixed(images, dice)
        frames = torch.stack([view.frame for view in views])
        return Batch(
            augmentation.normalised(images, frames),
            torch.tensor([self.samples[number].label for number in (*chosen, *again)]),
            torch.tensor([self.samples[number].identity for number in (*chosen, *again)]),
            mixed,
        )

    def _like(self, number: int, dice: Dice) -> int:
        """The garment itself, or another picture of the same product."""
        alike = self._alike[self.samples[number].identity]
        return alike[dice.index(len(alike))]

    def _view(self, number: int, dice: Dice) -> View:
        sample = self.samples[number]
        cut = (
            augmentation.part(dice, LEAST_PART)
            if sample.inner is None
            else augmentation.around(dice, sample.inner, SLACK)
        )
        height, width = sample.pixels.shape[1:]
        grid, frame = augmentation.grid_of(cut, (width, height), self.size)
        padding = augmentation.PADDINGS[dice.index(len(augmentation.PADDINGS))]
        image = augmentation.sampled(sample.pixels, grid, padding)
        if sample.mask is not None and dice.chance(EXCHANGED):
            kept = augmentation.covered(sample.mask, grid)
            image = augmentation.laid_on(image, self._background(dice), kept)
        return View(image, frame)

    def _background(self, dice: Dice) -> Tensor:
        pixels = self.samples[dice.index(len(self.samples))].pixels
        height, width = pixels.shape[1:]
        grid, _ = augmentation.grid_of(augmentation.corner(dice), (width, height), self.size)
        return augmentation.sampled(pixels, grid, "reflection")


def _evened(samples: Sequence[Sample]) -> Tensor:
    """How often each garment is drawn: rare labels more often, by the root of their number.

    Mahajan et al., "Exploring the limits of weakly supervised pretraining", ECCV 2018.
    """
    counts = Counter(sample.label for sample in samples)
    return torch.tensor([counts[sample.label] ** -0.5 for sample in samples], dtype=torch.float64)


def read_samples(
    photos: Sequence[Photo], labels: Sequence[str], size: tuple[int, int]
) -> list[Sample]:
    """Every garment of the photos, for a network that looks at crops of that width and height."""
    products: dict[str, int] = {}
    samples: list[Sample] = []
    for photo in photos:
        image = datasets.open_rgb(photo)
        people = datasets.outlined(photo)
        for garment in photo.garments:
            mask = foreground.mask(image) if garment.box is None else people
            name = garment.product or f"{photo.path} {garment.box}"
            identity = products.setdefault(name, len(products))
            label = labels.index(garment.label)
            box = datasets.box_in(image, photo, garment)
            pixels, inner, outline = _cut_out(image, mask, box, size)
            samples.append(Sample(pixels, inner, label, identity, outline))
    return samples


def _cut_out(
    image: Image, mask: NDArray[Any] | None, box: Box | None, size: tuple[int, int]
) -> tuple[Tensor, Edges | None, Tensor | None]:
    """Pixels, inner box and mask of a sample, of a garment's box or a whole image.

    The image's mask, of whatever scale, is not 0 where there is no background.
    """
    inside = outer = box or Box.whole(image)
    if box is not None:
        across, down = MARGIN * box.width, MARGIN * box.height
        outer = Box(box.x0 - across, box.y0 - down, box.x1 + across, box.y1 + down)
    left, top, right, bottom = outer.clamped(image.width, image.height).pixels()
    part = image.crop((left, top, right, bottom))
    scale = 1.5 * min(size[0] / inside.width, size[1] / inside.height)
    if scale < 1:
        smaller = (max(8, round(part.width * scale)), max(8, round(part.height * scale)))
        part = part.resize(smaller, Resampling.BOX)
    pixels = torch.from_numpy(np.asarray(part).transpose(2, 0, 1).copy())
    outline = None
    if mask is not None:
        across, down = mask.shape[1] / image.width, mask.shape[0] / image.height
        extent = (left * across, top * down, right * across, bottom * down)
        outline = _soft(mask, extent, part.size)
    if box is None:
        return pixels, None, outline
    inner = (
        (box.x0 - left) / (right - left),
        (box.y0 - top) / (bottom - top),
        (box.x1 - left) / (right - left),
        (box.y1 - top) / (bottom - top),
    )
    return pixels, inner, outline


def _soft(mask: NDArray[Any], extent: Edges, size: tuple[int, int]) -> Tensor:
    """A part of a mask as a soft outline in bytes (1, height, width)."""
    drawn = fromarray(np.uint8(255) * (mask != 0))
    return torch.from_numpy(np.array(drawn.resize(size, Resampling.BILINEAR, box=extent)))[None]


class HeldOut:
    """Held-out garments, ready for the network: as cut out, and as altered pictures of them."""

    def __init__(self, photos: Sequence[Photo], size: tuple[int, int], seed: int) -> None:
        """Raises BadDataset if the photos show none, or one cannot be read."""
        garments = [(photo, garment) for photo in photos for garment in photo.garments]
        if not garments:
            raise BadDataset("No photo that was held out to measure on shows a garment.")
        self.labels = [garment.label for _, garment in garments]
        self.groups = [photo.group for photo, _ in garments]
        self.boxed = np.array([garment.box is not None for _, garment in garments])
        pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        for crop in _crops(photos):  # one at a time: a catalogue's pictures are large
            changed = instance.altered(crop, seed + len(pairs))
            pairs.append((letterboxed(crop, size), letterboxed(changed, size)))
        self.pixels, self.altered = (
            torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True)
        )

    def measure(self, network: nn.Module) -> dict[str, float]:
        """How well unit rows that the network makes of crops find alike ones."""
        vectors, altered = (_described(network, part) for part in (self.pixels, self.altered))
        figures: dict[str, float] = {}
        for name, chosen in (("whole photos", ~self.boxed), ("boxed garments", self.boxed)):
            rows = np.flatnonzero(chosen)
            if not len(rows):
                continue
            items = retrieval.Items(
                vectors[rows], [self.labels[n] for n in rows], [self.groups[n] for n in rows]
            )
            found = retrieval.evaluate(items).overall
            figures |= {
                f"{name}: R@1": found.recall_at_1,
                f"{name}: mAP": found.mean_average_precision,
                f"{name}: instance R@1": instance.evaluate(
                    altered[rows], vectors[rows]
                ).recall_at_1,
            }
        return figures


def _crops(photos: Sequence[Photo]) -> Iterator[Image]:
    for photo in photos:
        image = datasets.open_rgb(photo)
        for garment in photo.garments:
            yield datasets.cropped(image, photo, garment)


def _described(network: nn.Module, pixels: Tensor) -> Vectors:
    place = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(part.to(place)).cpu() for part in torch.split(pixels, MEASURED_AT_ONCE)]
    vectors: Vectors = torch.cat(parts).numpy()
    return vectors
