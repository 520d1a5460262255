"""POST /relay_image: a search with a whole photo."""

from __future__ import annotations

from uuid import uuid4

import pytest

from similarity.models import Query, Run
from tests.legacy import opened, refused
from tests.pictures import as_base64, photo
from tests.shop import add_photo, add_product

URL = "/relay_image"
RED = as_base64(photo("red", seed=5))


def test_what_looks_like_it_comes_first_with_numbers_and_pictures(shopper):
    red, blue = add_product("RED", "red"), add_product("BLUE", "blue")
    answer = shopper.post(URL, {"image_base64": RED, "num": 5})
    assert answer.status_code == 200
    run = Run.objects.get(kind=Run.Kind.SEARCH)
    body = answer.json()
    assert (set(body), body["request_id"]) == ({"request_id", "results"}, str(run.pk))
    assert [result["id"] for result in body["results"]] == [red.pk, blue.pk]
    for result in body["results"]:
        assert set(result) == {"id", "similarity", "processed_image_base64"}
        assert 0 <= result["similarity"] <= 1
        assert opened(result["processed_image_base64"]).size == (120, 160)
    best, other = body["results"]
    assert best["similarity"] > 0.9 > other["similarity"]


def test_a_picture_of_the_catalogue_finds_itself(stranger):
    data = photo("green")
    segment = add_photo(data)
    [found] = stranger.post(URL, {"image_base64": as_base64(data)}).json()["results"]
    assert found["id"] == segment.pk
    assert found["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_the_photo_may_have_the_prefix_of_a_data_url(stranger, db, prefix):
    assert stranger.post(URL, {"image_base64": prefix + RED, "num": 5}).status_code == 200


def test_it_gives_five_unless_told_otherwise(shopper):
    for number in range(7):
        add_photo(photo("red", seed=number))
    assert len(shopper.post(URL, {"image_base64": RED}).json()["results"]) == 5
    assert len(shopper.post(URL, {"image_base64": RED, "num": 7}).json()["results"]) == 7
    shopper.patch("/api/v1/auth/account/settings/", {"results": 3})
    assert len(shopper.post(URL, {"image_base64": RED}).json()["results"]) == 3


def test_an_empty_shop_answers_in_the_same_shape(stranger, db):
    answer = stranger.post(URL, {"image_base64": RED, "num": 5})
    refused(answer, 200, request_id=answer.json()["request_id"], results=[])


@pytest.mark.parametrize("num", [0, -1, 101, 10**9, "5", "five", None, 2.5, True, [5]])
def test_a_number_that_is_none_is_refused(stranger, db, num):
    response = stranger.post(URL, {"image_base64": RED, "num": num})
    assert response.status_code == 400
    assert set(response.json()) == {"error"}
    assert response.json()["error"].startswith("num: ")
    assert not Query.objects.exists()


@pytest.mark.parametrize("body", [{}, {"num": 5}])
def test_a_photo_is_needed(stranger, db, body):
    refused(stranger.post(URL, body), 400, error="'image_base64' field is required")


@pytest.mark.parametrize("image", ["", "?", as_base64(b"no picture"), 7, None, ["x"]])
def test_what_is_no_picture_is_refused(stranger, db, image):
    response = stranger.post(URL, {"image_base64": image})
    assert response.status_code == 400
    assert set(response.json()) == {"error"}


def test_a_body_that_is_no_json_is_refused(stranger, db):
    response = stranger.post(URL, "{", content_type="application/json")
    assert (response.status_code, set(response.json())) == (400, {"error"})
    response = stranger.post(URL, "x", content_type="text/plain")
    assert (response.status_code, set(response.json())) == (415, {"error"})


def test_it_is_in_the_history_of_whoever_asks_and_looks_for_no_garments(shopper, other_shopper):
    add_product("RED", "red")
    pk = shopper.post(URL, {"image_base64": RED}).json()["request_id"]
    assert [run["id"] for run in shopper.get("/api/v1/searches/").json()["results"]] == [pk]
    assert other_shopper.get("/api/v1/searches/").json()["results"] == []
    assert Query.objects.get().detections is None


def test_nothing_is_kept_for_who_wants_no_history(shopper):
    add_product("RED", "red")
    shopper.patch("/api/v1/auth/account/settings/", {"keeps_history": False})
    assert len(shopper.post(URL, {"image_base64": RED}).json()["results"]) == 1
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()
    assert not Query.objects.exists()


def test_a_stranger_may_be_turned_away(stranger, db, settings):
    settings.SEARCH_NEEDS_SIGN_IN = True
    response = stranger.post(URL, {"image_base64": RED})
    refused(response, 401, error="Authentication credentials were not provided.")


def test_an_id_of_the_client_s_own_gives_the_same_search_again(shopper, other_shopper):
    add_product("RED", "red")
    asked = {"image_base64": RED, "request_id": str(uuid4())}
    first = shopper.post(URL, asked).json()
    assert first["request_id"] == asked["request_id"]
    assert shopper.post(URL, asked).json() == first
    assert Query.objects.count() == 1
    refused(other_shopper.post(URL, asked), 409, error="This id is taken. Give another.")


def test_a_bug_is_told_in_the_same_shape(stranger, db, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("A secret of ours.")

    monkeypatch.setattr("similarity.services.search_photo", broken)
    response = stranger.post(URL, {"image_base64": RED})
    refused(response, 500, error="Something went wrong here. The server's log says what.")
