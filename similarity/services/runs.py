"""Runs on their way: into the queue, cancelled, run again, looked after, held up by a pause."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from django_q.brokers import get_broker
from django_q.tasks import async_task

from accounts import audit
from accounts.models import User
from similarity import pipeline, prototypes
from similarity.errors import AlreadyEnded, IdTaken, NotRepeatable
from similarity.models import Pause, Query, Run
from similarity.signals import swept, working

FORGOTTEN_AFTER = dt.timedelta(hours=1)
"""A search that its asker wants no history of is there for so long, to be looked at and refined."""

POLL_SECONDS = 0.05
"""How often whoever waits for a run looks whether it has ended."""

UNCLAIMED = dt.timedelta(seconds=30)
"""A pending run that no worker has claimed for so long is put into the queue once more."""


def enqueue(run: Run) -> None:
    """Let a worker know of a run, once it is there for all to see.

    While the queue is down that is logged, and the run waits for the sweeper.
    """
    transaction.on_commit(
        lambda: async_task("similarity.tasks.execute_run", str(run.pk)), robust=True
    )


def lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.RUN_LEASE_SECONDS)


def known_run(pk: uuid.UUID, kind: Run.Kind, asked_by: User | None) -> Run | None:
    """The run of an id that a client gives, which it may have given before.

    Raises IdTaken if it is another person's, or of another kind.
    """
    run = Run.objects.filter(pk=pk).select_related("query", "segment", "image").first()
    asker = None if asked_by is None else asked_by.pk
    if run is not None and (run.kind, run.requested_by_id) != (kind, asker):
        raise IdTaken
    return run


def added(run: Run, add: Callable[[Run], None]) -> Run:
    """A run that is added so; if somebody was faster with its id, that one."""
    try:
        add(run)
    except IntegrityError:
        known = known_run(run.pk, Run.Kind(run.kind), run.requested_by)
        if known is None:
            raise
        return known
    return run


def leave_to_worker(run: Run) -> None:
    with transaction.atomic():
        run.save(force_insert=True)
        enqueue(run)


def cancel(run: Run) -> None:
    """Stop a run: at once when it waits, at its next checkpoint when it runs."""
    with transaction.atomic():
        if not Run.objects.cancel(run.pk):
            raise AlreadyEnded(_("It has ended already."))
        run.refresh_from_db()
        if run.state == Run.State.CANCELLED:
            pipeline.discard(run)


def cancel_ahead(pk: uuid.UUID, kind: Run.Kind, asked_by: User | None) -> Run:
    """Cancel what is still on its way to us under an id of its client's: it will not be done.

    For an hour the id stands for a cancelled run. Raises IdTaken if it is there by now.
    """
    searches = {Run.Kind.SEARCH, Run.Kind.SORT}
    run = Run(
        id=pk,
        kind=kind,
        state=Run.State.CANCELLED,
        requested_by=asked_by,
        options={"limit": 0, "box": None, "filters": {}} if kind in searches else {},
        finished_at=timezone.now(),
        expires_at=timezone.now() + FORGOTTEN_AFTER,
    )
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError as error:
        raise IdTaken from error
    return run


def wait_for(run: Run, seconds: float) -> None:
    """Return when a run has ended or is to stop, or the time is up.

    One whose asker deletes it meanwhile is as if it were cancelled.
    """
    deadline = time.monotonic() + seconds
    while not (run.has_ended or run.cancel_requested) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        try:
            run.refresh_from_db()
        except Run.DoesNotExist:
            run.state = Run.State.CANCELLED


def run_again(run: Run, *, queued: bool = True) -> None:
    """Give a run that has failed or was cancelled another chance.

    `queued=False` leaves it to the caller.
    """
    may_fetch = run.product_id is not None and "url" in run.options
    if run.kind == Run.Kind.UPLOAD and run.image is None and not may_fetch:
        raise NotRepeatable("The image is gone. Upload it again.")
    with transaction.atomic():
        if not Run.objects.reset(run.pk):
            raise NotRepeatable("Only a run that has failed or was cancelled can be run again.")
        if queued:
            enqueue(run)
    run.refresh_from_db()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has found."""

    given_back: int
    failed: int
    queued_again: int
    expired: int


def sweep() -> Swept:
    """Look after runs whose worker or message has gone, and queries that have expired.

    The queue may lose a message or a worker its life; a run's row loses nothing.
    """
    with audit.quietly():
        given_back, failed = _sweep_lost()
    # A run may wait because many wait before it. Only an empty queue has lost its message.
    # What a pause holds up is put in when that ends.
    due = Run.objects.waiting(UNCLAIMED).may_go_on()
    waiting = [] if get_broker().queue_size() else list(due)
    for run in waiting:
        Run.objects.filter(pk=run.pk).update(queued_at=timezone.now())
        enqueue(run)
    Run.objects.filter(expires_at__lt=timezone.now()).delete()
    _, expired = Query.objects.filter(expires_at__lt=timezone.now()).delete()
    prototypes.refresh()
    swept.send(sender=Run)
    return Swept(given_back, failed, len(waiting), expired.get(Query._meta.label, 0))


def _sweep_lost() -> tuple[int, int]:
    given_back = failed = 0
    for run in Run.objects.lost(lease()):
        if run.cancel_requested:
            pipeline.discard(run)
            Run.objects.stop(run)
        elif run.attempts >= settings.RUN_MAX_ATTEMPTS:
            pipeline.fail(run, "orphaned", gettext_noop("Its worker was lost, again and again."))
            failed += 1
        elif Run.objects.give_back(run):
            enqueue(run)
            given_back += 1
    return given_back, failed


def go_on(pk: uuid.UUID) -> None:
    """Put a filling that has given way into the queue again, behind whatever waits."""
    for run in Run.objects.filter(pk=pk, kind=Run.Kind.FILL, state=Run.State.PENDING):
        enqueue(run)


def is_stalled() -> bool:
    """Whether runs wait while no worker has reported of any for a while, nor is at other work."""
    return (
        Run.objects.filter(state=Run.State.PENDING).may_go_on().exists()
        and not Run.objects.filter(
            state=Run.State.RUNNING, heartbeat__gt=timezone.now() - UNCLAIMED
        ).exists()
        and not any(is_so for _, is_so in working.send(sender=Run))
    )


QUEUED_AT_ONCE = 200
"""Runs that come into the queue when a pause ends; the sweeper sees to the others."""


def pause_queue(asked_by: User | None = None) -> bool:
    """Have workers claim nothing but what people wait for at a page; False if they do so already.

    What runs comes to its end.
    """
    if Pause.objects.filter(ended_at=None).exists():
        return False
    Pause.objects.create(started_by=asked_by)
    return True


def resume_queue(asked_by: User | None = None) -> bool:
    """Have workers go on; False if nobody has paused them."""
    paused = Pause.objects.filter(ended_at=None)
    if not paused.update(ended_at=timezone.now(), ended_by=asked_by):
        return False
    # Their messages have come to workers that let them be.
    for run in Run.objects.filter(state=Run.State.PENDING).order_by("queued_at")[:QUEUED_AT_ONCE]:
        enqueue(run)
    return True


def paused() -> Pause | None:
    """The pause of the queue that has not ended."""
    return Pause.objects.filter(ended_at=None).select_related("started_by").first()


MOST_AGAIN = 1000
"""Failed runs that are run again at once."""


def run_failed_again() -> int:
    """Give runs that have failed another chance, the latest first; how many do get it.

    Searches are left out: whoever asked has gone.
    """
    failed = Run.objects.filter(state=Run.State.FAILED).exclude(kind__in=Run.AWAITED)
    again = 0
    for run in failed[:MOST_AGAIN]:
        with suppress(NotRepeatable):
            run_again(run)
            again += 1
    return again
