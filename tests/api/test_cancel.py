"""Ids that clients give to what they start, to cancel it by; and whose it must be."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from django.db import connections
from django.utils import timezone

from catalog.models import OriginalImage, Segment
from similarity import services
from similarity.models import Query, Run
from tests.api import refused, stored_files
from tests.conftest import client_of, person
from tests.pictures import as_base64, as_file, photo
from tests.shop import add_product

SEARCHES, UPLOADS = "/api/v1/searches/", "/api/v1/uploads/"
HEAVY = "tests.api.heavy:HeavyColour"


def searching(pk, **more):
    return {"image": as_base64(photo("red", seed=4)), "id": str(pk), "wait": 0, **more}


def uploading(pk, colour="red"):
    return {"images": [as_base64(photo(colour))], "id": str(pk)}


# --- Searches -------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["photo", "form", "segment", "product", "query"])
def test_a_search_has_the_id_that_its_client_gives(shopper, source):
    segment = add_product("RED", "red")
    query = services.keep_query(services.take_in(photo("red", seed=2)), shopper.user)
    pk = str(uuid4())
    bodies = {
        "photo": searching(pk),
        "segment": {"segment": segment.identifier, "id": pk},
        "product": {"product": "RED", "id": pk},
        "query": {"query": str(query.pk), "id": pk},
    }
    if source == "form":
        form = {"image": as_file(photo()), "id": pk}
        assert shopper.post(SEARCHES, form, "multipart").json()["id"] == pk
    else:
        assert shopper.post(SEARCHES, bodies[source]).json()["id"] == pk
    assert shopper.get(f"{SEARCHES}{pk}/").status_code == 200


def test_the_same_id_again_gives_the_same_search_and_keeps_nothing_more(shopper):
    add_product("RED", "red")
    body = searching(uuid4())
    first = shopper.post(SEARCHES, body).json()
    files = stored_files()
    assert shopper.post(SEARCHES, body | {"limit": 1}).json() == first
    assert Run.objects.filter(kind=Run.Kind.SEARCH).count() == Query.objects.count() == 1
    assert stored_files() == files


def test_another_s_id_is_taken(stranger, shopper, other_shopper):
    body = searching(uuid4())
    assert shopper.post(SEARCHES, body).status_code == 201
    for client in (stranger, other_shopper):
        refused(client.post(SEARCHES, body), 409, "id_taken")
        assert client.get(f"{SEARCHES}{body['id']}/").status_code == 404
        assert client.post(f"{SEARCHES}{body['id']}/cancel/").status_code == 404
    assert Query.objects.count() == 1


@pytest.mark.parametrize("pk", ["7", "", None, "x" * 36])
def test_an_id_is_a_uuid(shopper, pk):
    problem = refused(shopper.post(SEARCHES, searching(0) | {"id": pk}), 400, "invalid")
    assert set(problem["errors"]) == {"id"}


def test_the_same_id_many_times_at_once_is_one_search(transactional_db, settings):
    settings.EMBEDDER = HEAVY
    sam, pk = person("sam"), uuid4()
    gate, answers = threading.Barrier(4), []

    def ask():
        client = client_of(sam)
        gate.wait(120)
        answers.append(client.post(SEARCHES, searching(pk, detect=False)))
        connections.close_all()

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert {answer.json()["id"] for answer in answers} == {str(pk)}
    assert Run.objects.count() == Query.objects.count() == len(stored_files()) == 1


def test_a_search_that_waits_is_cancelled_by_its_id_at_once(shopper, settings):
    settings.EMBEDDER = HEAVY
    pk = uuid4()
    assert shopper.post(SEARCHES, searching(pk)).status_code == 202
    assert shopper.post(f"{SEARCHES}{pk}/cancel/").json()["state"] == "cancelled"
    assert shopper.post(SEARCHES, searching(pk)).json()["state"] == "cancelled"


# --- Uploads --------------------------------------------------------------------------------


def test_an_upload_has_the_id_that_its_client_gives_and_the_same_again_gives_the_same(
    merchandiser,
):
    pk = str(uuid4())
    first, again = (merchandiser.post(UPLOADS, uploading(pk)).json() for _ in range(2))
    assert [first["uploads"][0]["id"], again["uploads"][0]["id"]] == [pk, pk]
    assert [first["uploads"][0]["is_new"], again["uploads"][0]["is_new"]] == [True, False]
    assert merchandiser.post(UPLOADS, uploading(pk, "blue")).json() == again
    assert OriginalImage.objects.count() == Run.objects.count() == 1


def test_another_s_upload_is_neither_taken_over_nor_cancelled(merchandiser, catalogue_key):
    pk = uuid4()
    merchandiser.post(UPLOADS, uploading(pk))
    refused(catalogue_key.post(UPLOADS, uploading(pk, "blue")), 409, "id_taken")
    refused(catalogue_key.post(f"{UPLOADS}{pk}/cancel/"), 404, "not_found")
    assert Run.objects.get().state == Run.State.PENDING
    assert OriginalImage.objects.count() == 1


def test_staff_may_cancel_any_upload_as_in_the_admin(merchandiser, staff):
    pk = uuid4()
    merchandiser.post(UPLOADS, uploading(pk))
    assert staff.post(f"{UPLOADS}{pk}/cancel/").json()["state"] == "cancelled"


def test_a_search_s_id_is_no_upload_s(merchandiser):
    pk = uuid4()
    merchandiser.post(SEARCHES, searching(pk))
    refused(merchandiser.post(UPLOADS, uploading(pk)), 409, "id_taken")


def test_an_id_is_for_one_picture(merchandiser):
    images = [as_base64(photo("red")), as_base64(photo("blue"))]
    asked = {"images": images, "id": str(uuid4())}
    problem = refused(merchandiser.post(UPLOADS, asked), 400, "invalid")
    assert set(problem["errors"]) == {"id"}


def test_an_upload_that_waits_is_cancelled_by_its_id_and_leaves_nothing(merchandiser):
    pk = uuid4()
    merchandiser.post(UPLOADS, uploading(pk))
    assert merchandiser.post(f"{UPLOADS}{pk}/cancel/").json()["state"] == "cancelled"
    assert not OriginalImage.objects.exists()
    assert not Segment.objects.exists()
    assert merchandiser.get(f"{UPLOADS}{pk}/").json()["state"] == "cancelled"


# --- Before it has come ---------------------------------------------------------------------


def test_what_is_cancelled_before_it_comes_is_not_done(shopper, merchandiser):
    add_product("RED", "red")
    files = stored_files()
    for client, url, asked in (
        (shopper, SEARCHES, searching(uuid4())),
        (merchandiser, UPLOADS, uploading(uuid4(), "blue")),
    ):
        answer = client.post(f"{url}{asked['id']}/cancel/")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        late = client.post(url, asked).json()
        assert (late["uploads"][0] if url == UPLOADS else late)["state"] == "cancelled"
        assert client.post(url, asked).status_code < 300
    assert stored_files() == files
    assert OriginalImage.objects.count() == 1
    assert not Query.objects.exists()


def test_it_is_in_nobody_s_history_and_gone_after_an_hour(shopper):
    shopper.post(f"{SEARCHES}{uuid4()}/cancel/")
    assert shopper.get(SEARCHES).json()["count"] == 0
    Run.objects.update(expires_at=timezone.now())
    services.sweep()
    assert not Run.objects.exists()


def test_who_has_cancelled_ahead_keeps_nobody_else_from_anything(shopper, other_shopper):
    pk = uuid4()
    shopper.post(f"{SEARCHES}{pk}/cancel/")
    assert other_shopper.post(f"{SEARCHES}{pk}/cancel/").status_code == 404
    refused(other_shopper.post(SEARCHES, searching(pk)), 409, "id_taken")
    assert other_shopper.post(SEARCHES, searching(uuid4())).status_code == 201


def test_what_cannot_be_an_id_is_not_found(shopper):
    refused(shopper.post(f"{SEARCHES}seven/cancel/"), 404, "not_found")
