"""A claimed run in the hands of its worker: its heartbeat, its checkpoints, how it ends."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from django.conf import settings
from django.db import Error as DriverError
from django.db import connection, transaction
from django.db.models.fields.files import FieldFile
from django.utils.translation import gettext_noop, override
from PIL.Image import Image

from catalog.models import OriginalImage
from similarity.engine.errors import EngineError
from similarity.engine.images import open_stored
from similarity.errors import Cancelled, Described, LostRun, Refused
from similarity.logs import logged_as
from similarity.models import Embedder, Run

logger = logging.getLogger("similarity.pipeline")

BEAT_SECONDS = 5.0
"""A run that is worked on reports at least so often."""


def claim(pks: Iterable[uuid.UUID], *, unless_paused: bool = False) -> list[Run]:
    """Take those of the runs that are to be had, for this process to carry out."""
    worker = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    return Run.objects.claim(pks, worker, unless_paused=unless_paused)


@contextmanager
def beating(runs: Sequence[Run]) -> Iterator[None]:
    """Let it be known that this process is at these runs, however long a step of them takes.

    So the lease is lost with the process alone; one that hangs is ended by the queue's time limit.
    """
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(min(BEAT_SECONDS, settings.RUN_LEASE_SECONDS / 4)):
            try:
                Run.objects.beat(*runs)
            except DriverError:
                logger.exception("A heartbeat is missed")
                connection.close()
        connection.close()  # this thread's own

    heart = threading.Thread(target=beat, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield
    finally:
        is_over.set()
        heart.join()


@contextmanager
def guarded(run: Run) -> Iterator[None]:
    """Turn whatever goes wrong with a run into an end that its row tells of."""
    with logged_as(run.pk):
        try:
            yield
        except Cancelled:
            discard(run)
            Run.objects.stop(run)
        except LostRun:
            logger.warning("The run is no longer ours: left alone")
        except Described:
            if not Run.objects.finish([run]):
                Run.objects.stop(run)
        except (EngineError, Refused) as error:
            fail(run, error.code, _to_keep(error))
        except Exception:
            logger.exception("The run failed")
            sentence = gettext_noop("Something went wrong here. The server's log says what.")
            fail(run, "internal_error", sentence)
        except BaseException:
            # The queue's time limit raises SystemExit: no Exception, and no fault of the code.
            fail(run, "interrupted", gettext_noop("It was interrupted, or took too long."))
            raise


def _to_keep(error: Exception) -> str:
    """What an error says, in the language of the source: pages look up what is kept in a row."""
    with override(settings.LANGUAGE_CODE):
        return str(error)


def fail(run: Run, code: str, message: str) -> None:
    """End a run as failed, and with it an image that no run has described."""
    with transaction.atomic():
        if Run.objects.fail(run, code, message) and run.kind == Run.Kind.UPLOAD:
            undescribed = OriginalImage.objects.exclude(status=OriginalImage.Status.READY)
            undescribed.filter(runs=run).update(
                status=OriginalImage.Status.FAILED, problem=message[:300]
            )


def discard(run: Run) -> None:
    """Undo what a cancelled run has left.

    Of an upload, an image that is as new as the run, unless somebody has sent it again meanwhile;
    one that has failed before is in the catalogue, and stays. Of a filling, the wish that its
    embedder be kept filled.
    """
    if run.kind == Run.Kind.FILL:
        Embedder.objects.filter(runs=run).update(is_kept=False, is_filled=False)
    if run.kind == Run.Kind.UPLOAD:
        with transaction.atomic():
            _discard_image(run)


def _discard_image(run: Run) -> None:
    images = OriginalImage.objects.filter(pk__in=Run.objects.filter(pk=run.pk).values("image"))
    image = images.select_for_update().filter(status=OriginalImage.Status.PENDING).first()
    if image is not None:
        wanted = image.runs.under_way(Run.Kind.UPLOAD).filter(cancel_requested=False)
        if not wanted.exclude(pk=run.pk).exists():
            image.delete()


def checkpoint(run: Run, step: str, progress: float) -> None:
    """Report how far a run is; raises Cancelled or LostRun if it must stop here."""
    if not Run.objects.report([run], step, progress):
        stop(run)


def finish(run: Run) -> None:
    """End a run as done, in the transaction that writes its outcome; raises as `checkpoint`."""
    if not Run.objects.finish([run]):
        stop(run)


def stop(run: Run) -> None:
    """Raise what a refused report means."""
    cancelled = Run.objects.mine(run).filter(cancel_requested=True).exists()
    raise Cancelled if cancelled else LostRun


def stored(picture: FieldFile) -> Image:
    """A picture that the intake has stored."""
    with picture.open("rb"):
        return open_stored(cast(BinaryIO, picture))
