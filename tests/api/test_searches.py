"""POST, GET and DELETE /api/v1/searches/."""

from tests.pictures import as_base64, as_file, photo
from tests.shop import add_product

URL = "/api/v1/searches/"


def test_a_photo_finds_what_looks_like_it_first(stranger):
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour, brand="Ada")
    response = stranger.post(URL, {"image": as_file(photo("green", seed=5))}, format="multipart")
    assert response.status_code == 201, response.content
    answer = response.json()
    assert answer["state"] == "done"
    assert [item["product"]["reference"] for item in answer["results"]][0] == "GREEN"
    assert answer["results"][0]["similarity"] > 0.9
    assert answer["query"]["detections"][0]["label"] == "garment"


def test_base64_will_do_as_well(stranger):
    add_product("RED", "red")
    response = stranger.post(URL, {"image": as_base64(photo("red", seed=3))})
    assert response.json()["results"][0]["product"]["reference"] == "RED"
