"""The teacher of the compact networks: MobileNetV2, which ImageNet has taught.

Its early features are common to all pictures and stay as they are; the later ones are ImageNet's
own, and may learn what we ask for (Yosinski et al., "How transferable are features in deep neural
networks?", NeurIPS 2014).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from similarity.engine.device import channels_last
from similarity.engine.errors import MissingWeights
from similarity.engine.networks.mobilenet_v2 import MobileNetV2, read
from similarity.engine.networks.pixels import DEVIATION, MEAN

KEPT = 1 / 3
"""Share of the convolutions that is left as it is: the first, up to a stride of 8."""

COARSEST = 32
"""Pixels of a side at which maps of all strides have different sizes, the last of a single cell."""

FILES = ("mobilenet_v2_imagenet.npz", "mobilenet_v2_imagenet.json")


def read_teacher(folder: Path) -> MobileNetV2:
    """MobileNetV2 from a folder with its two files."""
    tensors, steps = (folder / name for name in FILES)
    if not steps.is_file() or not tensors.is_file():
        raise MissingWeights(f"{folder} does not hold {' and '.join(FILES)}.")
    return channels_last(read(tensors, steps))


def widths(teacher: MobileNetV2) -> list[int]:
    """Channels of the maps of its pyramid, the finest first."""
    place = next(teacher.parameters()).device
    with torch.no_grad():
        maps = teacher.pyramid(torch.zeros(1, 3, COARSEST, COARSEST, device=place))
    return [features.shape[1] for features in maps]


def as_seen_by_teacher(crops: Tensor) -> Tensor:
    """Pixels as the pupil takes them, as the teacher takes them: -1..1."""
    mean = torch.from_numpy(MEAN).to(crops.device).view(1, 3, 1, 1)
    return (crops * float(DEVIATION) + mean) * 2 - 1


def free(teacher: MobileNetV2) -> None:
    """Let the later convolutions learn."""
    layers = list(teacher.convolutions.values())
    for layer in layers[round(KEPT * len(layers)) :]:
        layer.requires_grad_(True)
