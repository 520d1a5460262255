"""`manage.py worker`: the queue's cluster, kept alive, and the sweeping that goes with it."""

from __future__ import annotations

import logging
import os
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from similarity import services
from similarity.engine.errors import EngineError
from similarity.processes import Child, Stopped

logger = logging.getLogger("similarity.worker")

LOOK_SECONDS = 2.0
SWEEP_SECONDS = 15.0
PATIENCE_SECONDS = 60.0

GRACE_SECONDS = 20.0
"""That a cluster gets to finish what it is at."""


def environment() -> dict[str, str]:
    """Of the cluster: its processes share the cores, and ask no hub for anything."""
    threads = max(1, (os.cpu_count() or 1) // settings.Q_CLUSTER["workers"])
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        # Threads that spin while they wait made two workers three times slower than one.
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
    }


class Command(BaseCommand):
    help = (
        "Work on the queue: run django-q's cluster, restart it if it dies or hangs, sweep up "
        "lost runs, and rebuild the index when much is new. Ends on SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--patience",
            type=float,
            metavar="SECONDS",
            default=PATIENCE_SECONDS,
            help=(
                "a cluster that leaves runs waiting for so long, and works on nothing, hangs and "
                f"is started anew (default {PATIENCE_SECONDS:g})"
            ),
        )

    def handle(self, *_: Any, **options: Any) -> None:
        stopped = Stopped()
        cluster = Child([sys.executable, sys.argv[0], "qcluster"], environment())
        cluster.start()
        try:
            self._watch(cluster, stopped, options["patience"])
        finally:
            cluster.stop(GRACE_SECONDS)

    def _watch(self, cluster: Child, stopped: Stopped, patience: float) -> None:
        swept = working = time.monotonic()
        while not stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            try:
                if now - swept >= SWEEP_SECONDS:
                    self._sweep()
                    swept = now
                if not services.is_stalled():
                    working = now
            except Exception:  # each driver of the two raises errors of its own
                logger.exception("The database or the queue cannot be reached: trying on")
                close_old_connections()
            if not cluster.is_alive or now - working >= patience:
                logger.error("The cluster has died or hangs: starting it anew")
                cluster.stop(GRACE_SECONDS)
                cluster.start()
                working = now

    def _sweep(self) -> None:
        services.sweep()
        try:
            services.rebuild_if_needed()
        except EngineError as error:
            logger.warning("The index cannot be looked after: %s", error)
