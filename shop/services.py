"""What a shop's server asks: put a product with its pictures, many of them, delete one."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count

from accounts.models import User
from catalog.models import OriginalImage, Product
from catalog.services import NewImage, Picture, images_of, keeping_files, save_product
from shop import webhooks
from shop.models import Event, Import, ImportedPicture
from similarity import services as similarity
from similarity.errors import AlreadyEnded, NotRepeatable, OtherProduct
from similarity.models import Run

SHOWN_FAILURES = 20
"""Of an import's, in its event: messages are meant to be small."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture as a product lists it: by its address, taken in, or one that it has."""

    url: str = ""
    known: str = ""
    """SHA-256 of one that the product has."""
    picture: Picture | None = None
    name: str = ""
    """What the sender calls its file."""

    @property
    def identity(self) -> str:
        """By which it is known again."""
        return self.url or self.known if self.picture is None else self.picture.sha256


@dataclass(frozen=True, slots=True)
class Put:
    """What has become of a product that was put."""

    product: Product
    is_new: bool
    runs: list[Run] = field(default_factory=list)
    """Under way: those that fetch and describe its pictures."""


# --- One product ----------------------------------------------------------------------------


def put_product(
    reference: str,
    details: Mapping[str, Any],
    pictures: Sequence[Listed] | None = None,
    asked_by: User | None = None,
) -> Put:
    """Add the product of that reference, or change it, as `catalog.services.save_product` does.

    `pictures`, if given, are all that it has from now on, in their order: others go, and those
    that are known stay as they are described. Raises ValidationError, OtherProduct, UrlsOff; it
    changes nothing then.
    """
    with keeping_files(_new_images(pictures or ())):
        try:
            return _put(reference, details, pictures, asked_by)
        except IntegrityError:  # somebody else added the product, or the same bytes, meanwhile
            return _put(reference, details, pictures, asked_by)


@transaction.atomic
def _put(
    reference: str,
    details: Mapping[str, Any],
    pictures: Sequence[Listed] | None,
    asked_by: User | None,
) -> Put:
    known = Product.objects.select_for_update().filter(reference=reference).first()
    if known is not None and known.category_predicted and not details.get("category"):
        # Who names no category has not looked at the one that was predicted.
        details = {name: value for name, value in details.items() if name != "category"}
    product = save_product(reference, **details)
    runs = [] if pictures is None else _replace_pictures(product, pictures, asked_by)
    return Put(product, known is None, runs)


def start_import(
    kind: Import.Kind, put: Sequence[Put], asked_by: User | None, rejected: int = 0
) -> Import:
    """Follow the pictures of products that were put; their webhooks are told when all is done."""
    new = sum(item.is_new for item in put)
    with transaction.atomic():
        started = Import.objects.create(
            kind=kind,
            requested_by=asked_by,
            created=new,
            updated=len(put) - new,
            rejected=rejected,
        )
        pictures = {run.pk: (item.product.reference, run) for item in put for run in item.runs}
        ImportedPicture.objects.bulk_create(
            ImportedPicture(of=started, reference=reference, run=run)
            for reference, run in pictures.values()
        )
        # They may have ended before they were followed.
        transaction.on_commit(lambda: finish_imports(started.pk), robust=True)
    return started


def note_import(*, done: int, failed: int) -> None:
    """Tell of pictures that a command has taken in, and described, or could not."""
    with transaction.atomic():
        noted = Import.objects.create(kind=Import.Kind.FOLDER, done=done, failed=failed)
        finish_imports(noted.pk)


def delete_product(product: Product) -> None:
    """Delete a product and its pictures, which leave all results at once."""
    with transaction.atomic():
        Product.objects.select_for_update().filter(pk=product.pk).first()
        _drop(product, list(product.images.values_list("pk", flat=True)))
        _cancel(_fetching(product))
        product.delete()


# --- Its pictures ---------------------------------------------------------------------------


def _new_images(pictures: Sequence[Listed], product: Product | None = None) -> list[NewImage]:
    return [
        NewImage(item.picture, source_name=item.name, product=product)
        for item in pictures
        if item.picture is not None
    ]


def _replace_pictures(
    product: Product, pictures: Sequence[Listed], asked_by: User | None
) -> list[Run]:
    """Let these be the pictures of a product, inside of the caller's transaction, which has it."""
    listed = _recognised(product, pictures)
    places = {item.identity: place for place, item in enumerate(listed)}
    kept, gone = {}, []
    for image in product.images.all():
        identity = next((name for name in (image.source_url, image.sha256) if name in places), None)
        if identity is None or identity in kept:
            gone.append(image.pk)
        else:
            kept[identity] = image
    _drop(product, gone)
    # The pictures that are being fetched, to the same places: they need not be fetched again.
    fetching = {(run.options["url"], run.options["position"]): run for run in _fetching(product)}
    _cancel(
        [run for key, run in fetching.items() if key[0] in kept or places.get(key[0]) != key[1]]
    )
    runs = []
    for place, item in enumerate(listed):
        if item.url and item.identity not in kept:
            under_way = fetching.get((item.url, place))
            runs.append(under_way or similarity.start_fetch(product, item.url, place, asked_by))
    _void_fetches(product, runs)
    new = _new_images(listed, product)
    for sent, upload in zip(new, similarity.add_uploads(new, owner=asked_by), strict=True):
        if upload.image.product_id != product.pk:  # somebody else was faster
            raise _of_another(upload.image)
        kept[sent.picture.sha256] = upload.image
    for identity, image in kept.items():
        if image.position != places[identity]:
            OriginalImage.objects.filter(pk=image.pk).update(position=places[identity])
    _try_again([image for image in kept.values() if image.status == OriginalImage.Status.FAILED])
    described = Run.objects.under_way(Run.Kind.UPLOAD).filter(image__in=kept.values())
    return [*runs, *described]


def _recognised(product: Product, pictures: Sequence[Listed]) -> list[Listed]:
    """What is listed, each once; bytes that were merged into a picture of the product are that.

    Raises OtherProduct.
    """
    sent = {item.picture.sha256 for item in pictures if item.picture is not None}
    images = images_of(sent)
    for image in images.values():
        if image.product_id not in {None, product.pk}:
            raise _of_another(image)
    merged = {
        digest: Listed(known=image.sha256)
        for digest, image in images.items()
        if image.product_id == product.pk and image.sha256 != digest
    }
    recognised = [merged.get(item.identity, item) for item in pictures]
    return list({item.identity: item for item in recognised}.values())


def _of_another(image: OriginalImage) -> OtherProduct:
    reference = "" if image.product is None else image.product.reference
    return OtherProduct(f"The picture {image.identifier} is of the product {reference}.")


def _drop(product: Product, images: Sequence[int]) -> None:
    """Delete pictures of a product, and stop what is being done with them."""
    _cancel(Run.objects.under_way(Run.Kind.UPLOAD).filter(image__in=images))
    for image in product.images.filter(pk__in=images):
        image.delete()


def _fetching(product: Product) -> Any:
    return Run.objects.under_way(Run.Kind.UPLOAD).filter(product=product, image=None)


def _void_fetches(product: Product, but: Sequence[Run]) -> None:
    """Let all fetches but these be no product's: run again, they would bring back old pictures."""
    fetches = Run.objects.filter(kind=Run.Kind.UPLOAD, product=product, image=None)
    fetches.exclude(pk__in=[run.pk for run in but]).update(product=None)


def _cancel(runs: Any) -> None:
    for run in runs:
        with suppress(AlreadyEnded):
            similarity.cancel(run)


def _try_again(images: Sequence[OriginalImage]) -> None:
    """Give pictures whose describing has failed another chance: they are listed once more."""
    for image in images:
        if run := image.runs.filter(kind=Run.Kind.UPLOAD).first():
            with suppress(NotRepeatable):  # sent again as a file, it has its chance already
                similarity.run_again(run)


# --- Imports --------------------------------------------------------------------------------


def finish_imports(pk: uuid.UUID | None = None, *, run: uuid.UUID | None = None) -> None:
    """End the imports whose pictures are all done with, and tell the webhooks; all, one, or those
    of a run."""
    ready = Import.objects.ready()
    if pk is not None:
        ready = ready.filter(pk=pk)
    if run is not None:
        ready = ready.filter(pictures__run=run)
    for item in ready:
        with transaction.atomic():
            if Import.objects.finish(item.pk):
                item.refresh_from_db()
                told = summary(item)
                failed = item.rejected or told["pictures"]["failed"]
                event = Event.IMPORT_FAILED if failed else Event.IMPORT_FINISHED
                webhooks.announce(event, told)


def summary(item: Import) -> dict[str, Any]:
    """What there is to tell of an import, as its event and the API do."""
    pictures = ImportedPicture.objects.filter(of=item)
    counts = Counter(dict(pictures.order_by().values_list("run__state").annotate(Count("pk"))))
    counts += Counter(done=item.done, failed=item.failed)
    failures = pictures.filter(run__state=Run.State.FAILED).select_related("run")
    return {
        "import_id": str(item.pk),
        "kind": item.kind,
        "products": {
            "created": item.created,
            "updated": item.updated,
            "rejected": item.rejected,
        },
        "pictures": {
            "total": sum(counts.values()),
            **{state: counts[state] for state in ("done", "failed", "cancelled")},
        },
        "failures": [
            {
                "product": picture.reference,
                "run": str(picture.run_id),
                "url": picture.run.options.get("url"),
                "code": picture.run.error_code,
                "detail": picture.run.error_message,
            }
            for picture in failures[:SHOWN_FAILURES]
        ],
        "created_at": item.created_at.isoformat(),
        "finished_at": item.finished_at and item.finished_at.isoformat(),
    }


def imports_of(person: User) -> tuple[str, list[dict[str, Any]]]:
    """All imports that a person has asked for, for them to take away: a file's name, and its rows.

    What came in with them is the shop's, and stays there.
    """
    asked = ("id", "kind", "created_at", "finished_at")
    rows = [*person.imports.values(*asked), *person.import_jobs.values(*asked, "name", "state")]
    return "imports.json", sorted(rows, key=lambda row: row["created_at"])
