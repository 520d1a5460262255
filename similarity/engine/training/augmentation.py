"""What chance does to a picture: where it is cut, how it is lit, how well it is taken.

All of it is drawn from one generator, so that a step's batch is the same on every machine.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from similarity.engine.contracts import Edges
from similarity.engine.networks.pixels import DEVIATION, MEAN

PADDINGS = ("zeros", "border", "reflection")
"""What stands where a cut reaches beyond a picture: grey, its edge drawn out, its mirror."""

COARSENED = 0.25
"""Share of the pictures that lose half their resolution."""


MIXED_AREA = (0.1, 0.6)
"""Least and greatest share of a picture that another takes the place of."""

CORNER = (0.15, 0.4)
"""Least and greatest side of a corner that serves as another garment's background."""

NARROWEST = 24
"""Pixels of a side that a part beside a garment has, to serve as a background."""


class Dice:
    """A torch generator with the throws that augmentation needs."""

    def __init__(self, seed: int, step: int) -> None:
        # Both are mixed into 32 bits: of a longer seed, torch's generator leaves the others out.
        mixed = np.random.SeedSequence((step, seed % 2**64)).generate_state(1)[0]
        self.generator = torch.Generator().manual_seed(int(mixed))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def many(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def normal(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def index(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator).item())

    def chance(self, share: float) -> bool:
        return self.uniform(0, 1) < share


class Cut(NamedTuple):
    """Which part of a picture is taken: middle and size as shares of it, turned and mirrored."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0
    """Radians, clockwise."""
    mirrored: bool = False


def part(dice: Dice, least: float) -> Cut:
    """A part of at least that share of a picture's area, anywhere in it, of about its shape."""
    area = dice.uniform(least, 1)
    width = min(1.0, math.sqrt(area) * math.exp(dice.uniform(-0.12, 0.12)))
    height = min(1.0, area / width)
    x = 0.5 + dice.uniform(-0.5, 0.5) * (1 - width)
    y = 0.5 + dice.uniform(-0.5, 0.5) * (1 - height)
    return _turned(dice, x, y, width, height)


def around(dice: Dice, box: Edges, slack: float) -> Cut:
    """A box given as shares of a picture, each edge moved by up to `slack` of its side."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, right = (edge + dice.uniform(-slack, slack) * width for edge in (box[0], box[2]))
    top, bottom = (edge + dice.uniform(-slack, slack) * height for edge in (box[1], box[3]))
    return _turned(dice, (left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def corner(dice: Dice) -> Cut:
    """A small part in one of a picture's corners: in a photo of a garment, mostly background."""
    side = dice.uniform(*CORNER)
    x, y = (side / 2 if dice.chance(0.5) else 1 - side / 2 for _ in range(2))
    return Cut(x, y, side, side, mirrored=dice.chance(0.5))


def _turned(dice: Dice, x: float, y: float, width: float, height: float) -> Cut:
    angle = math.radians(dice.uniform(-16, 16)) if dice.chance(0.6) else 0.0
    return Cut(x, y, width, height, angle, mirrored=dice.chance(0.5))


def grid_of(cut: Cut, size: tuple[int, int], onto: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where a cut of a picture of `size` (width, height) lies when letterboxed `onto` another.

    Gives the sampling grid (height, width, 2) that `grid_sample` takes, and a mask (height,
    width) of what is not margin.
    """
    wide, high = cut.width * size[0], cut.height * size[1]
    scale = min(onto[0] / wide, onto[1] / high)
    fill_x, fill_y = scale * wide / onto[0], scale * high / onto[1]
    v, u = torch.meshgrid(_middles(onto[1]), _middles(onto[0]), indexing="ij")
    across = u / fill_x * wide / 2 * (-1 if cut.mirrored else 1)
    down = v / fill_y * high / 2
    cosine, sine = math.cos(cut.angle), math.sin(cut.angle)
    x = (cut.x * size[0] + cosine * across - sine * down) / size[0] * 2 - 1
    y = (cut.y * size[1] + sine * across + cosine * down) / size[1] * 2 - 1
    mask = (u.abs() <= fill_x) & (v.abs() <= fill_y)
    return torch.stack([x, y], -1), mask.float()


def _middles(count: int) -> Tensor:
    """The middles of so many equal parts of -1..1."""
    return (torch.arange(count) + 0.5) / count * 2 - 1


def sampled(pixels: Tensor, grid: Tensor, padding: str) -> Tensor:
    """A picture (3, h, w) of bytes at a grid's places: (3, height, width), 0 to 1."""
    centred = pixels[None].float() / 255 - 0.5  # so that zeros are grey
    taken = functional.grid_sample(centred, grid[None], padding_mode=padding, align_corners=False)
    return taken[0] + 0.5


def covered(mask: Tensor, grid: Tensor) -> Tensor:
    """How much of each of a grid's places a mask (1, h, w) of bytes, 0 or 255, covers: 0 to 1."""
    taken = functional.grid_sample(mask[None].float() / 255, grid[None], align_corners=False)
    return taken[0, 0]


UNKNOWN = 255
"""What `looked_up` gives for places beyond the picture."""


def looked_up(marks: Tensor, grid: Tensor) -> Tensor:
    """The marks of pixels, bytes (h, w), at a grid's places: bytes (height, width)."""
    beyond = marks[None, None].float() - UNKNOWN  # so that zeros are unknown
    taken = functional.grid_sample(beyond, grid[None], mode="nearest", align_corners=False)
    return (taken[0, 0] + UNKNOWN).round().to(torch.uint8)


def beside(shown: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns of the largest part of a picture to one side of all that `shown` (h, w)
    marks; None if nothing is left of `NARROWEST` pixels."""
    high, wide = shown.shape
    rows, columns = (shown != 0).nonzero(as_tuple=True)
    if not len(rows):
        return slice(0, high), slice(0, wide)
    everywhere = slice(None)
    parts = [
        (everywhere, slice(0, int(columns.min()))),
        (everywhere, slice(int(columns.max()) + 1, wide)),
        (slice(0, int(rows.min())), everywhere),
        (slice(int(rows.max()) + 1, high), everywhere),
    ]
    sizes = [shown[part].shape for part in parts]
    areas = [math.prod(size) if min(size) >= NARROWEST else 0 for size in sizes]
    largest = max(range(len(parts)), key=areas.__getitem__)
    return parts[largest] if areas[largest] else None


def laid_on(image: Tensor, background: Tensor, mask: Tensor) -> Tensor:
    """A garment (3, height, width) on another background, by its mask (height, width), 0 to 1."""
    return mask * image + (1 - mask) * background


def dyed(image: Tensor, dice: Dice) -> Tensor:
    """A picture (3, h, w), 0 to 1, in other colours: its channels change places and are made
    stronger, weaker, lighter or darker. Folds, shades and patterns stay."""
    order = torch.randperm(3, generator=dice.generator)
    lighter = dice.many((3, 1, 1), -0.5, 0.5) + dice.uniform(-0.5, 0.5)
    return image[order].clamp(1e-3, 1) ** lighter.exp()


def relit(images: Tensor, dice: Dice, *, least_saturation: float) -> Tensor:
    """Pictures (n, 3, h, w), 0 to 1, in other light and from a worse camera.

    Gamma, contrast, brightness, a cast of colour and saturation differ from picture to picture;
    some lose half their resolution; all gain some noise.
    """
    one = (len(images), 1, 1, 1)
    images = images.clamp(1e-3, 1) ** dice.many(one, -0.35, 0.35).exp()
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * dice.many(one, 0.75, 1.3) + mean * dice.many(one, 0.8, 1.2)
    images = images * dice.many((len(images), 3, 1, 1), 0.82, 1.2)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * dice.many(one, least_saturation, 1.4)
    coarse = dice.many((len(images),), 0, 1) < COARSENED
    images[coarse] = _halved(images[coarse])
    noise = dice.normal(images.shape) * dice.many(one, 0, 0.03)
    return (images + noise).clamp(0, 1)


def _halved(images: Tensor) -> Tensor:
    if not len(images):
        return images
    size = images.shape[-2:]
    half = functional.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    return functional.interpolate(half, size=size, mode="bilinear")


def erase(images: Tensor, dice: Dice, share: float = 0.25) -> None:
    """Cover a rectangle in that share of the pictures, in place.

    Zhong et al., "Random erasing data augmentation", AAAI 2020.
    """
    height, width = images.shape[-2:]
    for image in images:
        if dice.chance(share):
            high, wide = (int(side * dice.uniform(0.08, 0.33)) for side in (height, width))
            top, left = dice.index(height - high + 1), dice.index(width - wide + 1)
            image[:, top : top + high, left : left + wide] = dice.many((3, 1, 1), 0, 1)


def mixed(images: Tensor, dice: Dice) -> Tensor:
    """Pictures (n, 3, h, w), a rectangle of each showing that part of the one before.

    Yun et al., "CutMix", ICCV 2019.
    """
    height, width = images.shape[-2:]
    side = math.sqrt(dice.uniform(*MIXED_AREA))
    high, wide = round(side * height), round(side * width)
    top, left = dice.index(height - high + 1), dice.index(width - wide + 1)
    part = (..., slice(top, top + high), slice(left, left + wide))
    images = images.clone()
    images[part] = images.roll(1, 0)[part]
    return images


def normalised(images: Tensor, masks: Tensor) -> Tensor:
    """Pictures (n, 3, h, w), 0 to 1, as a network takes them; zeros where a mask (n, h, w) is."""
    mean = torch.from_numpy(MEAN).view(1, 3, 1, 1)
    return (images - mean) / float(DEVIATION) * masks[:, None]
