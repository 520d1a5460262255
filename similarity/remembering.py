"""What takes a look at all rows, remembered for a while: per process, or in the cache that all
share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from django.core.cache import cache

Found = TypeVar("Found")

MINUTE = 60
"""Seconds for which sizes are remembered: 100,000 rows are counted in some 10 ms, millions not."""


def remembered(name: str, seconds: int, look: Callable[[], Found]) -> Found:
    """What was found under that name not long ago, or a look now."""
    return cast(Found, cache.get_or_set(name, look, seconds))
