"""The shop's own word on results: rules that pin, boost, bury and block products.

Whatever is searched with, an answer is put together in one way. What is blocked is not found at
all. What is pinned and may be found comes first, in the rules' order. What is boosted or buried
stands where it would with PUSH more or less of likeness. So an answer still begins as a longer one
does, and all filters hold for whatever is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F, Q, QuerySet

from catalog.facets import Ruled, Scope
from catalog.models import Category, Product, ProductWord, Segment, SegmentColour
from similarity import indexing, prototypes
from similarity.engine import Vectors
from similarity.indexing import Entry, Neighbour
from similarity.models import Embedder, Rule
from similarity.prepared import Prepared

PUSH = 0.1
"""Of cosine, up for what is boosted and down for what is buried: "close" becomes "very close"."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rules of one search, by products' keys. A product is in one of these alone."""

    pinned: tuple[int, ...] = ()
    """In their order."""
    boosted: frozenset[int] = frozenset()
    buried: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()

    @property
    def moved(self) -> frozenset[int]:
        """What stands elsewhere than its likeness says."""
        return frozenset(self.pinned) | self.boosted | self.buried

    def push(self, product: int | None) -> float:
        """What is added to a product's likeness."""
        return PUSH * ((product in self.boosted) - (product in self.buried))

    def without_pins(self) -> Ruling:
        """For rows of results beside others: what is pinned would stand in each of them."""
        return replace(self, pinned=())


NO_RULES = Ruling()

ANY = Prepared(lambda above: Rule.objects.filter(pk__gt=above).order_by().values_list("pk")[:1])
"""Whether there are rules at all: a shop without any pays this one look for them."""


def in_force(filters: Mapping[str, Any], garment: Segment | None = None) -> Ruling:
    """The rules for a search with these filters, and by a garment if there is one.

    A category's rules hold where the search asks for it, or is by a product of it.
    """
    return for_product(filters, None if garment is None else garment.image.product_id)


def for_product(filters: Mapping[str, Any], product: int | None) -> Ruling:
    """The same for a search by a product's key."""
    if not ANY(0):
        return NO_RULES
    holds = Q(category=None, query_product=None)
    if slugs := filters.get("category"):
        holds |= Q(category__slug__in=[slugs] if isinstance(slugs, str) else slugs)
    if product is not None:
        own = Category.objects.filter(products=product)
        holds |= Q(query_product=product) | Q(category__in=own)
    rules = Rule.objects.active().filter(holds).order_by("position", "pk")
    return _combined(list(rules.values_list("action", "product")))


def scope(
    filters: Mapping[str, Any], garment: Segment | None = None, examples: Iterable[Segment] = ()
) -> Scope:
    """What such a search can show, for counting it: nothing that is blocked, nor the product that
    it is by, nor those of its examples.
    """
    used = [*([] if garment is None else [garment]), *examples]
    own = frozenset(row.image.product_id for row in used if row.image.product_id is not None)
    product = None if garment is None else garment.image.product_id
    asked, other = for_product(filters, product), for_product(_without_category(filters), product)
    here = _of_own_category() if ANY(0) else NO_RULES
    return Scope(
        ruled=_ruled(own, asked),
        without_category=_ruled(own, other),
        in_own_category=_ruled(own, other, here),
        pictures=True,
        own_pictures=frozenset(row.image_id for row in used if row.image.product_id is None),
    )


def _without_category(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name != "category"}


def _of_own_category() -> Ruling:
    """The rules of categories for products that are in them."""
    rules = Rule.objects.active().filter(category__isnull=False, product__category=F("category"))
    return _combined(list(rules.order_by("position", "pk").values_list("action", "product")))


def _ruled(own: frozenset[int], *rulings: Ruling) -> Ruled:
    blocked = own.union(*(ruling.blocked for ruling in rulings))
    pinned = frozenset(key for ruling in rulings for key in ruling.pinned)
    return Ruled(blocked, pinned - blocked)


def _combined(rules: Sequence[tuple[str, int]]) -> Ruling:
    """What rules say together: blocking comes before pinning, and that before all else."""

    def named(action: Rule.Action) -> list[int]:
        return [product for its, product in rules if its == action]

    blocked = frozenset(named(Rule.Action.BLOCK))
    pinned = [key for key in dict.fromkeys(named(Rule.Action.PIN)) if key not in blocked]
    up, down = frozenset(named(Rule.Action.BOOST)), frozenset(named(Rule.Action.BURY))
    settled = blocked | frozenset(pinned)
    return Ruling(tuple(pinned), up - down - settled, down - up - settled, blocked)


# --- By likeness ----------------------------------------------------------------------------


ALL_PRODUCTS = Product.objects.order_by()


@dataclass(frozen=True, slots=True)
class Among:
    """What may be found, by words and by vectors alike; None: whatever there is."""

    products: QuerySet[Product] | None = None
    """Those that pass all filters but that of categories."""
    categories: Collection[int] | None = None
    """Keys of categories: products of these alone."""
    colours: QuerySet[SegmentColour] | None = None
    without: QuerySet[ProductWord, int] | None = None
    """Keys of products that are kept out."""
    own: Collection[Entry] = ()
    """What is searched with, which results must not name."""
    top_categories: int | None = None
    """Vectors are compared in so many of the nearest categories first; None: wherever."""

    @property
    def passing(self) -> QuerySet[Product] | None:
        """The products that pass all filters; None if there are none for products to pass."""
        if self.categories is None:
            return self.products
        return indexing.of_categories(self.products, self.categories)

    def but(self, products: Collection[int]) -> Among:
        """The same without these products."""
        return replace(self, own={*self.own, *(("product", key) for key in products)})

    def of_products(self) -> Among:
        """The same without pictures that belong to no product."""
        is_so = self.products is not None or self.categories is not None
        return self if is_so else replace(self, products=ALL_PRODUCTS)

    def only(self, products: Collection[int]) -> Among:
        """Of these products alone, in whatever category they are."""
        kept = ALL_PRODUCTS if self.products is None else self.products
        return replace(self, products=kept.filter(pk__in=products), top_categories=None)


def nearest(
    embedder: Embedder, vectors: Vectors, *, limit: int, among: Among, ruling: Ruling
) -> list[Neighbour]:
    """What `indexing.nearest_to_any` finds, put in the order that the rules give it.

    Products that rules move are measured by themselves, all that pass the filters; the others
    are looked for without them. So it is exact, and takes nothing where there are no rules.
    """
    rest = among.but(ruling.moved | ruling.blocked)
    found = _nearest(embedder, vectors, limit, rest)
    if not ruling.moved:
        return found
    moved = _nearest(embedder, vectors, len(ruling.moved), among.only(ruling.moved))
    products = products_of(moved)
    pins = _pins(moved, products, ruling)
    pushed = [
        (item, (item.similarity or 0.0) + ruling.push(products[item.segment_id]))
        for item in moved
        if products[item.segment_id] not in ruling.pinned
    ]
    scored = [*((item, item.similarity or 0.0) for item in found), *pushed]
    ordered = [item for item, _ in sorted(scored, key=lambda pair: -pair[1])]
    return [*pins, *ordered][:limit]


def _nearest(embedder: Embedder, vectors: Vectors, limit: int, among: Among) -> list[Neighbour]:
    how: dict[str, Any] = {
        "limit": limit,
        "products": among.products,
        "categories": among.categories,
        "colours": among.colours,
        "without": among.without,
        "own": among.own,
    }
    if among.top_categories is None:
        return indexing.nearest_to_any(embedder, vectors, **how)
    return prototypes.nearest(embedder, vectors, top=among.top_categories, **how)


def _pins(
    found: Sequence[Neighbour], products: Mapping[int, int | None], ruling: Ruling
) -> list[Neighbour]:
    """Of what was found the pinned products, marked, in the rules' order."""
    by_product = {products[item.segment_id]: item for item in found}
    return [replace(by_product[key], pinned=True) for key in ruling.pinned if key in by_product]


def products_of(found: Sequence[Neighbour]) -> dict[int, int | None]:
    """The product of each garment found, by the garment."""
    rows = Segment.objects.filter(pk__in=[item.segment_id for item in found]).order_by()
    return dict(rows.values_list("pk", "image__product"))


# --- By words -------------------------------------------------------------------------------


def arranged(
    found: Sequence[Neighbour], pinned: Sequence[Neighbour], ruling: Ruling
) -> list[Neighbour]:
    """A ranking whose places are no likenesses, put in the order that the rules give it.

    `found` has neither blocked nor pinned products; `pinned` has those that may be found. What is
    boosted stands half as far down, what is buried twice as far.
    """
    products = products_of(found) if ruling.boosted or ruling.buried else {}

    def place(item: tuple[int, Neighbour]) -> tuple[float, float]:
        push = ruling.push(products.get(item[1].segment_id))
        return (item[0] + 1) * (1.0 if not push else 0.5 if push > 0 else 2.0), -push

    ordered = [item for _, item in sorted(enumerate(found), key=place)]
    return [*_pins(pinned, products_of(pinned), ruling), *ordered]
