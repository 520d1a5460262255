"""How many products each further choice would leave: the counts beside a search's results.

A value's count is how many results a search for it would have. Likeness ranks and leaves nothing
out, so these are all that have been described, pass the filters and lie within the search's
`Scope`. It is of those that pass all filters *but the facet's own*: somebody who has chosen one
brand still sees what the other brands have. Algolia calls that disjunctive faceting:
https://www.algolia.com/doc/guides/managing-results/refine-results/faceting/#conjunctive-and-disjunctive-faceting
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from catalog import word_index
from catalog.filters import concerns_products, passing
from catalog.models import Category, OriginalImage, Product, SegmentColour, Size, Tag, findable

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


@dataclass(frozen=True, slots=True)
class Ruled:
    """Products that a search shows never, or always; by their keys."""

    kept_out: frozenset[int] = frozenset()
    pinned: frozenset[int] = frozenset()
    """Shown whatever words are asked for, if they pass the filters."""

    @property
    def told(self) -> list[list[int]]:
        return [sorted(self.kept_out), sorted(self.pinned)]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search can show at all, whatever its filters let pass."""

    ruled: Ruled = Ruled()
    """Under the filters that there are."""
    without_category: Ruled = Ruled()
    """If no category were asked for."""
    in_own_category: Ruled = Ruled()
    """If for each product its own category were asked for, and no other."""
    text: tuple[str, ...] | None = None
    """Words of which a product has one, or is not shown; None: it need not."""
    without: tuple[str, ...] = ()
    """Words of which it has none."""
    pictures: bool = False
    """Whether pictures that belong to no product are results as well, where no filter is of
    products."""
    own_pictures: frozenset[int] = frozenset()
    """Those of them that are searched with."""

    @property
    def told(self) -> list[Any]:
        """The same as JSON has it."""
        ruled = [self.ruled.told, self.without_category.told, self.in_own_category.told]
        return [ruled, self.text, self.without, self.pictures, sorted(self.own_pictures)]


EVERYTHING = Scope()


def count(filters: Mapping[str, Any], scope: Scope = EVERYTHING) -> Facets:
    """Counts of products under filters that were validated before, as many as would be found.

    Two queries. Counts of many products are kept for a minute, since they take a while.
    """
    told = json.dumps([filters, scope.told], sort_keys=True, default=str)
    key = f"facets-{hashlib.sha256(told.encode()).hexdigest()}"
    found: Facets | None = cache.get(key)
    if found is None:
        found = _count(filters, scope)
        if found.counted > MANY:
            cache.set(key, found, KEPT_SECONDS)
    return found


def without_each(filters: Mapping[str, Any], scope: Scope = EVERYTHING) -> dict[str, int]:
    """How many results there would be if one filter were taken back, by its name: what to try
    where nothing is left. The two ends of a price are one filter, named "price".
    """
    groups = {"price" if name in PRICES else name: {name} for name in filters}
    if "price" in groups:
        groups["price"] = set(PRICES)
    return {name: _results(_but(filters, *own), scope, own) for name, own in groups.items()}


def _results(filters: Mapping[str, Any], scope: Scope, taken_back: Collection[str]) -> int:
    ruled = scope.without_category if "category" in taken_back else scope.ruled
    products = _described(filters, _Within(scope, ruled))
    return products.count() + _pictures(filters, scope).count()


def _pictures(filters: Mapping[str, Any], scope: Scope) -> QuerySet[OriginalImage]:
    """The pictures without a product that are among the results."""
    if not scope.pictures or concerns_products(filters):
        return OriginalImage.objects.none()
    images = OriginalImage.objects.filter(product=None, status=OriginalImage.Status.READY)
    images = images.exclude(pk__in=sorted(scope.own_pictures)).order_by()
    if colours := filters.get("colour"):
        images = images.filter(pk__in=_coloured(colours).values("segment__image"))
    return images


def _but(filters: Mapping[str, Any], *own: str) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name not in own}


@dataclass(frozen=True, slots=True)
class _Within:
    """A scope, with the rules of it that hold for what is counted."""

    scope: Scope
    ruled: Ruled

    @property
    def is_all(self) -> bool:
        """Whether every product lies within it."""
        return self.scope.text is None and not (self.scope.without or self.ruled.kept_out)

    def of(self, products: QuerySet[Product]) -> QuerySet[Product]:
        if self.scope.text is not None:
            having = Q(pk__in=word_index.having(self.scope.text))
            products = products.filter(having | Q(pk__in=sorted(self.ruled.pinned)))
        if self.scope.without:
            products = products.exclude(pk__in=word_index.having(self.scope.without))
        if self.ruled.kept_out:
            products = products.exclude(pk__in=sorted(self.ruled.kept_out))
        return products


def _count(filters: Mapping[str, Any], scope: Scope) -> Facets:
    within = _Within(scope, scope.ruled)

    def others(*own: str, within: _Within = within) -> QuerySet[Product]:
        return _described(_but(filters, *own), within)

    def linked(name: str, links: type[Model], named: type[Tag | Size]) -> Rows:
        return _linked(
            None if within.is_all and not _but(filters, name) else others(name), links, named
        )

    found = _Counted(
        [
            _plain(others("brand"), "brand"),
            _plain(others("season"), "season"),
            _plain(others("sale_status"), "sale_status"),
            _grouped("in_stock", others("in_stock").exclude(**SOLD_OUT), text=F("sale_status")),
            _colours(_passing(_but(filters, "colour"), within)),
            *_colours_of_pictures(_but(filters, "colour"), scope),
            _keyed(others("category", within=_Within(scope, scope.in_own_category))),
            linked("tag", Product.tags.through, Tag),
            linked("size", Product.sizes.through, Size),
            _bands(others(*PRICES)),
        ]
    )
    return Facets(
        category=found.named("category"),
        brand=found.told("brand"),
        season=found.told("season", dict(Product.Season.choices)),
        colour=found.told("colour", dict(SegmentColour.Name.choices)),
        tag=found.named("tag"),
        size=found.named("size"),
        sale_status=found.told("sale_status", dict(Product.SaleStatus.choices)),
        in_stock=found.whole("in_stock", FacetValue("true", _("In stock"), 0)),
        price=found.bands("price"),
    )


SOLD_OUT = {"sale_status": Product.SaleStatus.SOLD_OUT}


def _passing(filters: Mapping[str, Any], within: _Within) -> QuerySet[Product]:
    """The products that pass, each once, so that what is joined later is not counted twice."""
    products = Product.objects.order_by()
    if concerns_products(filters):
        products = products.filter(pk__in=passing(filters).values("pk"))
    if colours := filters.get("colour"):
        products = products.filter(pk__in=_coloured(colours).values("segment__image__product"))
    return within.of(products)


def _described(filters: Mapping[str, Any], within: _Within) -> QuerySet[Product]:
    """Those of them that can be found at all; what has a garment of a colour can."""
    products = _passing(filters, within)
    return products if filters.get("colour") else products.filter(_is_described("pk"))


def _coloured(names: Iterable[str]) -> QuerySet[SegmentColour]:
    """The colours of garments that are found by one of these names."""
    return SegmentColour.objects.prominent(names).filter(findable("segment__")).order_by()


def _is_described(product: str) -> Exists:
    """Whether a product can be found at all: some picture of it has been described.

    `product` leads to its key.
    """
    ready = OriginalImage.objects.filter(status=OriginalImage.Status.READY)
    return Exists(ready.filter(product=OuterRef(product)))


# --- What is asked of the database, all facets in one query -----------------------------------

Rows = QuerySet[Any, Any]
"""Of one facet: its name, a value as a text or as a key, and the products that have it."""

NO_TEXT = Cast(Value(None), CharField())
NO_KEY = Cast(Value(None), BigIntegerField())


def _grouped(
    facet: str,
    products: QuerySet[Any],
    *,
    text: Any = NO_TEXT,
    key: Any = NO_KEY,
    number: Any = None,
) -> Rows:
    told = products.annotate(facet=Value(facet, CharField()), text=text, key=key)
    counted = told.values_list("facet", "text", "key")
    rows: Rows = counted.annotate(number=Count("pk") if number is None else number)
    return rows


def _plain(products: QuerySet[Product], column: str) -> Rows:
    return _grouped(column, products.exclude(**{column: ""}), text=F(column))


def _keyed(products: QuerySet[Product]) -> Rows:
    return _grouped("category", products.exclude(category=None), key=F("category_id"))


def _linked(
    products: QuerySet[Product] | None, links: type[Model], named: type[Tag | Size]
) -> Rows:
    """What products are linked to, through the table of those links; None: of all products."""
    rows = links._default_manager.order_by()
    if products is None:
        rows = rows.filter(_is_described("product"))
    else:
        rows = rows.filter(product__in=products.values("pk"))
    facet = str(named._meta.model_name)
    return _grouped(facet, rows, key=F(f"{facet}_id"))


def _colours(products: QuerySet[Product]) -> Rows:
    """What has a colour has been described."""
    rows = _coloured(SegmentColour.Name).filter(segment__image__product__isnull=False)
    if products.query.where:
        rows = rows.filter(segment__image__product__in=products.values("pk"))
    number = Count("segment__image__product", distinct=True)
    return _grouped("colour", rows, text=F("colour"), number=number)


def _colours_of_pictures(filters: Mapping[str, Any], scope: Scope) -> list[Rows]:
    """The same of pictures without a product, if such are among the results."""
    if not scope.pictures or concerns_products(filters):
        return []
    rows = _coloured(SegmentColour.Name).filter(segment__image__in=_pictures(filters, scope))
    number = Count("segment__image", distinct=True)
    return [_grouped("colour", rows, text=F("colour"), number=number)]


def _bands(products: QuerySet[Product]) -> Rows:
    below = [When(price__lt=high, then=Value(i)) for i, high in enumerate(PRICE_EDGES[1:])]
    band = Case(*below, default=Value(len(below)), output_field=BigIntegerField())
    return _grouped("price", products.exclude(price=None), key=band)


class _Counted:
    """The counts of all facets, and the names of what stands there by its key."""

    def __init__(self, facets: Sequence[Rows]) -> None:
        first, *others = facets
        self._found: defaultdict[str, Counter[Any]] = defaultdict(Counter)
        for facet, text, key, number in first.union(*others, all=True):
            self._found[facet][key if text is None else text] += number
        self._names = self._named()

    def _named(self) -> dict[tuple[str, int], tuple[str, str]]:
        """What each key is filtered by and called."""
        first, *others = (
            model._default_manager.filter(pk__in=list(self._found[facet]))
            .order_by()
            .annotate(facet=Value(facet, CharField()))
            .values_list("facet", "pk", value, "name")
            for facet, model, value in NAMED
        )
        rows = first.union(*others, all=True)
        return {(facet, key): (value, name) for facet, key, value, name in rows}

    def told(self, facet: str, names: Mapping[str, StrOrPromise] | None = None) -> list[FacetValue]:
        """A facet of texts, which may be called otherwise."""
        counts = self._found[facet].items()
        return _most((value, (names or {}).get(value, value), n) for value, n in counts)

    def named(self, facet: str) -> list[FacetValue]:
        """A facet of keys."""
        counts = ((self._names.get((facet, key)), n) for key, n in self._found[facet].items())
        return _most((*known, n) for known, n in counts if known is not None)

    def whole(self, facet: str, value: FacetValue) -> list[FacetValue]:
        """A facet of one value, which all of its products have; none where there are none."""
        number = sum(self._found[facet].values())
        return [replace(value, count=number)] if number else []

    def bands(self, facet: str) -> list[PriceBand]:
        ends = [(low, high - CENT) for low, high in pairwise(PRICE_EDGES)]
        bands: list[tuple[Decimal, Decimal | None]] = [*ends, (PRICE_EDGES[-1], None)]
        counts = self._found[facet]
        return [PriceBand(*ends, counts[i]) for i, ends in enumerate(bands) if i in counts]


NAMED: tuple[tuple[str, type[Model], str], ...] = (
    ("category", Category, "slug"),
    ("tag", Tag, "name"),
    ("size", Size, "name"),
)
"""Facets whose values are rows of a table, and the column that they are filtered by."""


def _most(values: Iterable[tuple[str, StrOrPromise, int]]) -> list[FacetValue]:
    ranked = sorted(values, key=lambda value: (-value[2], value[0]))
    return [FacetValue(*value) for value in ranked[:MOST]]
