"""POST /api/v1/products/batch/: many products at a time, each by itself."""

import pytest

from catalog.models import Product
from shop.models import Import
from similarity.models import Run
from tests.api import refused, traces
from tests.api.test_put_products import GREEN, RED, work
from tests.pictures import as_base64

URL = "/api/v1/products/batch/"


def send(client, *products):
    return client.post(URL, {"products": list(products)})


def outcomes(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["outcome"] for item in response.json()["products"]]


def test_products_are_added_and_replaced(catalogue_key):
    Product.objects.create(reference="D-1", name="Old", brand="Ada")
    response = send(
        catalogue_key,
        {"reference": "D-1", "name": "New"},
        {"reference": "D-2", "name": "Coat", "images": [as_base64(RED)], "tags": ["warm"]},
    )
    assert outcomes(response) == ["updated", "created"]
    assert Product.objects.get(reference="D-1").brand == ""
    first, second = response.json()["products"]
    assert (first["runs"], first["error"], second["index"]) == ([], None, 1)
    assert second["runs"] == [str(Run.objects.get().pk)]


def test_one_bad_item_spoils_no_other(catalogue_key, open_web):
    response = send(
        catalogue_key,
        {"reference": "D-1", "name": "One", "images": [open_web.show("/a.png", RED)]},
        {"reference": "no spaces", "name": "Two"},
        {"name": "Three"},
        "four",
        None,
        {"reference": "D-6", "name": "Six", "images": [as_base64(b"no picture")]},
        {"reference": "D-7", "name": "Seven", "price": "-1"},
        {"reference": "D-8", "name": "x" * 201},
        {"reference": ["D-9"], "name": {"a": 1}},
        {"reference": "D-10", "name": "Ten", "images": [as_base64(GREEN)]},
    )
    assert outcomes(response) == ["created", *["rejected"] * 8, "created"]
    items = response.json()["products"]
    assert set(items[1]["error"]["errors"]) == {"reference"}
    assert {item["error"]["code"] for item in items[1:9]} == {"invalid"}
    assert [item["reference"] for item in items[2:5]] == [None] * 3
    assert set(Product.objects.values_list("reference", flat=True)) == {"D-1", "D-10"}
    work()
    followed = catalogue_key.get(f"/api/v1/imports/{response.json()['import_id']}/").json()
    assert followed["products"] == {"created": 2, "updated": 0, "rejected": 8}
    assert (followed["pictures"]["done"], followed["finished_at"] is not None) == (2, True)


def test_an_item_that_fails_in_an_unforeseen_way_spoils_no_other(catalogue_key, monkeypatch):
    from shop import services

    genuine = services.put_product

    def breaks(reference, *args):
        if reference == "D-1":
            raise RuntimeError("A bug.")
        return genuine(reference, *args)

    monkeypatch.setattr(services, "put_product", breaks)
    response = send(
        catalogue_key, {"reference": "D-1", "name": "x"}, {"reference": "D-2", "name": "x"}
    )
    assert outcomes(response) == ["rejected", "created"]
    assert response.json()["products"][0]["error"]["code"] == "internal_error"
    assert "bug" not in response.content.decode()


def test_pictures_of_another_product_and_addresses_where_off_are_told_of(merchandiser):
    send(merchandiser, {"reference": "D-1", "name": "x", "images": [as_base64(RED)]})
    response = send(
        merchandiser,
        {"reference": "D-2", "name": "x", "images": [as_base64(RED)]},
        {"reference": "D-3", "name": "x", "images": ["https://shop.example/a.png"]},
    )
    codes = [item["error"]["code"] for item in response.json()["products"]]
    assert codes == ["image_of_other_product", "image_urls_off"]
    assert Product.objects.count() == 1


def test_pictures_that_are_sent_along_are_few(merchandiser, settings):
    settings.MAX_UPLOAD_FILES = 1
    response = send(
        merchandiser,
        {"reference": "D-1", "name": "x", "images": [as_base64(RED)]},
        {"reference": "D-2", "name": "x", "images": [as_base64(GREEN)]},
        {"reference": "D-3", "name": "x"},
    )
    assert outcomes(response) == ["created", "rejected", "created"]
    assert response.json()["products"][1]["error"]["code"] == "too_many_files"


@pytest.mark.parametrize(
    "products", [[], "D-1", None, {"reference": "D-1"}, [{}] * 1001], ids=lambda v: str(v)[:20]
)
def test_what_is_no_list_or_too_long_a_one_is_refused_as_a_whole(merchandiser, products):
    before = traces()
    problem = refused(merchandiser.post(URL, {"products": products}), 400, "invalid")
    assert set(problem["errors"]) == {"products"}
    assert (traces(), Import.objects.count()) == (before, 0)


def test_a_thousand_items_are_taken(merchandiser):
    good = [{"reference": f"P-{number}", "name": "Thing"} for number in range(50)]
    response = send(merchandiser, *[None] * 950, *good)
    assert outcomes(response) == ["rejected"] * 950 + ["created"] * 50
    assert Product.objects.count() == 50


def test_who_may_only_search_may_not(search_key, shopper):
    for client in (search_key, shopper):
        refused(send(client, {"reference": "D-1", "name": "x"}), 403, "permission_denied")
