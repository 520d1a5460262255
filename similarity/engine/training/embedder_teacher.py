"""The embedder's teacher is taught our labels first: then it sees what the pupil is to see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from similarity.engine.datasets import Photo, all_labels
from similarity.engine.networks.mobilenet_v2 import FEATURES, MobileNetV2
from similarity.engine.training.embedder import PROXY_TEMPERATURE
from similarity.engine.training.garments import GARMENTS, Batch, Batches, HeldOut, read_samples
from similarity.engine.training.lessons import SIZE, Teacher
from similarity.engine.training.teacher import as_seen_by_teacher, free
from similarity.engine.training.trainer import quickly

DROPPED = 0.3
"""Share of the features that the labels are not told of, each time others."""


class Tuned(nn.Module):
    """The teacher for crops (n, 3, h, w) as the pupil sees them: unit rows (n, 1280)."""

    def __init__(self, teacher: MobileNetV2) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, crops: Tensor) -> Tensor:
        return functional.normalize(self.pooled(crops))

    def pooled(self, crops: Tensor) -> Tensor:
        """Features (n, 1280), none below zero."""
        with quickly(crops.device):
            maps = self.teacher.maps(as_seen_by_teacher(crops))
        return maps.float().mean((2, 3))


class TuningTask:
    """Learns to tell our labels apart: a softmax over each label's proxy, and one straight from
    the features, as in the pupil's own training."""

    learning_rate = 3e-4

    def __init__(
        self,
        teacher: MobileNetV2,
        train: Sequence[Photo],
        held_out: Sequence[Photo],
        *,
        seed: int = 0,
    ) -> None:
        labels = all_labels(train)
        self.samples = read_samples(train, labels, SIZE)
        self.seed = seed
        self.steps_per_epoch = max(1, len(self.samples) // GARMENTS)
        self._held_out = HeldOut(held_out, SIZE, seed)
        torch.manual_seed(seed)
        free(teacher)
        self.modules = nn.ModuleDict(
            {
                "network": Tuned(teacher),
                "classes": nn.Sequential(nn.Dropout(DROPPED), nn.Linear(FEATURES, len(labels))),
                "proxies": losses.NormalizedSoftmaxLoss(
                    len(labels), FEATURES, temperature=PROXY_TEMPERATURE
                ),
            }
        )

    def batches(self) -> Dataset[Batch]:
        return Batches(self.samples, SIZE, self.seed)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        network = self.modules["network"]
        assert isinstance(network, Tuned)
        features = network.pooled(batch.images)
        guesses = self.modules["classes"](features)
        return {
            "proxies": 0.5 * self.modules["proxies"](features, batch.labels),
            "classes": functional.cross_entropy(guesses, batch.labels, label_smoothing=0.1),
        }

    def taught(self, network: nn.Module) -> Teacher:
        """The trained network as a teacher that knows the labels."""
        assert isinstance(network, Tuned)
        return Teacher(network.teacher, self.modules["proxies"])

    def measure(self, network: nn.Module) -> dict[str, float]:
        return self._held_out.measure(network)
