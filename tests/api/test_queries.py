"""/api/v1/queries/: photos that were searched with."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from similarity.models import Query
from tests.api import refused
from tests.pictures import as_base64, photo

URL = "/api/v1/queries/"


def query_of(client):
    return client.post("/api/v1/searches/", {"image": as_base64(photo())}).json()["query"]


def test_a_photo_is_shown_with_the_garments_found_in_it(stranger, db):
    query = query_of(stranger)
    shown = stranger.get(f"{URL}{query['id']}/").json()
    assert shown == query
    assert (shown["width"], shown["height"]) == (120, 160)
    assert shown["detections"] == [{"box": [0, 0, 120, 160], "label": "garment", "score": 1}]


def test_the_file_is_for_its_owner_s_own_cache(shopper):
    response = shopper.get(query_of(shopper)["file"])
    assert response["Content-Type"] == "image/jpeg"
    assert "private" in response["Cache-Control"]
    assert "public" not in response["Cache-Control"]


def test_a_file_that_has_not_changed_is_not_sent_again(shopper):
    address = query_of(shopper)["file"]
    tag = shopper.get(address)["ETag"]
    assert shopper.get(address, headers={"If-None-Match": tag}).status_code == 304


def test_a_photo_is_its_owner_s_alone(shopper, other_shopper, stranger):
    query = query_of(shopper)
    assert shopper.get(query["file"]).status_code == 200
    for other in (other_shopper, stranger):
        refused(other.get(f"{URL}{query['id']}/"), 404, "not_found")
        refused(other.get(query["file"]), 404, "not_found")


def test_nobody_s_photo_is_known_by_its_id(stranger, shopper):
    query = query_of(stranger)
    assert shopper.get(f"{URL}{query['id']}/").status_code == 200


def test_a_photo_that_has_expired_is_not_found(stranger, db):
    query = query_of(stranger)
    Query.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(stranger.get(f"{URL}{query['id']}/"), 404, "not_found")
    refused(stranger.get(query["file"]), 404, "not_found")


@pytest.mark.parametrize("pk", [uuid4(), "none", "1", "%00", "'; --"])
def test_an_unknown_photo_is_not_found(stranger, db, pk):
    refused(stranger.get(f"{URL}{pk}/"), 404, "not_found")
    refused(stranger.get(f"{URL}{pk}/file/"), 404, "not_found")


def test_there_is_no_list_of_photos(administrator):
    refused(administrator.get(URL), 404, "not_found")
