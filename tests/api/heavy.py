"""Backends of a shop's own, named in the settings by their dotted path."""

from similarity.engine.detectors.whole_image import WholeImageDetector
from similarity.engine.embedders.colour import ColourEmbedder


class HeavyColour(ColourEmbedder):
    """The colour histogram, said to be too heavy for a web request."""

    light = False


class HeavyDetector(WholeImageDetector):
    """The whole image, said to be too heavy for a web request."""

    light = False


class BrokenDetector(WholeImageDetector):
    """A detector that falls over."""

    def detect(self, image):
        raise RuntimeError("Out of memory.")
