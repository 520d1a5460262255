"""Detection, embedding and nearest neighbours in plain Python: no Django, no tables.

`load("detector", "whole_image")` gives a backend by its name.
"""

from similarity.engine.contracts import (
    NO_CATEGORY,
    Box,
    Categories,
    Detection,
    Detector,
    Embedder,
    Hit,
    Index,
    IndexInfo,
    Keys,
    LiveIndex,
    TextEmbedder,
    Vectors,
)
from similarity.engine.registry import BACKENDS, load

__all__ = [
    "BACKENDS",
    "NO_CATEGORY",
    "Box",
    "Categories",
    "Detection",
    "Detector",
    "Embedder",
    "Hit",
    "Index",
    "IndexInfo",
    "Keys",
    "LiveIndex",
    "TextEmbedder",
    "Vectors",
    "load",
]
