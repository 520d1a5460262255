"""What a product lacks, as its pictures and what is most like it have it, for people to accept."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db import transaction

from catalog.models import Category, Product, SegmentColour, Tag, findable
from catalog.services import named
from similarity import results, services
from similarity.engine.errors import EngineError
from similarity.errors import Refused

LOOKED_AT = 24
"""Products most like one that are asked what they are."""

ALIKE = 0.5
"""Less alike ones have no say."""

LEAST = 0.25
"""Part of all votes that a value needs to be suggested."""

MOST_TAGS = 6


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One value for a product, and why."""

    name: str
    """As the page sends it back: "category:12", "tag:navy"."""
    field: str
    value: str
    key: int | None
    """Of the category or tag; None for a tag that there is not yet."""
    reason: str


def of(product: Product) -> list[Suggestion]:
    """A category, colours and tags that a product has not; none where nothing is known of it.

    Products vote, each with its likeness: on the category those whose garment goes by the same
    label, if there are any. Colours are those of the product's own garments.
    """
    voters = _voters(product)
    return [*_categories(product, voters), *_tags(product, voters)]


@dataclass(frozen=True, slots=True)
class Voter:
    """A product that looks like one."""

    weight: float
    category: str | None
    tags: list[str]
    has_label: bool
    """Whether its garment goes by the label of the product's own."""


def _voters(product: Product) -> list[Voter]:
    try:
        label = services.main_segment(product).label
        nearest = services.similar_products(product, limit=LOOKED_AT)
    except (Refused, EngineError, OSError):  # no picture, no model, no index: no suggestion
        return []
    found = results.read(nearest)
    return [
        Voter(one.similarity, one.product["category"], one.product["tags"], one.label == label)
        for one in found
        if one.product is not None and one.similarity is not None and one.similarity >= ALIKE
    ]


def _categories(product: Product, voters: list[Voter]) -> list[Suggestion]:
    votes: dict[str, float] = defaultdict(float)
    for voter in [one for one in voters if one.has_label] or voters:
        if voter.category:
            votes[voter.category] += voter.weight
    total = sum(votes.values())
    best = max(votes, key=lambda name: votes[name], default=None)
    if best is None or votes[best] < total / 2:
        return []
    category = Category.objects.filter(name=best).first()
    if category is None or category.pk == product.category_id:
        return []
    share = f"{votes[best] / total:.0%} of what looks like it"
    name = f"category:{category.pk}"
    return [Suggestion(name, "category", category.name, category.pk, share)]


def _tags(product: Product, voters: list[Voter]) -> list[Suggestion]:
    has = {name.casefold() for name in product.tags.values_list("name", flat=True)}
    reasons = _colours(product)
    votes: dict[str, float] = defaultdict(float)
    for voter in voters:
        for tag in voter.tags:
            votes[tag] += voter.weight
    total = sum(voter.weight for voter in voters)
    for tag in sorted(votes, key=lambda name: -votes[name]):
        if votes[tag] >= LEAST * total:
            reasons.setdefault(tag, f"{votes[tag] / total:.0%} of what looks like it")
    new = [tag for tag in reasons if tag.casefold() not in has][:MOST_TAGS]
    keys = dict(Tag.objects.filter(name__in=new).values_list("name", "pk"))
    return [Suggestion(f"tag:{tag}", "tag", tag, keys.get(tag), reasons[tag]) for tag in new]


def _colours(product: Product) -> dict[str, str]:
    """The colour that most of the product's garments are of, with the reason."""
    rows = SegmentColour.objects.prominent(SegmentColour.Name.values).filter(
        findable("segment__"), segment__image__product=product, segment__number=0
    )
    shares: dict[str, list[float]] = defaultdict(list)
    for colour, share in rows.order_by().values_list("colour", "share"):
        shares[colour].append(share)
    if not shares:
        return {}
    best = max(shares, key=lambda colour: (len(shares[colour]), sum(shares[colour])))
    mean = sum(shares[best]) / len(shares[best])
    return {best: f"colour of {mean:.0%} of the garment"}


@transaction.atomic
def accept(product: Product, name: str) -> str | None:
    """Take over a suggestion; what was taken over, or None if it is not to be had."""
    field, _, value = name.partition(":")
    if field == "category" and value.isdecimal():
        category = Category.objects.filter(pk=int(value)).first()
        if category is None:
            return None
        product.category, product.category_predicted = category, False
        product.save(update_fields=["category", "category_predicted", "updated_at"])
        return category.name
    if field == "tag" and 0 < len(value) <= 100:  # noqa: PLR2004  (as long as a tag's name)
        product.tags.add(*named(Tag, [value]))
        return value
    return None
