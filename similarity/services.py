"""What is asked of the product, each verb once: the API, the pages, the admin and the commands
call these. What takes long is left to a worker, which finds it by its row."""

from __future__ import annotations

import datetime as dt
import io
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import Error as DriverError
from django.db import IntegrityError, connection, transaction
from django.db.models import Case, When
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from django_q.brokers import get_broker
from django_q.tasks import async_task
from PIL import Image

from accounts import audit
from accounts.models import User
from accounts.services import preferences_of
from catalog.facets import Facets
from catalog.facets import count as count_facets
from catalog.models import OriginalImage, Product, Segment, findable
from catalog.services import NewImage, Picture, add_images, keep_files
from similarity import backends, indexing, intake, pipeline, prototypes, rules, serving
from similarity.combined import Wish
from similarity.engine import Box
from similarity.engine.errors import BrokenBuild, EngineError, MissingWeights
from similarity.engine.images import crop, open_stored
from similarity.errors import (
    AlreadyEnded,
    BadBox,
    IdTaken,
    NotDescribed,
    NotRepeatable,
    OtherEmbedder,
    Refused,
)
from similarity.indexing import Neighbour
from similarity.models import Embedder, Embedding, IndexBuild, Pause, Query, Run
from similarity.prepared import Prepared
from similarity.signals import swept

logger = logging.getLogger("similarity.services")

_WARM = threading.Event()

NO_WISH = Wish()

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
    return intake.take_in(data)


def start_upload(
    picture: Picture,
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    source_name: str = "",
    owner: User | None = None,
    product: Product | None = None,
    queued: bool = True,
    pk: uuid.UUID | None = None,
    cut_out_by: str = "",
) -> Upload:
    """Add a picture to the catalogue, as `start_uploads` does many.

    `pk` is the id that its run is to have. Raises IdTaken if there is one of that id.
    """
    new = NewImage(picture, source_name=source_name, product=product)
    how: dict[str, Any] = {
        "source": source,
        "owner": owner,
        "queued": queued,
        "cut_out_by": cut_out_by,
    }
    if pk is None:
        return start_uploads([new], **how)[0]
    try:
        return start_uploads([new], pks=[pk], **how)[0]
    except IntegrityError as error:
        if Run.objects.filter(pk=pk).exists():
            raise IdTaken(_("This id is taken. Give another.")) from error
        raise


def start_uploads(
    new: Sequence[NewImage],
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    owner: User | None = None,
    queued: bool = True,
    pks: Sequence[uuid.UUID] = (),
    cut_out_by: str = "",
) -> list[Upload]:
    """Add pictures to the catalogue, each with a run that is to find and describe its garments.

    Bytes that are known give the image and the run that they have, which gets another chance if
    it has failed. `queued=False` leaves the runs to the caller; `pks` are ids for new ones.
    `cut_out_by` names the detector whose crops the pictures are: each is one garment then, and
    none is looked for.
    """
    keep_files(new)
    return add_uploads(
        new, source=source, owner=owner, queued=queued, pks=pks, cut_out_by=cut_out_by
    )


def add_uploads(
    new: Sequence[NewImage],
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    owner: User | None = None,
    queued: bool = True,
    pks: Sequence[uuid.UUID] = (),
    cut_out_by: str = "",
) -> list[Upload]:
    """The same for pictures whose files are kept, inside of a transaction of the caller's."""
    with transaction.atomic():
        images = add_images(new, source=source, owner=owner)
        known = Run.objects.filter(
            kind=Run.Kind.UPLOAD, image__in=[image for image, is_new in images if not is_new]
        )
        runs = {run.image_id: run for run in known.order_by("created_at")}
        ids = iter(pks)
        fresh = {
            image.pk: Run(
                id=next(ids, None) or uuid.uuid4(),
                kind=Run.Kind.UPLOAD,
                image=image,
                requested_by=owner,
                options={"cut_out_by": cut_out_by} if cut_out_by else {},
            )
            for image, _ in images
            if image.pk not in runs
        }
        Run.objects.bulk_create(fresh.values())
        if owner is not None:
            _note([image for image, is_new in images if is_new], owner)
        if queued:
            for run in fresh.values():
                enqueue(run)
        for run in runs.values():
            _want_again(run, queued=queued)
    return [
        Upload(image, fresh.get(image.pk) or runs[image.pk], is_new) for image, is_new in images
    ]


def upload_now(picture: Picture, **how: Any) -> Upload:
    """The same for a client that waits: with light backends it is done when this returns."""
    light = backends.detector().light and serving.are_all_light()
    upload = start_upload(picture, queued=not light, **how)
    if light:
        pipeline.execute(upload.run.pk)
        upload.run.refresh_from_db()
    return upload


def _note(images: Sequence[OriginalImage], owner: User) -> None:
    """What somebody uploads stands in the audit log; what a command takes in does not."""

    def told(image: OriginalImage) -> dict[str, Any]:
        return {"identifier": (None, image.identifier), "product": (None, image.product_id)}

    audit.note_all(images, audit.Action.CREATE, told, by=owner)


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
        before = image.runs.filter(kind=Run.Kind.UPLOAD).first()  # the latest: what was cut out
        options = {} if before is None else before.options  # by somebody stays one garment
        run = Run.objects.create(
            kind=Run.Kind.UPLOAD, image=image, requested_by=asked_by, options=options
        )
        enqueue(run)
    return run


def start_fetch(product: Product, url: str, position: int, asked_by: User | None = None) -> Run:
    """Have a worker fetch a picture of a product, and describe it; raises UrlsOff."""
    intake.refuse_urls_if_off()
    run = Run.objects.create(
        kind=Run.Kind.UPLOAD,
        product=product,
        requested_by=asked_by,
        options={"url": url, "position": position},
    )
    enqueue(run)
    return run


# --- Searches -------------------------------------------------------------------------------


def fetch_image(url: str) -> bytes:
    """The bytes behind an address, if the shop allows fetching; raises UrlsOff, FetchRefused."""
    return intake.fetch_image(url)


def keep_query(picture: Picture, owner: User | None) -> Query:
    """Keep a photo to search with, until it expires."""
    lifetime = dt.timedelta(days=settings.QUERY_LIFETIME_DAYS)
    query = Query(
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        owner=owner,
        expires_at=_forgotten_at(owner) or timezone.now() + lifetime,
    )
    query.file.save(f"{query.pk}.jpg", ContentFile(picture.jpeg))
    return query


def _forgotten_at(person: User | None) -> dt.datetime | None:
    """When what somebody searches for now is to be forgotten; None if it is their history."""
    if preferences_of(person).keeps_history:
        return None
    return timezone.now() + FORGOTTEN_AFTER


def search(
    *,
    query: Query | None = None,
    segment: Segment | None = None,
    wish: Wish = NO_WISH,
    limit: int,
    box: Sequence[float] | None = None,
    filters: Mapping[str, Any] | None = None,
    model: str | None = None,
    facets: bool = False,
    top_categories: int | None = None,
    asked_by: User | None = None,
    detect: bool | None = None,
    pk: uuid.UUID | None = None,
) -> Run:
    """Search with a photo, a box of it, or a known garment, with a wish, or with both.

    `model` names another embedder than the serving one; `top_categories` narrows the search to so
    many of the nearest categories, as `prototypes.nearest` does.

    A search that is fast enough is done when this returns; any other is left to a worker. The
    first search with a photo also has its garments looked for, unless `detect` or, where that is
    not said, whoever asks does not want it. A `pk` that they have given before is that search.
    Raises MissingWeights, BadBox, NotDescribed, ModelNotReady, IdTaken.
    """
    if pk is not None and (known := known_run(pk, Run.Kind.SEARCH, asked_by)):
        return known
    embedder = serving.chosen(model)
    if query is not None and box is not None:
        box = _clamped(box, query)
    run = Run(
        id=pk or uuid.uuid4(),
        kind=Run.Kind.SEARCH,
        query=query,
        segment=segment,
        requested_by=asked_by,
        options={
            "limit": limit,
            "box": box,
            "filters": dict(filters or {}),
            "model": model,
            "facets": facets,
            "top_categories": top_categories,
            **wish.options,
        },
        expires_at=_forgotten_at(asked_by),
    )
    if not _needs_embedder(query, wish, embedder) or serving.backend_of(embedder).light:
        run.embedder = embedder
        run = _added(run, pipeline.answer)
    else:
        run = _added(run, _leave_to_worker)
    wants = preferences_of(asked_by).detects if detect is None else detect
    if query is not None and wants:
        look_for_garments(query, asked_by)
    return run


def sort(
    *,
    query: Query | None = None,
    segment: Segment | None = None,
    limit: int,
    box: Sequence[float] | None = None,
    model: str | None = None,
    asked_by: User | None = None,
    pk: uuid.UUID | None = None,
) -> Run:
    """Compare a photo, a box of it, or a known garment with the categories, and with nothing else.

    Done when this returns, or left to a worker, as `search` is; gone after an hour. Raises as it
    does.
    """
    if pk is not None and (known := known_run(pk, Run.Kind.SORT, asked_by)):
        return known
    embedder = serving.chosen(model)
    run = Run(
        id=pk or uuid.uuid4(),
        kind=Run.Kind.SORT,
        query=query,
        segment=segment,
        requested_by=asked_by,
        options={
            "limit": limit,
            "box": None if query is None or box is None else _clamped(box, query),
            "model": model,
        },
        expires_at=timezone.now() + FORGOTTEN_AFTER,
    )
    if query is None or serving.backend_of(embedder).light:
        run.embedder = embedder
        return _added(run, pipeline.answer_with_categories)
    return _added(run, _leave_to_worker)


def known_run(pk: uuid.UUID, kind: Run.Kind, asked_by: User | None) -> Run | None:
    """The run of an id that a client gives, which it may have given before.

    Raises IdTaken if it is another person's, or of another kind.
    """
    run = Run.objects.filter(pk=pk).select_related("query", "segment", "image").first()
    asker = None if asked_by is None else asked_by.pk
    if run is not None and (run.kind, run.requested_by_id) != (kind, asker):
        raise IdTaken(_("This id is taken. Give another."))
    return run


def _added(run: Run, add: Callable[[Run], None]) -> Run:
    """A run that is added so; if somebody was faster with its id, that one."""
    try:
        add(run)
    except IntegrityError:
        known = known_run(run.pk, Run.Kind(run.kind), run.requested_by)
        if known is None:
            raise
        return known
    return run


def _needs_embedder(query: Query | None, wish: Wish, embedder: Embedder) -> bool:
    """Whether a search has the embedder describe something: a photo, or words if it can."""
    if query is not None:
        return True
    return wish.has_words and backends.text_side(serving.backend_of(embedder)) is not None


def search_photo(data: bytes, **how: Any) -> Run:
    """Search with a new photo. Raises BadImage, and what `search` does: before it is kept."""
    return _with_photo(search, Run.Kind.SEARCH, data, **how)


def sort_photo(data: bytes, **how: Any) -> Run:
    """Compare a new photo with the categories, as `sort` does."""
    return _with_photo(sort, Run.Kind.SORT, data, **how)


def _with_photo(
    start: Callable[..., Run],
    kind: Run.Kind,
    data: bytes,
    *,
    box: Sequence[float] | None = None,
    model: str | None = None,
    asked_by: User | None = None,
    pk: uuid.UUID | None = None,
    **how: Any,
) -> Run:
    if pk is not None and (known := known_run(pk, kind, asked_by)):
        return known
    picture = take_in(data)
    serving.chosen(model)
    if box is not None:
        box = _clamped(box, picture)
    query = keep_query(picture, asked_by)
    run = start(query=query, box=box, model=model, asked_by=asked_by, pk=pk, **how)
    if run.query_id != query.pk:  # the same id came twice at once, and the other was faster
        query.delete()
    return run


def _leave_to_worker(run: Run) -> None:
    with transaction.atomic():
        run.save(force_insert=True)
        enqueue(run)


def look_for_garments(query: Query, asked_by: User | None) -> Run | None:
    """Have the garments of a photo looked for, unless that was done; the run that is at it.

    With a light detector it has ended when this returns.
    """
    if query.detections is not None:
        return None
    return query.runs.under_way(Run.Kind.DETECT).first() or _detection(query, asked_by)


def _detection(query: Query, asked_by: User | None, pk: uuid.UUID | None = None) -> Run:
    run = Run(id=pk or uuid.uuid4(), kind=Run.Kind.DETECT, query=query, requested_by=asked_by)
    if not backends.detector().light:
        _leave_to_worker(run)
        return run
    with transaction.atomic():
        run.save(force_insert=True)
    pipeline.execute(run.pk)
    query.refresh_from_db(fields=["detections"])
    run.refresh_from_db()
    return run


def _clamped(box: Sequence[float], picture: Picture | Query) -> list[float]:
    inside = Box(*box).clamped(picture.width, picture.height)
    if inside.width < 1 or inside.height < 1:
        sentence = _(
            "The box holds nothing of the picture, which is {width} pixels wide and {height} high."
        )
        raise BadBox(format_lazy(sentence, width=picture.width, height=picture.height))
    return list(inside.edges)


def similar(
    segment: Segment,
    *,
    limit: int,
    filters: Mapping[str, Any] | None = None,
    model: str | None = None,
    beside_others: bool = False,
) -> list[Neighbour]:
    """What is most like a known garment; leaves no trace. Raises NotDescribed, ModelNotReady.

    `beside_others` is for one of several rows of results: nothing is pinned there.
    """
    embedder = serving.chosen(model)
    ruling = rules.in_force(filters or {}, segment)
    return rules.nearest(
        embedder,
        pipeline.segment_vector(segment.pk, embedder).reshape(1, -1),
        limit=limit,
        among=pipeline.among(filters or {}, own=[segment]),
        ruling=ruling.without_pins() if beside_others else ruling,
    )


def goes_with(
    segment: Segment, seen_with: Sequence[Segment], *, limit: int, kinds: int
) -> list[tuple[Segment, list[Neighbour]]]:
    """What the shop has like the garments that are worn with one: complete the look.

    Of `seen_with` (garments of the same product's pictures) the surest of each other label
    counts, at most `kinds` of them; each with up to `limit` products, none of them its own.
    What has not been described, or finds nothing, is left out.
    """
    surest: dict[str, Segment] = {}
    for other in sorted(seen_with, key=lambda one: (-one.score, one.pk)):
        if other.label != segment.label:
            surest.setdefault(other.label, other)
    looks: list[tuple[Segment, list[Neighbour]]] = []
    for other in list(surest.values())[:kinds]:
        with suppress(NotDescribed):
            if found := similar(other, limit=limit, beside_others=True):
                looks.append((other, found))
    return looks


def outfit(query: Query, *, limit: int) -> list[list[Neighbour]]:
    """What the shop has like each garment that was found in a photo, in their order.

    Computed at once, so for light embedders alone, and leaves no trace.
    """
    boxes = [Box(*found["box"]) for found in query.detections or []]
    picture = pipeline.stored(query.file)
    embedder = serving.serving_embedder()
    vectors = serving.backend_of(embedder).embed([crop(picture, box) for box in boxes])
    how: dict[str, Any] = {
        "limit": limit,
        "among": pipeline.among({}),
        "ruling": rules.in_force({}).without_pins(),
    }
    return [rules.nearest(embedder, vector.reshape(1, -1), **how) for vector in vectors]


MOST_PICTURES = 20
"""So many of a product's pictures are looked at for products like it."""


def similar_products(
    product: Product, *, limit: int, filters: Mapping[str, Any] | None = None
) -> list[Neighbour]:
    """The products most like one, in the order of the best of its pictures; leaves no trace.

    Each picture speaks by its best garment. Raises NotDescribed if none has been described.
    """
    embedder = serving.serving_embedder()
    rows = VECTORS(product.pk, embedder.pk)
    best = {image: vector for image, vector in reversed(rows)}  # noqa: C416  (rows are tuples)
    if not best:
        raise NotDescribed(_("This product has no described picture yet."))
    return rules.nearest(
        embedder,
        np.stack(list(best.values())[-MOST_PICTURES:]),
        limit=limit,
        among=pipeline.among(filters or {}).but([product.pk]),
        ruling=rules.for_product(filters or {}, product.pk),
    )


VECTORS = Prepared(
    lambda product, embedder: (
        Embedding.objects.filter(
            findable("segment__"), segment__image__product=product, embedder=embedder
        )
        .order_by("segment__image__position", "segment__image", "segment__number")
        .values_list("segment__image", "vector")
    )
)
"""Of a product's garments, with their images, in their order."""


def facets_of(run: Run) -> Facets | None:
    """The facets of a search that asked for them, as they are now; None before it is done."""
    if run.state != Run.State.DONE or not run.options.get("facets"):
        return None
    return count_facets(run.options.get("filters") or {})


def find_similar(data: bytes, *, limit: int, model: str | None = None) -> list[Neighbour]:
    """What is most like the picture of those bytes; leaves no trace.

    The picture goes the way that an uploaded one goes, through its stored JPEG. Raises BadImage,
    ModelNotReady.
    """
    embedder = serving.chosen(model)
    picture = open_stored(io.BytesIO(take_in(data).jpeg))
    vectors = serving.backend_of(embedder).embed([picture])
    return rules.nearest(
        embedder, vectors, limit=limit, among=pipeline.among({}), ruling=rules.in_force({})
    )


def split_photo(data: bytes, *, asked_by: User | None = None, pk: uuid.UUID | None = None) -> Run:
    """Have the garments of a new photo looked for, and nothing else; raises BadImage, IdTaken.

    The photo is there until the caller deletes the run's query, so no id is good twice.
    """
    query = keep_query(take_in(data), asked_by)
    try:
        return _detection(query, asked_by, pk)
    except IntegrityError as error:
        query.delete()
        raise IdTaken(_("This id is taken. Give another.")) from error


def forget_search(run: Run) -> None:
    """Delete a search, and its photo unless another search needs it."""
    query = run.query
    run.delete()
    if query is not None and not query.runs.filter(kind=Run.Kind.SEARCH).exists():
        query.delete()


def forget_searches(person: User) -> None:
    """Delete all that somebody has searched for, and the photos with it."""
    with transaction.atomic():
        searches = Run.objects.filter(kind__in=[Run.Kind.SEARCH, Run.Kind.DETECT])
        searches.filter(requested_by=person).delete()
        Query.objects.filter(owner=person).delete()


KNOWN = Segment.objects.select_related("image").only("identifier", "image__product")
"""Garments with all that a search by one of them needs to know of it."""


def main_segment(product: Product) -> Segment:
    """The garment that stands for a product: of its first picture that has any, the main or best.

    Where there is none in any of them, its first picture as a whole.
    """
    nothing_found = Case(When(detector=Segment.NOTHING_FOUND, then=1), default=0)
    segment = (
        Segment.objects.filter(findable(), image__product=product)
        .select_related("image__product")
        .order_by(nothing_found, "image__position", "image_id", "number")
        .first()
    )
    if segment is None:
        raise NotDescribed(_("This product has no described picture yet."))
    return segment


# --- Runs -----------------------------------------------------------------------------------


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
        raise IdTaken(_("This id is taken. Give another.")) from error
    return run


def wait_for(run: Run, seconds: float) -> None:
    """Return when a run has ended or is to stop, or the time is up."""
    deadline = time.monotonic() + seconds
    while not (run.has_ended or run.cancel_requested) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        run.refresh_from_db()


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
    for run in Run.objects.lost(_lease()):
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
    """Whether runs wait while no worker has reported of any for a while."""
    return (
        Run.objects.filter(state=Run.State.PENDING).may_go_on().exists()
        and not Run.objects.filter(
            state=Run.State.RUNNING, heartbeat__gt=timezone.now() - UNCLAIMED
        ).exists()
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


# --- Index ----------------------------------------------------------------------------------


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


def warm_up(*, light_only: bool = False) -> None:
    """Load the configured models, or those that a web process uses, and have each work once.

    Raises what they raise, MissingWeights for one. Never call it before a fork.
    """
    picture = Image.new("RGB", (224, 224), "white")
    detector = backends.detector()
    if detector.light or not light_only:
        detector.detect(picture)
    for embedder in [serving.serving_embedder()] if light_only else serving.describing():
        backend = serving.backend_of(embedder)
        if backend.light or not light_only:
            backend.embed([picture])
    _WARM.set()


def is_warm() -> bool:
    """Whether this process has warmed up: the next search waits for no model."""
    return _WARM.is_set()


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
    embedder = backends.embedder(serving.serving_name())
    missing = [*backends.detector().missing(), *embedder.missing()]
    if missing:
        raise MissingWeights(" ".join(missing))


def _probe_index() -> None:
    """Search for real: a build may look whole and yet not answer."""
    embedder = serving.serving_embedder()
    known = Embedding.objects.filter(embedder=embedder).last()
    if known is None and Segment.objects.exists():
        raise NotDescribed(
            f"No garment of the catalogue has been described by {embedder}. "
            f"Run: manage.py embed_catalogue --embedder {embedder.name}"
        )
    if known is not None and not indexing.nearest(embedder, known.vector, limit=1):
        raise BrokenBuild("The index finds nothing, though there are garments to be found.")
