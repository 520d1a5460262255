"""What the queue and signals call."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from similarity import pipeline, services
from similarity.engine.errors import EngineError
from similarity.models import Run
from similarity.signals import run_ended

logger = logging.getLogger("similarity.tasks")


def execute_run(pk: str) -> None:
    """Carry out a run if it still waits to be."""
    try:
        pipeline.execute(uuid.UUID(pk), unless_paused=True)
        services.go_on(uuid.UUID(pk))
    finally:
        run_ended.send(sender=Run, pk=uuid.UUID(pk))


def forget_person(sender: Any, instance: Any, **_: Any) -> None:
    """Before an account is deleted, wherever that is: without its owner, a search would be a
    stranger's, which whoever has its id may see (a signal's receiver).
    """
    services.forget_searches(instance)


def warm_up(sender: Any, **_: Any) -> None:
    """Load the models in a new worker process, after its fork (a signal's receiver).

    Missing weights are the system checks' to report, and no reason for a worker not to start.
    """
    try:
        services.warm_up()
    except EngineError as error:
        logger.warning("Models are not ready: %s", error)
    except Exception:  # a worker that died of it would be started again for ever
        logger.exception("Models are not ready")
