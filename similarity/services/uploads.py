"""Pictures that come into the catalogue, and those whose garments are to be found anew."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import User
from catalog.models import OriginalImage, Product
from catalog.services import NewImage, Picture, add_images, keeping_files
from similarity import backends, intake, pipeline, serving
from similarity.errors import IdTaken, NotRepeatable
from similarity.models import Run
from similarity.services.runs import enqueue, lease, run_again


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
            raise IdTaken from error
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
    it has failed; or a new run, if somebody is having that one stopped. `queued=False` leaves the
    runs to the caller; `pks` are ids for new ones. `cut_out_by` names the detector whose crops the
    pictures are: each is one garment then, and none is looked for.
    """
    with keeping_files(new):
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
        known = Run.objects.select_related("image").filter(
            kind=Run.Kind.UPLOAD, image__in=[image for image, is_new in images if not is_new]
        )
        runs = {run.image_id: run for run in known.order_by("created_at")}
        stopping = {pk for pk, run in runs.items() if run.is_stopping}
        if _lock(stopping) != stopping:  # it has stopped by now, and taken its image along
            return add_uploads(
                new, source=source, owner=owner, queued=queued, pks=pks, cut_out_by=cut_out_by
            )
        runs = {pk: run for pk, run in runs.items() if pk not in stopping}
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


def _lock(images: set[Any]) -> set[Any]:
    """Those of the images that are there, and will be until the transaction ends."""
    if not images:
        return set()
    rows = OriginalImage.objects.select_for_update().filter(pk__in=images).order_by("pk")
    return set(rows.values_list("pk", flat=True))


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
    gave_up = run.state == Run.State.CANCELLED and _has_failed(run.image)
    if run.state == Run.State.FAILED or gave_up:
        with suppress(NotRepeatable):  # somebody else was faster
            run_again(run, queued=queued)
    elif run.is_lost(lease()) and Run.objects.give_back(run) and queued:
        enqueue(run)


def _has_failed(image: OriginalImage | None) -> bool:
    return image is not None and image.status == OriginalImage.Status.FAILED


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


def fetch_image(url: str) -> bytes:
    """The bytes behind an address, if the shop allows fetching; raises UrlsOff, FetchRefused."""
    return intake.fetch_image(url)
