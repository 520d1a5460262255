"""Filling: all of the catalogue described by another embedder, or what people have drawn."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from django.db import transaction
from PIL.Image import Image

from catalog.models import OriginalImage, Segment
from similarity import indexing, serving
from similarity.engine import Box
from similarity.engine.errors import EngineError
from similarity.engine.images import crop
from similarity.errors import Refused
from similarity.models import Embedder, Run
from similarity.pipeline.runs import checkpoint, finish, stop, stored
from similarity.pipeline.uploads import add_embeddings, name_colours

logger = logging.getLogger("similarity.pipeline")

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
