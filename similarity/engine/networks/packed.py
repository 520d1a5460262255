"""Linear layers laid out for oneDNN once, not at every call: quicker than a call of the BLAS that
torch is built with, and an activation is done while its argument is at hand.

The operators are those that torch.compile uses, and no promise of torch's: ask `is_possible`.
`docs/performance.md` has the figures.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Precision = Literal["float32", "bfloat16"]
Activation = Literal["none", "relu", "gelu"]
ACTIVATIONS: tuple[Activation, ...] = ("none", "relu", "gelu")

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}
"""By which numbers around 5 may differ from those of torch's own layer."""

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

logger = logging.getLogger("similarity.engine")


class PackedLinear(nn.Module):
    """A linear layer of a processor's, in a precision, with an activation or "none" after it.

    Takes numbers of any precision. What it has activated goes into another such layer, and so it
    comes out in the precision it was computed in; all else comes out in single precision.
    """

    def __init__(
        self,
        linear: nn.Linear,
        precision: Precision = "float32",
        activation: Activation = "none",
    ) -> None:
        super().__init__()
        self.activation = activation
        self.dtype = TYPES[precision]
        weight = linear.weight.detach().to(self.dtype)
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, None)  # noqa: SLF001
        self.bias = None if linear.bias is None else linear.bias.detach().to(self.dtype)

    def forward(self, given: Tensor) -> Tensor:
        """Of numbers (..., inputs): (..., outputs)."""
        made: Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            given.to(self.dtype), self.weight, self.bias, self.activation, [], "none"
        )
        return made.float() if self.activation == "none" else made


@cache
def is_possible(precision: Precision) -> bool:
    """Whether this torch can do it here, and makes the same; a warning in the log if not."""
    random = torch.Generator().manual_seed(0)
    linear = nn.Linear(24, 32).requires_grad_(False)
    linear.weight.copy_(torch.randn(32, 24, generator=random))
    probe = torch.randn(1, 7, 24, generator=random)
    plain = linear(probe)
    expected = {"none": plain, "relu": functional.relu(plain), "gelu": functional.gelu(plain)}
    try:
        for activation in ACTIVATIONS:
            found = PackedLinear(linear, precision, activation)(probe).float()
            torch.testing.assert_close(
                found, expected[activation], atol=TOLERANCE[precision], rtol=0
            )
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, TypeError) as error:
        logger.warning("torch runs linear layers without packing them: %s", error)
        return False
    return True
