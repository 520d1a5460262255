"""A shop's own backends, named in its settings by dotted path."""

from __future__ import annotations

from similarity.engine import Box, Detection
from similarity.engine.embedders.colour import ColourEmbedder


class Halves:
    """Finds two garments in every picture: its left half and its right half."""

    light = True

    def detect(self, image):
        middle, width, height = image.width / 2, image.width, image.height
        return [
            Detection(Box(0, 0, middle, height), "top", 0.9),
            Detection(Box(middle, 0, width, height), "bag", 0.8),
        ]

    def missing(self):
        return []


class HalvesByWorker(Halves):
    """The same, but left to a worker."""

    light = False


class ColourByWorker(ColourEmbedder):
    """Describes by colour, but is left to a worker."""

    light = False
