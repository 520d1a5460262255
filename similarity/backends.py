"""The detector and index engine that the settings name, and embedders: one of each per process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from similarity.engine import Detector, Embedder, LiveIndex, TextEmbedder, load
from similarity.engine.errors import UnknownBackend
from similarity.engine.images import Limits

if TYPE_CHECKING:
    from similarity.engine.registry import Kind


def options(name: str) -> dict[str, object]:
    """A backend's constructor options, from the settings."""
    return dict(settings.BACKEND_OPTIONS.get(name, {}))


@cache
def detector() -> Detector:
    return load("detector", settings.DETECTOR, **options(settings.DETECTOR))


def embedder(name: str | None = None) -> Embedder:
    """An embedder; without a name, the one that the settings name. Raises UnknownBackend."""
    return _embedder(name or settings.EMBEDDER)


@cache
def _embedder(name: str) -> Embedder:
    return load("embedder", name, **options(name))


def text_side(embedder: Embedder) -> TextEmbedder | None:
    """The embedder as one that describes words, if it does. Raises MissingWeights."""
    return embedder if isinstance(embedder, TextEmbedder) else None


def is_live() -> bool:
    """Whether a service holds the vectors. False for an engine that cannot be constructed."""
    try:
        return isinstance(load("index", settings.INDEX, **options(settings.INDEX)), LiveIndex)
    except (UnknownBackend, TypeError, ValueError):  # the system checks say so
        return False


def live_index(space: str, dim: int) -> LiveIndex | None:
    """The service that the settings name, for one space of vectors; None if it is none."""
    if not is_live():
        return None
    live = load("index", settings.INDEX, space=space, dim=dim, **options(settings.INDEX))
    assert isinstance(live, LiveIndex)
    return live


def limits() -> Limits:
    """What the intake takes."""
    return Limits(max_bytes=settings.MAX_UPLOAD_BYTES, max_pixels=settings.MAX_IMAGE_PIXELS)


def configured() -> list[tuple[Kind, str]]:
    """What the settings name, for the checks to look at."""
    return [
        ("detector", settings.DETECTOR),
        ("embedder", settings.EMBEDDER),
        ("index", settings.INDEX),
    ]


def forget() -> None:
    """Take up changed settings (tests change them)."""
    detector.cache_clear()
    _embedder.cache_clear()
