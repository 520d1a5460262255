"""How many products each further choice would leave: the counts beside a search's results.

Likeness ranks and leaves nothing out, so what a search matches are all products that pass its
filters. A value's count is of those that pass all filters *but the facet's own*: somebody who has
chosen one brand still sees what the other brands have. Algolia calls that disjunctive faceting:
https://www.algolia.com/doc/guides/managing-results/refine-results/faceting/#conjunctive-and-disjunctive-faceting
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db.models import Case, Count, IntegerField, Model, QuerySet, Value, When
from django.utils.translation import gettext_lazy as _

from catalog.filters import passing
from catalog.models import Category, Product, SegmentColour, Size, Tag, findable

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as StrOrPromise

MOST = 100
"""Values that a facet has at most: those with the most products."""

PRICE_EDGES = tuple(Decimal(edge) for edge in (0, 25, 50, 100, 200, 500))
"""Where the price bands begin. The last is open; each other ends a cent before the next."""

CENT = Decimal("0.01")

PRICES = ("price_min", "price_max")
"""The filters that a price band stands for."""

MANY = 20_000
"""Counting up to so many takes some tens of milliseconds."""

KEPT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One choice. With `value` as the facet's filter, so many products pass."""

    value: str
    name: StrOrPromise
    """As people read it, each in their language."""
    count: int


@dataclass(frozen=True, slots=True)
class PriceBand:
    """With these as `price_min` and `price_max`, so many products pass."""

    price_min: Decimal
    price_max: Decimal | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """Of each facet the values that some product has, the most frequent first; bands by price."""

    category: list[FacetValue]
    brand: list[FacetValue]
    season: list[FacetValue]
    colour: list[FacetValue]
    tag: list[FacetValue]
    size: list[FacetValue]
    sale_status: list[FacetValue]
    in_stock: list[FacetValue]
    """The one value "true"; none where all is sold out."""
    price: list[PriceBand]

    @property
    def counted(self) -> int:
        """Products, or tags and colours of products, that the largest facet has counted."""
        facets: list[list[FacetValue]] = [getattr(self, field.name) for field in fields(self)]
        return max(sum(value.count for value in facet) for facet in facets)


def count(filters: Mapping[str, Any]) -> Facets:
    """Counts of products under filters that were validated before.

    Twelve queries. Counts of many products are kept for a minute, since they take a while.
    """
    told = json.dumps(filters, sort_keys=True, default=str)
    key = f"facets-{hashlib.sha256(told.encode()).hexdigest()}"
    found: Facets | None = cache.get(key)
    if found is None:
        found = _count(filters)
        if found.counted > MANY:
            cache.set(key, found, KEPT_SECONDS)
    return found


def without_each(filters: Mapping[str, Any]) -> dict[str, int]:
    """How many products would pass if one filter were taken back, by its name: what to try where
    nothing is left. The two ends of a price are one filter, named "price".
    """
    groups = {"price" if name in PRICES else name: {name} for name in filters}
    if "price" in groups:
        groups["price"] = set(PRICES)
    return {
        name: _passing({key: filters[key] for key in filters if key not in own}).count()
        for name, own in groups.items()
    }


def _count(filters: Mapping[str, Any]) -> Facets:
    def others(*own: str) -> QuerySet[Product]:
        return _passing({name: value for name, value in filters.items() if name not in own})

    return Facets(
        category=_categories(others("category")),
        brand=_plain(others("brand"), "brand"),
        season=_plain(others("season"), "season", dict(Product.Season.choices)),
        colour=_colours(others("colour")),
        tag=_linked(others("tag"), Product.tags.through, Tag),
        size=_linked(others("size"), Product.sizes.through, Size),
        sale_status=_plain(others("sale_status"), "sale_status", dict(Product.SaleStatus.choices)),
        in_stock=_in_stock(others("in_stock")),
        price=_bands(others(*PRICES)),
    )


def _passing(filters: Mapping[str, Any]) -> QuerySet[Product]:
    """The products that pass, each once, so that what is joined later is not counted twice."""
    products = Product.objects.order_by()
    if filters:
        products = products.filter(pk__in=passing(filters).values("pk"))
    if colours := filters.get("colour"):
        rows = SegmentColour.objects.prominent(colours).filter(findable("segment__")).order_by()
        products = products.filter(pk__in=rows.values("segment__image__product"))
    return products


def _plain(
    products: QuerySet[Product], column: str, names: Mapping[str, StrOrPromise] | None = None
) -> list[FacetValue]:
    rows = products.exclude(**{column: ""}).values_list(column)
    return _most((value, (names or {}).get(value, value), n) for value, n in _counted(rows))


def _categories(products: QuerySet[Product]) -> list[FacetValue]:
    counts = dict(_counted(products.exclude(category=None).values_list("category")))
    found = Category.objects.in_bulk(list(counts))
    return _most((found[pk].slug, found[pk].name, n) for pk, n in counts.items() if pk in found)


def _linked(
    products: QuerySet[Product], links: type[Model], named: type[Tag | Size]
) -> list[FacetValue]:
    """Names that products are linked to, through the table of those links."""
    rows = links._default_manager.order_by()
    if products.query.where:
        rows = rows.filter(product__in=products.values("pk"))
    counts = dict(_counted(rows.values_list(str(named._meta.model_name))))
    names = dict(named._default_manager.filter(pk__in=list(counts)).values_list("pk", "name"))
    return _most((names[pk], names[pk], n) for pk, n in counts.items() if pk in names)


def _in_stock(products: QuerySet[Product]) -> list[FacetValue]:
    number = products.exclude(sale_status=Product.SaleStatus.SOLD_OUT).count()
    return [FacetValue("true", _("In stock"), number)] if number else []


def _colours(products: QuerySet[Product]) -> list[FacetValue]:
    rows = SegmentColour.objects.prominent(SegmentColour.Name).filter(findable("segment__"))
    rows = rows.order_by()
    if products.query.where:
        rows = rows.filter(segment__image__product__in=products.values("pk"))
    number = Count("segment__image__product", distinct=True)
    counts = rows.values_list("colour").annotate(number=number)
    names = dict(SegmentColour.Name.choices)
    return _most((value, names.get(value, value), n) for value, n in counts if n)


def _bands(products: QuerySet[Product]) -> list[PriceBand]:
    ends = [(low, high - CENT) for low, high in pairwise(PRICE_EDGES)]
    bands: list[tuple[Decimal, Decimal | None]] = [*ends, (PRICE_EDGES[-1], None)]
    below = [When(price__lt=high, then=Value(i)) for i, high in enumerate(PRICE_EDGES[1:])]
    band = Case(*below, default=Value(len(below)), output_field=IntegerField())
    rows = products.exclude(price=None).annotate(band=band).values_list("band")
    counts = dict(_counted(rows))
    return [PriceBand(*ends, counts[i]) for i, ends in enumerate(bands) if i in counts]


def _counted(rows: QuerySet[Any, Any]) -> Iterable[tuple[Any, int]]:
    counted: Iterable[tuple[Any, int]] = rows.annotate(number=Count("pk"))
    return counted


def _most(values: Iterable[tuple[str, StrOrPromise, int]]) -> list[FacetValue]:
    ranked = sorted(values, key=lambda value: (-value[2], value[0]))
    return [FacetValue(*value) for value in ranked[:MOST]]
