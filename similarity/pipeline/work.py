"""Each kind of run and what carries it out."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from accounts import audit
from similarity import indexing, prototypes, serving
from similarity.models import Run
from similarity.pipeline.filling import describe_drawn, fill
from similarity.pipeline.runs import beating, checkpoint, claim, finish, guarded
from similarity.pipeline.searches import detect_in_query, search, sort
from similarity.pipeline.uploads import describe


def execute(pk: uuid.UUID, *, unless_paused: bool = False) -> None:
    """Claim a run and carry it out; nothing happens if it is not to be had.

    `unless_paused` is the queue's: a pause holds up what it gives out, and no command.
    """
    for run in claim([pk], unless_paused=unless_paused):
        carry_out(run)


def carry_out(run: Run) -> None:
    """Carry out a run that this worker has claimed. What goes wrong is written in its row."""
    with audit.quietly(), guarded(run), beating([run]):
        WORK[Run.Kind(run.kind)](run)


def rebuild(run: Run) -> None:
    """Build the index of the run's embedder anew, or of the serving one."""
    indexing.rebuild(
        run.embedder or serving.serving_embedder(),
        run=run,
        on_progress=lambda done: checkpoint(run, "building", 0.9 * done),
    )
    prototypes.refresh()
    finish(run)


WORK: dict[Run.Kind, Callable[[Run], None]] = {
    Run.Kind.UPLOAD: describe,
    Run.Kind.SEARCH: search,
    Run.Kind.DETECT: detect_in_query,
    Run.Kind.REBUILD: rebuild,
    Run.Kind.FILL: fill,
    Run.Kind.SORT: sort,
    Run.Kind.BOXES: describe_drawn,
}
