"""Facet counts beside results: ?facets=true on similar/, "facets": true in a search."""

from collections import Counter

import pytest

from catalog.models import Category, Product
from similarity.models import Rule
from tests.api import refused
from tests.shop import add_product


@pytest.fixture
def garment(db):
    add_product(
        "D-1", "red", category="Dresses", brand="Ada", price=30, tags=["long"], sizes=["S", "M"]
    )
    add_product("D-2", "blue", category="Dresses", brand="Bea", price=700)
    details = {"season": "summer", "sale_status": "sold_out"}
    add_product("D-3", "green", category="Hats", brand="Ada", **details)
    return add_product("D-0", "green", seed=1, category="Hats", brand="Cleo", tags=["own"])


def counts(facets, name) -> dict:
    return {value["value"]: value["count"] for value in facets[name]}


def test_similar_garments_come_with_counts_of_all_that_could_be_found(stranger, garment):
    url = f"/api/v1/segments/{garment.identifier}/similar/"
    answer = stranger.get(url, {"facets": "true", "brand": "Ada", "limit": 1}).json()
    assert len(answer["results"]) == 1
    assert counts(answer["facets"], "brand") == {"Ada": 2, "Bea": 1}, "its own are not narrowed"
    assert answer["facets"]["category"] == [
        {"value": "dresses", "name": "Dresses", "count": 1},
        {"value": "hats", "name": "Hats", "count": 1},
    ]
    assert counts(answer["facets"], "tag") == {"long": 1}
    assert counts(answer["facets"], "season") == {"summer": 1}
    assert counts(answer["facets"], "size") == {"S": 1, "M": 1}
    assert counts(answer["facets"], "sale_status") == {"regular": 1, "sold_out": 1}
    assert counts(answer["facets"], "in_stock") == {"true": 1}
    assert counts(answer["facets"], "colour") == {"red": 1, "green": 1}
    [band] = answer["facets"]["price"]
    assert band == {"price_min": "25.00", "price_max": "49.99", "count": 1}
    assert stranger.get(url).json()["facets"] is None


@pytest.mark.parametrize(("asked", "left"), [("true", 1), ("false", 3), ("", 3)])
def test_what_is_sold_out_can_be_kept_back(stranger, garment, asked, left):
    url = f"/api/v1/segments/{garment.identifier}/similar/"
    Product.objects.filter(reference="D-1").update(sale_status="sold_out")
    assert len(stranger.get(url, {"in_stock": asked}).json()["results"]) == left
    form = {"segment": garment.identifier, "filters.in_stock": asked}
    made = stranger.post("/api/v1/searches/", form, format="multipart")
    assert len(made.json()["results"]) == left


def test_a_search_that_asked_for_counts_has_them_whenever_it_is_looked_at(stranger, garment):
    asked = {"segment": garment.identifier, "facets": True, "filters": {"category": ["dresses"]}}
    made = stranger.post("/api/v1/searches/", asked, format="json").json()
    assert counts(made["facets"], "brand") == {"Ada": 1, "Bea": 1}
    assert made["facets"]["price"][-1] == {"price_min": "500.00", "price_max": None, "count": 1}
    add_product("D-4", "red", seed=4, category="Dresses", brand="Ada")
    again = stranger.get(f"/api/v1/searches/{made['id']}/").json()
    assert counts(again["facets"], "brand") == {"Ada": 2, "Bea": 1}
    plain = stranger.post("/api/v1/searches/", {"segment": garment.identifier}).json()
    assert plain["facets"] is None


def test_counts_are_of_what_is_shown_whatever_is_blocked(stranger, garment):
    url = f"/api/v1/segments/{garment.identifier}/similar/"

    def shown_and_counted(**filters):
        answer = stranger.get(url, {"facets": "true", **filters}).json()
        shown = Counter(row["product"]["brand"] for row in answer["results"])
        return dict(shown), counts(answer["facets"], "brand")

    own = garment.image.product
    for block in ({}, {"category": own.category}, {"query_product": own}):
        rule = Rule.objects.create(action="block", **block, product=named("D-1"))
        shown, counted = shown_and_counted()
        assert shown == counted == {"Ada": 1, "Bea": 1}, block
        rule.delete()
    for action in ("pin", "boost", "bury"):
        rule = Rule.objects.create(action=action, product=named("D-1"))
        shown, counted = shown_and_counted()
        assert shown == counted == {"Ada": 2, "Bea": 1}, action
        rule.delete()


def test_a_category_is_counted_without_what_is_blocked_in_it(stranger, garment):
    dresses = Category.objects.get(slug="dresses")
    Rule.objects.create(action="block", category=dresses, product=named("D-1"))
    asked = {"text": "thing", "facets": True}
    made = stranger.post("/api/v1/searches/", asked, format="json").json()
    assert len(made["results"]) == 4
    assert counts(made["facets"], "category") == {"dresses": 1, "hats": 2}
    asked["filters"] = {"category": ["dresses"]}
    made = stranger.post("/api/v1/searches/", asked, format="json").json()
    assert [row["product"]["reference"] for row in made["results"]] == ["D-2"]
    assert counts(made["facets"], "brand") == {"Bea": 1}


def named(reference: str) -> Product:
    return Product.objects.get(reference=reference)


def test_what_is_neither_true_nor_false_is_refused(stranger, garment):
    url = f"/api/v1/segments/{garment.identifier}/similar/"
    refused(stranger.get(url, {"facets": "some"}), 400, "invalid")
