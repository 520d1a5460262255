"""A web process makes itself ready for its first search while it already answers."""

from __future__ import annotations

import logging
import threading

from django.db import connections

from similarity import services

logger = logging.getLogger("fashionsim.warming")


def warm_up_in_background() -> threading.Thread:
    """Load what searches need, in a thread; a search that comes meanwhile waits for it, as ever.

    Call it in a process that will not fork any more: torch's threads do not survive that.
    """
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    try:
        services.warm_up(light_only=True)
        if reasons := services.readiness():  # it opens the index, too
            logger.warning("A search would not be answered: %s", reasons)
    except Exception:  # who searches will see the same, and is told
        logger.exception("The first search will have to load what it needs")
    finally:
        connections.close_all()
