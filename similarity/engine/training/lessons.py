"""What a network trained on ImageNet sees in garments: targets for a small one to learn.

Knowledge distillation: Hinton et al., 2015; of feature maps: Romero et al., "FitNets", ICLR
2015. The student sees the same part of a picture as the teacher but in other light ("a good
teacher is patient and consistent": Beyer et al., CVPR 2022); here the teacher looks at each
picture once, and what it saw of a part is read off its map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from similarity.engine.networks.mobilenet_v2 import MobileNetV2

CHANNELS = 256
"""Of the principal components of the teacher's 1280 features: they hold two thirds of the
variance, and a fifth of the memory."""

SIDE = 224
"""Shorter side at which the teacher looks at a picture."""

LONGEST = 800

FITTED_ON = 400
"""Pictures from which the components are found."""


class Lessons:
    """The teacher's feature maps of pictures, on fewer channels, of unit variance all in all."""

    def __init__(self, maps: list[Tensor]) -> None:
        self._maps = maps
        self._scale = torch.cat([part.flatten().float() for part in maps[:FITTED_ON]]).std()

    def of(self, picture: int, grid: Tensor) -> Tensor:
        """What the teacher saw at the places (h, w, 2) of a picture, -1..1: (CHANNELS, h, w)."""
        seen = functional.grid_sample(
            self._maps[picture][None].float(),
            grid[None],
            padding_mode="border",
            align_corners=False,
        )
        return seen[0] / self._scale

    @classmethod
    def learn(
        cls,
        teacher: MobileNetV2,
        pictures: Sequence[Tensor],
        each: Callable[[], None] = lambda: None,
    ) -> Lessons:
        """Look at every picture, bytes (3, h, w), once, calling `each` after it."""
        some = pictures[:: max(1, len(pictures) // FITTED_ON)]
        mean, basis = _components([_map(teacher, picture) for picture in some])
        maps = []
        for picture in pictures:
            maps.append(_projected(_map(teacher, picture), mean, basis))
            each()
        return cls(maps)


def _map(teacher: MobileNetV2, picture: Tensor) -> Tensor:
    """What the teacher sees in a picture, bytes (3, h, w): (1280, h / 32, w / 32)."""
    scale = SIDE / min(picture.shape[1:])
    size = [min(LONGEST, max(1, round(side * scale / 32)) * 32) for side in picture.shape[1:]]
    pixels = functional.interpolate(
        picture[None].float(), size=size, mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        return teacher.maps(((pixels - 128) / 128).contiguous(memory_format=torch.channels_last))[0]


def _components(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The mean (1280,) of the maps' cells, and their principal components (1280, CHANNELS)."""
    cells = torch.cat([map_.flatten(1).T for map_ in maps])
    mean = cells.mean(0)
    _, vectors = torch.linalg.eigh((cells - mean).T @ (cells - mean))
    return mean, vectors[:, -CHANNELS:]


def _projected(map_: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    """A map on the components, in half precision: (CHANNELS, h, w)."""
    return torch.einsum("khw,kc->chw", map_ - mean[:, None, None], basis).half()
