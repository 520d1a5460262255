"""The project's own embedder: 128 numbers of what a garment is and how it looks.

A small residual network that the project trains itself (`manage.py train_embedder`) and ships;
`docs/models.md` has its figures, the model card beside the weights what it is good for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL.Image import Image

from similarity.engine.batches import in_batches
from similarity.engine.contracts import Vectors
from similarity.engine.device import (
    NO_UNITS,
    Precision,
    fused,
    marks,
    pick_device,
    pick_precision,
    prepare_torch,
)
from similarity.engine.errors import MissingWeights
from similarity.engine.networks.pixels import CROP, letterboxed
from similarity.engine.weights import Lazy, digest, lacking, own_or_shipped, sha256

if TYPE_CHECKING:
    import torch


class CompactEmbedder:
    """Unit vectors whose first half tells kinds apart and whose second half looks.

    `weights` names a file in `models_dir`, where a shop keeps what it has trained itself, or
    among the shipped ones. `precision` is bfloat16 only where it is named: the vectors of one
    machine are to be those of another, whatever its processor.
    """

    light: ClassVar[bool] = True
    dim: ClassVar[int] = 128

    def __init__(
        self,
        models_dir: Path | str,
        *,
        weights: str = "compact_embedder.safetensors",
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int = 32,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.weights = weights
        self.device = device
        self.precision = pick_precision(precision, units=NO_UNITS)
        self.batch_size = batch_size
        self._network = Lazy(self._load)

    @property
    def fingerprint(self) -> str:
        return digest("compact embedder", 3, CROP, sha256(self._path()), *marks(self.precision))

    def missing(self) -> list[str]:
        return lacking("torch", "safetensors", weights=self._path)

    def embed(self, crops: Sequence[Image]) -> Vectors:
        return in_batches(self._embed, crops, size=self.batch_size, dim=self.dim)

    def _path(self) -> Path:
        return own_or_shipped(self.models_dir, self.weights, "train_embedder")

    def _embed(self, crops: Sequence[Image]) -> Vectors:
        network = self._network.get()
        import torch

        from similarity.engine.networks.halved import computing

        device = pick_device(self.device)
        pixels = torch.from_numpy(np.stack([letterboxed(crop) for crop in crops]))
        pixels = pixels.to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), computing(self.precision, device):
            vectors: Vectors = network(pixels).cpu().numpy()
        return vectors

    def _load(self) -> torch.nn.Module:
        if sentences := self.missing():
            raise MissingWeights(" ".join(sentences))
        prepare_torch()
        from similarity.engine.networks.compact import read_embedder
        from similarity.engine.networks.halved import placed

        network = fused(read_embedder(self._path()))
        return placed(network, pick_device(self.device), self.precision)
