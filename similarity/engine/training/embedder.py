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
from similarity.engine.networks.pixels import CROP
from similarity.engine.training.garments import GARMENTS, Batch, Batches, HeldOut, read_samples
from similarity.engine.training.lessons import Lessons, Teacher
from similarity.engine.training.trainer import quickly

MEMORY = 2048
"""Vectors of former steps that a batch is contrasted with as well (Wang et al., "Cross-batch
memory for embedding learning", CVPR 2020)."""

SMALL_UNTIL, SMALLER = 0.45, 0.75
"""The first part of a training looks at smaller pictures: half the work a picture, and the last
part makes up for it (Touvron et al., "Fixing the train-test resolution discrepancy", 2019)."""

MIXED = 0.5
"""Share of the batches, where there is a teacher, that show pictures with a part of another."""

Loss = Callable[[Tensor, Tensor], Tensor]

TEMPERATURE = 0.1
PROXY_TEMPERATURE = 0.07


class EmbedderTask:
    """Learns to tell garments apart from labelled photos.

    Losses, weighted: a softmax over each label's proxy (Zhai and Wu, "Classification is a
    strong baseline for deep metric learning", BMVC 2019) and supervised contrast (Khosla et al.,
    NeurIPS 2020) or triplets (Schroff et al., "FaceNet", CVPR 2015) for the kind; contrast of two
    views (Chen et al., "SimCLR", ICML 2020) for the looks, which is supervised contrast by
    garment; labels once more, straight from the features; and, where there is a teacher, what it
    makes of every batch (`lessons`).
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
        self.seed = seed
        self.steps_per_epoch = max(1, len(self.samples) // GARMENTS)
        self._held_out = HeldOut(held_out, CROP, seed)
        self._teacher: Teacher | None = None
        torch.manual_seed(seed)  # of the weights to begin with
        network = EmbedderNetwork()
        width = network.backbone.widths[-1]
        self.modules = nn.ModuleDict(
            {
                "network": network,
                "classes": nn.Linear(width, len(self.labels)),
                "proxies": losses.NormalizedSoftmaxLoss(
                    len(self.labels), KIND, temperature=PROXY_TEMPERATURE
                ),
            }
        )
        self._kinds = KIND_LOSSES[loss]()
        self._looks = losses.CrossBatchMemory(losses.SupConLoss(TEMPERATURE), LOOK, MEMORY)

    def listen_to(self, teacher: Teacher) -> None:
        """Learn from what it makes of every batch, too."""
        self._teacher = teacher
        network = self.modules["network"]
        assert isinstance(network, EmbedderNetwork)
        torch.manual_seed(self.seed)
        self.modules["lessons"] = Lessons(network.backbone.widths, teacher.widths)

    def batches(self) -> Dataset[Batch]:
        return Batches(self.samples, CROP, self.seed, mixed=MIXED if self._teacher else 0)

    def losses(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        images, labels = batch.images, batch.labels
        if progress < SMALL_UNTIL:
            images = functional.interpolate(
                images, scale_factor=SMALLER, mode="bilinear", antialias=True
            )
        network = self.modules["network"]
        assert isinstance(network, EmbedderNetwork)
        with quickly(images.device):
            maps = network.backbone(images)
        kind, look = network.halves(maps)
        proxies = self.modules["proxies"]
        assert isinstance(proxies, losses.NormalizedSoftmaxLoss)
        said: dict[str, Tensor] = {}
        if self._teacher is not None:
            lessons = self.modules["lessons"]
            assert isinstance(lessons, Lessons)
            seen = self._teacher.look(batch.images)
            said |= lessons.losses(seen, maps, kind, proxies.get_logits(kind))
        if batch.mixed:
            return said
        guesses = self.modules["classes"](maps[-1].float().mean((2, 3)))
        return said | {
            "proxies": 0.5 * proxies(kind, labels),
            "kinds": 0.25 * self._kinds(kind, labels),
            "classes": 0.25 * functional.cross_entropy(guesses, labels, label_smoothing=0.1),
            "looks": 0.35 * self._looks(look, batch.identities),
        }

    def measure(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, EmbedderNetwork)
        return self._held_out.measure(network)


def _contrastive() -> Any:
    return losses.CrossBatchMemory(losses.SupConLoss(TEMPERATURE), KIND, MEMORY)


def _triplets() -> Any:
    """Triplets whose negative is no further than the positive and a margin (FaceNet, 3.2)."""
    miner = miners.TripletMarginMiner(margin=0.2, type_of_triplets="all")
    return losses.CrossBatchMemory(losses.TripletMarginLoss(margin=0.2), KIND, MEMORY, miner)


KIND_LOSSES: Mapping[str, Callable[[], Loss]] = {"contrastive": _contrastive, "triplet": _triplets}
