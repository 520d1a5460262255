"""Embedders of a shop's own that describe words as well, by the colours that these name."""

import numpy as np

from similarity.engine.embedders.colour import ColourEmbedder
from tests.pictures import COLOURS, picture


class ColourWords(ColourEmbedder):
    """A text is as like a picture as the colours are that it names; of others it knows nothing."""

    def embed_texts(self, texts):
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            named = [word for word in text.lower().split() if word in COLOURS] or ["white"]
            mean = self.embed([picture(word) for word in named]).sum(axis=0)
            vectors[row] = mean / np.linalg.norm(mean)
        return vectors


class HeavyColourWords(ColourWords):
    """The same, said to be too heavy for a web request."""

    light = False
