"""ResNet-50 with a head of 128 numbers: what `train_triplet` trains.

Schroff et al., "FaceNet", CVPR 2015, with the trunk of He et al., CVPR 2016.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet

DIM = 128


class TripletNetwork(ResNet):  # type: ignore[misc]  # the library has no types
    """Crops (n, 3, h, w) to unit rows (n, DIM).

    Its tensors have torchvision's names, so that a training can start from ResNet-50's weights:
    all but the head fit.
    """

    def __init__(self) -> None:
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=DIM)

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(super().forward(x).float())
