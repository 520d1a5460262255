"""Two products or pictures that are one: what belongs to the one goes to the other, at once.

Nothing that people have said is lost on the way. Where their words contradict each other, nothing
is done and the sentence says what to settle first. What the product that goes was called, and all
of its other details, stay in the audit log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Max, Q

from accounts.models import User
from catalog import lookalikes, word_index
from catalog.lookalikes import CannotDecide
from catalog.models import FormerReference, Lookalike, OriginalImage, Product, Segment
from similarity import golden
from similarity.engine import Box
from similarity.errors import NotMarkable
from similarity.models import Rule, Run, Verdict

FILLED = (
    "description",
    "url",
    "store",
    "brand",
    "rating",
    "waist_type",
    "listing_season",
    "season",
)
"""What the kept product takes over where it has nothing; a category and a price besides."""

UP = frozenset((Rule.Action.PIN.value, Rule.Action.BOOST.value))


@transaction.atomic
def merge_products(keep: Product, other: Product) -> Product:
    """Let one product stand for both; the other is gone, and its reference leads to the kept one.

    What the kept one lacks it takes from the other, and what it has stays. Tags and sizes are put
    together; the other's pictures come after its own; rules, marks and events go along. Raises
    CannotDecide if either has gone, if pictures are still on their way to the other, and if rules
    or marks of the two contradict each other.
    """
    wanted = [keep.pk, other.pk]
    rows = Product.objects.select_for_update().order_by("pk").in_bulk(wanted)
    if len(rows) != len(wanted):
        raise CannotDecide("One of the two products is there no more.")
    kept, going = rows[keep.pk], rows[other.pk]
    _refuse_pictures_under_way(going)
    _refuse_opposed_rules(kept, going)
    with word_index.once():
        _fill(kept, going)
        kept.tags.add(*going.tags.all())
        kept.sizes.add(*going.sizes.all())
        _move_pictures(kept, going)
        _move_marks(kept, going)
        _move_rules(kept, going)
        _move_the_rest(kept, going)
        reference = going.reference
        going.delete()
        FormerReference.objects.create(reference=reference, product=kept)
    return kept


def _refuse_pictures_under_way(going: Product) -> None:
    at_work = Run.objects.filter(
        product=going, state__in=[Run.State.PENDING, Run.State.RUNNING]
    ).count()
    if at_work:
        raise CannotDecide(
            f"Pictures of {going} are still being fetched ({at_work}). Merge when they have come."
        )


def _refuse_opposed_rules(kept: Product, going: Product) -> None:
    """Rules in force or to come that would say the opposite of each other, or of nothing at all."""
    both = {kept.pk, going.pk}
    said: defaultdict[tuple[int, int | None, int | None], set[bool]] = defaultdict(set)
    rules = Rule.objects.filter(Q(product__in=both) | Q(query_product__in=both))
    for rule in rules.select_related("product"):
        if {rule.product_id, rule.query_product_id} == both:
            raise CannotDecide(f"A rule is about the two of them ({rule}). Delete it first.")
        if rule.is_over:
            continue
        subject = kept.pk if rule.product_id in both else rule.product_id
        query = kept.pk if rule.query_product_id in both else rule.query_product_id
        said[subject, rule.category_id, query].add(rule.action in UP)
    if any(len(words) > 1 for words in said.values()):
        raise CannotDecide(
            f"Rules of {kept} and {going} contradict each other. Delete those that do not hold."
        )


def _fill(kept: Product, going: Product) -> None:
    for name in FILLED:
        if getattr(kept, name) in {None, ""}:
            setattr(kept, name, getattr(going, name))
    if kept.price is None:
        kept.price, kept.currency = going.price, going.currency
    is_better = kept.category_predicted and not going.category_predicted
    if going.category is not None and (kept.category is None or is_better):
        kept.category, kept.category_predicted = going.category, going.category_predicted
    kept.save()


def _move_pictures(kept: Product, going: Product) -> None:
    """Each by itself: words, categories' looks and the audit log hear of it."""
    last = OriginalImage.objects.filter(product=kept).aggregate(last=Max("position"))["last"]
    after = 0 if last is None else last + 1
    for place, image in enumerate(going.images.order_by("position", "pk"), start=after):
        image.product, image.position = kept, place
        image.save(update_fields=["product", "position"])


def _move_marks(kept: Product, going: Product) -> None:
    """What golden sets say of the one, they say of the other: the same, or this raises."""
    theirs = Verdict.objects.filter(product=kept).values_list("query", "is_right")
    known = dict(theirs)
    for verdict in Verdict.objects.filter(product=going).select_related("query"):
        if known.get(verdict.query_id, verdict.is_right) != verdict.is_right:
            raise CannotDecide(
                f"For {verdict.query}, one of {kept} and {going} is marked right and the other "
                "wrong. Settle the marks first."
            )
        if verdict.query_id in known:
            verdict.delete()
        else:
            verdict.product = kept
            verdict.save(update_fields=["product"])
    _drop_marks_of_its_own(kept)


def _drop_marks_of_its_own(kept: Product) -> None:
    """That one is right for the other is said by their being one; wrong, it cannot be."""
    own = Verdict.objects.filter(product=kept, query__segment__image__product=kept)
    if wrong := own.filter(is_right=False).select_related("query").first():
        raise CannotDecide(
            f"One of them is marked wrong for the other ({wrong.query}). Settle that mark first."
        )
    own.delete()


def _move_rules(kept: Product, going: Product) -> None:
    for name in ("product", "query_product"):
        for rule in Rule.objects.filter(**{name: going}):
            setattr(rule, name, kept)
            rule.save(update_fields=[name])


def _move_the_rest(kept: Product, going: Product) -> None:
    """Runs, events, former references: whatever else names a product, its words excepted."""
    for relation in Product._meta.related_objects:
        if relation.name != "words" and not relation.many_to_many:
            theirs = getattr(going, str(relation.get_accessor_name()))
            theirs.update(**{relation.field.name: kept})


# --- Pictures -------------------------------------------------------------------------------


@transaction.atomic
def merge_pictures(pair: Lookalike, keep: OriginalImage, by: User | None) -> OriginalImage:
    """Keep one of two pictures for both, as `catalog.lookalikes.merge` does.

    What golden sets search with by a garment of the other, they do by the kept one's in its place.
    Raises CannotDecide, also if marks contradict each other.
    """
    other = pair.later if pair.earlier_id == keep.pk else pair.earlier
    try:
        for segment in other.segments.filter(golden_queries__isnull=False).distinct():
            golden.move_queries(segment, _counterpart(segment, other, keep))
    except NotMarkable as error:
        raise CannotDecide(str(error)) from error
    kept = lookalikes.merge(pair, keep, by)
    if kept.product is not None:
        _drop_marks_of_its_own(kept.product)
    return kept


def _counterpart(segment: Segment, other: OriginalImage, keep: OriginalImage) -> Segment:
    """The garment of the kept picture in the place of the other's; the best where there is none."""
    place = _place(segment, other)
    garments = list(keep.segments.order_by("number"))
    if not garments:
        raise CannotDecide(f"{keep} has not been described yet.")
    return max(garments, key=lambda row: _place(row, keep).iou(place))


def _place(segment: Segment, image: OriginalImage) -> Box:
    """Where a garment is, in parts of its picture: of two that look alike, sizes may differ."""
    x0, y0, x1, y1 = segment.box
    return Box(x0 / image.width, y0 / image.height, x1 / image.width, y1 / image.height)


# --- What is shown of them ------------------------------------------------------------------


def differences(first: Product, second: Product) -> Iterable[tuple[str, str, str]]:
    """Details in which two products differ: what it is called, and what each of them has."""
    for field in Product._meta.fields:
        if field.name not in {"id", "reference", "created_at", "updated_at"}:
            one, other = (_told(product, field.name) for product in (first, second))
            if one != other:
                yield str(field.verbose_name), one, other
    for name in ("tags", "sizes"):
        one, other = (
            ", ".join(str(row) for row in getattr(product, name).all())
            for product in (first, second)
        )
        if one != other:
            yield name, one, other


def _told(product: Product, name: str) -> str:
    """A detail as people read it; empty for none."""
    if choice := getattr(product, f"get_{name}_display", None):
        return str(choice())
    value = getattr(product, name)
    return "" if value is None else str(value)
