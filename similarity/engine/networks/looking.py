"""How the compact detector looks at a photo, when it serves and when it is measured.

Twice: closely for what is small in it, and from afar for what fills it, whose edges the network
cannot see from its middle when it looks closely. `docs/models.md` has what each look finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL.Image import Image, Resampling
from torch import Tensor
from torchvision.ops import batched_nms

from similarity.engine.contracts import Box, Detection
from similarity.engine.networks.compact import DetectorNetwork
from similarity.engine.networks.decoding import IOU_THRESHOLD, Found, decode
from similarity.engine.networks.pixels import detector_size, normalised


class Look(NamedTuple):
    """A photo at so many pixels, for boxes that take up such shares of it."""

    area: int
    smallest: float
    largest: float
    wider: float = 1.0
    """By how much boxes are made wider and higher: the edges of what fills a photo are told from
    far away, a little within the garment as often as without, and what is cut off is not found."""


LOOKS = (Look(256 * 352, 0.0, 0.3), Look(128 * 192, 0.2, 1.0, wider=1.08))
"""Chosen on photos that training never saw (docs/models.md). Boxes in both ranges are compared."""


def look(
    network: DetectorNetwork, image: Image, labels: Sequence[str], threshold: float
) -> list[Detection]:
    """What the network finds in an RGB image, best first; scores are at least `threshold`."""
    found, picture = [], image
    for one in LOOKS:  # the closest first: the next is shrunk from what is small already
        size = detector_size(image.size, one.area)
        picture = picture.resize(size, Resampling.BILINEAR, reducing_gap=2.0)
        found.append(_kept(_found(network, picture, threshold), size, image.size, one))
    boxes, numbers, scores = map(torch.cat, zip(*found, strict=True))
    kept = batched_nms(boxes, scores, numbers, IOU_THRESHOLD)
    return [
        Detection(Box(*edges), labels[number], score)
        for edges, number, score in zip(
            boxes[kept].tolist(), numbers[kept].tolist(), scores[kept].tolist(), strict=True
        )
    ]


def _found(network: DetectorNetwork, picture: Image, threshold: float) -> Found:
    """What the network finds in a picture of a size that it takes, in the picture's pixels."""
    pixels = torch.from_numpy(normalised(np.asarray(picture))[None])
    place = next(network.parameters()).device
    with torch.inference_mode():
        middles, distances = network(pixels.to(place, memory_format=torch.channels_last))
        [found] = decode(middles, distances, threshold, IOU_THRESHOLD)
    return Found(*(part.cpu() for part in found))


def _kept(found: Found, size: tuple[int, int], original: tuple[int, int], one: Look) -> Found:
    """What a look is for, of what it found at that size: boxes in the original's pixels."""
    boxes = _inside(found.boxes, size, original)
    shares = (boxes[:, 2:] - boxes[:, :2]).prod(1) / (original[0] * original[1])
    kept = (shares > 0) & (shares >= one.smallest) & (shares <= one.largest)
    chosen = _limited(_widened(boxes[kept], one.wider), original)
    return Found(chosen, found.labels[kept], found.scores[kept])


def _widened(boxes: Tensor, wider: float) -> Tensor:
    """Boxes around the same middles."""
    corners = boxes.view(-1, 2, 2)
    middles = corners.mean(1, keepdim=True)
    widened: Tensor = (middles + (corners - middles) * wider).flatten(1)
    return widened


def _inside(boxes: Tensor, size: tuple[int, int], original: tuple[int, int]) -> Tensor:
    """Boxes in pixels of a `size`, in those of the original, as far as they lie in it."""
    scale = torch.tensor(original, dtype=boxes.dtype) / torch.tensor(size)
    return _limited(boxes * scale.repeat(2), original)


def _limited(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes as far as they lie in a picture of that width and height."""
    return boxes.clamp(min=0).minimum(torch.tensor([*size, *size], dtype=boxes.dtype))
