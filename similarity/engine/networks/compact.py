"""The compact networks: a small residual backbone, an embedder's head and a detector's head.

Residual blocks: He et al., "Deep residual learning for image recognition", CVPR 2016. Plain
3 x 3 convolutions, because those are what a CPU without matrix units computes best: per second
and per operation they were two to three times as fast here as depthwise ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from similarity.engine.device import fill, read_tensors

WIDTHS = (48, 96, 192, 256)
"""Channels at the strides 4, 8, 16 and 32."""

DEPTHS = (1, 1, 2, 1)
"""Residual blocks at each of them."""

STEM = 32


def convolution(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """A convolution with batch norm and, unless told otherwise, a ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a short cut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, stride=stride), convolution(outputs, outputs, relu=False)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same else convolution(inputs, outputs, 1, stride, relu=False)
        )

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.body(features) + self.shortcut(features), inplace=True)


class Pyramid(nn.Module):
    """Images (n, 3, h, w) to feature maps at the strides 4, 8, 16 and 32, finest first."""

    widths: Sequence[int]
    """Channels of each of the maps."""


class Backbone(Pyramid):
    """The pyramid that the compact networks stand on."""

    def __init__(
        self, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS, stem: int = STEM
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = convolution(3, stem, stride=2)
        stages, inputs = [], stem
        for width, depth in zip(widths, depths, strict=True):
            blocks = [Block(inputs, width, 2), *(Block(width, width, 1) for _ in range(depth - 1))]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


KIND, LOOK = 64, 64
"""How many of a vector's numbers tell the kind of a garment, and how many its looks."""

SHARE = 0.8
"""How much of a cosine the kind makes up: docs/models.md has the figures of others."""

LOOKED_AT = 3
"""Maps of which looks are read: those at the strides 8, 16 and 32."""

READ = 2 * sum(WIDTHS[-LOOKED_AT:])
"""Numbers that looks are read from: see `statistics`."""

FLATTEST = 1e-12
"""Least variance of a map that is told: a root has no slope at nothing."""

EARLIER_LOOK = {"look.weight": (LOOK, WIDTHS[-1]), "look.bias": (LOOK,)}
"""Tensors of an embedder that reads looks from the coarsest map's means alone, by their shapes."""


class EmbedderNetwork(nn.Module):
    """Crops (n, 3, h, w) to a vector of two unit halves: what it is, and how it looks.

    The halves are trained apart (by label; by the same photo seen twice), because one vector
    for both is a compromise that neither wins. Kinds are read from the coarsest map; looks, of
    which colour and pattern are the most, from finer ones as well, where those still are. The
    weights hold their `share` as well.
    """

    def __init__(self, share: float = SHARE) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.kind = nn.Linear(self.backbone.widths[-1], KIND)
        self.look = nn.Sequential(nn.BatchNorm1d(READ, affine=False), nn.Linear(READ, LOOK))
        self.share: Tensor
        self.register_buffer("share", torch.tensor(share))

    def features(self, crops: Tensor) -> Tensor:
        """The coarsest feature map, (n, 256, h / 32, w / 32)."""
        coarsest: Tensor = self.backbone(crops)[-1]
        return coarsest

    def halves(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Unit rows (n, 64) and (n, 64) of the backbone's feature maps."""
        kind = self.kind(maps[-1].float().mean((2, 3))).float()
        return functional.normalize(kind), self.looks(statistics(maps))

    def looks(self, read: Tensor) -> Tensor:
        """Unit rows (n, 64) of maps' statistics."""
        return functional.normalize(self.look(read).float())

    def forward(self, crops: Tensor) -> Tensor:
        kind, look = self.halves(self.backbone(crops))
        return torch.cat([kind * self.share.sqrt(), look * (1 - self.share).sqrt()], 1)


def statistics(maps: Sequence[Tensor]) -> Tensor:
    """Each channel's mean in the maps at the strides 32, 16 and 8, and its deviation, (n, 1088).

    They tell a texture whatever lies where: Huang and Belongie, "Arbitrary style transfer in real
    time with adaptive instance normalization", ICCV 2017.
    """
    read = [one.float() for one in maps[::-1][:LOOKED_AT]]
    means = [one.mean((2, 3), keepdim=True) for one in read]
    # By hand, for torch.std_mean takes four times as long over channels that lie last.
    variances = [(one - mean).square().mean((2, 3)) for one, mean in zip(read, means, strict=True)]
    deviations = [variance.clamp(min=FLATTEST).sqrt() for variance in variances]
    return torch.cat([*(mean.flatten(1) for mean in means), *deviations], 1)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A compact network's tensors. Raises WrongWeights if they cannot be read.

    Those of an embedder that reads looks from the coarsest map's means alone, as all did once
    (`EARLIER_LOOK`), are told as one's that gives the others no weight.
    """
    tensors = read_tensors(path)
    shapes = {name: tuple(tensors[name].shape) for name in EARLIER_LOOK if name in tensors}
    return _reading_more(tensors) if shapes == EARLIER_LOOK else tensors


def read_embedder(path: Path) -> EmbedderNetwork:
    """Raises WrongWeights if the file does not hold one's weights."""
    network = EmbedderNetwork()
    fill(network, read_weights(path), path, ("num_batches_tracked",))
    return network


def _reading_more(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    kept = {name: tensor for name, tensor in tensors.items() if name not in EARLIER_LOOK}
    weight = tensors["look.weight"]
    return kept | {
        "look.0.running_mean": torch.zeros(READ, dtype=weight.dtype),
        "look.0.running_var": torch.ones(READ, dtype=weight.dtype),
        "look.1.weight": functional.pad(weight, (0, READ - weight.shape[1])),
        "look.1.bias": tensors["look.bias"],
    }


NECK = 80
"""Channels of the detector's merged map."""


def _head(outputs: int, *, spread: float, bias: float) -> nn.Sequential:
    """A convolution and the numbers of each cell, which begin near `bias`."""
    last = nn.Conv2d(NECK, outputs, 1)
    nn.init.normal_(last.weight, std=spread)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]  # it has one
    return nn.Sequential(convolution(NECK, NECK), last)


class DetectorNetwork(nn.Module):
    """Photos (n, 3, h, w), h and w multiples of 32, to what is where on a grid of 8 pixels a cell.

    Gives the logits (n, labels, h / 8, w / 8) that a garment of that label has its middle in a
    cell, and the distances (n, labels, 4, h / 8, w / 8) in pixels from the cell's middle to that
    garment's left, top, right and bottom edge. Every label has its own box, since garments are
    worn over one another: a coat and the dress under it have their middles in one place.

    The coarser maps are merged into the finer: Lin et al., "Feature pyramid networks for object
    detection", CVPR 2017. One middle a garment: Zhou et al., "Objects as points", 2019.
    """

    stride = 8

    def __init__(self, labels: int, backbone: Pyramid | None = None) -> None:
        super().__init__()
        self.labels = labels
        self.backbone = backbone or Backbone()
        self.lateral = nn.ModuleList(
            convolution(width, NECK, 1, relu=False) for width in self.backbone.widths[1:]
        )
        self.merge = convolution(NECK, NECK)
        self.middles = _head(labels, spread=0.1, bias=-4.6)  # a middle in one cell of a hundred
        self.edges = _head(4 * labels, spread=0.01, bias=1.0)

    def features(self, photos: Tensor) -> Tensor:
        """The merged map, (n, 80, h / 8, w / 8)."""
        merged: Tensor | None = None
        maps = self.backbone(photos)[1:]
        for layer, features in reversed(list(zip(self.lateral, maps, strict=True))):
            side = layer(features)
            merged = (
                side if merged is None else side + functional.interpolate(merged, scale_factor=2.0)
            )
        assert merged is not None
        made: Tensor = self.merge(functional.relu(merged))
        return made

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        return self.told(self.features(photos))

    def told(self, merged: Tensor) -> tuple[Tensor, Tensor]:
        """The logits and the distances that a merged map says."""
        distances = self.edges(merged).float().clamp(max=6.0).exp() * self.stride
        return self.middles(merged).float(), distances.unflatten(1, (self.labels, 4))
