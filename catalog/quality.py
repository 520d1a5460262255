"""Pictures that somebody should look at: blurry, tiny, without a garment, of the wrong category."""

from __future__ import annotations

from collections import defaultdict
from functools import reduce
from operator import or_

from django.core.cache import cache
from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
)
from django.utils import timezone

from accounts.models import User
from catalog.models import OriginalImage, PictureQuality, Segment, findable

BLURRY_BELOW = 50.0
"""Of 60 photos of a shop none lay below 300, of 60 drawn ones none below 130; blurred so that edges
are some 4 pixels wide at 512, half of them did."""

TINY_BELOW = 256
"""Pixels of the shorter side: less than a card of the search page shows."""

RARE = 0.05
"""A label that so small a part of a category's pictures has is not one of its usual ones."""

ENOUGH = 20
"""So many pictures tell what is usual in a category."""

REMEMBERED = 600
"""Seconds for which what is usual is remembered: finding out takes a look at all garments."""

PROBLEMS = {
    "blurry": "Blurry",
    "tiny": "Tiny",
    "nothing": "No garment found",
    "category": "Wrong category suspected",
}


def with_problem(
    problem: str, among: QuerySet[PictureQuality] | None = None
) -> QuerySet[PictureQuality]:
    """Pictures that have one of PROBLEMS, or any for "", and that nobody has said are fine."""
    rows = PictureQuality.objects.all() if among is None else among
    found = rows.filter(accepted_at=None)
    if problem:
        return found.filter(_condition(problem))
    any_of = Q()
    for one in PROBLEMS:
        any_of |= _condition(one)
    return found.filter(any_of)


def _condition(problem: str) -> Q:
    match problem:
        case "blurry":
            return Q(sharpness__lt=BLURRY_BELOW)
        case "tiny":
            return Q(image__width__lt=TINY_BELOW) | Q(image__height__lt=TINY_BELOW)
        case "nothing":
            whole = Segment.objects.filter(image=OuterRef("pk"), detector=Segment.NOTHING_FOUND)
            return Q(Exists(whole))
        case _:
            return _unusual()


def _unusual() -> Q:
    """Pictures of products none of whose garments is of a kind that is usual in their category.

    Two questions for each picture, however many categories there are.
    """
    usual = usual_labels()
    if not usual:
        return Q(pk__in=[])
    category = ExpressionWrapper(OuterRef("image__product__category"), BigIntegerField())
    garments = Segment.objects.filter(findable(), image=OuterRef("pk")).order_by()
    garments = garments.exclude(detector=Segment.NOTHING_FOUND).annotate(of=category)
    fitting = reduce(or_, (Q(of=key, label__in=labels) for key, labels in usual.items()))
    return Q(
        Exists(garments),
        ~Exists(garments.filter(fitting)),
        image__product__category__in=list(usual),
    )


def usual_labels() -> dict[int, list[str]]:
    """The labels that are usual in each category of which there are enough pictures, by its key.

    What a shop calls its categories is its own: which garments belong there, its pictures tell.
    """
    return cache.get_or_set("usual-labels", _look, REMEMBERED) or {}


def _look() -> dict[int, list[str]]:
    rows = (
        Segment.objects.filter(findable(), image__product__category__isnull=False)
        .exclude(detector=Segment.NOTHING_FOUND)
        .order_by()
        .values_list("image__product__category", "label")
        .annotate(pictures=Count("image", distinct=True))
    )
    by_category: dict[int, dict[str, int]] = defaultdict(dict)
    for category, label, pictures in rows:
        by_category[category][label] = pictures
    pictures = (
        OriginalImage.objects.filter(status=OriginalImage.Status.READY)
        .exclude(product__category=None)
        .order_by()
        .values_list("product__category")
        .annotate(number=Count("pk"))
    )
    return {
        category: sorted(
            label for label, count in by_category[category].items() if count >= RARE * number
        )
        for category, number in pictures
        if number >= ENOUGH and by_category[category]
    }


def problems_of(row: PictureQuality) -> list[str]:
    """What is wrong with a picture whose garments and product have been read, in words."""
    image, found = row.image, []
    if row.sharpness < BLURRY_BELOW:
        found.append(
            f"Blurry ({row.sharpness:.0f}; sharp pictures have {BLURRY_BELOW:.0f} or more)"
        )
    if min(image.width, image.height) < TINY_BELOW:
        found.append(f"Tiny ({image.width} by {image.height} pixels)")
    garments = list(image.segments.all())
    if any(not garment.is_a_garment for garment in garments):
        found.append("No garment found")
    elif image.product and garments:
        shown = [one for one in garments if image.main_segment_id in {None, one.pk}]
        labels = sorted({garment.label for garment in shown})
        usual = usual_labels().get(image.product.category_id or 0)
        if usual is not None and not set(labels) & set(usual):
            category = image.product.category
            found.append(
                f"Wrong category suspected: {', '.join(labels)} in {category}, where "
                f"{', '.join(usual) or 'other garments'} is usual"
            )
    return found


def accept(row: PictureQuality, by: User | None) -> bool:
    """Remember that a picture is fine as it is; False if somebody has said so before."""
    return bool(
        PictureQuality.objects.filter(pk=row.pk, accepted_at=None).update(
            accepted_at=timezone.now(), accepted_by=by
        )
    )
