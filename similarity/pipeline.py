"""What a worker carries out: a claimed run, step by step, with a checkpoint before each.

At a checkpoint the run reports how far it is, and learns that it was cancelled or taken away.
All that a run writes, it writes in one transaction at its end; so stopping one leaves nothing
to undo but a new image that nobody is to see.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from PIL.Image import Image

from catalog.filters import ProductFilter
from catalog.models import OriginalImage, Product
from catalog.services import Found, replace_segments
from similarity import backends, indexing
from similarity.engine import Box, Detection, Vectors
from similarity.engine.errors import EngineError
from similarity.engine.images import crop, open_stored
from similarity.errors import Cancelled, LostRun, NotDescribed, Refused
from similarity.logs import logged_as
from similarity.models import Embedder, Embedding, Hit, Run

logger = logging.getLogger("similarity.pipeline")


def worker_name() -> str:
    """This process and thread, as a run's row names its worker."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{threading.get_ident()}"


def execute(pk: uuid.UUID) -> None:
    """Claim a run and carry it out; nothing happens if it is not to be had."""
    if run := Run.objects.claim(pk, worker_name()):
        carry_out(run)


def carry_out(run: Run) -> None:
    """Carry out a run that this worker has claimed. What goes wrong is written in its row."""
    with guarded(run):
        WORK[Run.Kind(run.kind)](run)


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
            OriginalImage.objects.filter(
                pk=run.image_id, status=OriginalImage.Status.PENDING
            ).update(status=OriginalImage.Status.FAILED, problem=message[:300])


def discard(run: Run) -> None:
    """Undo what a cancelled upload has left: an image that no run has described."""
    if run.kind == Run.Kind.UPLOAD:
        images = OriginalImage.objects.filter(pk=run.image_id)
        images.exclude(status=OriginalImage.Status.READY).delete()


def checkpoint(run: Run, step: str, progress: float) -> None:
    """Report how far a run is; raises Cancelled or LostRun if it must stop here."""
    if not Run.objects.report(run, step, progress):
        stop(run)


def finish(run: Run) -> None:
    """End a run as done, in the transaction that writes its outcome; raises as `checkpoint`."""
    if not Run.objects.finish(run):
        stop(run)


def stop(run: Run) -> None:
    """Raise what a refused report means."""
    cancelled = Run.objects.mine(run).filter(cancel_requested=True).exists()
    raise Cancelled if cancelled else LostRun


# --- Uploads: find the garments of an image and describe them --------------------------------


@dataclass
class Upload:
    """An upload on its way through the steps."""

    run: Run
    picture: Image | None = None
    detections: Sequence[Detection] = ()
    crops: list[Image] = field(default_factory=list)
    vectors: Vectors | None = None


def read(upload: Upload) -> None:
    image = upload.run.image
    if image is None:
        raise Refused("The image has been deleted.")
    with image.file.open("rb") as file:
        upload.picture = open_stored(file)


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


def store(upload: Upload) -> None:
    """Write segments, embeddings and DONE: all, or nothing."""
    run, image = upload.run, upload.run.image
    assert image is not None
    assert upload.vectors is not None
    with transaction.atomic():
        finish(run)
        segments = replace_segments(image, [_found(item) for item in upload.detections])
        add_embeddings(segments, upload.vectors)
        OriginalImage.objects.filter(pk=image.pk).update(
            status=OriginalImage.Status.READY, problem=""
        )


def _found(detection: Detection) -> Found:
    box = detection.box
    return Found(
        box=(box.x0, box.y0, box.x1, box.y1),
        label=detection.label,
        score=detection.score,
        detector=settings.DETECTOR,
    )


def add_embeddings(segments: Sequence[object], vectors: Vectors) -> None:
    """Add the vectors of new segments, inside the caller's transaction.

    The embedder's row is locked until that commits, so ids are given in the order of commits:
    who has read up to an id has missed nothing below it (see `indexing.Tail`).
    """
    serving = indexing.serving_embedder()
    embedder = Embedder.objects.select_for_update().get(pk=serving.pk)
    Embedding.objects.bulk_create(
        Embedding(segment=segment, embedder=embedder, vector=vector)
        for segment, vector in zip(segments, vectors, strict=True)
    )


READ = ("reading", 0.1, read)
DETECT = ("detecting", 0.3, detect)


def describe(run: Run) -> None:
    """One upload, through all steps."""
    upload = Upload(run)
    for name, progress, step in (READ, DETECT):
        checkpoint(run, name, progress)
        step(upload)
    checkpoint(run, "embedding", 0.7)
    embed([upload])
    store(upload)


def describe_all(runs: Sequence[Run], pool: Executor) -> None:
    """Many claimed uploads: read and detected side by side, embedded in one batch.

    What goes wrong with one is written in its row and leaves the others alone.
    """
    uploads = [Upload(run) for run in runs]
    for name, progress, step in (READ, DETECT):
        uploads = _surviving(uploads, lambda u, n=name, p=progress: checkpoint(u.run, n, p))
        outcomes = {id(upload): pool.submit(step, upload) for upload in uploads}
        uploads = _surviving(uploads, lambda u, o=outcomes: o[id(u)].result())
    uploads = _surviving(uploads, lambda upload: checkpoint(upload.run, "embedding", 0.7))
    try:
        embed(uploads)
    except Exception:
        logger.exception("A batch of %d could not be embedded: one by one instead", len(uploads))
        uploads = _surviving(uploads, lambda upload: embed([upload]))
    _surviving(uploads, store)


def _surviving(uploads: list[Upload], act: Callable[[Upload], object]) -> list[Upload]:
    """Those for which it went well; the others have ended."""
    well = []
    for upload in uploads:
        with guarded(upload.run):
            act(upload)
            well.append(upload)
    return well


# --- Searches -------------------------------------------------------------------------------


def search(run: Run) -> None:
    """Find what is most like the query's photo, a box of it, or a known garment."""
    embedder = indexing.serving_embedder()
    checkpoint(run, "reading", 0.1)
    vector = _query_vector(run, embedder)
    checkpoint(run, "comparing", 0.7)
    neighbours = indexing.nearest(
        embedder,
        vector,
        limit=run.options["limit"],
        products=chosen_products(run.options.get("filters") or {}),
        leave_out=run.segment,
    )
    with transaction.atomic():
        finish(run)
        Hit.objects.bulk_create(
            Hit(run=run, rank=rank, segment_id=item.segment_id, similarity=item.similarity)
            for rank, item in enumerate(neighbours)
        )


def _query_vector(run: Run, embedder: Embedder) -> Vectors:
    if run.query is not None:
        with run.query.file.open("rb") as file:
            picture = open_stored(file)
        if box := run.options.get("box"):
            picture = crop(picture, Box(*box))
        return backends.embedder().embed([picture])[0]
    return segment_vector(run.segment_id, embedder)


def segment_vector(segment_id: int | None, embedder: Embedder) -> Vectors:
    """A garment's vector. Raises NotDescribed if the embedder has not seen it."""
    row = Embedding.objects.filter(segment=segment_id, embedder=embedder).first()
    if row is None:
        raise NotDescribed("This garment has not been described yet. Try again in a moment.")
    vector: Vectors = row.vector
    return vector


def chosen_products(filters: dict[str, object]) -> QuerySet[Product] | None:
    """The products that pass the filters; None if there are none to pass."""
    return ProductFilter(filters, Product.objects.order_by()).qs if filters else None


def detect_in_query(run: Run) -> None:
    """Find the garments of a query's photo: the hotspots of the search page."""
    assert run.query is not None
    checkpoint(run, "reading", 0.1)
    with run.query.file.open("rb") as file:
        picture = open_stored(file)
    checkpoint(run, "detecting", 0.3)
    detections = backends.detector().detect(picture)
    with transaction.atomic():
        finish(run)
        run.query.detections = [
            {
                "box": [item.box.x0, item.box.y0, item.box.x1, item.box.y1],
                "label": item.label,
                "score": item.score,
            }
            for item in detections
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
