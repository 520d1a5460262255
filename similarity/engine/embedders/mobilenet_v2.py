"""MobileNetV2's pooled ImageNet features as a garment's vector: the baseline to compare with.

Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.batches import in_batches
from similarity.engine.contracts import Vectors
from similarity.engine.device import pick_device, prepare_torch
from similarity.engine.errors import MissingWeights
from similarity.engine.weights import Lazy, digest, lacking, sha256

if TYPE_CHECKING:
    import torch

TENSORS = "mobilenet_v2_imagenet.npz"
STEPS = "mobilenet_v2_imagenet.json"
"""How the tensors are wired: `steps`, each with `op`, `name`, `from` and a convolution's facts."""

INPUT = 224
MIDDLE = 128.0
"""Pixels are (value - MIDDLE) / MIDDLE, as the weights were trained with."""


class MobileNetV2Embedder:
    """1280 numbers a crop, from the average pool in front of the classifier.

    The crop is squashed to a square: nothing of a long dress or a wide shoe is cut off.
    """

    light: ClassVar[bool] = False
    dim: ClassVar[int] = 1280

    def __init__(
        self, models_dir: Path | str, *, device: str = "auto", batch_size: int = 32
    ) -> None:
        self.files = [Path(models_dir) / name for name in (TENSORS, STEPS)]
        self.device = device
        self.batch_size = batch_size
        self._network = Lazy(self._load)

    @property
    def fingerprint(self) -> str:
        self._check_files()
        return digest("mobilenet_v2", 1, INPUT, *map(sha256, self.files))

    def missing(self) -> list[str]:
        return lacking("torch", "torchvision", weights=self._check_files)

    def embed(self, crops: Sequence[Image]) -> Vectors:
        return in_batches(self._embed, crops, size=self.batch_size, dim=self.dim)

    def _check_files(self) -> None:
        absent = [file.name for file in self.files if not file.is_file()]
        if absent:
            raise MissingWeights(
                f"MobileNetV2's weights are missing: put {' and '.join(absent)} into "
                f"{self.files[0].parent}."
            )

    def _embed(self, crops: Sequence[Image]) -> Vectors:
        network = self._network.get()
        import torch

        pixels = torch.from_numpy(np.stack([_pixels(crop) for crop in crops]))
        with torch.inference_mode():
            features = network(pixels.to(next(network.parameters()).device))
            return torch.nn.functional.normalize(features.cpu()).numpy()

    def _load(self) -> torch.nn.Module:
        if sentences := self.missing():
            raise MissingWeights(" ".join(sentences))
        prepare_torch()
        from similarity.engine.networks.mobilenet_v2 import read

        return read(*self.files).to(pick_device(self.device))


def _pixels(crop: Image) -> NDArray[np.float32]:
    """The network's input, (3, INPUT, INPUT)."""
    squashed = np.asarray(crop.resize((INPUT, INPUT), Resampling.BILINEAR), dtype=np.float32)
    return ((squashed - MIDDLE) / MIDDLE).transpose(2, 0, 1)
