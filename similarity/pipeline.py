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
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import numpy as np
from django.conf import settings
from django.db import Error as DriverError
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.fields.files import FieldFile
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, override
from PIL.Image import Image

from accounts import audit
from catalog.filters import ProductFilter, passing
from catalog.models import OriginalImage, PictureQuality, Product, Segment, SegmentColour
from catalog.services import (
    Found,
    NewImage,
    add_images,
    keep_files,
    replace_colours,
    replace_segments,
)
from similarity import (
    backends,
    combined,
    indexing,
    intake,
    lookalikes,
    prototypes,
    rules,
    serving,
    upkeep,
)
from similarity.combined import Wish
from similarity.engine import Box, Detection, Vectors
from similarity.engine.colours import Colour, dominant
from similarity.engine.errors import EngineError
from similarity.engine.images import crop, open_stored
from similarity.engine.perceptual import perceptual_hash
from similarity.engine.sharpness import sharpness
from similarity.errors import (
    Cancelled,
    Described,
    LostRun,
    NotDescribed,
    OtherProduct,
    Refused,
)
from similarity.indexing import Neighbour
from similarity.logs import logged_as
from similarity.models import Embedder, Embedding, Hit, Run, SearchDay
from similarity.prepared import Prepared
from similarity.rules import Among

logger = logging.getLogger("similarity.pipeline")

SAME_GARMENT = 0.5
"""Boxes that share so much (intersection over union) are of one garment."""

BEAT_SECONDS = 5.0
"""A run that is worked on reports at least so often."""


def claim(pks: Iterable[uuid.UUID], *, unless_paused: bool = False) -> list[Run]:
    """Take those of the runs that are to be had, for this process to carry out."""
    worker = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
    return Run.objects.claim(pks, worker, unless_paused=unless_paused)


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

    Of an upload, an image that is as new as the run; one that has failed before is in the
    catalogue, and stays. Of a filling, the wish that its embedder be kept filled.
    """
    if run.kind == Run.Kind.FILL:
        Embedder.objects.filter(runs=run).update(is_kept=False, is_filled=False)
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
    detector: str = ""
    """What has found them, or Segment.NOTHING_FOUND."""
    crops: list[Image] = field(default_factory=list)
    colours: list[list[Colour]] = field(default_factory=list)
    """Of each crop, most first."""
    vectors: dict[Embedder, Vectors] = field(default_factory=dict)
    """Of its crops, by each embedder that has described them."""
    missed: set[Embedder] = field(default_factory=set)
    """Those that were to describe its crops, beside the serving one, and could not."""

    look: int = 0
    """The picture's perceptual hash."""
    sharpness: float = 0.0

    def lacks(self, embedder: Embedder) -> bool:
        return embedder not in self.vectors and embedder not in self.missed

    def leave_out(self, drawn: Sequence[Box]) -> None:
        """Drop what people have drawn boxes of themselves, and a whole picture beside such."""
        if not drawn:
            return
        kept = [
            number
            for number, found in enumerate(self.detections)
            if self.detector != Segment.NOTHING_FOUND
            and max(found.box.iou(box) for box in drawn) < SAME_GARMENT
        ]
        self.detections = [self.detections[number] for number in kept]
        self.crops = [self.crops[number] for number in kept]
        self.colours = [self.colours[number] for number in kept]
        self.vectors = {embedder: rows[kept] for embedder, rows in self.vectors.items()}


class EmbeddersChanged(Exception):
    """There is another embedder to describe new garments since these were described."""


def describe(run: Run) -> None:
    """Find the garments of one image and describe them."""
    describe_all([run])


def describe_all(runs: Sequence[Run], vectors: Mapping[uuid.UUID, Vectors] | None = None) -> None:
    """The same for many runs of one claim: crops are embedded in one batch, rows written at once.

    `vectors` has those of the serving embedder that are known already, (dim,) by run, of pictures
    that are one garment's crop. What goes wrong with one upload is written in its row, and leaves
    the others alone.
    """
    known = {}
    if vectors:
        embedder = serving.serving_embedder()
        known = {pk: {embedder: row[np.newaxis]} for pk, row in vectors.items()}
    uploads = [Upload(run, vectors=known.get(run.pk, {})) for run in runs]
    for name, progress, step in (("reading", 0.1, read), ("detecting", 0.3, detect)):
        uploads = _reported(uploads, name, progress)
        uploads = _each(step, uploads)
    uploads = _embedded(_reported(uploads, "embedding", 0.7))
    _stored(_reported(uploads, "storing", 0.9))


def read(upload: Upload) -> None:
    image = upload.run.image
    if image is None and "url" in upload.run.options:
        image = upload.run.image = fetch(upload.run)
    if image is None:
        raise Refused("The image has been deleted.")
    upload.picture = stored(image.file)


def fetch(run: Run) -> OriginalImage:
    """Fetch the picture that a run is about, and give it to its product.

    Raises Described if the catalogue has it, and has described it; OtherProduct, EngineError,
    Refused, and what `checkpoint` does.
    """
    url, position = run.options["url"], run.options["position"]
    picture = intake.take_in(intake.fetch_image(url))
    if run.product is None:
        raise Refused("The product has been deleted.")
    new = NewImage(picture, source_name=PurePosixPath(urlsplit(url).path).name, product=run.product)
    keep_files([new])
    with transaction.atomic():
        # Whoever lists other pictures of the product meanwhile takes turns, and has cancelled this.
        if not Product.objects.select_for_update().filter(pk=run.product.pk).exists():
            raise Refused("The product has been deleted.")
        checkpoint(run, "reading", 0.2)
        [(image, _)] = add_images([new], source=OriginalImage.Source.UPLOAD, owner=run.requested_by)
        if image.product_id != run.product.pk:
            raise OtherProduct(f"It is a picture of {image.product}, and stays it.")
        image.source_url, image.position = url, position
        OriginalImage.objects.filter(pk=image.pk).update(source_url=url, position=position)
        Run.objects.filter(pk=run.pk).update(image=image)
    if image.status == OriginalImage.Status.READY:
        raise Described
    return image


def detect(upload: Upload) -> None:
    assert upload.picture is not None
    whole = Box.whole(upload.picture)
    if cutter := upload.run.options.get("cut_out_by"):
        upload.detections, upload.detector = [Detection(whole, "garment", 1.0)], cutter
    else:
        upload.detections = backends.detector().detect(upload.picture)
        upload.detector = settings.DETECTOR
        upload.vectors = {}  # what is known was of the whole
    if not upload.detections:  # what is in the catalogue can be found, if by its whole look
        upload.detections = [Detection(whole, label="", score=0.0)]
        upload.detector = Segment.NOTHING_FOUND
    upload.crops = [crop(upload.picture, found.box) for found in upload.detections]
    upload.colours = [dominant(shown) for shown in upload.crops]
    upload.look = perceptual_hash(upload.picture)
    upload.sharpness = sharpness(upload.picture)
    upload.picture = None  # a batch of many large photos need not stay in memory


def embed(uploads: Sequence[Upload]) -> None:
    """Embed the crops of all the uploads in one batch, by each embedder that is to know them.

    One that is kept filled beside the serving one keeps no upload from its end: what it cannot
    describe it lacks.
    """
    first, *others = serving.describing()
    _embed_by(first, uploads)
    for embedder in others:
        try:
            _embed_by(embedder, uploads)
        except Exception:
            logger.exception("%s could not describe a batch of new garments", embedder)
            for upload in uploads:
                _embed_if_possible(embedder, upload)


def _embed_by(embedder: Embedder, uploads: Sequence[Upload]) -> None:
    lacking = [upload for upload in uploads if upload.lacks(embedder)]
    if not lacking:
        return
    crops = [crop for upload in lacking for crop in upload.crops]
    vectors = serving.backend_of(embedder).embed(crops)
    start = 0
    for upload in lacking:
        upload.vectors[embedder] = vectors[start : start + len(upload.crops)]
        start += len(upload.crops)


def _embed_if_possible(embedder: Embedder, upload: Upload) -> None:
    try:
        _embed_by(embedder, [upload])
    except Exception:  # noqa: BLE001  (the batch's was logged)
        upload.missed.add(embedder)


def store(uploads: Sequence[Upload]) -> list[Upload]:
    """Write segments, embeddings and DONE: all, or nothing. Gives those that had to stop."""
    serving.serving_embedder()  # its row, if new, outlives what is undone below
    while True:
        try:
            return _write(uploads)
        except EmbeddersChanged:
            embed(uploads)


def _write(uploads: Sequence[Upload]) -> list[Upload]:
    with transaction.atomic():
        unsorted = _locked_unsorted(uploads)
        there = _locked_images(uploads)
        whole = [upload for upload in uploads if upload.run.image_id in there]
        done = {run.pk for run in Run.objects.finish([upload.run for upload in whole])}
        finished = [upload for upload in whole if upload.run.pk in done]
        drawn = _drawn([upload.run.image_id for upload in finished])
        for upload in finished:
            upload.leave_out(drawn[upload.run.image_id])
        found = {
            there[upload.run.image_id]: [
                _found(item, upload.detector, colours)
                for item, colours in zip(upload.detections, upload.colours, strict=True)
            ]
            for upload in finished
        }
        if segments := replace_segments(found):
            _add_vectors(finished, segments)
            _predict_categories(finished, unsorted)
        _note_looks({upload.run.image_id: upload.look for upload in finished})
        note_sharpness({upload.run.image_id: upload.sharpness for upload in finished})
        OriginalImage.objects.filter(pk__in=[upload.run.image_id for upload in finished]).update(
            status=OriginalImage.Status.READY, problem=""
        )
    return [upload for upload in uploads if upload.run.pk not in done]


def _drawn(images: Sequence[int | None]) -> Mapping[int | None, list[Box]]:
    """The boxes in images that people have drawn, or have said something of."""
    boxes: dict[int | None, list[Box]] = defaultdict(list)
    for segment in Segment.objects.filter(image__in=images, detector=Segment.PERSON):
        boxes[segment.image_id].append(Box(*segment.box))
    return boxes


def _add_vectors(uploads: Sequence[Upload], segments: Sequence[Segment]) -> None:
    """Write what each embedder has made of the uploads' garments, given one upload after another.

    Raises EmbeddersChanged if one that ought to has not seen them.
    """
    serving.lock()
    embedders = serving.describing()
    before = Embedding.objects.filter(segment__in=segments)
    if before.delete()[0]:  # of what they showed before
        prototypes.mark(Product.objects.filter(images__segments__in=segments))
    rest = iter(segments)
    of_upload = [list(islice(rest, len(upload.crops))) for upload in uploads]
    for embedder in embedders:
        if any(upload.lacks(embedder) for upload in uploads):
            raise EmbeddersChanged
        well = [n for n, upload in enumerate(uploads) if embedder in upload.vectors]
        if len(well) < len(uploads):
            Embedder.objects.filter(pk=embedder.pk).update(is_filled=False)
        if well:
            vectors = np.concatenate([uploads[n].vectors[embedder] for n in well])
            add_embeddings(embedder, [one for n in well for one in of_upload[n]], vectors)


def _locked_unsorted(uploads: Sequence[Upload]) -> set[int]:
    """Those of the images' products that have no category: nobody gives them one meanwhile.

    Locked before the images, as by whoever puts a product with its pictures.
    """
    images = OriginalImage.objects.filter(pk__in=[upload.run.image_id for upload in uploads])
    products = list(images.order_by().values_list("product", flat=True).distinct())
    unsorted = Product.objects.select_for_update().filter(pk__in=products, category=None)
    return set(unsorted.order_by("pk").values_list("pk", flat=True))


def _predict_categories(uploads: Sequence[Upload], unsorted: Collection[int]) -> None:
    """Sort products by the best garment of the first picture that shows them."""
    embedder = serving.serving_embedder()
    best: dict[int, Vectors] = {}
    for upload in uploads:
        image = upload.run.image
        product = None if image is None else image.product_id
        if product is not None and product in unsorted and embedder in upload.vectors:
            best.setdefault(product, upload.vectors[embedder][0])
    prototypes.predict(embedder, best)


def _locked_images(uploads: Sequence[Upload]) -> dict[int | None, OriginalImage]:
    """The images that are still there, by key: nobody deletes them until the transaction ends."""
    keys = [upload.run.image_id for upload in uploads if upload.run.image_id is not None]
    images = OriginalImage.objects.select_for_update().filter(pk__in=keys)
    return {image.pk: image for image in images}


def _note_looks(hashes: Mapping[int | None, int]) -> None:
    """Look for pictures that may be the same; whatever goes wrong with that harms no upload."""
    looks = {image: value for image, value in hashes.items() if image is not None}
    try:
        with transaction.atomic():
            lookalikes.note(looks, serving.serving_embedder())
    except Exception:
        logger.exception("Pictures that look alike could not be looked for")


def note_sharpness(measured: Mapping[int | None, float]) -> None:
    """Keep what was measured of pictures. A picture never changes: what is known stays."""
    PictureQuality.objects.bulk_create(
        [
            PictureQuality(image_id=image, sharpness=value)
            for image, value in measured.items()
            if image is not None
        ],
        ignore_conflicts=True,
    )


def measure(image: OriginalImage) -> None:
    """Measure a picture that was described before that was done.

    Raises BadImage, FileNotFoundError.
    """
    value = sharpness(stored(image.file))
    with transaction.atomic():
        if OriginalImage.objects.select_for_update().filter(pk=image.pk).exists():
            note_sharpness({image.pk: value})


def note_look(image: OriginalImage) -> None:
    """Look for pictures that may be the same as one that was described before that was done.

    Raises BadImage, FileNotFoundError.
    """
    look = perceptual_hash(stored(image.file))
    embedder = serving.serving_embedder()
    with transaction.atomic():
        Embedder.objects.select_for_update().get(pk=embedder.pk)  # as `add_embeddings` does
        if OriginalImage.objects.filter(pk=image.pk).exists():
            lookalikes.note({image.pk: look}, embedder)


def _found(detection: Detection, detector: str, colours: Sequence[Colour]) -> Found:
    return Found(
        box=detection.box.edges,
        label=detection.label,
        score=detection.score,
        detector=detector,
        colours=_shares(colours),
    )


def _shares(colours: Sequence[Colour]) -> list[tuple[str, float]]:
    return [(colour.name, colour.share) for colour in colours]


def name_colours(image: OriginalImage) -> int:
    """Name the colours of those garments of an image that lack them; how many there were.

    Raises BadImage, FileNotFoundError.
    """
    picture = stored(image.file)
    with transaction.atomic():
        # Whoever finds its garments anew names the colours of these as well, and takes turns.
        OriginalImage.objects.select_for_update().filter(pk=image.pk).first()
        lacking = Segment.objects.filter(image=image.pk, colours=None)
        colours = {row: _shares(dominant(crop(picture, Box(*row.box)))) for row in lacking}
        replace_colours(colours)
    return len(colours)


def add_embeddings(embedder: Embedder, segments: Sequence[Segment], vectors: Vectors) -> None:
    """Add the vectors of segments that lack them, inside the caller's transaction.

    The embedder's row is locked until that commits, so ids are given in the order of commits:
    who has read up to an id has missed nothing below it (see `indexing.Tail`).
    """
    Embedder.objects.select_for_update().get(pk=embedder.pk)
    Embedding.objects.bulk_create(
        Embedding(segment=segment, embedder=embedder, vector=vector)
        for segment, vector in zip(segments, vectors, strict=True)
    )
    upkeep.added(embedder, segments)


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
    """Find what is most like a photo, a box of it, or a known garment, and fits what is said."""
    checkpoint(run, "comparing", 0.5)
    neighbours = _neighbours(run)
    with transaction.atomic():
        finish(run)
        Run.objects.filter(pk=run.pk).update(embedder=run.embedder)
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
    embedder = run.embedder or serving.chosen(run.options.get("model"))
    run.embedder = embedder  # one describes the query and what is found: a list mixes no two
    wish = Wish.of(run.options)
    filters = run.options.get("filters") or {}
    return combined.find(
        embedder,
        wish,
        seed=_query_vector(run, embedder),
        texts=backends.text_side(serving.backend_of(embedder)) if wish.has_words else None,
        limit=run.options["limit"],
        among=among(
            filters,
            own=[] if run.segment is None else [run.segment],
            top_categories=run.options.get("top_categories"),
        ),
        ruling=rules.in_force(filters, run.segment),
    )


def sort(run: Run) -> None:
    """Find the categories that are most like a photo, a box of it, or a known garment."""
    checkpoint(run, "comparing", 0.5)
    _compare_with_categories(run)
    with transaction.atomic():
        finish(run)
        run.save(update_fields=["embedder", "categories"])


def answer_with_categories(run: Run) -> None:
    """The same for a run that is not saved yet, as `answer` does a search."""
    run.started_at = timezone.now()
    _compare_with_categories(run)
    run.state, run.progress, run.finished_at = Run.State.DONE, 1.0, timezone.now()
    run.save(force_insert=True)


def _compare_with_categories(run: Run) -> None:
    run.embedder = run.embedder or serving.chosen(run.options.get("model"))
    vector = _query_vector(run, run.embedder)
    if vector is None:
        raise NotDescribed(_("What was to be compared has been deleted."))
    ranking = prototypes.ranked(run.embedder, vector)[: run.options["limit"]]
    run.categories = [(found.slug, found.similarity) for found in ranking]


def _add_hits(run: Run, neighbours: Sequence[Neighbour]) -> None:
    run.ranking = [
        (item.segment_id, item.similarity, item.matched, item.pinned) for item in neighbours
    ]
    transaction.on_commit(lambda: _count_search(run), robust=True)
    Hit.objects.bulk_create(
        Hit(
            run_id=run.pk,
            rank=rank,
            segment_id=item.segment_id,
            similarity=item.similarity,
            matched=item.matched,
            pinned=item.pinned,
        )
        for rank, item in enumerate(neighbours)
    )


def _count_search(run: Run) -> None:
    """Count a search for the staff's figures: that there was one, and whether it found anything.

    What words alone have found has no similarity, and is what was asked for.
    """
    best = max((1.0 if like is None else like for _, like, *_ in run.ranking), default=-1.0)
    SearchDay.note(timezone.localdate(), is_poor=best < settings.GOOD_SIMILARITY)


def _query_vector(run: Run, embedder: Embedder) -> Vectors | None:
    """The vector of the photo or garment that a run searches with; None if it has neither."""
    if run.query is not None:
        picture = stored(run.query.file)
        if box := run.options.get("box"):
            picture = crop(picture, Box(*box))
        return cast(Vectors, serving.backend_of(embedder).embed([picture])[0])
    return None if run.segment_id is None else segment_vector(run.segment_id, embedder)


VECTOR = Prepared(
    lambda segment, embedder: Embedding.objects.filter(
        segment=segment, embedder=embedder
    ).values_list("vector")
)


def segment_vector(segment_id: int | None, embedder: Embedder) -> Vectors:
    """A garment's vector. Raises NotDescribed if the embedder has not seen it."""
    rows = [] if segment_id is None else VECTOR(segment_id, embedder.pk)
    if not rows:
        raise NotDescribed(_("This garment has not been described yet. Try again in a moment."))
    return cast(Vectors, rows[0][0])


def among(
    filters: Mapping[str, Any],
    own: Iterable[Segment] = (),
    top_categories: int | None = None,
) -> Among:
    """What passes the filters, and is not a garment's own; see `Among` for the categories."""
    return Among(
        products=chosen_products(dict(filters)),
        colours=chosen_colours(dict(filters)),
        own=indexing.entries_of(own),
        top_categories=top_categories,
    )


def chosen_products(filters: dict[str, object]) -> QuerySet[Product] | None:
    """The products that pass the filters; None if there are none for products to pass."""
    if not ProductFilter.base_filters.keys() & filters.keys():
        return None
    return passing(filters)


def chosen_colours(filters: dict[str, Any]) -> QuerySet[SegmentColour] | None:
    """The rows of the garments that pass the filter of colours; None if there is none to pass."""
    names = filters.get("colour")
    return SegmentColour.objects.prominent(names).order_by() if names else None


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
    """Build the index of the run's embedder anew, or of the serving one."""
    indexing.rebuild(
        run.embedder or serving.serving_embedder(),
        run=run,
        on_progress=lambda done: checkpoint(run, "building", 0.9 * done),
    )
    prototypes.refresh()
    finish(run)


# --- Filling: the whole catalogue described by another embedder --------------------------------

FILLED_TOGETHER = 16
"""Images whose garments are described, and written, together."""

SLICE_SECONDS = 20.0
"""A filling gives way after so long, well within the queue's time limit."""

UNTIL_FILLED = 0.9
"""Part of the progress that describing makes up; the rest is the index."""


def fill(run: Run) -> None:
    """Describe all garments that the run's embedder lacks, and build its index beside the others.

    It gives way after each batch for which others wait, and then is pending again. Where it
    was is told by what is lacking, so nothing is done twice, however it was stopped.
    """
    assert run.embedder is not None
    embedder, until = run.embedder, time.monotonic() + SLICE_SECONDS
    serving.backend_of(embedder)  # says at once what is missing
    _keep(embedder)
    seen = 0
    while keys := _images_after(seen, embedder):
        checkpoint(run, "describing", _part_described(embedder))
        _describe_by(embedder, keys)
        seen = keys[-1]
        if time.monotonic() > until or _others_wait():
            _give_way(run)
            return
    if not indexing.status(embedder).is_complete:
        indexing.rebuild(
            embedder,
            run=run,
            on_progress=lambda done: checkpoint(
                run, "building", UNTIL_FILLED + (1 - UNTIL_FILLED) * done
            ),
        )
    with transaction.atomic():
        finish(run)
        serving.lock()
        is_filled = not serving.lacking(embedder).exists()
        Embedder.objects.filter(pk=embedder.pk).update(is_filled=is_filled)


def _keep(embedder: Embedder) -> None:
    """Have new garments described by it from now on.

    An upload that is being written sees it, or has been written before the filling looks.
    """
    with transaction.atomic():
        serving.lock()
        Embedder.objects.filter(pk=embedder.pk).update(is_kept=True)


def _images_after(key: int, embedder: Embedder) -> list[int]:
    """Keys of the next images with garments that the embedder lacks, ascending."""
    lacking = serving.lacking(embedder).filter(image_id__gt=key)
    images = lacking.order_by("image_id").values_list("image_id", flat=True).distinct()
    return list(images[:FILLED_TOGETHER])


def _part_described(embedder: Embedder) -> float:
    total = max(1, Segment.objects.count())
    return UNTIL_FILLED * min(1.0, serving.described(embedder) / total)


def _describe_by(embedder: Embedder, images: Sequence[int]) -> None:
    """Describe those garments of the images that an embedder lacks; pass over lost pictures."""
    shown: list[Segment] = []
    crops: list[Image] = []
    for image in OriginalImage.objects.filter(pk__in=images).order_by("pk"):
        segments = list(serving.lacking(embedder).filter(image=image))
        try:
            picture = stored(image.file)
        except (EngineError, OSError) as error:
            logger.warning("%s cannot be described by %s: %s", image, embedder, error)
            continue
        shown += segments
        crops += [crop(picture, Box(*segment.box)) for segment in segments]
    if not crops:
        return
    vectors = serving.backend_of(embedder).embed(crops)
    with transaction.atomic():
        # Whoever finds these images' garments anew takes turns, and they may show another part.
        list(OriginalImage.objects.select_for_update().filter(pk__in=images))
        boxes = {
            row.pk: row.box
            for row in serving.lacking(embedder).filter(pk__in=[segment.pk for segment in shown])
        }
        kept = [row for row, segment in enumerate(shown) if boxes.get(segment.pk) == segment.box]
        add_embeddings(embedder, [shown[row] for row in kept], vectors[kept])


def describe_drawn(run: Run) -> None:
    """Describe those garments of an image that lack it: what a person has drawn or moved."""
    if run.image is None:
        raise Refused("The image has been deleted.")
    checkpoint(run, "reading", 0.1)
    name_colours(run.image)
    first, *others = serving.describing()
    checkpoint(run, "embedding", 0.5)
    _describe_by(first, [run.image.pk])
    for embedder in others:
        try:
            _describe_by(embedder, [run.image.pk])
        except Exception:
            logger.exception("%s could not describe a drawn garment", embedder)
            Embedder.objects.filter(pk=embedder.pk).update(is_filled=False)
    finish(run)


def _others_wait() -> bool:
    return Run.objects.filter(state=Run.State.PENDING).exclude(kind=Run.Kind.FILL).exists()


def _give_way(run: Run) -> None:
    if not Run.objects.give_way(run):
        stop(run)


WORK: dict[Run.Kind, Callable[[Run], None]] = {
    Run.Kind.UPLOAD: describe,
    Run.Kind.SEARCH: search,
    Run.Kind.DETECT: detect_in_query,
    Run.Kind.REBUILD: rebuild,
    Run.Kind.FILL: fill,
    Run.Kind.SORT: sort,
    Run.Kind.BOXES: describe_drawn,
}
