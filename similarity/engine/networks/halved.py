"""Networks in bfloat16, for processors that multiply matrices of it (AMX).

What multiplies matrices takes bfloat16 and sums up in single precision; norms, and what is added
up from layer to layer, stay in single precision where the network has them so. The convolutions
of a ResNet, and of the compact networks, are laid out for the processor once, not at every call,
and what comes after one (an addition, a ReLU) is done while its result is at hand.
`docs/performance.md` has the figures.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

from similarity.engine.device import Network, Precision
from similarity.engine.networks.compact import Block, DetectorNetwork, EmbedderNetwork
from similarity.engine.networks.exported import agree
from similarity.engine.networks.mobilenet_v2 import MobileNetV2

AGREEMENT = 0.9999
"""The least cosine between what a packed network and the one that it is made of make of a probe."""

PROBE = (2, 3, 64, 64)

PACKABLE = (ResNet, MobileNetV2, EmbedderNetwork, DetectorNetwork)

AFTER: Mapping[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
"""What can be done with a convolution's result at once, by the names that oneDNN has for it."""

logger = logging.getLogger("similarity.engine")


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Where a network's layers compute in that precision."""
    halves = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=halves, cache_enabled=False)


def placed(network: Network, device: torch.device, precision: Precision) -> Network:
    """The network on its device, ready to compute in that precision (see `computing`)."""
    if precision != "bfloat16":
        return network.to(device)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.MultiheadAttention):
            module.to(torch.bfloat16)
    network.to(device)
    return _packed(network) if isinstance(network, PACKABLE) and device.type == "cpu" else network


def _packed(network: Network) -> Network:
    """A network whose batch norms have been put into its convolutions, with those laid out.

    The operators are those that torch.compile uses, and no promise of torch's: where they are not
    there, or make something else, the network stays as it is.
    """
    packed = deepcopy(network)
    try:
        _pack(packed)
        if agree(_probed(packed), _probed(network), AGREEMENT):
            return packed
        problem = "packed convolutions give other features"
    except (AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        problem = str(error)
    logger.warning("torch runs the network without packed convolutions: %s", problem)
    return network


def _probed(network: nn.Module) -> NDArray[np.float32]:
    """What a network makes of noise, a row a picture."""
    probe = torch.randn(PROBE, generator=torch.Generator().manual_seed(0))
    made: Any = network.features if hasattr(network, "features") else network
    with torch.inference_mode(), computing("bfloat16", probe.device):
        rows: NDArray[np.float32] = made(probe).float().flatten(1).numpy()
    return rows


def _pack(module: nn.Module) -> None:
    """Replace the blocks and convolutions within a module by packed ones, however deep."""
    if isinstance(module, ResNet):
        module.conv1 = PackedConvolution(module.conv1, nn.ReLU)
        module.relu = nn.Identity()
    for name, child in module.named_children():
        if isinstance(child, Bottleneck):
            setattr(module, name, PackedBottleneck(child))
        elif isinstance(child, Block):
            setattr(module, name, PackedBlock(child))
        elif isinstance(child, nn.Sequential) and isinstance(child[0], nn.Conv2d):
            setattr(module, name, _packed_layer(child))
        else:
            _pack(child)


def _packed_layer(layer: Any) -> PackedConvolution:
    """A convolution, and the ReLU that ends its Sequential, if one does."""
    return PackedConvolution(layer[0], type(layer[-1]))


class PackedConvolution(nn.Module):
    """A convolution of bfloat16, laid out for oneDNN, and what of `AFTER` comes after it."""

    def __init__(self, convolution: nn.Conv2d, after: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.after, self.limits = AFTER.get(after, ("none", []))
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
            pixels, self.weight, self.bias, *self.how, self.after, self.limits, ""
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
        self.first = PackedConvolution(block.conv1, nn.ReLU)
        self.second = PackedConvolution(block.conv2, nn.ReLU)
        self.third = PackedConvolution(block.conv3)
        self.shortcut: PackedConvolution | None = None
        if block.downsample is not None:
            self.shortcut = PackedConvolution(block.downsample[0])

    def forward(self, pixels: Tensor) -> Tensor:
        around = pixels if self.shortcut is None else self.shortcut(pixels)
        return self.third.added(self.second(self.first(pixels)), around)


class PackedBlock(nn.Module):
    """A compact network's block of two convolutions beside a short cut.

    It overwrites its input where that is the short cut, which no other layer then reads.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        first, second = block.body
        self.first, self.second = _packed_layer(first), _packed_layer(second)
        self.shortcut: PackedConvolution | None = None
        if isinstance(block.shortcut, nn.Sequential):
            self.shortcut = _packed_layer(block.shortcut)

    def forward(self, pixels: Tensor) -> Tensor:
        around = pixels if self.shortcut is None else self.shortcut(pixels)
        return self.second.added(self.first(pixels), around)
