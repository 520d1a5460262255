"""Sizes as people list them."""

from __future__ import annotations

LETTERS = ("XXS", "XS", "S", "M", "L", "XL", "XXL", "3XL", "4XL")


def order(name: str) -> tuple[int, float, str]:
    """A key to sort the names of sizes by: letters, then numbers, smallest first, then others."""
    if name.upper() in LETTERS:
        return (0, LETTERS.index(name.upper()), name)
    if name.isdecimal():
        return (1, int(name), name)
    return (2, 0, name)
