"""Crops, or texts, described a few at a time, so that memory is bounded by the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from similarity.engine.contracts import Vectors

T = TypeVar("T")


def in_batches(
    embed: Callable[[Sequence[T]], Vectors], items: Sequence[T], *, size: int, dim: int
) -> Vectors:
    """What `embed` makes of all items, called with at most `size` of them: (n, dim)."""
    batches = [embed(items[start : start + size]) for start in range(0, len(items), size)]
    return np.concatenate([np.empty((0, dim), dtype=np.float32), *batches])
