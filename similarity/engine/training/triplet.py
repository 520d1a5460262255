"""The triplet embedder's lessons: a garment is nearer to its like than to any other.

Schroff et al., "FaceNet", CVPR 2015. Two kinds of triplets: by label (a dress, another dress, a
shoe), and by product (a dress, the same dress seen otherwise, another dress), which is nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn
from torch.utils.data import Dataset

from similarity.engine.datasets import Photo, all_labels
from similarity.engine.networks.triplet import DIM, TripletNetwork
from similarity.engine.training.garments import GARMENTS, Batch, Batches, HeldOut, read_samples
from similarity.engine.training.trainer import quickly

MEMORY = 2048
"""Vectors of former steps that a batch is compared with as well (Wang et al., "Cross-batch memory
for embedding learning", CVPR 2020)."""

MARGIN_OF_LABELS, MARGIN_OF_PRODUCTS = 0.2, 0.1


class TripletTask:
    """Learns to tell garments apart from labelled photos, by triplets alone."""

    learning_rate = 3e-4  # a network that has seen ImageNet is to be changed, not made

    def __init__(
        self,
        train: Sequence[Photo],
        held_out: Sequence[Photo],
        *,
        size: tuple[int, int],
        seed: int = 0,
    ) -> None:
        self.labels = all_labels(train)
        self.size = size
        self.samples = read_samples(train, self.labels, size)
        self.seed = seed
        self.steps_per_epoch = max(1, len(self.samples) // GARMENTS)
        self._held_out = HeldOut(held_out, size, seed)
        torch.manual_seed(seed)  # of the weights to begin with
        self.modules = nn.ModuleDict({"network": TripletNetwork()})
        self._labels = losses.CrossBatchMemory(
            losses.TripletMarginLoss(MARGIN_OF_LABELS), DIM, MEMORY, _miner(MARGIN_OF_LABELS)
        )
        self._products = losses.TripletMarginLoss(MARGIN_OF_PRODUCTS)
        self._hard = _miner(MARGIN_OF_PRODUCTS)

    def batches(self) -> Dataset[Batch]:
        return Batches(self.samples, self.size, self.seed)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        with quickly(batch.images.device):
            vectors = self.modules["network"](batch.images)
        hard = self._hard(vectors, batch.identities)
        return {
            "labels": self._labels(vectors, batch.labels),
            "products": self._products(vectors, batch.identities, hard),
        }

    def measure(self, network: nn.Module) -> dict[str, float]:
        return self._held_out.measure(network)


def _miner(margin: float) -> Any:
    """Triplets whose negative is no further than the positive and the margin (FaceNet, 3.2)."""
    return miners.TripletMarginMiner(margin=margin, type_of_triplets="all")
