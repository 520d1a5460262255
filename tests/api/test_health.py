"""/api/v1/health/: for whoever watches over the shop."""

import threading

import pytest

from similarity import backends, indexing, services, serving
from tests.api import refused
from tests.shop import add_product

LIVE = "/api/v1/health/live"
READY = "/api/v1/health/ready"


def test_a_process_that_answers_is_live(stranger):
    response = stranger.get(LIVE)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_life_asks_nothing_of_the_database(client):
    assert client.get(LIVE).status_code == 200  # without the fixture `db` a query would fail


def test_an_empty_shop_is_ready(stranger):
    response = stranger.get(READY)
    assert response.status_code == 200
    assert response.json()["status"] == "ok"


def test_a_process_says_whether_it_has_loaded_its_models(stranger, monkeypatch):
    monkeypatch.setattr(services.health, "_WARM", threading.Event())
    assert stranger.get(READY).json()["warm"] is False
    services.warm_up()
    assert stranger.get(READY).json()["warm"] is True


def test_a_shop_with_an_index_is_ready(stranger):
    add_product("RED", "red")
    indexing.rebuild(serving.serving_embedder())
    assert stranger.get(READY).status_code == 200


@pytest.mark.parametrize("path", [LIVE, READY])
def test_who_watches_need_not_sign_in_even_with_a_wrong_password(stranger, path):
    response = stranger.get(path, headers={"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="})
    assert response.status_code == 200


def test_missing_models_make_it_unready_and_say_what_to_do(stranger, settings, tmp_path):
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    settings.EMBEDDER = "resnet50"
    backends.forget()
    problem = refused(stranger.get(READY), 503, "not_ready")
    assert problem["detail"].startswith("models: ")
    assert stranger.get(LIVE).status_code == 200
