"""Looks learnt by themselves, over a network that stays as it is.

What the network sees in many views of each garment is kept, and the one layer that reads looks
from it learns alone. That is so quick that each garment is told from hundreds of others at every
step: contrast gains from many of those (Chen et al., "SimCLR", ICML 2020, section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from similarity.engine.datasets import Photo, all_labels
from similarity.engine.device import fused, pick_device
from similarity.engine.networks.compact import READ, EmbedderNetwork, statistics
from similarity.engine.networks.pixels import CROP
from similarity.engine.training.augmentation import Dice
from similarity.engine.training.garments import GARMENTS, Batches, HeldOut, read_samples

CONTRASTED = 512
"""Garments of a batch, of each of which it has two views."""

TEMPERATURE = 0.05

STEPS = 250
"""Of an epoch."""


class Views(NamedTuple):
    """Garments as the network sees them."""

    read: Tensor
    """(n, 1088), in half precision: see `statistics`."""
    identities: Tensor
    """(n,): views of one garment, or product, share it."""


class LooksTask:
    """Learns to know a garment again, and leaves the backbone and kinds as they are.

    The loss is supervised contrast (Khosla et al., NeurIPS 2020) of garments.
    """

    learning_rate = 2e-3
    steps_per_epoch = STEPS

    def __init__(
        self,
        network: EmbedderNetwork,
        train: Sequence[Photo],
        held_out: Sequence[Photo],
        *,
        views: int,
        seed: int = 0,
        device: str = "auto",
        each: Callable[[], None] = lambda: None,
    ) -> None:
        """Look at so many views of each garment, more or less: chance prefers those of rare
        labels. `each` is called after every `2 * GARMENTS` of them."""
        samples = read_samples(train, all_labels(train), CROP)
        self.seed = seed
        self._held_out = HeldOut(held_out, CROP, seed)
        batches = Batches(samples, CROP, seed)
        self._views = _seen(
            network.to(pick_device(device)), batches, steps_of(views, len(samples)), each
        )
        network.requires_grad_(False)
        network.look.requires_grad_(True)
        self.modules = nn.ModuleDict({"network": network})
        self._contrast = losses.SupConLoss(TEMPERATURE)

    def batches(self) -> Dataset[Views]:
        return Pairs(self._views, self.seed)

    def losses(self, batch: Views, progress: float) -> dict[str, Tensor]:
        network = self.modules["network"]
        assert isinstance(network, EmbedderNetwork)
        looks = network.looks(batch.read.float())
        return {"looks": self._contrast(looks, batch.identities)}

    def measure(self, network: nn.Module) -> dict[str, float]:
        return self._held_out.measure(network)


def steps_of(views: int, garments: int) -> int:
    """Batches that show so many garments so often."""
    return -(-views * garments // (2 * GARMENTS))


def _seen(
    network: EmbedderNetwork, batches: Batches, steps: int, each: Callable[[], None]
) -> Views:
    """What the network's backbone makes of the first batches."""
    backbone = fused(deepcopy(network.backbone))
    place = next(backbone.parameters()).device
    rows = 2 * min(GARMENTS, len(batches.samples))
    # In one piece: thousands of small ones, kept between a step's large ones, tear the heap.
    read = torch.empty(steps, rows, READ, dtype=torch.half)
    identities = torch.empty(steps, rows, dtype=torch.long)
    ahead = DataLoader(batches, batch_size=None, sampler=range(steps), num_workers=1)
    for step, batch in enumerate(ahead):
        with torch.no_grad():
            read[step] = statistics(backbone(batch.images.to(place)))
        identities[step] = batch.identities
        each()
    return Views(read.flatten(0, 1), identities.flatten())


class Pairs(Dataset[Views]):
    """Item i is the batch of step i: two views each of garments that chance draws."""

    def __init__(self, views: Views, seed: int) -> None:
        order = views.identities.argsort(stable=True)
        counts = views.identities.bincount()
        firsts = counts.cumsum(0) - counts
        self._views = Views(*(column[order] for column in views))
        self._firsts, self._counts = firsts[counts > 1], counts[counts > 1]
        self.seed = seed

    def __getitem__(self, step: int) -> Views:
        dice = Dice(self.seed, step)
        chosen = torch.randperm(len(self._counts), generator=dice.generator)[:CONTRASTED]
        firsts, counts = self._firsts[chosen], self._counts[chosen]
        one = (dice.many(counts.shape, 0, 1) * counts).long()
        further = (dice.many(counts.shape, 0, 1) * (counts - 1)).long()
        rows = torch.cat([firsts + one, firsts + (one + 1 + further) % counts])
        return Views(*(column[rows] for column in self._views))
