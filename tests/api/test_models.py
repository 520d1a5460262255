"""/api/v1/models/, and `model` of searches: which embedders there are, and asking for one."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from similarity import backends, pipeline, switching
from similarity.models import Embedder, Run
from tests.pictures import as_base64, photo
from tests.pipeline.backends import HERE
from tests.shop import add_product

URL = "/api/v1/models/"
SEARCHES = "/api/v1/searches/"
OTHER = f"{HERE}:ThumbnailEmbedder"


@pytest.fixture
def garments(db):
    return [add_product(colour.upper(), colour) for colour in ("red", "green", "pink")]


@pytest.fixture
def filled(garments) -> Embedder:
    run = switching.start_filling(OTHER, queued=False)
    pipeline.execute(run.pk)
    return Embedder.objects.get(name=OTHER)


def listed(client) -> dict[str, dict]:
    return {item["name"]: item for item in client.get(URL).json()["embedders"]}


def similar(client, garment, **parameters):
    return client.get(f"/api/v1/segments/{garment.identifier}/similar/", parameters)


def test_every_model_is_listed_the_active_ones_first(stranger, garments):
    models = stranger.get(URL).json()
    first = models["embedders"][0]
    index = {"serving": None, "indexed": 0, "newer": 3, "problem": None}
    assert first == {
        "name": "colour",
        "fingerprint": Embedder.objects.get().fingerprint,
        "dim": 128,
        "is_active": True,
        "is_installed": True,
        "is_kept": True,
        "is_filled": True,
        "takes_text": False,
        "described": 3,
        "total": 3,
        "index": index,
        "filling": None,
    }
    assert [item["is_active"] for item in models["embedders"][1:]].count(True) == 0
    assert models["detectors"][0]["name"] == "whole_image"
    assert models["detectors"][0]["is_active"] is True
    assert {"compact", "groundingdino"} <= {item["name"] for item in models["detectors"]}


def test_garments_are_counted_once_a_minute_however_often_somebody_asks(stranger, filled):
    """Anybody may ask, and it takes a look at all rows."""
    listed(stranger)
    add_product("BLUE", "blue")
    with CaptureQueriesContext(connection) as asked:
        models = listed(stranger)
    assert not [query["sql"] for query in asked if "COUNT(" in query["sql"]]
    assert {(models[name]["described"], models[name]["total"]) for name in ("colour", OTHER)} == {
        (3, 3)
    }
    cache.clear()
    assert (listed(stranger)["colour"]["described"], listed(stranger)[OTHER]["total"]) == (4, 4)


def test_what_lacks_its_weights_is_listed_as_not_installed(stranger, settings, tmp_path, db):
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    backends.forget()
    resnet = listed(stranger)["resnet50"]
    assert (resnet["is_installed"], resnet["fingerprint"], resnet["dim"]) == (False, None, 2048)


def test_a_filling_shows_how_far_it_is(stranger, garments, monkeypatch):
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 1)
    monkeypatch.setattr(pipeline.filling, "SLICE_SECONDS", 0)
    run = switching.start_filling(OTHER, queued=False)
    pipeline.execute(run.pk)
    other = listed(stranger)[OTHER]
    assert (other["described"], other["total"], other["is_filled"]) == (1, 3, False)
    assert other["is_kept"] is True
    assert other["filling"]["state"] == "pending"
    pipeline.execute(run.pk)
    assert 0 < listed(stranger)[OTHER]["filling"]["progress"] < 1


def test_a_filled_embedder_is_listed_with_its_index(stranger, filled):
    other = listed(stranger)[OTHER]
    assert (other["is_filled"], other["is_active"], other["described"]) == (True, False, 3)
    assert (other["index"]["indexed"], other["index"]["newer"]) == (3, 0)
    switching.switch(filled)
    models = listed(stranger)
    assert (models[OTHER]["is_active"], models["colour"]["is_active"]) == (True, False)
    assert models["colour"]["is_filled"] is True


def test_weights_that_were_replaced_are_a_model_of_their_own(stranger, garments):
    Embedder.objects.create(name="colour", fingerprint="0" * 64, dim=128)
    found = [m for m in stranger.get(URL).json()["embedders"] if m["name"] == "colour"]
    assert [(item["is_active"], item["is_installed"]) for item in found] == [
        (True, True),
        (False, False),
    ]


def test_a_search_says_which_embedder_has_answered(stranger, filled):
    image = as_base64(photo("red", seed=9))
    answers = {
        model: stranger.post(SEARCHES, {"image": image, **asked}, format="json").json()
        for model, asked in (("colour", {}), (OTHER, {"model": OTHER}))
    }
    assert {model: answer["model"] for model, answer in answers.items()} == {
        "colour": "colour",
        OTHER: OTHER,
    }
    likeness = [{hit["similarity"] for hit in answer["results"]} for answer in answers.values()]
    assert likeness[0].isdisjoint(likeness[1])


def test_more_like_a_garment_by_another_embedder(stranger, filled, garments):
    own, other = (
        similar(stranger, garments[0], **asked).json()["results"]
        for asked in ({}, {"model": OTHER})
    )
    assert {hit["segment"] for hit in own} == {hit["segment"] for hit in other}
    assert [hit["similarity"] for hit in own] != [hit["similarity"] for hit in other]


@pytest.mark.parametrize("model", ["nothing", "resnet50", "os:system", "../colour"])
def test_a_model_that_cannot_answer_is_a_problem(stranger, garments, model):
    bodies = [{"product": "RED", "model": model}, {"image": as_base64(photo()), "model": model}]
    responses = [stranger.post(SEARCHES, body, format="json") for body in bodies]
    responses.append(similar(stranger, garments[0], model=model))
    for response in responses:
        assert (response.status_code, response.json()["code"]) == (400, "model_not_ready")
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()


def test_one_that_is_not_filled_completely_cannot_answer(stranger, garments, monkeypatch):
    monkeypatch.setattr(pipeline.filling, "FILLED_TOGETHER", 1)
    monkeypatch.setattr(pipeline.filling, "SLICE_SECONDS", 0)
    pipeline.execute(switching.start_filling(OTHER, queued=False).pk)
    assert similar(stranger, garments[0], model=OTHER).status_code == 400


def test_a_past_search_is_shown_as_it_was_after_a_switch(shopper, filled):
    image = as_base64(photo("red", seed=9))
    before = shopper.post(SEARCHES, {"image": image}, format="json").json()
    switching.switch(filled)
    assert shopper.get(f"{SEARCHES}{before['id']}/").json() == before
    assert shopper.get(SEARCHES).json()["results"][0]["model"] == "colour"
    again = shopper.post(SEARCHES, {"query": before["query"]["id"]}, format="json").json()
    assert again["model"] == OTHER
