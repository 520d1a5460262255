"""/api/v1/products/: all may read, merchandisers write; what is deleted leaves results at once."""

import threading
from contextlib import suppress

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from catalog import serializers
from catalog.models import Category, OriginalImage, Product
from catalog.services import save_product
from tests.api import queries_of, references, refused, stored_files, traces
from tests.api.test_searches import FILTERS, ONE, OTHER
from tests.conftest import client_of
from tests.pictures import photo
from tests.shop import add_photo, add_product

URL = "/api/v1/products/"


def page(reference):
    return f"{URL}{reference}/"


@pytest.fixture
def pair(db):
    """ONE and OTHER, which differ in every detail; neither has a picture."""
    save_product("ONE", name="Ada's dress", **ONE)
    save_product("OTHER", name="Grace's coat", **OTHER)


# --- Reading --------------------------------------------------------------------------------


def test_a_product_is_shown_with_its_details_and_links_to_its_pictures(stranger):
    add_product("D-1", "red", name="Dress", brand="Ada", tags=["b", "a"], price="19.90")
    product = stranger.get(page("D-1")).json()
    assert (product["name"], product["brand"], product["price"]) == ("Dress", "Ada", "19.90")
    assert product["tags"] == ["a", "b"]
    assert stranger.get(product["images"][0]["file"])["Content-Type"] == "image/jpeg"
    assert stranger.get(product["link"]).json() == product


def test_a_product_s_pictures_stand_in_their_order(stranger):
    first = add_product("D-1", "red").image
    second = add_photo(photo("blue"), first.product).image
    third = add_photo(photo("green"), first.product).image
    OriginalImage.objects.filter(pk=second.pk).update(position=7)
    images = stranger.get(page("D-1")).json()["images"]
    assert [image["id"] for image in images] == [
        first.identifier,
        third.identifier,
        second.identifier,
    ]


def test_an_unknown_product_is_not_found(stranger, db):
    refused(stranger.get(page("NONE")), 404, "not_found")


@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: next(iter(filters)))
def test_each_filter_narrows_the_list(stranger, pair, filters):
    assert references(stranger.get(URL, filters)) == ["ONE"]


def test_several_values_of_one_filter_widen_it(stranger, pair):
    assert len(references(stranger.get(URL, {"brand": ["Ada", "Grace"]}))) == 2


@pytest.mark.parametrize(
    "filters", [{"price_min": "cheap"}, {"price_max": -1}, {"rating_min": "x"}]
)
def test_a_filter_that_does_not_fit_is_refused(stranger, db, filters):
    problem = refused(stranger.get(URL, filters), 400, "invalid")
    assert set(problem["errors"]) == set(filters)


@pytest.mark.parametrize("words", ["coat", "grace", "OTHER", "plain"])
def test_the_list_can_be_searched_by_words(stranger, pair, words):
    assert references(stranger.get(URL, {"search": words})) == ["OTHER"]


@pytest.mark.parametrize("ordering", ["price", "rating", "-name", "-brand", "-created_at"])
def test_the_list_can_be_ordered(stranger, pair, ordering):
    assert references(stranger.get(URL, {"ordering": ordering})) == ["OTHER", "ONE"]


@pytest.mark.parametrize(("ordering", "how"), [("price", "ASC"), ("-price", "DESC")])
def test_products_of_one_price_come_by_their_key(stranger, pair, ordering, how):
    """Else a database may order them differently for each page: PostgreSQL does."""
    with CaptureQueriesContext(connection) as asked:
        stranger.get(URL, {"ordering": ordering})
    asked_for = [query["sql"].replace("`", '"') for query in asked.captured_queries]
    orders = [sql.partition("ORDER BY")[2] for sql in asked_for]
    assert any(f'"price" {how}, "catalog_product"."id" {how} LIMIT' in order for order in orders)


def test_the_list_comes_in_pages(stranger, pair):
    first = stranger.get(URL, {"page_size": 1})
    assert (first.json()["count"], references(first)) == (2, ["OTHER"])
    second = stranger.get(first.json()["next"])
    assert (second.json()["next"], references(second)) == (None, ["ONE"])


@pytest.mark.parametrize("number", ["3", "0", "last but one"])
def test_a_page_that_there_is_not_is_not_found(stranger, pair, number):
    refused(stranger.get(URL, {"page": number}), 404, "not_found")


def test_the_list_costs_no_query_per_product(stranger, db):
    counts = []
    for number in range(20):
        details = {"tags": ["a", f"t{number}"], "sizes": ["M"], "category": f"C{number}"}
        save_product(f"P-{number}", name="Thing", **details)
        if number in {2, 19}:
            counts.append(queries_of(lambda: stranger.get(URL)))
    assert counts[0] == counts[1]


# --- Writing --------------------------------------------------------------------------------


def test_a_merchandiser_adds_a_product(merchandiser):
    body = {"reference": "ONE", "name": "Dress", **ONE}
    response = merchandiser.post(URL, body)
    assert response.status_code == 201, response.content
    assert {name: response.json()[name] for name in body} == body
    assert Product.objects.get().category.slug == "summer-dresses"


def test_categories_tags_and_sizes_that_are_known_are_used(merchandiser, pair):
    merchandiser.post(URL, {"reference": "NEW", "name": "New", **ONE})
    assert Category.objects.count() == 2
    assert Product.objects.filter(tags__name="floral").count() == 2


def test_what_is_not_named_stays_as_it_is(merchandiser, pair):
    response = merchandiser.patch(page("ONE"), {"price": "9.90"})
    assert response.status_code == 200
    assert response.json()["price"] == "9.90"
    assert response.json()["tags"] == ["floral"]
    assert response.json()["category"] == "Summer dresses"


def test_of_two_changes_at_once_neither_undoes_the_other(merchandiser, beside, monkeypatch):
    save_product("ONE", name="Dress")
    check = Product.clean
    both_have_read = threading.Barrier(2)

    def check_together(product):
        with suppress(threading.BrokenBarrierError):  # where the database lets one in at a time
            both_have_read.wait(3)
        check(product)

    def change(details) -> int:
        return client_of(merchandiser.user).patch(page("ONE"), details).status_code

    monkeypatch.setattr(Product, "clean", check_together)
    answers = [beside(change, details) for details in ({"brand": "Ada"}, {"store": "Paris"})]
    assert [answer.result(60) for answer in answers] == [200, 200]
    product = Product.objects.get()
    assert (product.brand, product.store) == ("Ada", "Paris")


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_category_can_be_taken_away(merchandiser, pair, nothing):
    response = merchandiser.patch(page("ONE"), {"category": nothing})
    assert (response.status_code, response.json()["category"]) == (200, None)


def test_tags_are_replaced_as_a_whole(merchandiser, pair):
    assert merchandiser.patch(page("ONE"), {"tags": ["new", " new "]}).json()["tags"] == ["new"]
    assert merchandiser.patch(page("ONE"), {"tags": []}).json()["tags"] == []


def test_a_product_can_be_put_as_a_whole(merchandiser, pair):
    response = merchandiser.put(page("ONE"), {"reference": "ONE", "name": "Gown", **OTHER})
    assert (response.json()["name"], response.json()["brand"]) == ("Gown", "Grace")


def test_a_reference_cannot_be_changed(merchandiser, pair):
    problem = refused(merchandiser.patch(page("ONE"), {"reference": "TWO"}), 400, "invalid")
    assert set(problem["errors"]) == {"reference"}


def test_a_reference_is_given_once(merchandiser, pair):
    problem = refused(merchandiser.post(URL, {"reference": "ONE", "name": "x"}), 400, "invalid")
    assert set(problem["errors"]) == {"reference"}


def test_of_two_who_give_a_reference_at_once_one_is_refused_as_ever(merchandiser, db, monkeypatch):
    def beaten(reference, **details):
        save_product(reference, name="Theirs")
        return save_product(reference, **details)

    monkeypatch.setattr(serializers, "save_product", beaten)
    raced = refused(merchandiser.post(URL, {"reference": "ONE", "name": "Ours"}), 400, "invalid")
    monkeypatch.undo()
    late = refused(merchandiser.post(URL, {"reference": "ONE", "name": "Ours"}), 400, "invalid")
    assert raced["errors"] == late["errors"]
    assert Product.objects.get().name == "Theirs"


def test_of_two_who_insert_a_reference_at_once_one_is_refused(merchandiser, db, monkeypatch):
    def beaten(reference, **_):
        save_product(reference, name="Theirs")
        raise IntegrityError("Duplicate entry 'ONE'")

    monkeypatch.setattr(serializers, "save_product", beaten)
    problem = refused(merchandiser.post(URL, {"reference": "ONE", "name": "Ours"}), 400, "invalid")
    assert set(problem["errors"]) == {"reference"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"reference": "no spaces"},
        {"name": ""},
        {"price": "-1"},
        {"price": "1.999"},
        {"price": 10**12},
        {"currency": "euro"},
        {"rating": 5.5},
        {"season": "monsoon"},
        {"sale_status": "stolen"},
        {"url": "javascript:alert(1)"},
        {"tags": "floral"},
        {"tags": ["x" * 101]},
        {"sizes": ["x" * 31]},
        {"category": "x" * 101},
    ],
    ids=str,
)
def test_details_that_do_not_fit_are_refused_and_leave_nothing(merchandiser, wrong):
    before = traces(), Category.objects.count()
    body = {"reference": "D-1", "name": "Dress", "category": "Dresses", **wrong}
    problem = refused(merchandiser.post(URL, body), 400, "invalid")
    assert set(problem["errors"]) == set(wrong)
    assert (traces(), Category.objects.count()) == before


def test_a_category_is_known_by_its_name_whatever_its_slug(merchandiser):
    Category.objects.create(name="Dresses", slug="gowns")
    response = merchandiser.post(URL, {"reference": "D-1", "name": "x", "category": "Dresses"})
    assert response.status_code == 201
    assert Category.objects.get().products.count() == 1


# --- Deleting -------------------------------------------------------------------------------


def test_a_deleted_product_leaves_results_at_once_and_no_file(
    merchandiser, django_capture_on_commit_callbacks
):
    segment = add_product("D-1", "red")
    add_product("D-2", "blue")
    kept = add_photo(photo("green"))
    merchandiser.get(f"/api/v1/segments/{segment.identifier}/crop/", {"width": 160})
    with django_capture_on_commit_callbacks(execute=True):
        assert merchandiser.delete(page("D-1")).status_code == 204
    similar = merchandiser.get(f"/api/v1/segments/{kept.identifier}/similar/")
    assert references(similar) == ["D-2"]
    assert len(stored_files()) == 2
    assert not any(segment.image.identifier in name for name in stored_files())


def test_the_list_can_be_narrowed_by_the_colour_of_a_product_s_garments(stranger, db):
    red, blue = add_product("RED", "red"), add_product("BLUE", "blue")
    add_photo(photo("green"), red.image.product)
    add_photo(photo("pink"))
    assert references(stranger.get(URL, {"colour": "red"})) == ["RED"]
    assert references(stranger.get(URL, {"colour": ["green", "red"]})) == ["RED"]
    assert set(references(stranger.get(URL, {"colour": ["green", "blue"]}))) == {"RED", "BLUE"}
    assert references(stranger.get(URL, {"colour": "pink"})) == []
    blue.colours.update(share=0.2)
    assert references(stranger.get(URL, {"colour": "blue"})) == []
    problem = refused(stranger.get(URL, {"colour": "mauve"}), 400, "invalid")
    assert "navy" in str(problem["errors"]["colour"])
