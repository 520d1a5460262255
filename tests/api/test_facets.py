"""Facet counts beside results: ?facets=true on similar/, "facets": true in a search."""

import pytest

from catalog.models import Product
from tests.api import refused
from tests.shop import add_product


@pytest.fixture
def garment(db):
    add_product(
        "D-1", "red", category="Dresses", brand="Ada", price=30, tags=["long"], sizes=["S", "M"]
    )
    add_product("D-2", "blue", category="Dresses", brand="Bea", price=700)
    details = {"season": "summer", "sale_status": "sold_out"}
    return add_product("D-3", "green", category="Hats", brand="Ada", **details)


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


@pytest.mark.parametrize(("asked", "left"), [("true", 1), ("false", 2), ("", 2)])
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
    add_product("D-4", "red", category="Dresses", brand="Ada")
    again = stranger.get(f"/api/v1/searches/{made['id']}/").json()
    assert counts(again["facets"], "brand") == {"Ada": 2, "Bea": 1}
    plain = stranger.post("/api/v1/searches/", {"segment": garment.identifier}).json()
    assert plain["facets"] is None


def test_what_is_neither_true_nor_false_is_refused(stranger, garment):
    url = f"/api/v1/segments/{garment.identifier}/similar/"
    refused(stranger.get(url, {"facets": "some"}), 400, "invalid")
