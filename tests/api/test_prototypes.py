"""Categories by their look over REST: /searches/prototypes/, narrowed searches, predictions."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import Product
from similarity import prototypes, tasks
from similarity.models import Query, Run
from tests.api import references, refused
from tests.pictures import as_base64, as_file, photo
from tests.shop import add_product

URL = "/api/v1/searches/prototypes/"
SEARCHES = "/api/v1/searches/"


@pytest.fixture
def shop(db):
    for seed in range(2):
        add_product(f"R-{seed}", "red", seed, category="Red things")
        add_product(f"B-{seed}", "blue", seed, category="Blue things")
    prototypes.refresh()


def named(response) -> list[str]:
    return [found["slug"] for found in response.json()["categories"]]


@pytest.mark.parametrize(
    "asked",
    [
        {"image": as_base64(photo("red", seed=9))},
        {"segment": "R-0"},
        {"product": "R-0"},
    ],
)
def test_it_answers_with_categories_only_the_nearest_first(stranger, shop, asked):
    if "segment" in asked:
        image = Product.objects.get(reference="R-0").images.get()
        asked = {"segment": image.segments.get().identifier}
    response = stranger.post(URL, asked)
    assert response.status_code == 201
    answer = response.json()
    assert "results" not in answer
    assert answer["state"] == "done"
    first, second = answer["categories"]
    assert (first["slug"], first["name"]) == ("red-things", "Red things")
    assert second["slug"] == "blue-things"
    assert 1 >= first["similarity"] > second["similarity"] >= -1
    again = stranger.get(answer["link"])
    assert again.json()["categories"] == answer["categories"]


def test_a_file_a_box_and_a_limit_are_understood(stranger, shop):
    body = {"image": as_file(photo("blue", seed=9)), "limit": 1, "box": [0, 0, 60, 60]}
    response = stranger.post(URL, body, format="multipart")
    assert named(response) == ["blue-things"]


def test_a_shop_without_categories_answers_with_none(stranger, db):
    add_product("R-0", "red")
    prototypes.refresh()
    assert named(stranger.post(URL, {"product": "R-0"})) == []


def test_it_is_in_nobodys_history_and_forgotten_after_a_while(shopper, shop):
    shopper.post(URL, {"image": as_base64(photo("red", seed=9))})
    assert shopper.get(SEARCHES).json()["count"] == 0
    assert Run.objects.get(kind=Run.Kind.SORT).expires_at is not None


def test_its_photo_is_forgotten_with_it(shopper, shop):
    shopper.post(URL, {"image": as_base64(photo("red", seed=9))})
    assert Query.objects.get().expires_at < timezone.now() + timedelta(hours=1)


def test_a_heavy_embedder_leaves_it_to_a_worker(stranger, db, settings):
    settings.EMBEDDER = "tests.api.heavy:HeavyColour"
    add_product("R-0", "red", category="Red things")
    prototypes.refresh()
    response = stranger.post(URL, {"image": as_base64(photo("red", seed=9)), "wait": 0})
    assert (response.status_code, response.json()["categories"]) == (202, None)
    tasks.execute_run(response.json()["id"])
    assert named(stranger.get(response.json()["link"]))[0] == "red-things"


def test_nonsense_is_refused(stranger, shop):
    refused(stranger.post(URL, {}), 400, "invalid")
    refused(stranger.post(URL, {"product": "R-0", "limit": 0}), 400, "invalid")
    refused(stranger.post(URL, {"product": "R-0", "box": [0, 0, 1, 1]}), 400, "invalid")
    refused(stranger.post(URL, {"text": "red"}), 400, "invalid")


def test_a_search_may_be_narrowed_to_the_nearest_categories(stranger, shop):
    asked = {"image": as_base64(photo("red", seed=9)), "use_prototypes": True}
    first = stranger.post(SEARCHES, {**asked, "top_categories": 1, "limit": 2})
    assert sorted(references(first)) == ["R-0", "R-1"]
    all_there_is = stranger.post(SEARCHES, {**asked, "top_categories": 1, "limit": 10})
    assert sorted(references(all_there_is)[2:]) == ["B-0", "B-1"]


@pytest.mark.parametrize("top", [0, 11, "many"])
def test_it_may_be_narrowed_to_one_category_up_to_ten(stranger, shop, top):
    asked = {"product": "R-0", "use_prototypes": True, "top_categories": top}
    refused(stranger.post(SEARCHES, asked), 400, "invalid")


def test_a_products_predicted_category_is_marked_until_somebody_confirms_it(merchandiser, shop):
    add_product("N-1", "red", 50)
    page = "/api/v1/products/N-1/"

    def shown() -> tuple[str | None, bool]:
        product = merchandiser.get(page).json()
        return product["category"], product["category_predicted"]

    assert shown() == ("Red things", True)
    [result] = [
        found
        for found in merchandiser.post(SEARCHES, {"product": "R-0"}).json()["results"]
        if found["product"]["reference"] == "N-1"
    ]
    assert result["product"]["category_predicted"] is True
    merchandiser.patch(page, {"brand": "Ada", "category_predicted": False})
    assert shown() == ("Red things", True)
    merchandiser.patch(page, {"category": "Red things"})
    assert shown() == ("Red things", False)


def test_a_shop_that_puts_a_product_without_a_category_keeps_what_was_predicted(
    catalogue_key, shop
):
    add_product("N-1", "red", 50)
    body = {"name": "Thing", "brand": "Ada"}
    assert catalogue_key.put("/api/v1/products/N-1/", body).json()["category"] == "Red things"
    body["category"] = "Coats"
    answer = catalogue_key.put("/api/v1/products/N-1/", body).json()
    assert (answer["category"], answer["category_predicted"]) == ("Coats", False)
    del body["category"]
    assert catalogue_key.put("/api/v1/products/N-1/", body).json()["category"] is None


def test_a_comparison_that_is_cancelled_before_it_comes_is_not_done(shopper, db):
    name = str(uuid.uuid4())
    cancelled = shopper.post(f"{URL}{name}/cancel/")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    late = shopper.post(URL, {"id": name, "image": as_base64(photo("red"))})
    assert late.json()["state"] == "cancelled"
