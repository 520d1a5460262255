"""The detector, embedder and index engine that the settings name, one of each per process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

from similarity.engine import Detector, Embedder, load
from similarity.engine.images import Limits

if TYPE_CHECKING:
    from similarity.engine.registry import Kind


def options(name: str) -> dict[str, object]:
    """A backend's constructor options, from the settings."""
    return dict(settings.BACKEND_OPTIONS.get(name, {}))


@cache
def detector() -> Detector:
    return load("detector", settings.DETECTOR, **options(settings.DETECTOR))


@cache
def embedder() -> Embedder:
    return load("embedder", settings.EMBEDDER, **options(settings.EMBEDDER))


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
    embedder.cache_clear()
