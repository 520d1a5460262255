"""What people say of the garments in a picture: where they are, what they are, which is meant.

A box that a person has drawn, changed or chosen is a person's from then on (`Segment.PERSON`): no
detector changes it, nor adds another of the same garment (see `similarity.pipeline`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from django.core.exceptions import ValidationError
from django.db import transaction

from catalog import word_index
from catalog.models import OriginalImage, Segment, SegmentColour

SMALLEST = 4
"""Pixels of a box's sides at least."""

MOST = 50
"""Garments in one picture at most."""

Edges = tuple[float, float, float, float]


class Outdated(Exception):
    """The garments are not those any more that somebody had before their eyes."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A garment as a person wants it."""

    box: Edges
    """Left, top, right, bottom, in pixels of the image."""
    label: str
    segment: int | None = None
    """Key of the garment that it was; None for a new one."""
    is_main: bool = False


def garments(image: OriginalImage) -> list[Segment]:
    """The garments of an image that can be drawn, in their order: all but a whole picture."""
    return [row for row in image.segments.order_by("number") if row.is_a_garment]


def state_of(image: OriginalImage, rows: Sequence[Segment]) -> str:
    """A mark of what is known of an image's garments: another one if any of it has changed."""
    told = [image.main_segment_id, *((row.pk, row.box, row.label) for row in rows)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@transaction.atomic
def draw(image: OriginalImage, drawn: Sequence[Drawn], *, seen: str) -> list[Segment]:
    """Put what a person has drawn in the place of an image's garments; gives those to describe.

    What is not named is deleted. Where nothing is left the picture stands as a whole, so that it
    is found. `seen` is the mark (`state_of`) of what the person had before their eyes. Raises
    Outdated if it is no longer so, ValidationError for boxes that hold nothing of the image.
    """
    image = OriginalImage.objects.select_for_update().get(pk=image.pk)
    known = {row.pk: row for row in garments(image)}
    named = [item.segment for item in drawn if item.segment is not None]
    if state_of(image, list(known.values())) != seen or len(set(named) & known.keys()) < len(named):
        raise Outdated
    drawn = [replace(item, box=_inside(item.box, image)) for item in drawn]
    if len(drawn) > MOST:
        raise ValidationError(f"A picture has at most {MOST} garments.")
    for row in image.segments.exclude(pk__in=named):
        if drawn or row.is_a_garment:
            row.delete()
    numbers = count(_first_free(image))
    changed, main = [], None
    for item in drawn:
        row = known[item.segment] if item.segment else Segment(image=image, number=next(numbers))
        if _apply(row, item, image):
            changed.append(row)
        if item.is_main:
            main = row
    if not drawn and not image.segments.exists():
        changed.append(_whole(image))
    _choose_main(image, main)
    SegmentColour.objects.filter(segment__in=changed).delete()  # of what they showed before
    word_index.refresh([image.product_id])
    return changed


def _inside(box: Edges, image: OriginalImage) -> Edges:
    x0, x1 = (min(max(edge, 0.0), float(image.width)) for edge in (box[0], box[2]))
    y0, y1 = (min(max(edge, 0.0), float(image.height)) for edge in (box[1], box[3]))
    if not (x1 - x0 >= SMALLEST and y1 - y0 >= SMALLEST):
        raise ValidationError(
            f"A box is at least {SMALLEST} pixels wide and high, and inside of the picture, which "
            f"is {image.width} pixels wide and {image.height} high."
        )
    return (x0, y0, x1, y1)


def _first_free(image: OriginalImage) -> int:
    last = image.segments.order_by("-number").values_list("number", flat=True).first()
    return 0 if last is None else last + 1


def _apply(row: Segment, item: Drawn, image: OriginalImage) -> bool:
    """Have a row show what was drawn; whether it shows another part of the picture now.

    A crop is of whole pixels, and so is what people draw: within those a detector's box is left.
    """
    is_moved = row.pk is None or (*map(float, row.pixels),) != item.box
    if is_moved:
        row.x0, row.y0, row.x1, row.y1 = item.box
    if is_moved or row.label != item.label or (item.is_main and row.detector != Segment.PERSON):
        row.identifier = f"{image.identifier}_segment_{row.number}"
        row.label, row.score, row.detector = item.label, 1.0, Segment.PERSON
        row.full_clean(exclude={"image"}, validate_unique=False, validate_constraints=False)
        row.save()
    return is_moved


def _whole(image: OriginalImage) -> Segment:
    return Segment.objects.create(
        identifier=f"{image.identifier}_segment_0",
        image=image,
        number=0,
        x0=0.0,
        y0=0.0,
        x1=float(image.width),
        y1=float(image.height),
        score=0.0,
        detector=Segment.NOTHING_FOUND,
    )


def _choose_main(image: OriginalImage, main: Segment | None) -> None:
    image.refresh_from_db(fields=["main_segment"])  # a deleted one is none any more
    if image.main_segment_id != (main and main.pk):
        image.main_segment = main
        image.save(update_fields=["main_segment"])
