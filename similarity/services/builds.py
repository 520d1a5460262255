"""Builds of the index: when one is made anew, which one serves."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from similarity import indexing, serving
from similarity.engine.errors import EngineError
from similarity.errors import OtherEmbedder
from similarity.models import Embedder, IndexBuild, Run
from similarity.services.runs import enqueue


def start_rebuild(asked_by: User | None = None, *, of: Embedder | None = None) -> Run:
    """Have a worker build the index anew, of the serving embedder or another one.

    A rebuild that is under way is the one.
    """
    embedder = of or serving.serving_embedder()
    with transaction.atomic():
        Embedder.objects.select_for_update().get(pk=embedder.pk)  # two who ask take turns
        run = Run.objects.under_way(Run.Kind.REBUILD).filter(embedder=embedder).first()
        if run is None:
            run = Run.objects.create(
                kind=Run.Kind.REBUILD, embedder=embedder, requested_by=asked_by
            )
            enqueue(run)
    return run


def is_serving(build: IndexBuild) -> bool:
    """Whether that is the build which answers searches."""
    return indexing.is_serving(build) and build.embedder_id == serving.serving_embedder().pk


def is_active(embedder: Embedder) -> bool:
    """Whether that is the embedder which answers searches, its weights being there."""
    with suppress(EngineError):
        return embedder == serving.serving_embedder()
    return False


REST = dt.timedelta(minutes=10)
"""After a rebuild that has not helped, none is started unasked for so long."""


def rebuild_if_needed() -> Run | None:
    """Have an index rebuilt once too many vectors are newer than it, or it is broken.

    The serving embedder's comes before those of others that are kept filled. Not right after a
    rebuild that failed, nor while an earlier build serves by somebody's wish.
    """
    needing = (embedder for embedder in serving.describing() if _needs_rebuild(embedder))
    embedder = next(needing, None)
    return None if embedder is None else start_rebuild(of=embedder)


def _needs_rebuild(embedder: Embedder) -> bool:
    if Run.objects.under_way(Run.Kind.FILL).filter(embedder=embedder).exists():
        return False  # that ends with a build
    status = indexing.status(embedder)
    latest = Run.objects.filter(kind=Run.Kind.REBUILD, embedder=embedder).first()
    rests = latest and latest.finished_at and latest.finished_at > timezone.now() - REST
    return status.needs_rebuild and not rests and not (status.is_rolled_back and not status.problem)


def roll_back(build: IndexBuild) -> None:
    """Let an earlier build serve again.

    Raises OtherEmbedder, BrokenBuild if it is damaged or gone, BuildInProgress.
    """
    if build.embedder_id != serving.serving_embedder().pk:
        raise OtherEmbedder("This build is of another embedder than the one that serves.")
    before = indexing.status(build.embedder).serving
    indexing.activate(build)
    audit.note(build, {"serving": (before, build.name)})
