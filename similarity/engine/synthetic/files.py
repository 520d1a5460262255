"""Drawn pictures as files, for processes that draw side by side."""

from __future__ import annotations

from similarity.engine.images import encode_jpeg
from similarity.engine.synthetic.scenes import outfit, photo


def photo_file(seed: int, number: int, view: int) -> bytes:
    """A shop's picture of a product, as JPEG bytes: the same for the same numbers."""
    return encode_jpeg(photo(seed, number, view).image)


def outfit_file(seed: int, number: int) -> bytes:
    """A look of several garments, as JPEG bytes."""
    return encode_jpeg(outfit(seed, number).image)
