"""What a network trained on ImageNet sees in the photos: targets for a small one to learn.

Knowledge distillation: Hinton et al., 2015; of feature maps: Romero et al., "FitNets", ICLR
2015. The student sees the same part of a photo as the teacher but in other light ("a good
teacher is patient and consistent": Beyer et al., CVPR 2022); here the teacher looks at each photo
once, and what it saw of a part is read off its map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor
from torch.nn import functional

from similarity.engine.datasets import Photo, open_rgb
from similarity.engine.device import channels_last
from similarity.engine.errors import MissingWeights
from similarity.engine.networks.mobilenet_v2 import MobileNetV2, read

CHANNELS = 256
"""Of the principal components of the teacher's 1280 features: they hold two thirds of the
variance, and a fifth of the memory."""

SIDE, BOXED_SIDE = 224, 400
"""Shorter side at which the teacher looks at a photo of one garment, and at one of several."""

FITTED_ON = 400
"""Photos from which the components are found."""

FILES = ("mobilenet_v2_imagenet.npz", "mobilenet_v2_imagenet.json")


def read_teacher(folder: Path) -> MobileNetV2:
    """MobileNetV2 from a folder with its two files."""
    tensors, steps = (folder / name for name in FILES)
    if not steps.is_file() or not tensors.is_file():
        raise MissingWeights(f"{folder} does not hold {' and '.join(FILES)}.")
    return channels_last(read(tensors, steps))


class Lessons:
    """The teacher's feature maps of photos, on fewer channels, of unit variance all in all."""

    def __init__(self, maps: list[Tensor]) -> None:
        self._maps = maps
        self._scale = torch.cat([part.flatten().float() for part in maps[:FITTED_ON]]).std()

    def of(self, photo: int, grid: Tensor) -> Tensor:
        """What the teacher saw at the places (h, w, 2) of a photo, -1..1: (CHANNELS, h, w)."""
        seen = functional.grid_sample(
            self._maps[photo][None].float(),
            grid[None],
            padding_mode="border",
            align_corners=False,
        )
        return seen[0] / self._scale

    @classmethod
    def learn(
        cls,
        teacher: MobileNetV2,
        photos: Sequence[Photo],
        each: Callable[[], None] = lambda: None,
    ) -> Lessons:
        """Look at every photo once, calling `each` after it."""
        some = photos[:: max(1, len(photos) // FITTED_ON)]
        mean, basis = _components(list(_looked_at(teacher, some, lambda: None)))
        return cls([_projected(map_, mean, basis) for map_ in _looked_at(teacher, photos, each)])


def _looked_at(
    teacher: MobileNetV2, photos: Sequence[Photo], each: Callable[[], None]
) -> Iterator[Tensor]:
    for photo in photos:
        boxed = any(garment.box is not None for garment in photo.garments)
        pixels = _pixels(open_rgb(photo.path), BOXED_SIDE if boxed else SIDE)
        with torch.inference_mode():
            yield teacher.maps(pixels)[0]
        each()


def _pixels(image: Image, side: int) -> Tensor:
    scale = side / min(image.size)
    size = [min(800, max(1, round(edge * scale / 32)) * 32) for edge in image.size]
    resized = np.asarray(image.resize((size[0], size[1]), Resampling.BILINEAR), dtype=np.float32)
    pixels = torch.from_numpy(((resized - 128) / 128).transpose(2, 0, 1))[None]
    return pixels.contiguous(memory_format=torch.channels_last)


def _components(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean (1280,) of the maps' cells, and their principal components (1280, CHANNELS)."""
    cells = torch.cat([map_.flatten(1).T for map_ in maps])
    mean = cells.mean(0)
    _, vectors = torch.linalg.eigh((cells - mean).T @ (cells - mean))
    return mean, vectors[:, -CHANNELS:]


def _projected(map_: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    """A map on the components, in half precision: (CHANNELS, h, w)."""
    return torch.einsum("khw,kc->chw", map_ - mean[:, None, None], basis).half()
