"""ViT-B/16's class token as a garment's vector: ImageNet features of a transformer.

Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021; network and weights of torchvision.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.device import fill, read_tensors
from similarity.engine.networks.embedding import NetworkEmbedder, checkpoint
from similarity.engine.networks.pixels import IMAGENET, middle, scaled

if TYPE_CHECKING:
    import torch

WEIGHTS = "vit_b_16-c867db91.pth"
RESIZED, INPUT = 256, 224
"""The preset of torchvision's IMAGENET1K_V1."""


class ViTB16Embedder(NetworkEmbedder):
    """768 numbers a crop: what the last layer makes of the class token."""

    name = "vit_b_16"
    dim: ClassVar[int] = 768

    def files(self) -> list[Path]:
        return [checkpoint(self.models_dir, [WEIGHTS], self.name)]

    def pixels(self, crop: Image) -> NDArray[np.float32]:
        return scaled(middle(crop, (INPUT, INPUT), INPUT / RESIZED, Resampling.BILINEAR), *IMAGENET)

    def read(self) -> torch.nn.Module:
        import torch
        from torchvision.models import vit_b_16

        network: torch.nn.Module = vit_b_16(weights=None)
        network.heads = torch.nn.Identity()
        (path,) = self.files()
        fill(network, read_tensors(path), path, ("heads.head.weight", "heads.head.bias"))
        return network
