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

FEATURES = 1280
"""Channels of the last feature map."""


class MobileNetV2(nn.Module):
    """Pooled features of images (n, 3, h, w) in -1..1: (n, 1280)."""

    def __init__(self, steps: Sequence[Step], tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.steps = [step for step in steps if step["op"] != "AVERAGE_POOL_2D"]
        self.tensors = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(tensor.float(), requires_grad=False)
                for name, tensor in tensors.items()
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
        weight, bias = (self.tensors[f"{step['name']}_{part}"] for part in ("weight", "bias"))
        padded = _same(inputs[0], weight.shape[-1], step["stride"])
        made = functional.conv2d(padded, weight, bias, step["stride"], groups=step["groups"])
        return made.clamp_(0, 6) if step["activation"] == "relu6" else made


def _same(images: Tensor, kernel: int, stride: int) -> Tensor:
    """Padded as TensorFlow's SAME does it."""
    height, width = images.shape[-2:]
    down = max(0, (-(-height // stride) - 1) * stride + kernel - height)
    across = max(0, (-(-width // stride) - 1) * stride + kernel - width)
    if not down and not across:
        return images
    return functional.pad(images, (across // 2, across - across // 2, down // 2, down - down // 2))


def read(tensors: Path, steps: Path) -> MobileNetV2:
    """The network from a .npz of its tensors and a .json of its `steps`, ready to serve.

    Raises WrongWeights unless both can be read and fit each other.
    """
    arrays, listed = _read(tensors, steps)
    try:
        network = MobileNetV2(listed, {name: torch.from_numpy(a) for name, a in arrays.items()})
        with torch.inference_mode():
            made = network(torch.zeros(1, 3, 32, 32)).shape
    except (AttributeError, KeyError, IndexError, TypeError, RuntimeError) as error:
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
