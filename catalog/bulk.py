"""Many products changed together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from django.core.exceptions import ValidationError
from django.db import transaction

from catalog import word_index
from catalog.models import Category, Product, Tag

MOST = 2_000
"""Products changed at once: a few seconds' work, in one transaction."""

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed; what is empty stays as it is."""

    category: Category | None = None
    brand: str = ""
    season: str = ""
    sale_status: str = ""
    add_tags: Sequence[Tag] = ()
    remove_tags: Sequence[Tag] = ()
    percent: Decimal | None = None
    """By which prices rise, or fall below zero; those that have none get none."""
    fields: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        named = {
            "category": self.category,
            "brand": self.brand,
            "season": self.season,
            "sale_status": self.sale_status,
        }
        object.__setattr__(self, "fields", {name: to for name, to in named.items() if to})

    @property
    def is_none(self) -> bool:
        return not (
            self.fields or self.add_tags or self.remove_tags or self.percent not in {None, 0}
        )


def edit(keys: Iterable[int], change: Change) -> int:
    """Change the products of those keys, all or none; how many there were.

    Each is saved by itself, so that words, the audit log and whoever listens hear of it. Raises
    ValidationError if a price would not fit.
    """
    with transaction.atomic(), word_index.once():
        products = list(
            Product.objects.select_for_update().filter(pk__in=list(keys)).order_by("pk")
        )
        for product in products:
            _apply(product, change)
    return len(products)


def _apply(product: Product, change: Change) -> None:
    for name, value in change.fields.items():
        setattr(product, name, value)
    if "category" in change.fields:
        product.category_predicted = False
    if change.percent and product.price is not None:
        price = product.price * (1 + change.percent / 100)
        product.price = price.quantize(CENT, ROUND_HALF_UP)
    try:
        product.clean_fields(exclude={"category"})
    except ValidationError as error:
        sentences = "; ".join(error.messages)
        raise ValidationError(f"{product}: {sentences} Nothing was changed.") from error
    product.save()
    product.tags.add(*change.add_tags)
    product.tags.remove(*change.remove_tags)
