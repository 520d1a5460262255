"""ResNet-50's pooled features as a garment's vector: the general ImageNet baseline.

He et al., "Deep residual learning for image recognition", CVPR 2016; weights of torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.batches import in_batches
from similarity.engine.contracts import Vectors
from similarity.engine.device import (
    Precision,
    batch_size_on,
    fill,
    fused,
    marks,
    pick_device,
    pick_precision,
    prepare_torch,
    read_tensors,
)
from similarity.engine.errors import MissingWeights
from similarity.engine.networks.pixels import IMAGENET, middle, scaled
from similarity.engine.weights import (
    Lazy,
    WeightsFile,
    digest,
    find,
    lacking,
    sha256,
    torch_hub_checkpoints,
)

if TYPE_CHECKING:
    import torch

    from similarity.engine.networks.exported import Run

PUBLISHED = (
    WeightsFile(
        "resnet50-11ad3fa6.pth",
        "For torchvision's IMAGENET1K_V2 run: manage.py models fetch resnet50.",
    ),
    WeightsFile(
        "resnet50-0676ba61.pth",
        "For torchvision's IMAGENET1K_V1 run: manage.py models fetch resnet50_v1.",
    ),
)

# The preset of IMAGENET1K_V2: the shorter side to 232 pixels, bilinear with antialiasing, then
# the 224 in the middle.
RESIZED, INPUT = 232, 224


class ResNet50Embedder:
    """2048 numbers a crop, from the average pool in front of the classifier.

    `weights` names a file in `models_dir` or in torch.hub's cache; by default either of
    torchvision's own will do, V2 before V1. A .safetensors file of the same tensors will, too.

    In single precision on a processor ONNX Runtime runs it, if that is installed, from a copy in
    `models_dir`/exported; else torch does. A vector of bfloat16 is not quite that of single
    precision (cosine at least 0.999), so the two have different fingerprints, and never mix.
    """

    light: ClassVar[bool] = False
    dim: ClassVar[int] = 2048

    def __init__(
        self,
        models_dir: Path | str,
        *,
        weights: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.names = [weights] if weights else [file.name for file in PUBLISHED]
        self.device = device
        self.precision = pick_precision(precision)
        self.batch_size = batch_size
        self._run = Lazy(self._load)

    @property
    def fingerprint(self) -> str:
        return digest(
            "resnet50", 1, RESIZED, INPUT, sha256(self._weights()), *marks(self.precision)
        )

    def missing(self) -> list[str]:
        return lacking("torch", "torchvision", weights=self._weights)

    def embed(self, crops: Sequence[Image]) -> Vectors:
        if crops:
            self._run.get()  # says what is missing before anything else does
        size = self.batch_size or batch_size_on(self.device)
        return in_batches(self._embed, crops, size=size, dim=self.dim)

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
        features = self._run.get()(np.stack([_pixels(crop) for crop in crops]))
        vectors: Vectors = features / np.linalg.norm(features, axis=1, keepdims=True)
        return vectors

    def _load(self) -> Run:
        if sentences := self.missing():
            raise MissingWeights(" ".join(sentences))
        prepare_torch()
        from similarity.engine.networks.exported import exported
        from similarity.engine.networks.halved import placed

        device = pick_device(self.device)
        if device.type == "cpu" and self.precision == "float32":
            key = digest("resnet50", 1, sha256(self._weights()))[:32]
            run = exported(self._network, self.models_dir / "exported", key, (3, INPUT, INPUT))
            if run is not None:
                return run
        network = placed(self._network(), device, self.precision)
        return partial(run_by_torch, network, device, self.precision)

    def _network(self) -> torch.nn.Module:
        """The network of the weights in single precision, its batch norms put into convolutions."""
        from torch.nn import Identity
        from torchvision.models import resnet50

        network: torch.nn.Module = resnet50(weights=None)
        network.fc = Identity()
        path = self._weights()
        optional = ("num_batches_tracked", "fc.weight", "fc.bias")
        fill(network, read_tensors(path), path, optional)
        return fused(network)


def run_by_torch(
    network: torch.nn.Module,
    device: torch.device,
    precision: Precision,
    pixels: NDArray[np.float32],
) -> Vectors:
    """The features of a batch (n, 3, height, width), as torch computes them."""
    import torch

    from similarity.engine.networks.halved import computing

    batch = torch.from_numpy(pixels).to(device, memory_format=torch.channels_last)
    with torch.inference_mode(), computing(precision, device):
        features: Vectors = network(batch).float().cpu().numpy()
    return features


def _pixels(crop: Image) -> NDArray[np.float32]:
    """The network's input, (3, INPUT, INPUT)."""
    return scaled(middle(crop, (INPUT, INPUT), INPUT / RESIZED, Resampling.BILINEAR), *IMAGENET)
