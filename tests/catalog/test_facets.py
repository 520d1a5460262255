"""Facet counts, held against counting the products one by one."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import facets
from catalog.facets import Ruled, Scope
from catalog.filters import passing
from catalog.models import Category, OriginalImage, Product, Segment, SegmentColour, Size, Tag

CHOICES = {
    "category": ["dresses", "hats"],
    "brand": ["Ada", "Bea"],
    "season": ["summer"],
    "colour": ["red", "navy"],
    "tag": ["long", "warm"],
    "price_min": 25.0,
    "price_max": 99.99,
    "size": ["M"],
    "sale_status": ["sale", "sold_out"],
    "in_stock": True,
}


@pytest.fixture
def shop(db) -> list[Product]:
    """Sixty products with whatever a die says, some with two pictures and some with none, which
    nothing can find."""
    die = random.Random(1)
    categories = [Category.objects.create(name=n, slug=n.lower()) for n in ("Dresses", "Hats")]
    tags = [Tag.objects.create(name=name) for name in ("long", "warm", "new")]
    sizes = [Size.objects.create(name=name) for name in ("S", "M", "L")]
    products = []
    for number in range(60):
        product = Product.objects.create(
            reference=f"P{number}",
            name="Thing",
            brand=die.choice(["", "Ada", "Bea", "Cleo"]),
            category=die.choice([None, *categories]),
            season=die.choice(["", "summer", "winter"]),
            sale_status=die.choice(Product.SaleStatus.values),
            price=die.choice([None, Decimal("24.99"), 25, 99, 100, Decimal("499.99"), 500, 9000]),
        )
        product.tags.set(die.sample(tags, die.randrange(3)))
        product.sizes.set(die.sample(sizes, die.randrange(3)))
        product.pictures = die.randrange(3)
        for picture in range(product.pictures):
            add_garment(product, f"{number}-{picture}", die)
        products.append(product)
    return products


def add_garment(product: Product, name: str, die: random.Random) -> None:
    image = OriginalImage.objects.create(
        identifier=name, sha256=name, width=1, height=1, size=1, product=product, status="ready"
    )
    segment = Segment.objects.create(
        identifier=name, image=image, number=0, score=1, x0=0, y0=0, x1=1, y1=1
    )
    for colour, share in zip(die.sample(["red", "navy", "pink"], 2), (0.6, 0.2), strict=True):
        SegmentColour.objects.create(segment=segment, colour=colour, share=share)


def colours_of(product: Product) -> set[str]:
    rows = SegmentColour.objects.filter(segment__image__product=product)
    return {row.colour for row in rows if row.share >= SegmentColour.PROMINENT}


VALUES = {
    "category": lambda product: {product.category.slug} if product.category else set(),
    "brand": lambda product: {product.brand} - {""},
    "season": lambda product: {product.season} - {""},
    "colour": colours_of,
    "tag": lambda product: {tag.name for tag in product.tags.all()},
    "size": lambda product: {size.name for size in product.sizes.all()},
    "sale_status": lambda product: {product.sale_status},
    "in_stock": lambda product: {"true"} - {"true" if product.sale_status == "sold_out" else ""},
}


def passes(product: Product, filters: dict) -> bool:
    price = product.price
    return (
        product.pictures
        and all(VALUES[name](product) & chosen(filters, name) for name in VALUES if name in filters)
        and ("price_min" not in filters or (price is not None and price >= filters["price_min"]))
        and ("price_max" not in filters or (price is not None and price <= filters["price_max"]))
    )


def chosen(filters: dict, name: str) -> set[str]:
    return {"true"} if name == "in_stock" else set(filters[name])


def one_by_one(products: list[Product], filters: dict, facet: str) -> dict[str, int]:
    others = {name: value for name, value in filters.items() if name != facet}
    counts: dict[str, int] = {}
    for product in products:
        for value in VALUES[facet](product) if passes(product, others) else ():
            counts[value] = counts.get(value, 0) + 1
    return counts


SOME_FILTERS = [
    dict(chosen) for size in (0, 1, 2) for chosen in itertools.combinations(CHOICES.items(), size)
]


def test_counts_are_those_of_counting_one_by_one(shop):
    for filters in SOME_FILTERS:
        found = facets.count(filters)
        for facet in VALUES:
            counts = {value.value: value.count for value in getattr(found, facet)}
            assert counts == one_by_one(shop, filters, facet), (facet, filters)
        others = {name: value for name, value in filters.items() if not name.startswith("price")}
        for band in found.price:
            ends = {"price_min": band.price_min, "price_max": band.price_max or Decimal(10**7)}
            assert band.count == sum(passes(product, others | ends) for product in shop), band
        priced = [p for p in shop if p.price is not None and passes(p, others)]
        assert sum(band.count for band in found.price) == len(priced)


@pytest.mark.usefixtures("shop")
def test_a_band_s_ends_are_filters_that_keep_as_many_as_it_says():
    for band in facets.count({}).price:
        ends = {"price_min": band.price_min, "price_max": band.price_max}
        kept = passing({name: end for name, end in ends.items() if end is not None})
        assert kept.filter(images__isnull=False).distinct().count() == band.count


@pytest.mark.usefixtures("shop")
def test_the_most_frequent_come_first_and_only_so_many(monkeypatch):
    monkeypatch.setattr(facets, "MOST", 2)
    brands = facets.count({}).brand
    assert len(brands) == 2
    assert brands[0].count >= brands[1].count


def test_counts_of_many_products_are_kept_for_a_while_and_of_few_are_not(shop, monkeypatch):
    before = facets.count({"brand": ["Ada"]})
    Product.objects.filter(brand="Bea").update(brand="Dee")
    assert facets.count({"brand": ["Ada"]}) != before
    monkeypatch.setattr(facets, "MANY", 10)
    before = facets.count({"brand": ["Ada"]})
    Product.objects.filter(brand="Dee").update(brand="Bea")
    assert facets.count({"brand": ["Ada"]}) == before
    assert facets.count({"brand": ["Bea"]}) != before


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("filters", [{}, {"brand": ["Ada"], "colour": ["red"]}])
def test_two_queries_are_enough(filters):
    with CaptureQueriesContext(connection) as queries:
        facets.count(filters)
    assert len(queries) == 2


def test_a_shop_without_products_has_no_facets(db):
    found = facets.count({"brand": ["Ada"]})
    assert [getattr(found, name) for name in VALUES] == [[] for _ in VALUES]
    assert found.price == []


def test_what_is_kept_out_is_not_counted(shop):
    always, own = (frozenset(row.pk for row in shop[start::3]) for start in (0, 1))
    left = [row for row in shop if row.pk not in always]
    scope = Scope(Ruled(always), Ruled(always), Ruled(always | own))
    for filters in SOME_FILTERS[:30]:
        found = facets.count(filters, scope)
        for facet in VALUES:
            of = [row for row in left if facet != "category" or row.pk not in own]
            counts = {value.value: value.count for value in getattr(found, facet)}
            assert counts == one_by_one(of, filters, facet), (facet, filters)
        for name, count in facets.without_each(filters, scope).items():
            others = {key: value for key, value in filters.items() if not key.startswith(name)}
            assert count == sum(passes(product, others) for product in left), (name, filters)


def test_what_each_filter_keeps_back_is_told_where_nothing_is_left(shop):
    for filters in SOME_FILTERS:
        counts = facets.without_each(filters)
        assert counts.keys() == {name.removesuffix("_min").removesuffix("_max") for name in filters}
        for name, count in counts.items():
            others = {key: value for key, value in filters.items() if not key.startswith(name)}
            assert count == sum(passes(product, others) for product in shop), (name, filters)
