"""Which backends there are, and how to get one: a table from a name to "module:Class"."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, overload

from similarity.engine.contracts import Detector, Embedder, Index, LiveIndex
from similarity.engine.errors import UnknownBackend

Kind = Literal["detector", "embedder", "index"]

BACKENDS: Mapping[Kind, Mapping[str, str]] = {
    "detector": {
        "whole_image": "similarity.engine.detectors.whole_image:WholeImageDetector",
        "compact": "similarity.engine.detectors.compact:CompactDetector",
        "groundingdino": "similarity.engine.detectors.groundingdino:GroundingDinoDetector",
    },
    "embedder": {
        "compact": "similarity.engine.embedders.compact:CompactEmbedder",
        "colour": "similarity.engine.embedders.colour:ColourEmbedder",
        "mobilenet_v2": "similarity.engine.embedders.mobilenet_v2:MobileNetV2Embedder",
        "resnet50": "similarity.engine.embedders.resnet50:ResNet50Embedder",
        "triplet": "similarity.engine.embedders.triplet:TripletEmbedder",
        "vit_b_16": "similarity.engine.embedders.vit_b_16:ViTB16Embedder",
        "dinov2": "similarity.engine.embedders.dinov2:DinoV2Embedder",
        "open_clip": "similarity.engine.embedders.open_clip:OpenClipEmbedder",
    },
    "index": {
        "exact": "similarity.engine.indexes.exact:ExactIndex",
        "annoy": "similarity.engine.indexes.annoy:AnnoyIndex",
        "faiss_flat": "similarity.engine.indexes.faiss:FaissFlatIndex",
        "faiss_ivf": "similarity.engine.indexes.faiss:FaissIvfIndex",
        "faiss_hnsw": "similarity.engine.indexes.faiss:FaissHnswIndex",
        "qdrant": "similarity.engine.indexes.qdrant:QdrantIndex",
        "pgvector": "similarity.engine.indexes.pgvector:PgvectorIndex",
    },
}


@overload
def load(kind: Literal["detector"], name: str, **options: Any) -> Detector: ...
@overload
def load(kind: Literal["embedder"], name: str, **options: Any) -> Embedder: ...
@overload
def load(kind: Literal["index"], name: str, **options: Any) -> Index | LiveIndex: ...


def load(kind: Kind, name: str, **options: Any) -> Any:
    """A new backend of that kind and name, with its constructor's options.

    A name with a colon, "package.module:Class", is a class of the shop's own. Raises
    UnknownBackend, which lists the known names, for a name that stands for nothing.
    """
    target = name if ":" in name else BACKENDS[kind].get(name)
    if target is None:
        known = ", ".join(sorted(BACKENDS[kind]))
        raise UnknownBackend(f"There is no {kind} named {name!r}. Known: {known}.")
    module, _, attribute = target.partition(":")
    try:
        backend = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownBackend(f"The {kind} {name!r} cannot be imported: {error}") from error
    return backend(**options)
