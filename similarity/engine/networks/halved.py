"""Networks in bfloat16, for processors that multiply matrices of it (AMX).

What multiplies matrices takes bfloat16 and sums up in single precision; norms, and what is added
up from layer to layer, stay in single precision where the network has them so. A ResNet's
convolutions are laid out for the processor once, not at every call, and what comes after one (an
addition, a ReLU) is done while its result is at hand. `docs/performance.md` has the figures.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from similarity.engine.device import Network, Precision
from similarity.engine.networks.exported import agree

AGREEMENT = 0.9999
"""The least cosine between what a packed ResNet and the one that it is made of make of a probe."""

PROBE = (2, 3, 64, 64)

logger = logging.getLogger("similarity.engine")


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Where a network's layers compute in that precision."""
    halves = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=halves, cache_enabled=False)


def halved(network: Network, device: torch.device) -> Network:
    """The network on its device, ready to compute in bfloat16 (see `computing`)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.MultiheadAttention):
            module.to(torch.bfloat16)
    network.to(device)
    if isinstance(network, ResNet) and device.type == "cpu":
        _pack(network)
    return network


def _pack(network: ResNet) -> None:
    """Lay out the convolutions of a ResNet whose batch norms have been put into them.

    The operators are those that torch.compile uses, and no promise of torch's: where they are not
    there, or make something else, the network stays as it is.
    """
    kept = dict(network.named_children())
    probe = torch.randn(PROBE, generator=torch.Generator().manual_seed(0))
    try:
        expected = _features(network, probe)
        _replace(network)
        found = _features(network, probe)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        problem = str(error)
    else:
        if agree(found.numpy(), expected.numpy(), AGREEMENT):
            return
        problem = "packed convolutions give other features"
    for name, child in kept.items():
        setattr(network, name, child)
    logger.warning("torch runs the network without packed convolutions: %s", problem)


def _features(network: nn.Module, pixels: Tensor) -> Tensor:
    with torch.inference_mode(), computing("bfloat16", pixels.device):
        features: Tensor = network(pixels)
    return features.float()


def _replace(network: ResNet) -> None:
    network.conv1 = PackedConvolution(network.conv1, "relu")
    network.relu = nn.Identity()
    for name in ("layer1", "layer2", "layer3", "layer4"):
        blocks: Any = getattr(network, name)
        setattr(network, name, nn.Sequential(*map(PackedBottleneck, blocks)))


class PackedConvolution(nn.Module):
    """A convolution of bfloat16, laid out for oneDNN; "relu" or nothing ("none") comes after it."""

    def __init__(self, convolution: nn.Conv2d, after: str) -> None:
        super().__init__()
        self.after = after
        self.how = (
            convolution.padding,
            convolution.stride,
            convolution.dilation,
            convolution.groups,
        )
        weight = convolution.weight.detach()
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.how)  # noqa: SLF001
        self.bias = None if convolution.bias is None else convolution.bias.detach()

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(torch.bfloat16, memory_format=torch.channels_last)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            pixels, self.weight, self.bias, *self.how, self.after, [], ""
        )
        return result

    def added(self, pixels: Tensor, other: Tensor) -> Tensor:
        """The ReLU of the result and `other`, which is overwritten."""
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            other, pixels, self.weight, self.bias, *self.how, "add", 1.0, "relu", [], ""
        )
        return result


class PackedBottleneck(nn.Module):
    """He et al.'s block of three convolutions around which its input, or one more, goes."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        self.first = PackedConvolution(block.conv1, "relu")
        self.second = PackedConvolution(block.conv2, "relu")
        self.third = PackedConvolution(block.conv3, "none")
        self.shortcut: PackedConvolution | None = None
        if block.downsample is not None:
            self.shortcut = PackedConvolution(block.downsample[0], "none")

    def forward(self, pixels: Tensor) -> Tensor:
        around = pixels if self.shortcut is None else self.shortcut(pixels)
        return self.third.added(self.second(self.first(pixels)), around)
