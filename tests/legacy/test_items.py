"""POST /image_detail, /splitted_images/<id> and /search_history/<id>: what is known of an item."""

from __future__ import annotations

import json

import pytest

from catalog.models import FormerItem, OriginalImage, Segment
from catalog.services import save_product
from similarity.models import Embedding
from tests.legacy import failed, opened, refused
from tests.pictures import as_base64, photo
from tests.shop import add_photo, add_product

DETAIL, ROWS = "/image_detail", "/splitted_images/"


@pytest.fixture
def dress(db):
    """A dress whose garment bears the old kind of name."""
    segment = add_product(
        "D-1",
        "red",
        name="Summer dress",
        description="Light.",
        store="Linden",
        brand="Aurora",
        url="https://shop.example/d-1",
        rating="4.5",
        sale_status="sale",
        waist_type="high",
        listing_season="2026 spring",
        season="summer",
        tags=["floral", "linen"],
        sizes=["M", "S"],
    )
    OriginalImage.objects.filter(pk=segment.image_id).update(identifier="01")
    Segment.objects.filter(pk=segment.pk).update(identifier="01_segment_0")
    add_product("D-2", "blue")
    return Segment.objects.select_related("image").get(pk=segment.pk)


@pytest.mark.parametrize("name", ["01_segment_0", "number", "number as text"])
def test_the_details_are_those_of_the_very_item(stranger, dress, name):
    asked = {"number": dress.pk, "number as text": str(dress.pk)}.get(name, name)
    refused(
        stranger.post(DETAIL, {"splitted_image_id": asked}),
        200,
        success=True,
        message={
            "image_id": "01",
            "store_name": "Linden",
            "brand": "Aurora",
            "product_name": "Summer dress",
            "store_description": "Light.",
            "url": "https://shop.example/d-1",
            "rating": 4.5,
            "tags": '["floral", "linen"]',
            "sale_status": "On sale",
            "size": '["M", "S"]',
            "waist_type": "High",
            "listing_season": "2026 spring",
            "season": "Summer",
            "times": None,
        },
    )


def test_lists_are_json_also_where_there_is_nothing(stranger, db):
    segment = add_product("D-1")
    message = stranger.post(DETAIL, {"splitted_image_id": segment.pk}).json()["message"]
    assert json.loads(message["tags"]) == json.loads(message["size"]) == []


@pytest.mark.parametrize("name", ["02_segment_0", 10**6, "9" * 40, "a\x00b", "../etc", "²"])
def test_an_unknown_item_is_not_found(stranger, dress, name):
    response = stranger.post(DETAIL, {"splitted_image_id": name})
    assert response.status_code == (400 if "\x00" in str(name) else 404)
    assert response.json()["success"] is False


def test_an_item_is_to_be_named(stranger, db):
    failed(stranger.post(DETAIL, {}), 400, "Missing required parameters: splitted_image_id")


def test_an_item_of_no_product_has_its_label(stranger, db):
    segment = add_photo(photo())
    message = stranger.post(DETAIL, {"splitted_image_id": segment.pk}).json()["message"]
    known = {"image_id": segment.image.identifier, "product_name": "Garment"}
    known |= {"tags": "[]", "size": "[]", "rating": None, "times": None}
    assert message == dict.fromkeys(message, "") | known


# --- Rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["pk", "identifier"])
def test_a_row_is_shown(stranger, dress, by):
    row = stranger.get(f"{ROWS}{getattr(dress, by)}").json()
    assert opened(row["data"].pop("splitted_image_data")).size == (120, 160)
    at = dress.created_at.isoformat()
    assert row == {
        "success": True,
        "data": {
            "id": dress.pk,
            "splitted_image_id": "01_segment_0",
            "splitted_image_path": "01/segment_0.png",
            "original_image_id": "01",
            "bounding_box": "[0.0, 0.0, 120.0, 160.0]",
            "vector": None,
            "create_time": at,
            "update_time": at,
        },
    }


def test_the_rows_of_a_picture_are_shown(stranger, dress):
    rows = stranger.get(f"{ROWS}by_original/01").json()
    assert rows["success"] is True
    assert [row["splitted_image_id"] for row in rows["data"]] == ["01_segment_0"]
    failed(stranger.get(f"{ROWS}by_original/77"), 404, "There is nothing of a picture '77'.")


def test_a_deleted_item_is_gone_at_once_and_can_come_again(merchandiser, db):
    data = photo("red")
    segment = add_photo(data)
    refused(
        merchandiser.delete(f"{ROWS}{segment.pk}"),
        200,
        success=True,
        message="The item was deleted.",
    )
    assert not Segment.objects.exists()
    assert not Embedding.objects.exists()
    assert (
        merchandiser.post("/relay_image", {"image_base64": as_base64(data)}).json()["results"] == []
    )
    assert merchandiser.post("/upload_image", {"image_base64": as_base64(data)}).status_code == 200


def test_deleting_one_garment_leaves_the_others_of_its_picture(merchandiser, use):
    use("tests.pipeline.backends:HalvesDetector")
    segment = add_photo(photo("red"))
    assert merchandiser.delete(f"{ROWS}{segment.identifier}").status_code == 200
    assert Segment.objects.get().number == 1
    assert OriginalImage.objects.exists()


def test_what_is_not_there_cannot_be_deleted(merchandiser):
    failed(merchandiser.delete(f"{ROWS}7"), 404, "There is no item '7'.")


def test_deleting_is_for_merchandisers(stranger, shopper, dress):
    assert stranger.delete(f"{ROWS}{dress.pk}").status_code == 401
    failed(
        shopper.delete(f"{ROWS}{dress.pk}"),
        403,
        "You do not have permission to perform this action.",
    )
    assert Segment.objects.filter(pk=dress.pk).exists()


def test_a_row_is_not_changed_past_its_picture(merchandiser, dress):
    url = f"{ROWS}{dress.pk}"
    fields = "splitted_image_path, original_image_id, bounding_box, vector, splitted_image_data"
    failed(merchandiser.put(url, {}), 400, f"Give one of {fields}.")
    failed(
        merchandiser.put(url, {"vector": [1]}),
        409,
        "An item follows from its picture. Delete it, and upload another picture.",
    )
    for body in (7, None, "vector", ["vector"]):
        failed(merchandiser.put(url, body), 400, f"Give one of {fields}.")
    assert merchandiser.put(f"{ROWS}0", {"vector": [1]}).status_code == 404


# --- History --------------------------------------------------------------------------------


def test_a_search_of_one_s_own_is_shown_with_its_three_best(shopper, other_shopper):
    segments = [add_product("RED", "red"), add_product("BLUE", "blue")]
    asked = {"image_base64": as_base64(photo("red", seed=4)), "num": 5}
    found = shopper.post("/relay_image", asked).json()
    message = shopper.get(f"/search_history/{found['request_id']}").json()["message"]
    query = shopper.get(f"/api/v1/searches/{found['request_id']}/").json()["query"]["id"]
    first, second = found["results"]
    assert [first["id"], second["id"]] == [segment.pk for segment in segments]
    assert message == {
        "search_id": found["request_id"],
        "user_id": shopper.user.pk,
        "search_image_id": query,
        "result_image_id_1": first["id"],
        "similarity_1": first["similarity"],
        "result_image_id_2": second["id"],
        "similarity_2": pytest.approx(second["similarity"], abs=1e-6),
        "result_image_id_3": None,
        "similarity_3": None,
    }
    response = other_shopper.get(f"/search_history/{found['request_id']}")
    failed(response, 404, "There is no such search.")
    failed(shopper.get("/search_history/7"), 404, "There is no such search.")


def test_a_product_that_changes_changes_the_details(stranger, dress):
    save_product("D-1", name="Winter dress")
    message = stranger.post(DETAIL, {"splitted_image_id": dress.pk}).json()["message"]
    assert message["product_name"] == "Winter dress"


# --- Items of the service before ------------------------------------------------------------


@pytest.fixture
def imported(dress):
    """The dress had the number that another garment has here."""
    other = Segment.objects.exclude(pk=dress.pk).get()
    FormerItem.objects.create(number=other.pk, name="77_segment_3", image=dress.image)
    return dress, other


def detail(client, asked) -> str:
    return client.post(DETAIL, {"splitted_image_id": asked}).json()["message"]["product_name"]


def test_an_item_is_found_by_the_ids_that_it_had_before(stranger, imported):
    dress, other = imported
    assert detail(stranger, other.pk) == detail(stranger, "77_segment_3") == "Summer dress"
    assert detail(stranger, dress.pk) == detail(stranger, "01_segment_0") == "Summer dress"
    assert detail(stranger, other.identifier) == "blue thing"


def test_results_tell_of_ids_that_lead_back_to_their_items(stranger, imported):
    dress, other = imported
    found = stranger.post("/relay_image", {"image_base64": as_base64(photo("red", seed=3))}).json()
    ids = [item["id"] for item in found["results"]]
    assert ids == [other.pk, other.identifier]
    assert [detail(stranger, name) for name in ids] == ["Summer dress", "blue thing"]
    assert stranger.get(f"{ROWS}{other.pk}").json()["data"]["id"] == other.pk
    assert dress.pk not in ids
