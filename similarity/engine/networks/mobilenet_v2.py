"""MobileNetV2 as a list of steps, with its batch norms folded into the convolutions.

Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018. The steps
follow TensorFlow's padding: at a stride of 2 it puts the odd pixel to the right and below.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from similarity.engine.errors import WrongWeights

Step = Mapping[str, Any]

PARTS = ("weight", "bias")

FEATURES = 1280
"""Channels of the last feature map."""


class MobileNetV2(nn.Module):
    """Pooled features of images (n, 3, h, w) in -1..1: (n, 1280)."""

    def __init__(self, steps: Sequence[Step], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.steps = [step for step in steps if step["op"] != "AVERAGE_POOL_2D"]
        self.convolutions = nn.ModuleDict(
            {
                step["name"]: _convolution(step, *(tensors[f"{step['name']}.{p}"] for p in PARTS))
                for step in self.steps
                if step["op"] != "ADD"
            }
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images).mean((2, 3))

    def maps(self, images: Tensor) -> Tensor:
        """Features before they are pooled: (n, 1280, h / 32, w / 32)."""
        return self.pyramid(images)[-1]

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """The last map of each size, the finest first: at strides 2, 4, 8, 16 and 32.

        Those are the maps that are looked at for objects: Sandler et al., section 6.2.
        """
        made = {"input": images}
        last: dict[torch.Size, Tensor] = {}
        for step in self.steps:
            made[step["name"]] = self._run(step, [made[name] for name in step["from"]])
            last[made[step["name"]].shape[-2:]] = made[step["name"]]
        return list(last.values())

    def _run(self, step: Step, inputs: list[Tensor]) -> Tensor:
        if step["op"] == "ADD":
            return inputs[0] + inputs[1]
        made: Tensor = self.convolutions[step["name"]](inputs[0])
        return made


def _convolution(step: Step, weight: Tensor, bias: Tensor) -> nn.Sequential:
    """A convolution and what comes after it; it pads by itself where all sides get the same."""
    kernel, stride, groups = weight.shape[-1], step["stride"], step["groups"]
    evenly = stride == 1 and kernel % 2 == 1
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        len(weight),
        kernel,
        stride,
        kernel // 2 if evenly else 0,
        groups=groups,
    )
    layer.weight, layer.bias = (
        nn.Parameter(part.float(), requires_grad=False) for part in (weight, bias)
    )
    after = [nn.ReLU6(inplace=True)] if step["activation"] == "relu6" else []
    made = nn.Sequential(layer, *after)
    return made if evenly else nn.Sequential(Same(kernel, stride), made)


class Same(nn.Module):
    """Pads as TensorFlow's SAME does it."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        down, across = (
            max(0, (-(-side // self.stride) - 1) * self.stride + self.kernel - side)
            for side in images.shape[-2:]
        )
        sides = (across // 2, across - across // 2, down // 2, down - down // 2)
        return functional.pad(images, sides) if any(sides) else images


def read(tensors: Path, steps: Path) -> MobileNetV2:
    """The network from a .npz of its tensors and a .json of its `steps`, ready to serve.

    Raises WrongWeights unless both can be read and fit each other.
    """
    arrays, listed = _read(tensors, steps)
    try:
        network = MobileNetV2(listed, {name: torch.from_numpy(a) for name, a in arrays.items()})
        with torch.inference_mode():
            made = network(torch.zeros(1, 3, 32, 32)).shape
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise WrongWeights(f"{tensors} does not fit {steps.name}: {error}") from error
    if made != (1, FEATURES):
        raise WrongWeights(f"{tensors} makes {made[1]} numbers of a crop, not {FEATURES}.")
    return network.eval()


def _read(tensors: Path, steps: Path) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
    try:
        with np.load(tensors, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return arrays, json.loads(steps.read_text(encoding="utf-8"))["steps"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise WrongWeights(f"{tensors} or {steps} cannot be read as weights: {error}") from error
