"""What embedders share that run a torch network over batches of crops."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from similarity.engine.batches import in_batches
from similarity.engine.contracts import Vectors
from similarity.engine.device import (
    Precision,
    batch_size_on,
    marks,
    pick_device,
    pick_precision,
    prepare_torch,
)
from similarity.engine.errors import MissingWeights
from similarity.engine.weights import Lazy, digest, find, lacking, sha256, torch_hub_checkpoints

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class NetworkEmbedder(ABC):
    """An embedder but for what tells one from another: files, pixels and the network itself.

    Crops become pixels on the processor, the network runs on `device`, and every row is brought
    to length 1 in single precision. A vector that was computed in bfloat16 is not quite that of
    single precision (cosine at least 0.999), so the two have different fingerprints, and never mix.
    """

    light: ClassVar[bool] = False
    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Goes up when the same weights begin to give other vectors."""
    packages: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    """What has to be installed."""

    def __init__(
        self,
        models_dir: Path | str,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.device = device
        self.precision = pick_precision(precision)
        self.batch_size = batch_size
        self._network = Lazy(self._load)

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that vectors depend on. Raises MissingWeights if one is not there."""

    @abstractmethod
    def pixels(self, crop: Image) -> NDArray[np.float32]:
        """The network's input for a crop, (3, height, width)."""

    @abstractmethod
    def read(self) -> torch.nn.Module:
        """The network with its weights. Raises WrongWeights if they do not fit."""

    def describe(self, network: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Rows (n, dim) of any length for pixels (n, 3, height, width)."""
        rows: torch.Tensor = network(pixels)
        return rows

    @property
    def fingerprint(self) -> str:
        return digest(self.name, self.version, *map(sha256, self.files()), *marks(self.precision))

    def missing(self) -> list[str]:
        return lacking(*self.packages, weights=self.files)

    def embed(self, crops: Sequence[Image]) -> Vectors:
        return self.by_batches(self._embed, crops)

    def by_batches(self, embed: Callable[[Sequence[T]], Vectors], items: Sequence[T]) -> Vectors:
        """What `embed` makes of all items, a few at a time; loads the network before the first."""
        if items:
            self._network.get()  # says what is missing before anything else does
        size = self.batch_size or batch_size_on(self.device)
        return in_batches(embed, items, size=size, dim=self.dim)

    def run(self, work: Callable[[Any, torch.device], torch.Tensor]) -> Vectors:
        """Unit rows of what `work` gets from the network, on its device, in its precision."""
        network = self._network.get()
        import torch

        from similarity.engine.networks.halved import computing

        device = pick_device(self.device)
        with torch.inference_mode(), computing(self.precision, device):
            rows = work(network, device)
        return unit_rows(rows)

    def _embed(self, crops: Sequence[Image]) -> Vectors:
        import torch

        pixels = torch.from_numpy(np.stack([self.pixels(crop) for crop in crops]))
        return self.run(lambda network, device: self.describe(network, pixels.to(device)))

    def _load(self) -> torch.nn.Module:
        if sentences := self.missing():
            raise MissingWeights(" ".join(sentences))
        prepare_torch()
        from similarity.engine.networks.halved import placed

        network = self.read().eval().requires_grad_(False)
        return placed(network, pick_device(self.device), self.precision)


def unit_rows(rows: torch.Tensor) -> Vectors:
    """Rows (n, dim) from whatever device and precision, each brought to length 1."""
    import torch

    vectors: Vectors = torch.nn.functional.normalize(rows.float().cpu()).numpy()
    return vectors


def checkpoint(models_dir: Path, names: Sequence[str], model: str) -> Path:
    """The first of these files in `models_dir`, or among what torch.hub has once downloaded.

    Raises MissingWeights, which says how to get them.
    """
    path = find(models_dir, names, also=[torch_hub_checkpoints()])
    if path is None:
        raise MissingWeights(
            f"The weights of {model} are missing: put {' or '.join(names)} into {models_dir}, "
            f"or run: manage.py models fetch {model}"
        )
    return path
