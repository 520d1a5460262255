"""What is asked of the product, each verb once: the API, the pages, the admin and the commands
call these. What takes long is left to a worker, which finds it by its row."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import Error as DriverError
from django.db import connection, transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task

from accounts.models import User
from catalog.models import OriginalImage, Product, Segment
from catalog.services import NewImage, Picture, add_images, keep_files
from similarity import backends, indexing, pipeline
from similarity.engine import Box
from similarity.engine.errors import BrokenBuild, EngineError, MissingWeights
from similarity.engine.fetch import fetch
from similarity.engine.images import encode_jpeg, open_stored, read_image
from similarity.errors import (
    AlreadyEnded,
    BadBox,
    NotDescribed,
    NotRepeatable,
    OtherEmbedder,
    Refused,
    UrlsOff,
)
from similarity.indexing import Neighbour
from similarity.models import Embedder, Embedding, IndexBuild, Query, Run

logger = logging.getLogger("similarity.services")

UNCLAIMED = dt.timedelta(seconds=30)
"""A pending run that no worker has claimed for so long is put into the queue once more."""


def enqueue(run: Run) -> None:
    """Let a worker know of a run, once it is there for all to see.

    While the queue is down that is logged, and the run waits for the sweeper.
    """
    transaction.on_commit(
        lambda: async_task("similarity.tasks.execute_run", str(run.pk)), robust=True
    )


# --- Uploads --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Upload:
    """What has become of an upload."""

    image: OriginalImage
    run: Run
    is_new: bool
    """False for bytes that the catalogue has had before."""


def take_in(data: bytes) -> Picture:
    """Let the bytes of a picture through the intake; raises BadImage. Touches no database."""
    image = read_image(data, backends.limits())
    return Picture(hashlib.sha256(data).hexdigest(), encode_jpeg(image), image.width, image.height)


def start_upload(
    picture: Picture,
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    source_name: str = "",
    owner: User | None = None,
    product: Product | None = None,
    queued: bool = True,
) -> Upload:
    """Add a picture to the catalogue, as `start_uploads` does many."""
    new = NewImage(picture, source_name=source_name, product=product)
    return start_uploads([new], source=source, owner=owner, queued=queued)[0]


def start_uploads(
    new: Sequence[NewImage],
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    owner: User | None = None,
    queued: bool = True,
) -> list[Upload]:
    """Add pictures to the catalogue, each with a run that is to find and describe its garments.

    Bytes that are known give the image and the run that they have, which gets another chance if
    it has failed. `queued=False` leaves the runs to the caller.
    """
    keep_files(new)
    with transaction.atomic():
        images = add_images(new, source=source, owner=owner)
        known = Run.objects.filter(
            kind=Run.Kind.UPLOAD, image__in=[image for image, is_new in images if not is_new]
        )
        runs = {run.image_id: run for run in known.order_by("created_at")}
        fresh = {
            image.pk: Run(kind=Run.Kind.UPLOAD, image=image, requested_by=owner)
            for image, _ in images
            if image.pk not in runs
        }
        Run.objects.bulk_create(fresh.values())
        if queued:
            for run in fresh.values():
                enqueue(run)
        for run in runs.values():
            _want_again(run, queued=queued)
    return [
        Upload(image, fresh.get(image.pk) or runs[image.pk], is_new) for image, is_new in images
    ]


def _want_again(run: Run, *, queued: bool) -> None:
    """Somebody sends the bytes of an earlier run again: whatever stopped it, it is wanted."""
    if run.state == Run.State.FAILED:
        with suppress(NotRepeatable):  # somebody else was faster
            run_again(run, queued=queued)
    elif run.cancel_requested:
        Run.objects.keep(run.pk)
    elif run.is_lost(_lease()) and Run.objects.give_back(run) and queued:
        enqueue(run)


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.RUN_LEASE_SECONDS)


def describe_again(image: OriginalImage, asked_by: User | None = None) -> Run:
    """Have an image's garments found and described anew; until then it keeps those it has.

    Raises NotRepeatable while a run is at it already.
    """
    with transaction.atomic():
        OriginalImage.objects.select_for_update().get(pk=image.pk)  # two who ask take turns
        if image.runs.under_way(Run.Kind.UPLOAD).exists():
            raise NotRepeatable("Its garments are being looked for already.")
        run = Run.objects.create(kind=Run.Kind.UPLOAD, image=image, requested_by=asked_by)
        enqueue(run)
    return run


# --- Searches -------------------------------------------------------------------------------


def fetch_image(url: str) -> bytes:
    """The bytes behind an address, if the shop allows fetching; raises UrlsOff, FetchRefused."""
    if not settings.ALLOW_IMAGE_URLS:
        raise UrlsOff("Searching by an image's address is switched off here. Send the image.")
    return fetch(url, max_bytes=settings.MAX_UPLOAD_BYTES)


def keep_query(picture: Picture, owner: User | None) -> Query:
    """Keep a photo to search with, until it expires."""
    query = Query(
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        owner=owner,
        expires_at=timezone.now() + dt.timedelta(days=settings.QUERY_LIFETIME_DAYS),
    )
    query.file.save(f"{query.pk}.jpg", ContentFile(picture.jpeg))
    return query


def search(
    *,
    query: Query | None = None,
    segment: Segment | None = None,
    limit: int,
    box: Sequence[float] | None = None,
    filters: Mapping[str, Any] | None = None,
    asked_by: User | None = None,
) -> Run:
    """Search with a photo, a box of it, or a known garment.

    A search that is fast enough is done when this returns; any other is left to a worker. The
    first search with a photo also has its garments looked for. Raises MissingWeights, BadBox,
    NotDescribed.
    """
    if query is not None and box is not None:
        box = _clamped(box, query)
    run = Run(
        kind=Run.Kind.SEARCH,
        query=query,
        segment=segment,
        requested_by=asked_by,
        options={"limit": limit, "box": box, "filters": dict(filters or {})},
    )
    if query is None or backends.embedder().light:
        pipeline.answer(run)
    else:
        indexing.serving_embedder()
        _leave_to_worker(run)
    if query is not None and query.detections is None and not _detecting(query):
        _look_for_garments(query, asked_by)
    return run


def search_photo(
    data: bytes,
    *,
    box: Sequence[float] | None = None,
    asked_by: User | None = None,
    **how: Any,
) -> Run:
    """Search with a new photo. Raises BadImage, and what `search` does: before it is kept."""
    picture = take_in(data)
    indexing.serving_embedder()
    if box is not None:
        box = _clamped(box, picture)
    return search(query=keep_query(picture, asked_by), box=box, asked_by=asked_by, **how)


def _leave_to_worker(run: Run) -> None:
    run.save()
    enqueue(run)


def _look_for_garments(query: Query, asked_by: User | None) -> None:
    run = Run(kind=Run.Kind.DETECT, query=query, requested_by=asked_by)
    if backends.detector().light:
        run.save()
        pipeline.execute(run.pk)
        query.refresh_from_db(fields=["detections"])
    else:
        _leave_to_worker(run)


def _clamped(box: Sequence[float], picture: Picture | Query) -> list[float]:
    inside = Box(*box).clamped(picture.width, picture.height)
    if inside.width < 1 or inside.height < 1:
        raise BadBox(
            f"The box holds nothing of the picture, which is {picture.width} pixels wide and "
            f"{picture.height} high."
        )
    return list(inside.edges)


def _detecting(query: Query) -> bool:
    return query.runs.under_way(Run.Kind.DETECT).exists()


def similar(
    segment: Segment, *, limit: int, filters: Mapping[str, Any] | None = None
) -> list[Neighbour]:
    """What is most like a known garment; leaves no trace. Raises NotDescribed."""
    embedder = indexing.serving_embedder()
    return indexing.nearest(
        embedder,
        pipeline.segment_vector(segment.pk, embedder),
        limit=limit,
        products=pipeline.chosen_products(dict(filters or {})),
        leave_out=segment,
    )


def find_similar(data: bytes, *, limit: int) -> list[Neighbour]:
    """What is most like the picture of those bytes; leaves no trace. Raises BadImage.

    The picture goes the way that an uploaded one goes, through its stored JPEG.
    """
    embedder = indexing.serving_embedder()
    picture = open_stored(io.BytesIO(take_in(data).jpeg))
    vector = backends.embedder().embed([picture])[0]
    return indexing.nearest(embedder, vector, limit=limit)


def forget_search(run: Run) -> None:
    """Delete a search, and its photo unless another search needs it."""
    query = run.query
    run.delete()
    if query is not None and not query.runs.filter(kind=Run.Kind.SEARCH).exists():
        query.delete()


def main_segment(product: Product) -> Segment:
    """The garment that stands for a product: the best of its first picture that has one."""
    segment = (
        Segment.objects.filter(image__product=product)
        .select_related("image__product")
        .order_by("image__position", "image_id", "number")
        .first()
    )
    if segment is None:
        raise NotDescribed("This product has no described picture yet.")
    return segment


# --- Runs -----------------------------------------------------------------------------------


def cancel(run: Run) -> None:
    """Stop a run: at once when it waits, at its next checkpoint when it runs."""
    with transaction.atomic():
        if not Run.objects.cancel(run.pk):
            raise AlreadyEnded("It has ended already.")
        run.refresh_from_db()
        if run.state == Run.State.CANCELLED:
            pipeline.discard(run)


def run_again(run: Run, *, queued: bool = True) -> None:
    """Give a run that has failed or was cancelled another chance.

    `queued=False` leaves it to the caller.
    """
    if run.kind == Run.Kind.UPLOAD and run.image is None:
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
    given_back, failed = _sweep_lost()
    # A run may wait because many wait before it. Only an empty queue has lost its message.
    waiting = [] if get_broker().queue_size() else list(Run.objects.waiting(UNCLAIMED))
    for run in waiting:
        Run.objects.filter(pk=run.pk).update(queued_at=timezone.now())
        enqueue(run)
    _, expired = Query.objects.filter(expires_at__lt=timezone.now()).delete()
    return Swept(given_back, failed, len(waiting), expired.get(Query._meta.label, 0))


def _sweep_lost() -> tuple[int, int]:
    given_back = failed = 0
    for run in Run.objects.lost(_lease()):
        if run.cancel_requested:
            pipeline.discard(run)
            Run.objects.stop(run)
        elif run.attempts >= settings.RUN_MAX_ATTEMPTS:
            pipeline.fail(run, "orphaned", "Its worker was lost, again and again.")
            failed += 1
        elif Run.objects.give_back(run):
            enqueue(run)
            given_back += 1
    return given_back, failed


def is_stalled() -> bool:
    """Whether runs wait while no worker has reported of any for a while."""
    return (
        Run.objects.filter(state=Run.State.PENDING).exists()
        and not Run.objects.filter(
            state=Run.State.RUNNING, heartbeat__gt=timezone.now() - UNCLAIMED
        ).exists()
    )


# --- Index ----------------------------------------------------------------------------------


def start_rebuild(asked_by: User | None = None) -> Run:
    """Have a worker build the index anew; a rebuild that is under way is the one."""
    embedder = indexing.serving_embedder()
    with transaction.atomic():
        Embedder.objects.select_for_update().get(pk=embedder.pk)  # two who ask take turns
        run = Run.objects.under_way(Run.Kind.REBUILD).first()
        if run is None:
            run = Run.objects.create(kind=Run.Kind.REBUILD, requested_by=asked_by)
            enqueue(run)
    return run


def is_serving(build: IndexBuild) -> bool:
    """Whether that is the build which answers searches."""
    return build.embedder_id == indexing.serving_embedder().pk and indexing.is_serving(build)


REST = dt.timedelta(minutes=10)
"""After a rebuild that has not helped, none is started unasked for so long."""


def rebuild_if_needed() -> Run | None:
    """Have the index rebuilt once too many vectors are newer than it, or it is broken.

    Not right after a rebuild that failed, nor while an earlier build serves by somebody's wish.
    """
    status = indexing.status(indexing.serving_embedder())
    latest = Run.objects.filter(kind=Run.Kind.REBUILD).first()
    rests = latest and latest.finished_at and latest.finished_at > timezone.now() - REST
    if not status.needs_rebuild or rests or (status.is_rolled_back and not status.problem):
        return None
    return start_rebuild()


def roll_back(build: IndexBuild) -> None:
    """Let an earlier build serve again.

    Raises OtherEmbedder, BrokenBuild if it is damaged or gone, BuildInProgress.
    """
    if build.embedder_id != indexing.serving_embedder().pk:
        raise OtherEmbedder("This build is of another embedder than the one that serves.")
    indexing.activate(build)


# --- Health ---------------------------------------------------------------------------------


def readiness() -> dict[str, str]:
    """What keeps a search from being answered, by part; empty if one would be."""
    for part, probe in (
        ("database", _probe_database),
        ("models", probe_models),
        ("index", _probe_index),
    ):
        try:
            probe()
        except DriverError as error:
            logger.warning("The database does not answer: %s", error)
            return {part: "The database does not answer. The server's log says why."}
        except (EngineError, Refused, OSError) as error:
            return {part: str(error)}
    return {}


def probe_queue() -> None:
    """Raises ConnectionError if the queue cannot be reached."""
    try:
        get_broker().ping()
    except Exception as error:  # its driver's own: redis-py's are no OSErrors
        raise ConnectionError(f"The queue does not answer: {error}") from error


def _probe_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def probe_models() -> None:
    """Raises MissingWeights, or what else keeps the configured models from being used."""
    missing = [*backends.detector().missing(), *backends.embedder().missing()]
    if missing:
        raise MissingWeights(" ".join(missing))


def _probe_index() -> None:
    """Search for real: a build may look whole and yet not answer."""
    embedder = indexing.serving_embedder()
    known = Embedding.objects.filter(embedder=embedder).last()
    if known is None and Segment.objects.exists():
        raise NotDescribed(
            f"No garment of the catalogue has been described by {embedder}. Have the images' "
            "garments found again in the admin, or go back to the embedder before."
        )
    if known is not None and not indexing.nearest(embedder, known.vector, limit=1):
        raise BrokenBuild("The index finds nothing, though there are garments to be found.")
