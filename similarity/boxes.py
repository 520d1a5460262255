"""Garments that a person has drawn: what shows another part of the picture is described anew."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from accounts.models import User
from catalog import boxes
from catalog.boxes import Drawn
from catalog.models import OriginalImage, Product
from similarity import prototypes
from similarity.models import Embedding, Run
from similarity.services import enqueue


@transaction.atomic
def save(
    image: OriginalImage, drawn: Sequence[Drawn], *, seen: str, asked_by: User | None = None
) -> Run | None:
    """Keep what a person has drawn; the run that describes what is new or has moved, if anything.

    Until it is done nobody finds those garments, and the others are found as before. Raises as
    `catalog.boxes.draw` does.
    """
    changed = boxes.draw(image, drawn, seen=seen)
    if not changed:
        return None
    before = Embedding.objects.filter(segment__in=changed)
    if before.delete()[0]:  # of what they showed before
        prototypes.mark(Product.objects.filter(images=image))
    run = Run.objects.create(
        kind=Run.Kind.BOXES,
        image=image,
        requested_by=asked_by,
        options={"segments": [segment.identifier for segment in changed]},
    )
    enqueue(run)
    return run
