"""A shop's own embedder: ResNet-50 with a head of 128 numbers, trained on triplets.

`manage.py train_triplet` makes its weights; the file says at what size it looks at crops.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from similarity.engine.device import Precision, fill, fused, read_metadata, read_tensors
from similarity.engine.errors import WrongWeights
from similarity.engine.networks.embedding import NetworkEmbedder
from similarity.engine.networks.pixels import letterboxed
from similarity.engine.weights import own_or_shipped

if TYPE_CHECKING:
    import torch

LARGEST = 1024
"""No side of an input is longer: what a file says of itself is not believed blindly."""


class TripletEmbedder(NetworkEmbedder):
    """128 numbers a crop. `weights` names a file in `models_dir`."""

    name = "triplet"
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "safetensors")
    dim: ClassVar[int] = 128

    def __init__(
        self,
        models_dir: Path | str,
        *,
        weights: str = "triplet.safetensors",
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
    ) -> None:
        super().__init__(models_dir, device=device, precision=precision, batch_size=batch_size)
        self.weights = weights

    def files(self) -> list[Path]:
        return [own_or_shipped(self.models_dir, self.weights, "manage.py train_triplet")]

    def pixels(self, crop: Image) -> NDArray[np.float32]:
        return letterboxed(crop, self._size)

    def read(self) -> torch.nn.Module:
        from similarity.engine.networks.triplet import TripletNetwork

        network = TripletNetwork()
        (path,) = self.files()
        fill(network, read_tensors(path), path, ("num_batches_tracked",))
        return fused(network)

    @cached_property
    def _size(self) -> tuple[int, int]:
        """Width and height that the weights were trained with."""
        (path,) = self.files()
        try:
            width, height = map(int, json.loads(read_metadata(path)["size"]))
        except (KeyError, TypeError, ValueError) as error:
            raise WrongWeights(f"{path} does not say its size: {error!r}") from error
        if not (0 < width <= LARGEST and 0 < height <= LARGEST):
            raise WrongWeights(f"{path} is not for pictures of {width} by {height} pixels.")
        return width, height
