"""/api/v1/categories/: the shop's shelves."""

import pytest

from catalog.services import save_product
from tests.api import queries_of, refused

URL = "/api/v1/categories/"


@pytest.fixture
def shelves(db):
    for reference, category in (("A", "Dresses"), ("B", "Coats"), ("C", "Dresses")):
        save_product(reference, name="Thing", category=category)


def names(response):
    return [item["name"] for item in response.json()["results"]]


def test_categories_say_how_many_products_they_hold(stranger, shelves):
    assert stranger.get(URL).json()["results"] == [
        {"slug": "coats", "name": "Coats", "products": 1},
        {"slug": "dresses", "name": "Dresses", "products": 2},
    ]
    assert stranger.get(f"{URL}dresses/").json()["products"] == 2


def test_the_list_can_be_ordered_and_searched_by_words(stranger, shelves):
    assert names(stranger.get(URL, {"ordering": "-product_count"})) == ["Dresses", "Coats"]
    assert names(stranger.get(URL, {"search": "coa"})) == ["Coats"]


def test_a_category_of_letters_from_anywhere_has_an_address(stranger, db):
    save_product("A", name="Thing", category="Кофты")
    (shelf,) = stranger.get(URL).json()["results"]
    assert stranger.get(f"{URL}{shelf['slug']}/").json()["name"] == "Кофты"


def test_an_unknown_category_is_not_found(stranger, db):
    refused(stranger.get(f"{URL}none/"), 404, "not_found")


def test_the_list_costs_no_query_per_category(stranger, db):
    counts = []
    for number in range(20):
        save_product(f"P-{number}", name="Thing", category=f"Shelf {number}")
        if number in {2, 19}:
            counts.append(queries_of(lambda: stranger.get(URL)))
    assert counts[0] == counts[1]
