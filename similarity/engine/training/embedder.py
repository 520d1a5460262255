"""The compact embedder's lessons: kinds by label, looks by seeing one garment twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from similarity.engine.datasets import Photo, all_labels
from similarity.engine.networks.compact import KIND, LOOK, EmbedderNetwork
from similarity.engine.networks.mobilenet_v2 import MobileNetV2
from similarity.engine.networks.pixels import CROP
from similarity.engine.training.garments import GARMENTS, Batch, Batches, HeldOut, read_samples
from similarity.engine.training.lessons import CHANNELS, Lessons
from similarity.engine.training.trainer import quickly

MEMORY = 2048
"""Vectors of former steps that a batch is contrasted with as well (Wang et al., "Cross-batch
memory for embedding learning", CVPR 2020)."""

SMALL_UNTIL, SMALLER = 0.45, 0.75
"""The first part of a training looks at smaller pictures: half the work a picture, and the last
part makes up for it (Touvron et al., "Fixing the train-test resolution discrepancy", 2019)."""

Loss = Callable[[Tensor, Tensor], Tensor]

TEMPERATURE = 0.1
PROXY_TEMPERATURE = 0.07


class EmbedderTask:
    """Learns to tell garments apart from labelled photos.

    Six losses, weighted: a softmax over each label's proxy (Zhai and Wu, "Classification is a
    strong baseline for deep metric learning", BMVC 2019) and supervised contrast (Khosla et al.,
    NeurIPS 2020) or triplets (Schroff et al., "FaceNet", CVPR 2015) for the kind; contrast of two
    views (Chen et al., "SimCLR", ICML 2020) for the looks, which is supervised contrast by
    garment; labels once more, straight from the features; and, where there is a teacher, its
    features, and which garments are alike to it (Park et al., "Relational knowledge distillation",
    CVPR 2019).
    """

    learning_rate = 1e-3

    def __init__(
        self,
        train: Sequence[Photo],
        held_out: Sequence[Photo],
        *,
        loss: str = "contrastive",
        seed: int = 0,
    ) -> None:
        self.labels = all_labels(train)
        self.samples = read_samples(train, self.labels, CROP)
        self.lessons: Lessons | None = None
        self.seed = seed
        self.steps_per_epoch = max(1, len(self.samples) // GARMENTS)
        self._held_out = HeldOut(held_out, CROP, seed)
        torch.manual_seed(seed)  # of the weights to begin with
        network = EmbedderNetwork()
        width = network.backbone.widths[-1]
        self.modules = nn.ModuleDict(
            {
                "network": network,
                "pupil": nn.Conv2d(width, CHANNELS, 1),
                "classes": nn.Linear(width, len(self.labels)),
                "proxies": losses.NormalizedSoftmaxLoss(
                    len(self.labels), KIND, temperature=PROXY_TEMPERATURE
                ),
            }
        )
        self._kinds = KIND_LOSSES[loss]()
        self._looks = losses.CrossBatchMemory(losses.SupConLoss(TEMPERATURE), LOOK, MEMORY)

    def listen_to(self, teacher: MobileNetV2, each: Callable[[], None] = lambda: None) -> None:
        """Have it look at every garment, calling `each` after it: what it sees is learnt too."""
        self.lessons = Lessons.learn(teacher, [sample.pixels for sample in self.samples], each)

    def batches(self) -> Dataset[Batch]:
        return Batches(self.samples, CROP, self.seed, self.lessons)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        images, labels = batch.images, batch.labels
        if progress < SMALL_UNTIL:
            images = functional.interpolate(
                images, scale_factor=SMALLER, mode="bilinear", antialias=True
            )
        network = self.modules["network"]
        assert isinstance(network, EmbedderNetwork)
        with quickly(images.device):
            features = network.features(images)
        features = features.float()
        kind, look = network.halves(features)
        guesses = self.modules["classes"](features.mean((2, 3)))
        said = {
            "proxies": 0.5 * self.modules["proxies"](kind, labels),
            "kinds": 0.25 * self._kinds(kind, labels),
            "classes": 0.25 * functional.cross_entropy(guesses, labels, label_smoothing=0.1),
            "looks": 0.35 * self._looks(look, batch.identities),
        }
        if batch.lessons.numel():
            made = self.modules["pupil"](features)
            said["teacher"] = _distance(made, batch.lessons, batch.weights)
            said["relations"] = 8 * _unlikeness(kind, batch.lessons, batch.weights)
        return said

    def measure(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, EmbedderNetwork)
        return self._held_out.measure(network)


def _distance(made: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """How far features (n, c, h, w) are from the teacher's: cell by cell, and all in all."""
    size = made.shape[-2:]
    wanted = functional.interpolate(wanted, size=size, mode="bilinear")
    weights = functional.interpolate(weights, size=size, mode="bilinear")
    cells = (functional.smooth_l1_loss(made, wanted, reduction="none") * weights).mean()
    means = functional.cosine_similarity(_pooled(made, weights), _pooled(wanted, weights))
    return 2 * cells / weights.mean() + (1 - means).mean()


def _unlikeness(kinds: Tensor, seen: Tensor, weights: Tensor) -> Tensor:
    """How far cosines of unit rows (n, d) are from those of what the teacher saw, squared."""
    rows = functional.normalize(_pooled(seen, weights))
    return functional.mse_loss(kinds @ kinds.T, rows @ rows.T)


def _pooled(features: Tensor, weights: Tensor) -> Tensor:
    """Weighted means (n, c) of the cells of feature maps (n, c, h, w)."""
    return (features * weights).sum((2, 3)) / weights.sum((2, 3)).clamp(min=1e-3)


def _contrastive() -> Any:
    return losses.CrossBatchMemory(losses.SupConLoss(TEMPERATURE), KIND, MEMORY)


def _triplets() -> Any:
    """Triplets whose negative is no further than the positive and a margin (FaceNet, 3.2)."""
    miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets="all")
    return losses.CrossBatchMemory(losses.TripletMarginLoss(margin=0.2), KIND, MEMORY, miner)


KIND_LOSSES: Mapping[str, Callable[[], Loss]] = {"contrastive": _contrastive, "triplet": _triplets}
