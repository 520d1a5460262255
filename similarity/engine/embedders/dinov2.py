"""DINOv2's class token as a garment's vector: features learnt from pictures alone.

Oquab et al., "DINOv2: learning robust visual features without supervision", TMLR 2024. The network
is timm's, which knows the names of the published tensors; torch.hub, which would run code that it
downloads, is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.device import Precision, fill, read_tensors
from similarity.engine.errors import WrongWeights
from similarity.engine.networks.embedding import NetworkEmbedder, checkpoint
from similarity.engine.networks.pixels import IMAGENET, middle, scaled
from similarity.engine.weights import digest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the published sizes."""

    architecture: str
    """timm's name for it."""
    dim: int


VARIANTS = {
    "vits14": Variant("vit_small_patch14_dinov2", 384),
    "vitb14": Variant("vit_base_patch14_dinov2", 768),
    "vitl14": Variant("vit_large_patch14_dinov2", 1024),
}

RESIZED, INPUT = 256, 224
"""The published evaluation's; 224 pixels are 16 x 16 patches of 14."""


class DinoV2Embedder(NetworkEmbedder):
    """384, 768 or 1024 numbers a crop; `variant` is vits14, vitb14 or vitl14."""

    name = "dinov2"
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "timm")

    def __init__(
        self,
        models_dir: Path | str,
        *,
        variant: str = "vits14",
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"DINOv2 comes as {', '.join(VARIANTS)}, not as {variant!r}.")
        super().__init__(models_dir, device=device, precision=precision, batch_size=batch_size)
        self.variant = variant

    @property
    def dim(self) -> int:
        return VARIANTS[self.variant].dim

    @property
    def fingerprint(self) -> str:
        return digest(self.variant, super().fingerprint)

    def files(self) -> list[Path]:
        name = f"dinov2_{self.variant}_pretrain.pth"
        return [checkpoint(self.models_dir, [name], f"dinov2_{self.variant}")]

    def pixels(self, crop: Image) -> NDArray[np.float32]:
        return scaled(middle(crop, (INPUT, INPUT), INPUT / RESIZED, Resampling.BICUBIC), *IMAGENET)

    def read(self) -> torch.nn.Module:
        import timm
        from timm.models.vision_transformer import checkpoint_filter_fn

        architecture = VARIANTS[self.variant].architecture
        network: Any = timm.create_model(
            architecture, pretrained=False, num_classes=0, img_size=INPUT
        )
        (path,) = self.files()
        try:
            tensors = checkpoint_filter_fn(read_tensors(path), network)
        except (AttributeError, KeyError, RuntimeError, ValueError) as error:
            raise WrongWeights(f"{path} does not fit the model: {error}") from error
        fill(network, tensors, path)
        return network  # type: ignore[no-any-return]
