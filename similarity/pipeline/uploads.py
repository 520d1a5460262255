"""Uploads: the garments of images are found, described and stored."""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import numpy as np
from django.conf import settings
from django.db import transaction
from PIL.Image import Image

from catalog.models import OriginalImage, PictureQuality, Product, Segment
from catalog.services import (
    Found,
    NewImage,
    add_images,
    keeping_files,
    replace_colours,
    replace_segments,
)
from similarity import backends, intake, lookalikes, prototypes, serving, upkeep
from similarity.engine import Box, Detection, Vectors
from similarity.engine.colours import Colour, dominant
from similarity.engine.images import crop
from similarity.engine.perceptual import perceptual_hash
from similarity.engine.sharpness import sharpness
from similarity.errors import Described, OtherProduct, Refused
from similarity.models import Embedder, Embedding, Run
from similarity.pipeline.runs import checkpoint, guarded, stop, stored

logger = logging.getLogger("similarity.pipeline")

SAME_GARMENT = 0.5
"""Boxes that share so much (intersection over union) are of one garment."""


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
    with keeping_files([new]), transaction.atomic():
        # Whoever lists other pictures of the product meanwhile takes turns, and has cancelled this.
        if not Product.objects.select_for_update().filter(pk=run.product.pk).exists():
            raise Refused("The product has been deleted.")
        checkpoint(run, "reading", 0.2)
        [(image, _)] = add_images([new], source=OriginalImage.Source.UPLOAD, owner=run.requested_by)
        if image.product_id != run.product.pk:
            raise OtherProduct(f"It is a picture of {image.product}, and stays it.")
        image.source_url, image.position = url, position
        OriginalImage.objects.filter(pk=image.pk).update(source_url=url, position=position)
        if not Run.objects.filter(pk=run.pk, product=run.product).update(image=image):
            raise Refused("Other pictures of the product have been put.")
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
