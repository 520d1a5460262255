"""Results are read by a short cut; the long way round gives the same."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from similarity import results
from similarity.indexing import Neighbour
from tests.pictures import photo
from tests.shop import add_photo, add_product


@pytest.fixture
def shown(db):
    return add_product(
        "D-1",
        "red",
        name="Long dress",
        description="Red, and long.",
        url="https://shop.example/d-1",
        store="Riverside",
        brand="Ada",
        category="Dresses",
        price=Decimal("19.90"),
        rating=Decimal("4.5"),
        tags=["long", "evening", "a-line"],
        sizes=["S", "M"],
        waist_type="high",
        season="summer",
        listing_season="2026 spring",
        sale_status="sale",
    )


def test_a_results_product_is_what_the_products_endpoint_says(stranger, shown):
    found = stranger.post("/api/v1/searches/", {"segment": shown.identifier}).json()["results"]
    assert found == []  # its own product is left out
    other = add_product("D-2", "red", seed=1)
    (result,) = stranger.get(f"/api/v1/segments/{other.identifier}/similar/").json()["results"]
    product = stranger.get("/api/v1/products/D-1/").json()
    del product["images"]
    assert result["product"] == product


def test_a_results_garment_is_what_the_segments_endpoint_says(stranger, shown):
    other = add_product("D-2", "red", seed=1)
    (result,) = stranger.get(f"/api/v1/segments/{other.identifier}/similar/").json()["results"]
    segment = stranger.get(f"/api/v1/segments/{shown.identifier}/").json()
    assert result["segment"] == segment["id"]
    for name in ("image", "label", "colours", "box", "crop"):
        assert result[name] == segment[name]


def test_a_garment_of_no_product_has_none(stranger):
    lone = add_photo(photo("red"))
    other = add_product("D-2", "red", seed=1)
    (result,) = stranger.get(f"/api/v1/segments/{other.identifier}/similar/").json()["results"]
    assert (result["segment"], result["product"]) == (lone.identifier, None)


def test_what_has_gone_meanwhile_is_left_out(shown):
    found = results.read([Neighbour(shown.pk + 1, 0.9), Neighbour(shown.pk, 0.8)])
    assert [(result.segment, result.rank) for result in found] == [(shown.identifier, 1)]


def test_many_results_take_as_many_queries_as_one(shown):
    many = [shown, *(add_product(f"P-{i}", "blue", seed=i, tags=[f"t{i}"]) for i in range(5))]
    with CaptureQueriesContext(connection) as queries:
        results.read([Neighbour(segment.pk, 0.5) for segment in many])
    assert len(queries) == 4
