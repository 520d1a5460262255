"""What is done to the catalogue, each verb once: the API, the admin and commands call these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from catalog.models import Category, OriginalImage, Product, Segment, Size, Tag


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that has passed the intake and is ready to be stored."""

    sha256: str
    """Of the bytes as they were sent."""
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Found:
    """A garment that a detector has found, in pixels of the image."""

    box: tuple[float, float, float, float]
    label: str
    score: float
    detector: str


def add_image(
    picture: Picture,
    *,
    source: OriginalImage.Source = OriginalImage.Source.UPLOAD,
    source_name: str = "",
    owner: AbstractBaseUser | None = None,
    product: Product | None = None,
    identifier: str = "",
) -> tuple[OriginalImage, bool]:
    """Store a picture, and say whether it is new.

    Bytes that the catalogue knows give the image that it has, joined to the product if it had
    none. The identifier is made from the SHA-256 unless one is given.
    """
    known = OriginalImage.objects.filter(sha256=picture.sha256).first()
    if known is None:
        image = OriginalImage(
            identifier=identifier or picture.sha256[:16],
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            size=len(picture.jpeg),
            source=source,
            source_name=source_name[:200],
            owner=owner,
            product=product,
        )
        image.file.save("", ContentFile(picture.jpeg), save=False)
        try:
            with transaction.atomic():
                image.save()
        except IntegrityError:
            # Somebody stored the same bytes meanwhile, under the same name: the file is theirs.
            known = OriginalImage.objects.filter(sha256=picture.sha256).first()
            if known is None:
                raise
        else:
            return image, True
    _join(known, product)
    return known, False


def _join(image: OriginalImage, product: Product | None) -> None:
    if product is not None and image.product_id is None:
        image.product = product
        image.save(update_fields=["product"])


@transaction.atomic
def replace_segments(image: OriginalImage, found: Sequence[Found]) -> list[Segment]:
    """Put what was found, best first, in the place of the image's segments."""
    image.segments.all().delete()
    return Segment.objects.bulk_create(
        Segment(
            identifier=f"{image.identifier}_segment_{number}",
            image=image,
            number=number,
            x0=item.box[0],
            y0=item.box[1],
            x1=item.box[2],
            y1=item.box[3],
            label=item.label,
            score=item.score,
            detector=item.detector,
        )
        for number, item in enumerate(found)
    )


@transaction.atomic
def save_product(
    reference: str,
    *,
    category: str | None = None,
    tags: Iterable[str] | None = None,
    sizes: Iterable[str] | None = None,
    **details: Any,
) -> Product:
    """Add or change the product of that reference; what is not named stays as it is.

    Categories, tags and sizes are given by name and made when they are new. Raises Django's
    ValidationError, by field, for values that do not fit, and changes nothing then.
    """
    product = Product.objects.filter(reference=reference).first() or Product(reference=reference)
    for name, value in details.items():
        setattr(product, name, value)
    if category is not None:
        product.category = category_named(category)
    product.full_clean()
    product.save()
    for names, model, relation in ((tags, Tag, product.tags), (sizes, Size, product.sizes)):
        if names is not None:
            relation.set(named(model, names))
    return product


def category_named(name: str) -> Category | None:
    """The category of that name, made if it is new; none for an empty name."""
    if not (name := name.strip()):
        return None
    slug = slugify(name, allow_unicode=True) or name.encode().hex()[:100]
    category, _ = Category.objects.get_or_create(slug=slug, defaults={"name": name})
    return category


def named(model: type[Tag] | type[Size], names: Iterable[str]) -> list[Any]:
    """The tags, or sizes, of those names, made where they are new."""
    wanted = {name.strip() for name in names if name.strip()}
    model.objects.bulk_create([model(name=name) for name in sorted(wanted)], ignore_conflicts=True)
    return list(model.objects.filter(name__in=wanted))
