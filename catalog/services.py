"""What is done to the catalogue, each verb once: the API, the admin and commands call these."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Max
from django.utils.text import slugify

from accounts.models import User
from catalog import word_index
from catalog.models import (
    Category,
    FormerReference,
    MergedPicture,
    OriginalImage,
    Product,
    Segment,
    SegmentColour,
    Size,
    Tag,
    original_path,
)

Named = TypeVar("Named", Tag, Size)
Row = TypeVar("Row", OriginalImage, Segment)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that has passed the intake and is ready to be stored."""

    sha256: str
    """Of the bytes as they were sent."""
    jpeg: bytes
    width: int
    height: int
    token: str = field(default_factory=partial(secrets.token_hex, 4), compare=False)
    """In its file's name: the file is no other's, be it of the same bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """A garment that a detector has found, in pixels of the image."""

    box: tuple[float, float, float, float]
    label: str
    score: float
    detector: str
    colours: Sequence[tuple[str, float]] = ()
    """Names and shares, most first."""


@dataclass(frozen=True, slots=True)
class NewImage:
    """A picture that is to become an image of the catalogue."""

    picture: Picture
    source_name: str = ""
    """What the sender calls it; shown, never used as a path."""
    product: Product | None = None


@contextmanager
def keeping_files(new: Sequence[NewImage]) -> Iterator[None]:
    """Have the files of pictures that the catalogue does not know written, around the transaction
    that adds the images: others wait for that one.

    What no image needs in the end is deleted: somebody may have added the same bytes meanwhile,
    or the transaction was undone.
    """
    known = images_of(_digests(new))
    lacking = {digest: item for digest, item in _by_digest(new).items() if digest not in known}
    written = {digest: _write(item) for digest, item in lacking.items()}
    try:
        yield
    finally:
        with suppress(DatabaseError):  # better a file too many than one too few
            _delete_unused(written)


def _by_digest(new: Sequence[NewImage]) -> dict[str, NewImage]:
    """The first of those that have the same bytes."""
    items: dict[str, NewImage] = {}
    for item in new:
        items.setdefault(item.picture.sha256, item)
    return items


def _write(new: NewImage) -> str:
    """Write a new image's file; its name."""
    name = str(_row(new).file.name)
    return default_storage.save(name, ContentFile(new.picture.jpeg))


def _delete_unused(names: Mapping[str, str]) -> None:
    """Delete those files, by SHA-256, that no image has."""
    if names:
        images = OriginalImage.objects.filter(sha256__in=names).order_by()
        for name in {*names.values()}.difference(images.values_list("file", flat=True)):
            default_storage.delete(name)


@transaction.atomic
def add_images(
    new: Sequence[NewImage], *, source: OriginalImage.Source, owner: User | None = None
) -> list[tuple[OriginalImage, bool]]:
    """Add pictures whose files are kept; gives the image of each, and whether it is new.

    Bytes that the catalogue knows give the image that it has, joined to the product if it had
    none.
    """
    images = images_of(_digests(new))
    fresh: dict[str, OriginalImage] = {}
    for digest, item in _by_digest(new).items():
        if digest not in images:
            row = fresh[digest] = _row(item, source=source, owner=owner)
            if not default_storage.exists(str(row.file.name)):
                _write(item)  # the bytes were known when files were written, and no longer are
    try:
        with transaction.atomic():
            # In one order for all, so that two who add the same pictures cannot block each other.
            rows = [fresh[digest] for digest in sorted(fresh)]
            _give_positions(list(fresh.values()))
            images |= {row.sha256: row for row in _inserted(rows, "sha256")}
    except IntegrityError:
        # Somebody added the same bytes meanwhile.
        images |= images_of(_digests(new))
        if not set(images) & set(fresh):
            raise
        return add_images(new, source=source, owner=owner)
    _join([(images[item.picture.sha256], item.product) for item in new])
    found = [images[item.picture.sha256] for item in new]
    return [(image, fresh.pop(image.sha256, None) is not None) for image in found]


def images_of(digests: Collection[str]) -> dict[str, OriginalImage]:
    """The images that the catalogue has of those bytes, or has merged them into, by SHA-256."""
    merged = MergedPicture.objects.filter(sha256__in=digests).select_related("image")
    known = {row.sha256: row.image for row in merged}
    return known | {
        image.sha256: image for image in OriginalImage.objects.filter(sha256__in=digests)
    }


def _digests(new: Sequence[NewImage]) -> set[str]:
    return {item.picture.sha256 for item in new}


def _row(new: NewImage, **attributes: Any) -> OriginalImage:
    """The row of a new image, not saved yet."""
    picture = new.picture
    image = OriginalImage(
        identifier=picture.sha256[:16],
        sha256=picture.sha256,
        width=picture.width,
        height=picture.height,
        size=len(picture.jpeg),
        source_name=new.source_name[:200],
        product=new.product,
        **attributes,
    )
    image.file.name = original_path(image, picture.token)
    return image


def _join(given: Sequence[tuple[OriginalImage, Product | None]]) -> None:
    """Give images that are nobody's to products; what somebody else has taken stays theirs."""
    pairs = [(image, product) for image, product in given if product and image.product_id is None]
    if not pairs:
        return
    # In one order for all, as above. Whoever comes second sees what the first has done.
    rows = OriginalImage.objects.filter(pk__in=[image.pk for image, _ in pairs]).order_by("pk")
    owners: dict[int, int | None] = dict(rows.select_for_update().values_list("pk", "product"))
    for image, product in pairs:
        if owners.get(image.pk) is None:
            image.product = product
            _give_positions([image])
            image.save(update_fields=["product", "position"])
            owners[image.pk] = image.product_id
        else:
            image.product_id = owners[image.pk]


def _give_positions(images: Sequence[OriginalImage]) -> None:
    """Put images behind those that their products have."""
    products = {image.product_id for image in images} - {None}
    taken = OriginalImage.objects.filter(product__in=products).values_list("product")
    following = {product: last + 1 for product, last in taken.annotate(Max("position")).order_by()}
    for image in images:
        if image.product_id is not None:
            image.position = following.setdefault(image.product_id, 0)
            following[image.product_id] += 1


def _inserted(rows: list[Row], unique: str) -> list[Row]:
    """The rows, inserted together, with their keys, which MySQL does not give at once."""
    if not rows:
        return []
    manager = type(rows[0])._default_manager
    manager.bulk_create(rows)
    if rows[0].pk is None:
        keys = manager.filter(**{f"{unique}__in": [getattr(row, unique) for row in rows]})
        pks = dict(keys.values_list(unique, "pk"))
        for row in rows:
            row.pk = pks[getattr(row, unique)]
    return rows


@transaction.atomic
def replace_segments(found: Mapping[OriginalImage, Sequence[Found]]) -> list[Segment]:
    """Put what was found in images, best first, in the place of the segments that they had.

    A number keeps its row, so that searches which found it still show it. What people have drawn
    stays, and keeps its number. Gives the segments: image by image, in the order given.
    """
    rows = {(row.image_id, row.number): row for row in Segment.objects.filter(image__in=found)}
    known = {key: row for key, row in rows.items() if row.detector != Segment.PERSON}
    drawn = rows.keys() - known.keys()
    segments = []
    for image, items in found.items():
        numbers = (number for number in count() if (image.pk, number) not in drawn)
        for number, item in zip(numbers, items, strict=False):
            segment = known.pop((image.pk, number), Segment(image=image, number=number))
            segments.append(_segment(segment, image, item))
    Segment.objects.filter(pk__in=[row.pk for row in known.values()]).delete()
    _inserted([row for row in segments if row.pk is None], "identifier")
    kept = [row for row in segments if row.pk is not None]
    Segment.objects.bulk_update(kept, ("x0", "y0", "x1", "y1", "label", "score", "detector"))
    colours = [item.colours for items in found.values() for item in items]
    with word_index.once():
        replace_colours(dict(zip(segments, colours, strict=True)))
        word_index.refresh(image.product_id for image in found)
    return segments


@transaction.atomic
def delete_segment(segment: Segment) -> None:
    """Delete a garment, and with its last one the picture: nobody would find that any more."""
    image = OriginalImage.objects.select_for_update().get(pk=segment.image_id)
    segment.delete()
    if image.segments.exists():
        word_index.refresh([image.product_id])
    else:
        image.delete()


@transaction.atomic
def replace_colours(colours: Mapping[Segment, Sequence[tuple[str, float]]]) -> None:
    """Put these colours, names with their shares, in the place of those that segments had."""
    SegmentColour.objects.filter(segment__in=colours).delete()
    SegmentColour.objects.bulk_create(
        SegmentColour(segment=segment, colour=name, share=share)
        for segment, shares in colours.items()
        for name, share in shares
    )
    images = {segment.image_id for segment in colours}
    products = OriginalImage.objects.filter(pk__in=images).order_by()
    word_index.refresh(products.values_list("product", flat=True))


def _segment(segment: Segment, image: OriginalImage, found: Found) -> Segment:
    """A segment that shows what was found, not saved yet."""
    segment.identifier = f"{image.identifier}_segment_{segment.number}"
    segment.x0, segment.y0, segment.x1, segment.y1 = found.box
    segment.label, segment.score, segment.detector = found.label, found.score, found.detector
    return segment


@transaction.atomic
def save_product(
    reference: str,
    *,
    adding: bool = False,
    category: str | None = None,
    tags: Iterable[str] | None = None,
    sizes: Iterable[str] | None = None,
    **details: Any,
) -> Product:
    """Add or change the product of that reference; what is not named stays as it is.

    Categories, tags and sizes are given by name and made when they are new. Raises Django's
    ValidationError, by field, for values that do not fit, and changes nothing then. `adding` may
    change none: it raises IntegrityError if there is one.
    """
    known = Product.objects.select_for_update().filter(reference=reference)  # two take turns
    product = None if adding else known.first()
    product = product or Product(reference=reference)
    for name, value in details.items():
        setattr(product, name, value)
    if category is not None:
        product.category, product.category_predicted = category_named(category), False
    # What else `full_clean` would ask the database, its own constraints hold; a batch saves
    # a thousand products.
    product.clean_fields(exclude={"category"})
    product.clean()
    is_new = product.pk is None
    with word_index.once():
        product.save()
        if tags is not None:
            _link(product.tags, named(Tag, tags), is_new=is_new)
        if sizes is not None:
            _link(product.sizes, named(Size, sizes), is_new=is_new)
    return product


def _link(linked: Any, rows: Sequence[Named], *, is_new: bool) -> None:
    """Let these be all that a product is linked to; a new one has none that would have to go."""
    if is_new:
        linked.add(*rows)
    else:
        linked.set(rows)


def products_called(references: Iterable[str]) -> dict[str, int]:
    """The keys of products by reference; one that was merged into another is that one's."""
    wanted = set(references)
    own = Product.objects.filter(reference__in=wanted).order_by()
    found = dict(own.values_list("reference", "pk"))
    if lacking := wanted - found.keys():
        former = FormerReference.objects.filter(reference__in=lacking).order_by()
        found |= dict(former.values_list("reference", "product"))
    return found


def category_named(name: str) -> Category | None:
    """The category of that name, made if it is new; none for an empty name."""
    if not (name := name.strip()):
        return None
    if known := Category.objects.filter(name=name).first():
        return known
    category = Category(name=name, slug=_free_slug(name))
    category.clean_fields()
    try:
        with transaction.atomic():
            category.save()
    except IntegrityError:  # somebody has made it meanwhile, or taken its slug
        return category_named(name)
    return category


def _free_slug(name: str) -> str:
    """A slug for a new category: of its name, with a number if another has that."""
    stem = slugify(name, allow_unicode=True)[:90] or "category"
    slugs = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(slug for slug in slugs if not Category.objects.filter(slug=slug).exists())


def named(model: type[Named], names: Iterable[str]) -> list[Named]:
    """The tags, or sizes, of those names, made where they are new."""
    wanted = {name.strip() for name in names if name.strip()}
    rows = model._default_manager
    known = list(rows.filter(name__in=wanted))
    new = wanted - {row.name for row in known}
    if not new:
        return known
    made = [model(name=name) for name in sorted(new)]
    for row in made:
        row.clean_fields()
    rows.bulk_create(made, ignore_conflicts=True)
    return list(rows.filter(name__in=wanted))
