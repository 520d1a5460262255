"""What the queue calls."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from PIL import Image

from similarity import backends, pipeline
from similarity.engine.errors import EngineError

logger = logging.getLogger("similarity.tasks")


def execute_run(pk: str) -> None:
    """Carry out a run if it still waits to be."""
    pipeline.execute(uuid.UUID(pk))


def warm_up(sender: Any, **_: Any) -> None:
    """Load the models in a new worker process, after its fork (a signal's receiver).

    Missing weights are the system checks' to report, and no reason for a worker not to start.
    """
    picture = Image.new("RGB", (224, 224), "white")
    try:
        backends.detector().detect(picture)
        backends.embedder().embed([picture])
    except EngineError as error:
        logger.warning("Models are not ready: %s", error)
    except Exception:  # a worker that died of it would be started again for ever
        logger.exception("Models are not ready")
