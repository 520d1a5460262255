"""The project's own detector: ten kinds of garments in flat-lay and street photos.

A small network that the project trains itself (`manage.py train_detector`) and ships;
`docs/models.md` has its figures, the model card beside the weights what it is good for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from PIL.Image import Image

from similarity.engine.contracts import Detection
from similarity.engine.device import (
    Precision,
    fill,
    fused,
    marks,
    pick_device,
    pick_precision,
    prepare_torch,
    read_metadata,
    read_tensors,
)
from similarity.engine.errors import MissingWeights, WrongWeights
from similarity.engine.weights import Lazy, digest, lacking, own_or_shipped, sha256

if TYPE_CHECKING:
    from similarity.engine.networks.compact import DetectorNetwork


@dataclass(frozen=True, slots=True)
class _Model:
    network: DetectorNetwork
    labels: list[str]
    threshold: float


class CompactDetector:
    """Boxes of garments with one of the labels that the weights were trained for.

    `weights` names a file in `models_dir`, where a shop keeps what it has trained itself, or
    among the shipped ones. `threshold` (0 to 1) is the least score of a detection; by default
    the one that training found best and wrote into the weights. `precision` is what a processor
    computes in, and so does a GPU if it is named.
    """

    light: ClassVar[bool] = True

    def __init__(
        self,
        models_dir: Path | str,
        *,
        weights: str = "compact_detector.safetensors",
        threshold: float | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        self.models_dir = Path(models_dir)
        self.weights = weights
        self.threshold = threshold
        self.device = device
        self.precision = pick_precision(precision)
        self._model = Lazy(self._load)

    @property
    def fingerprint(self) -> str:
        return digest("compact detector", 4, sha256(self._path()), *marks(self.precision))

    def missing(self) -> list[str]:
        return lacking("torch", "torchvision", "safetensors", weights=self._path)

    def detect(self, image: Image) -> list[Detection]:
        model = self._model.get()
        from similarity.engine.networks.halved import computing
        from similarity.engine.networks.looking import look

        with computing(self.precision, pick_device(self.device)):
            return look(model.network, image, model.labels, model.threshold)

    def _path(self) -> Path:
        return own_or_shipped(self.models_dir, self.weights, "train_detector")

    def _load(self) -> _Model:
        if sentences := self.missing():
            raise MissingWeights(" ".join(sentences))
        prepare_torch()
        from similarity.engine.networks.compact import DetectorNetwork
        from similarity.engine.networks.halved import placed

        path = self._path()
        labels, best = _described(path)
        network = DetectorNetwork(len(labels))
        fill(network, read_tensors(path), path, ("num_batches_tracked",))
        threshold = best if self.threshold is None else self.threshold
        served = placed(fused(network), pick_device(self.device), self.precision)
        return _Model(served, labels, threshold)


def _described(path: Path) -> tuple[list[str], float]:
    """The labels that a file of weights tells apart, and the best threshold."""
    said = read_metadata(path)
    try:
        labels = [str(label) for label in json.loads(said["labels"])]
        return labels, float(said["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise WrongWeights(f"{path} does not say its labels and threshold: {error!r}") from error
