"""Whether a search would be answered, and models that are loaded before the first one."""

from __future__ import annotations

import logging
import threading

from django.db import Error as DriverError
from django.db import connection
from django_q.brokers import get_broker
from PIL import Image

from catalog.models import Segment
from similarity import backends, indexing, serving
from similarity.engine.errors import BrokenBuild, EngineError, MissingWeights
from similarity.errors import NotDescribed, Refused
from similarity.models import Embedding

logger = logging.getLogger("similarity.services")

_WARM = threading.Event()


def readiness() -> dict[str, str]:
    """What keeps a search from being answered, by part; empty if one would be."""
    for part, probe in (
        ("database", _probe_database),
        ("models", probe_models),
        ("index", _probe_index),
    ):
        try:
            probe()
        except DriverError as error:
            logger.warning("The database does not answer: %s", error)
            return {part: "The database does not answer. The server's log says why."}
        except (EngineError, Refused, OSError) as error:
            return {part: str(error)}
    return {}


def warm_up(*, light_only: bool = False) -> None:
    """Load the configured models, or those that a web process uses, and have each work once.

    Raises what they raise, MissingWeights for one. Never call it before a fork.
    """
    picture = Image.new("RGB", (224, 224), "white")
    detector = backends.detector()
    if detector.light or not light_only:
        detector.detect(picture)
    for embedder in [serving.serving_embedder()] if light_only else serving.describing():
        backend = serving.backend_of(embedder)
        if backend.light or not light_only:
            backend.embed([picture])
    _WARM.set()


def is_warm() -> bool:
    """Whether this process has warmed up: the next search waits for no model."""
    return _WARM.is_set()


def probe_queue() -> None:
    """Raises ConnectionError if the queue cannot be reached."""
    try:
        get_broker().ping()
    except Exception as error:  # its driver's own: redis-py's are no OSErrors
        raise ConnectionError(f"The queue does not answer: {error}") from error


def _probe_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def probe_models() -> None:
    """Raises MissingWeights, or what else keeps the configured models from being used."""
    embedder = backends.embedder(serving.serving_name())
    missing = [*backends.detector().missing(), *embedder.missing()]
    if missing:
        raise MissingWeights(" ".join(missing))


def _probe_index() -> None:
    """Search for real: a build may look whole and yet not answer."""
    embedder = serving.serving_embedder()
    known = Embedding.objects.filter(embedder=embedder).last()
    if known is None and Segment.objects.exists():
        raise NotDescribed(
            f"No garment of the catalogue has been described by {embedder}. "
            f"Run: manage.py embed_catalogue --embedder {embedder.name}"
        )
    if known is not None and not indexing.nearest(embedder, known.vector, limit=1):
        raise BrokenBuild("The index finds nothing, though there are garments to be found.")
