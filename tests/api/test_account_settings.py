"""/api/v1/auth/account/settings/: how somebody wants the shop to behave, and that it does."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.utils import timezone

from accounts.models import Preferences
from similarity import services
from similarity.models import Query, Run
from tests.api import refused, stored_files
from tests.api.test_export import taken_away
from tests.pictures import as_base64, photo
from tests.shop import add_photo, add_product

URL, SEARCHES = "/api/v1/auth/account/settings/", "/api/v1/searches/"
USUAL = {
    "results": None,
    "detects": True,
    "keeps_history": True,
    "language": "",
    "theme": "system",
    "contrast": "system",
}
RED = as_base64(photo("red", seed=9))


def search(client, **more):
    response = client.post(SEARCHES, {"image": RED, **more})
    assert response.status_code == 201, response.content
    return response.json()


def test_who_has_chosen_nothing_gets_what_is_usual(shopper):
    assert shopper.get(URL).json() == USUAL
    assert not Preferences.objects.exists()


def test_what_is_named_is_changed_and_nothing_else(shopper, other_shopper):
    for wish in ({"theme": "dark"}, {"results": 50, "language": "zh-hans"}):
        assert shopper.patch(URL, wish).status_code == 200
    chosen = USUAL | {"theme": "dark", "results": 50, "language": "zh-hans"}
    assert shopper.get(URL).json() == chosen
    assert other_shopper.get(URL).json() == USUAL


@pytest.mark.parametrize(
    "wish",
    [
        {"results": 0},
        {"results": 101},
        {"results": "many"},
        {"theme": "pink"},
        {"contrast": ""},
        {"language": "tlh"},
        {"detects": None},
        {"keeps_history": "perhaps"},
    ],
)
def test_what_there_is_not_cannot_be_chosen(shopper, wish):
    problem = refused(
        shopper.patch(URL, wish | {"theme": wish.get("theme", "dark")}), 400, "invalid"
    )
    assert set(problem["errors"]) == set(wish)
    assert shopper.get(URL).json() == USUAL


def test_a_search_gives_as_many_results_as_chosen(shopper, stranger):
    for number in range(22):
        add_photo(photo("red", seed=number))
    assert len(search(shopper)["results"]) == 20
    shopper.patch(URL, {"results": 3})
    assert len(search(shopper)["results"]) == 3
    assert len(search(shopper, limit=4)["results"]) == 4
    assert len(search(stranger)["results"]) == 20


def test_garments_are_not_looked_for_unless_wanted(shopper, db):
    shopper.patch(URL, {"detects": False})
    query = search(shopper)["query"]
    assert query["detections"] is None
    assert not Run.objects.filter(kind=Run.Kind.DETECT).exists()
    looked = shopper.post(f"/api/v1/queries/{query['id']}/detect/").json()
    assert [found["label"] for found in looked["detections"]] == ["garment"]
    assert len(search(shopper, detect=True)["query"]["detections"]) == 1
    shopper.patch(URL, {"detects": True})
    assert search(shopper, detect=False)["query"]["detections"] is None


def test_without_history_a_search_is_there_for_an_hour_and_in_no_list(shopper, other_shopper):
    add_product("RED", "red")
    kept = search(shopper)["id"]
    shopper.patch(URL, {"keeps_history": False})
    by_photo = search(shopper)
    by_garment = shopper.post(SEARCHES, {"product": "RED"}).json()
    again = shopper.post(SEARCHES, {"query": by_photo["query"]["id"]}).json()
    links = [found["link"] for found in (by_photo, by_garment, again)]
    assert [run["id"] for run in shopper.get(SEARCHES).json()["results"]] == [kept]
    assert len(json.loads(taken_away(shopper)["searches.json"])) == 1
    for link in links:
        assert shopper.get(link).status_code == 200
        assert other_shopper.get(link).status_code == 404
    before = timezone.now() - dt.timedelta(seconds=1)
    hour = dt.timedelta(hours=1)
    for thing in (Run.objects.exclude(expires_at=None), Query.objects.exclude(runs=kept)):
        assert all(before < item.expires_at < timezone.now() + hour for item in thing)
        thing.update(expires_at=before)
    assert [shopper.get(link).status_code for link in links] == [404, 404, 404]
    files = len(stored_files())
    services.sweep()
    assert list(Run.objects.filter(kind=Run.Kind.SEARCH).values_list("pk", flat=True)) == [
        Run.objects.get(pk=kept).pk
    ]
    assert Query.objects.count() == 1
    assert len(stored_files()) <= files


def test_settings_are_taken_away_and_deleted_with_the_account(shopper):
    shopper.patch(URL, {"theme": "dark"})
    settings = json.loads(taken_away(shopper)["settings.json"])
    assert settings == USUAL | {"theme": "dark"}
    body = {"password": "sam-pass-9"}
    assert shopper.post("/api/v1/auth/account/delete/", body).status_code == 204
    assert not Preferences.objects.exists()
