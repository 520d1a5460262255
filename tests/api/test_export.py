"""/api/v1/export/: all that is kept about a person, to take away."""

import io
import json
import zipfile

import pytest

from tests.pictures import as_base64, as_file, photo
from tests.shop import add_photo, add_product

SEARCHES = "/api/v1/searches/"


def taken_away(client, path="/api/v1/export/"):
    """The files, by name."""
    response = client.get(path)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/zip"
    assert "attachment" in response["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def searched(shopper, other_shopper):
    """What Sam has searched for; Olga has, too."""
    segment = add_product("D-1", "red")
    other_shopper.post(SEARCHES, {"image": as_base64(photo("green"))})
    image = {"image": as_file(photo("red", seed=3))}
    by_photo = shopper.post(SEARCHES, image, "multipart").json()
    by_garment = shopper.post(SEARCHES, {"segment": segment.identifier}).json()
    return by_photo, by_garment


@pytest.mark.parametrize("path", ["/api/v1/export/", "/account/export/"])
def test_it_holds_one_s_own_and_nobody_else_s(shopper, searched, path):
    files = taken_away(shopper, path)
    by_photo, by_garment = searched
    photo_name = f"photos/{by_photo['query']['id']}.jpg"
    listings = {"account", "settings", "searches", "uploads", "enquiries", "events", "saved_views"}
    assert set(files) == {*(f"{name}.json" for name in listings), photo_name}
    assert json.loads(files["account.json"])["name"] == "sam"
    second, first = json.loads(files["searches.json"])
    assert (first["id"], first["photo"]) == (by_photo["id"], photo_name)
    assert first["results"][0]["product"] == "D-1"
    assert first["results"][0]["similarity"] == by_photo["results"][0]["similarity"]
    assert (second["id"], second["garment"]) == (by_garment["id"], by_garment["segment"])
    assert files[photo_name].startswith(b"\xff\xd8")


def test_it_names_what_one_has_uploaded(merchandiser):
    segment = add_photo(photo("red"), owner=merchandiser.user, source_name="red.jpg")
    [upload] = json.loads(taken_away(merchandiser)["uploads.json"])
    assert (upload["identifier"], upload["source_name"]) == (segment.image.identifier, "red.jpg")


def test_it_has_the_lists_that_one_has_kept_in_the_admin(merchandiser, staff):
    for client, name in ((merchandiser, "Red things"), (staff, "Blue things")):
        form = {"name": name, "query": "q=thing"}
        client.post("/admin/catalog/product/views/", form, format="multipart")
    assert json.loads(taken_away(merchandiser)["saved_views.json"]) == [
        {"page": "catalog_product", "name": "Red things", "query": "q=thing"}
    ]


def test_a_photo_whose_file_has_gone_is_left_out(shopper, searched):
    query = shopper.user.queries.get()
    query.file.storage.delete(query.file.name)
    assert not [name for name in taken_away(shopper) if name.startswith("photos/")]


def test_who_has_nothing_gets_that(shopper):
    files = taken_away(shopper)
    assert json.loads(files["searches.json"]) == json.loads(files["uploads.json"]) == []
