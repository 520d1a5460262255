"""What a worker carries out: a claimed run, step by step, with a checkpoint before each.

At a checkpoint the run reports how far it is, and learns that it was cancelled or taken away.
All that a run writes, it writes in one transaction at its end; so stopping one leaves nothing
to undo but a new image that nobody is to see.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np
from django.conf import settings
from django.db import Error as DriverError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from PIL.Image import Image

from catalog.filters import ProductFilter
from catalog.models import OriginalImage, Product, Segment
from catalog.services import Found, replace_segments
from similarity import backends, indexing
from similarity.engine import Box, Detection, Vectors
from similarity.engine.errors import EngineError
from similarity.engine.images import crop, open_stored
from similarity.errors import Cancelled, LostRun, NotDescribed, Refused
from similarity.indexing import Neighbour
from similarity.logs import logged_as
from similarity.models import Embedder, Embedding, Hit, Run

logger = logging.getLogger("similarity.pipeline")

BEAT_SECONDS = 5.0
"""A run that is worked on reports at least so often."""


def claim(pks: Iterable[uuid.UUID]) -> list[Run]:
    """Take those of the runs that are to be had, for this process to carry out."""
    worker = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    return Run.objects.claim(pks, worker)


def execute(pk: uuid.UUID) -> None:
    """Claim a run and carry it out; nothing happens if it is not to be had."""
    for run in claim([pk]):
        carry_out(run)


def carry_out(run: Run) -> None:
    """Carry out a run that this worker has claimed. What goes wrong is written in its row."""
    with guarded(run), beating([run]):
        WORK[Run.Kind(run.kind)](run)


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
        except (EngineError, Refused) as error:
            fail(run, error.code, str(error))
        except Exception:
            logger.exception("The run failed")
            fail(run, "internal_error", "Something went wrong here. The server's log says what.")
        except BaseException:
            # The queue's time limit raises SystemExit: no Exception, and no fault of the code.
            fail(run, "interrupted", "It was interrupted, or took too long.")
            raise


def fail(run: Run, code: str, message: str) -> None:
    """End a run as failed, and with it an image that no run has described."""
    with transaction.atomic():
        if Run.objects.fail(run, code, message) and run.kind == Run.Kind.UPLOAD:
            undescribed = OriginalImage.objects.exclude(status=OriginalImage.Status.READY)
            undescribed.filter(runs=run).update(
                status=OriginalImage.Status.FAILED, problem=message[:300]
            )


def discard(run: Run) -> None:
    """Undo what a cancelled upload has left: an image that is as new as the run.

    One that has failed before is in the catalogue, and stays.
    """
    if run.kind == Run.Kind.UPLOAD:
        OriginalImage.objects.filter(runs=run, status=OriginalImage.Status.PENDING).delete()


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


# --- Uploads: find the garments of images and describe them -----------------------------------


@dataclass
class Upload:
    """An upload on its way through the steps."""

    run: Run
    picture: Image | None = None
    detections: Sequence[Detection] = ()
    crops: list[Image] = field(default_factory=list)
    vectors: Vectors | None = None


def describe(run: Run) -> None:
    """Find the garments of one image and describe them."""
    describe_all([run])


def describe_all(runs: Sequence[Run]) -> None:
    """The same for many runs of one claim: crops are embedded in one batch, rows written at once.

    What goes wrong with one upload is written in its row, and leaves the others alone.
    """
    uploads = [Upload(run) for run in runs]
    for name, progress, step in (("reading", 0.1, read), ("detecting", 0.3, detect)):
        uploads = _reported(uploads, name, progress)
        uploads = _each(step, uploads)
    uploads = _embedded(_reported(uploads, "embedding", 0.7))
    _stored(_reported(uploads, "storing", 0.9))


def read(upload: Upload) -> None:
    image = upload.run.image
    if image is None:
        raise Refused("The image has been deleted.")
    upload.picture = stored(image.file)


def detect(upload: Upload) -> None:
    assert upload.picture is not None
    upload.detections = backends.detector().detect(upload.picture)
    upload.crops = [crop(upload.picture, found.box) for found in upload.detections]
    upload.picture = None  # a batch of many large photos need not stay in memory


def embed(uploads: Sequence[Upload]) -> None:
    """Embed the crops of all the uploads in one batch."""
    vectors = backends.embedder().embed([crop for upload in uploads for crop in upload.crops])
    start = 0
    for upload in uploads:
        upload.vectors = vectors[start : start + len(upload.crops)]
        start += len(upload.crops)


def store(uploads: Sequence[Upload]) -> list[Upload]:
    """Write segments, embeddings and DONE: all, or nothing. Gives those that had to stop."""
    embedder = indexing.serving_embedder()  # its row, if new, outlives what is undone below
    with transaction.atomic():
        there = _locked_images(uploads)
        whole = [upload for upload in uploads if upload.run.image_id in there]
        done = {run.pk for run in Run.objects.finish([upload.run for upload in whole])}
        finished = [upload for upload in whole if upload.run.pk in done]
        found = {
            there[upload.run.image_id]: [_found(item) for item in upload.detections]
            for upload in finished
        }
        if segments := replace_segments(found):
            vectors = np.concatenate([upload.vectors for upload in finished])
            add_embeddings(embedder, segments, vectors)
        OriginalImage.objects.filter(pk__in=[upload.run.image_id for upload in finished]).update(
            status=OriginalImage.Status.READY, problem=""
        )
    return [upload for upload in uploads if upload.run.pk not in done]


def _locked_images(uploads: Sequence[Upload]) -> dict[int | None, OriginalImage]:
    """The images that are still there, by key: nobody deletes them until the transaction ends."""
    keys = [upload.run.image_id for upload in uploads if upload.run.image_id is not None]
    images = OriginalImage.objects.select_for_update().filter(pk__in=keys)
    return {image.pk: image for image in images}


def _found(detection: Detection) -> Found:
    return Found(
        box=detection.box.edges,
        label=detection.label,
        score=detection.score,
        detector=settings.DETECTOR,
    )


def add_embeddings(embedder: Embedder, segments: Sequence[Segment], vectors: Vectors) -> None:
    """Add the vectors of new segments, inside the caller's transaction.

    The embedder's row is locked until that commits, so ids are given in the order of commits:
    who has read up to an id has missed nothing below it (see `indexing.Tail`).
    """
    Embedder.objects.select_for_update().get(pk=embedder.pk)
    Embedding.objects.filter(segment__in=segments).delete()  # of what they showed before
    Embedding.objects.bulk_create(
        Embedding(segment=segment, embedder=embedder, vector=vector)
        for segment, vector in zip(segments, vectors, strict=True)
    )


def _reported(uploads: list[Upload], step: str, progress: float) -> list[Upload]:
    """Those that may go on; the others have ended."""
    alive = {run.pk for run in Run.objects.report([u.run for u in uploads], step, progress)}
    _each(lambda upload: stop(upload.run), [u for u in uploads if u.run.pk not in alive])
    return [upload for upload in uploads if upload.run.pk in alive]


def _each(step: Callable[[Upload], None], uploads: list[Upload]) -> list[Upload]:
    """Those with which the step went well; the others have ended."""
    well = []
    for upload in uploads:
        with guarded(upload.run):
            step(upload)
            well.append(upload)
    return well


def _embedded(uploads: list[Upload]) -> list[Upload]:
    """Those whose crops have vectors now; one that cannot be embedded spoils no batch."""
    try:
        embed(uploads)
    except Exception:  # noqa: BLE001  (whatever it is, it comes up again below, and is logged)
        return _each(lambda upload: embed([upload]), uploads)
    return uploads


def _stored(uploads: list[Upload]) -> None:
    """Write what was found; one that cannot be written spoils no batch."""
    try:
        stopped = store(uploads)
    except Exception:  # noqa: BLE001  (whatever it is, it comes up again below, and is logged)
        _each(_store_alone, uploads)
    else:
        _each(_give_up, stopped)


def _store_alone(upload: Upload) -> None:
    if store([upload]):
        _give_up(upload)


def _give_up(upload: Upload) -> None:
    """Raise why an upload could not be written: its image has gone, or it had to stop."""
    if not OriginalImage.objects.filter(runs=upload.run).exists():
        raise Refused("The image has been deleted.")
    stop(upload.run)


# --- Searches -------------------------------------------------------------------------------


def search(run: Run) -> None:
    """Find what is most like the query's photo, a box of it, or a known garment."""
    checkpoint(run, "comparing", 0.5)
    neighbours = _neighbours(run)
    with transaction.atomic():
        finish(run)
        _add_hits(run, neighbours)


def answer(run: Run) -> None:
    """Carry out a search that is not saved yet, and save it as done, with its results.

    For light searches, inside the request that asks: what goes wrong is raised, and leaves no
    row. Raises EngineError, Refused.
    """
    run.started_at = timezone.now()
    neighbours = _neighbours(run)
    run.state, run.progress, run.finished_at = Run.State.DONE, 1.0, timezone.now()
    with transaction.atomic():
        run.save(force_insert=True)
        _add_hits(run, neighbours)


def _neighbours(run: Run) -> list[Neighbour]:
    embedder = indexing.serving_embedder()
    return indexing.nearest(
        embedder,
        _query_vector(run, embedder),
        limit=run.options["limit"],
        products=chosen_products(run.options.get("filters") or {}),
        leave_out=run.segment,
    )


def _add_hits(run: Run, neighbours: Sequence[Neighbour]) -> None:
    Hit.objects.bulk_create(
        Hit(run=run, rank=rank, segment_id=item.segment_id, similarity=item.similarity)
        for rank, item in enumerate(neighbours)
    )


def _query_vector(run: Run, embedder: Embedder) -> Vectors:
    if run.query is not None:
        picture = stored(run.query.file)
        if box := run.options.get("box"):
            picture = crop(picture, Box(*box))
        return cast(Vectors, backends.embedder().embed([picture])[0])
    return segment_vector(run.segment_id, embedder)


def segment_vector(segment_id: int | None, embedder: Embedder) -> Vectors:
    """A garment's vector. Raises NotDescribed if the embedder has not seen it."""
    row = Embedding.objects.filter(segment=segment_id, embedder=embedder).first()
    if row is None:
        raise NotDescribed("This garment has not been described yet. Try again in a moment.")
    return cast(Vectors, row.vector)


def chosen_products(filters: dict[str, object]) -> QuerySet[Product] | None:
    """The products that pass the filters; None if there are none to pass."""
    return ProductFilter(filters, Product.objects.order_by()).qs if filters else None


def detect_in_query(run: Run) -> None:
    """Find the garments of a query's photo: the hotspots of the search page."""
    assert run.query is not None
    checkpoint(run, "reading", 0.1)
    picture = stored(run.query.file)
    checkpoint(run, "detecting", 0.3)
    detections = backends.detector().detect(picture)
    with transaction.atomic():
        finish(run)
        run.query.detections = [
            {"box": item.box.edges, "label": item.label, "score": item.score} for item in detections
        ]
        run.query.save(update_fields=["detections"])


# --- Index ----------------------------------------------------------------------------------


def rebuild(run: Run) -> None:
    """Build the index of the serving embedder anew."""
    indexing.rebuild(
        indexing.serving_embedder(),
        run=run,
        on_progress=lambda done: checkpoint(run, "building", 0.9 * done),
    )
    finish(run)


WORK: dict[Run.Kind, Callable[[Run], None]] = {
    Run.Kind.UPLOAD: describe,
    Run.Kind.SEARCH: search,
    Run.Kind.DETECT: detect_in_query,
    Run.Kind.REBUILD: rebuild,
}
