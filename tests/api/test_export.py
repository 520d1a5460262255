"""/api/v1/export/: all that is kept about a person, to take away."""

import io
import json
import zipfile

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model

from catalog.models import SavedView
from shop.models import ImportJob
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


KEPT = {
    "accounts.Preferences.user": "settings.json",
    "accounts.Enquiry.person": "enquiries.json",
    "catalog.OriginalImage.owner": "uploads.json",
    "catalog.SavedView.owner": "saved_views.json",
    "shop.Import.requested_by": "imports.json",
    "shop.ImportJob.requested_by": "imports.json",
    "shop.ShopperEvent.person": "events.json",
    "similarity.Query.owner": "searches.json",
    "similarity.Run.requested_by": "searches.json",
    # The shop's own books, ids of tokens, and what is kept for a day.
    "accounts.ApiKey.account": None,
    "accounts.ApiKey.made_by": None,
    "accounts.IdempotencyKey.user": None,
    "admin.LogEntry.user": None,
    "auditlog.LogEntry.actor": None,
    "catalog.Lookalike.decided_by": None,
    "catalog.PictureQuality.accepted_by": None,
    "similarity.Pause.ended_by": None,
    "similarity.Pause.started_by": None,
    "similarity.Verdict.given_by": None,
    "token_blacklist.OutstandingToken.user": None,
}
"""What names a person, and the file that tells of it."""


def test_all_that_names_a_person_is_thought_of():
    of_persons = {
        f"{field.model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.concrete and field.related_model is get_user_model() and not field.many_to_many
    }
    assert of_persons == set(KEPT)


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
    assert set(files) == {*KEPT.values(), "account.json", photo_name} - {None}
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


def test_it_tells_of_imports_and_saved_views(merchandiser):
    products = [{"reference": "D-1", "name": "Dress"}]
    merchandiser.post("/api/v1/products/batch/", {"products": products})
    ImportJob.objects.create(
        kind="products", name="autumn.csv", file="imports/x", requested_by=merchandiser.user
    )
    SavedView.objects.create(owner=merchandiser.user, page="catalog_product", name="Dear")
    files = taken_away(merchandiser)
    put, job = json.loads(files["imports.json"])
    assert (put["kind"], job["kind"], job["name"]) == ("batch", "products", "autumn.csv")
    [view] = json.loads(files["saved_views.json"])
    assert view == {"page": "catalog_product", "name": "Dear", "query": ""}


def test_a_photo_whose_file_has_gone_is_left_out(shopper, searched):
    query = shopper.user.queries.get()
    query.file.storage.delete(query.file.name)
    assert not [name for name in taken_away(shopper) if name.startswith("photos/")]


def test_who_has_nothing_gets_that(shopper):
    files = taken_away(shopper)
    assert json.loads(files["searches.json"]) == json.loads(files["uploads.json"]) == []
