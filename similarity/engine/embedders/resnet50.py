"""ResNet-50's pooled features as a garment's vector: the general ImageNet baseline.

He et al., "Deep residual learning for image recognition", CVPR 2016; weights of torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.contracts import Vectors
from similarity.engine.device import fill, pick_device, prepare_torch, read_tensors
from similarity.engine.errors import MissingWeights
from similarity.engine.weights import (
    Lazy,
    WeightsFile,
    digest,
    find,
    not_installed,
    sha256,
    torch_hub_checkpoints,
)

if TYPE_CHECKING:
    import torch

PUBLISHED = (
    WeightsFile(
        "resnet50-11ad3fa6.pth",
        "It is torchvision's IMAGENET1K_V2: https://download.pytorch.org/models/.",
    ),
    WeightsFile(
        "resnet50-0676ba61.pth",
        "It is torchvision's IMAGENET1K_V1: https://download.pytorch.org/models/.",
    ),
)

# The preset of IMAGENET1K_V2: the shorter side to 232 pixels, bilinear with antialiasing, then
# the 224 in the middle. Pillow does both at once: the same part of the crop, straight to 224.
RESIZED, INPUT = 232, 224
MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
"""Of ImageNet's channels, as torchvision's weights were trained with."""


class ResNet50Embedder:
    """2048 numbers a crop, from the average pool in front of the classifier.

    `weights` names a file in `models_dir` or in torch.hub's cache; by default either of
    torchvision's own will do, V2 before V1. A .safetensors file of the same tensors will, too.
    """

    light: ClassVar[bool] = False
    dim: ClassVar[int] = 2048

    def __init__(
        self,
        models_dir: Path | str,
        *,
        weights: str | None = None,
        device: str = "auto",
        batch_size: int = 8,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.names = [weights] if weights else [file.name for file in PUBLISHED]
        self.device = device
        self.batch_size = batch_size
        self._network = Lazy(self._load)

    @property
    def fingerprint(self) -> str:
        return digest("resnet50", 1, RESIZED, INPUT, sha256(self._weights()))

    def missing(self) -> list[str]:
        lacking = not_installed("torch", "torchvision")
        try:
            self._weights()
        except MissingWeights as error:
            lacking.append(str(error))
        return lacking

    def embed(self, crops: Sequence[Image]) -> Vectors:
        batches = [
            self._embed(crops[start : start + self.batch_size])
            for start in range(0, len(crops), self.batch_size)
        ]
        return np.concatenate([np.empty((0, self.dim), dtype=np.float32), *batches])

    def _weights(self) -> Path:
        path = find(self.models_dir, self.names, also=[torch_hub_checkpoints()])
        if path is None:
            hints = "".join(f" {file.hint}" for file in PUBLISHED if file.name in self.names)
            raise MissingWeights(
                f"ResNet-50's weights are missing: put {' or '.join(self.names)} into "
                f"{self.models_dir}.{hints}"
            )
        return path

    def _embed(self, crops: Sequence[Image]) -> Vectors:
        network = self._network.get()
        import torch

        pixels = torch.from_numpy(np.stack([_pixels(crop) for crop in crops]))
        with torch.inference_mode():
            features = network(pixels.to(next(network.parameters()).device))
            return torch.nn.functional.normalize(features.cpu()).numpy()

    def _load(self) -> torch.nn.Module:
        if lacking := self.missing():
            raise MissingWeights(" ".join(lacking))
        prepare_torch()
        import torch
        from torchvision.models import resnet50

        network: torch.nn.Module = resnet50(weights=None)
        network.fc = torch.nn.Identity()
        path = self._weights()
        optional = ("num_batches_tracked", "fc.weight", "fc.bias")
        fill(network, read_tensors(path), path, optional)
        return network.eval().to(pick_device(self.device))


def _pixels(crop: Image) -> NDArray[np.float32]:
    """The network's input, (3, INPUT, INPUT)."""
    side = min(crop.size) * INPUT / RESIZED
    left, top = (crop.width - side) / 2, (crop.height - side) / 2
    box = (left, top, left + side, top + side)
    middle = crop.resize((INPUT, INPUT), Resampling.BILINEAR, box=box)
    pixels = (np.asarray(middle) / 255 - MEAN) / DEVIATION
    return np.asarray(pixels.transpose(2, 0, 1), dtype=np.float32)
