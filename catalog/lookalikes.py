"""What merchandisers decide about pictures that look alike. Each pair is asked about once."""

from __future__ import annotations

from django.db import transaction

from accounts.models import User
from catalog.models import Lookalike, MergedPicture, OriginalImage


class CannotDecide(Exception):
    """Somebody else has decided, or what is asked cannot be done; the sentence says why."""


DECIDED = "Somebody has decided about these two already."


def keep_both(pair: Lookalike, decision: Lookalike.Decision, by: User | None) -> None:
    """Remember that two pictures are the same, or are not, and leave both where they are."""
    if not Lookalike.objects.decide(pair, decision, by):
        raise CannotDecide(DECIDED)
    pair.refresh_from_db()


@transaction.atomic
def merge(pair: Lookalike, keep: OriginalImage, by: User | None) -> OriginalImage:
    """Keep one of two pictures for both; the other is deleted, with its garments.

    The kept one takes over the product, if it has none, and stands for the other's bytes and its
    ids of the service before: whoever sends those again is given it. Raises CannotDecide, also if
    the two belong to two products.
    """
    keys = {pair.earlier_id, pair.later_id}
    images = OriginalImage.objects.select_for_update().in_bulk(keys)  # nobody merges them meanwhile
    if set(images) != keys or not Lookalike.objects.decide(pair, Lookalike.Decision.SAME, by):
        raise CannotDecide(DECIDED)
    kept = images.pop(keep.pk)
    [other] = images.values()
    if None not in {kept.product_id, other.product_id} and kept.product_id != other.product_id:
        raise CannotDecide(
            f"They show two products, {kept.product} and {other.product}. Merge the products first."
        )
    if kept.product_id is None:
        kept.product_id, kept.position = other.product_id, other.position
        kept.save(update_fields=["product", "position"])
    other.merged.update(image=kept)
    other.former_items.update(image=kept)
    MergedPicture.objects.create(sha256=other.sha256, image=kept)
    other.delete()
    return kept
