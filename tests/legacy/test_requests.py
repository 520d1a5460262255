"""/request_status, /cancel_... and /cleanup_requests: what is under way, and stopping it."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from catalog.models import OriginalImage
from similarity import pipeline, services
from similarity.models import Query, Run
from tests.api import stored_files
from tests.legacy import failed, refused
from tests.pictures import as_base64, photo
from tests.scratch import eventually

UNKNOWN = "5a1c2f8e-0d57-4a36-9a4e-3f4b6c7d8e9f"
"""The id of no run."""

CANCEL = "/cancel_request/"
CANCELS = (CANCEL, "/cancel_upload/", "/cancel_processing/")
CANCELLED = "Processing cancelled by user"


def waiting(client, kind=Run.Kind.SEARCH, **more) -> Run:
    """A run of theirs that waits for a worker."""
    user = getattr(client, "user", None)
    return Run.objects.create(kind=kind, requested_by=user, options={"limit": 1}, **more)


def gone(path, pk) -> dict:
    shape = {"status": "error"} if path == CANCEL else {"success": False}
    return {**shape, "message": f"Request {pk} not found or already completed"}


# --- What is under way ----------------------------------------------------------------------


def test_one_s_own_requests_are_listed_newest_first(shopper, other_shopper):
    first, second = waiting(shopper), waiting(shopper, Run.Kind.DETECT)
    waiting(shopper, state=Run.State.DONE)
    waiting(shopper, state=Run.State.RUNNING, cancel_requested=True)
    waiting(other_shopper)
    requests = shopper.get("/request_status/recent").json()["requests"]
    assert [request["id"] for request in requests] == [str(second.pk), str(first.pk)]
    for request in requests:
        assert set(request) == {"id", "timestamp", "age"}
        assert request["age"] == pytest.approx(time.time() - request["timestamp"], abs=5)


def test_nobody_sees_what_strangers_have_asked_for(stranger, shopper, search_key):
    """Nor what came by a key for searching, which a shop's page shows to everybody."""
    for client in (stranger, search_key):
        waiting(client)
    for client in (stranger, shopper, search_key):
        refused(client.get("/request_status/recent"), 200, requests=[])


@pytest.mark.parametrize(
    ("run", "status", "word"),
    [
        ({}, 200, "processing"),
        ({"state": "running"}, 200, "processing"),
        ({"state": "running", "cancel_requested": True}, 200, "cancelled"),
        ({"state": "cancelled"}, 200, "cancelled"),
        ({"state": "done"}, 404, "not_found"),
        ({"state": "failed"}, 404, "not_found"),
    ],
)
def test_the_status_of_a_request(shopper, other_shopper, run, status, word):
    pk = waiting(shopper, **run).pk
    refused(shopper.get(f"/request_status/{pk}"), status, status=word)
    refused(other_shopper.get(f"/request_status/{pk}"), 404, status="not_found")


@pytest.mark.parametrize("name", ["7", "nothing", UNKNOWN])
def test_an_unknown_request_has_no_status(shopper, name):
    refused(shopper.get(f"/request_status/{name}"), 404, status="not_found")


def test_there_is_nothing_to_clean_up(shopper, other_shopper):
    runs = [waiting(shopper), waiting(other_shopper)]
    response = shopper.post("/cleanup_requests", {"max_age_seconds": 10})
    refused(response, 200, status="success", message="Cleaned up stale requests")
    assert {Run.objects.get(pk=run.pk).state for run in runs} == {Run.State.PENDING}
    response = shopper.post("/cleanup_requests", {"max_age_seconds": "x"})
    failed(response, 400, "max_age_seconds: A valid number is required.")


# --- Cancelling -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", CANCELS)
def test_one_s_own_request_is_cancelled(shopper, path):
    pk = waiting(shopper).pk
    shape = {"status": "success"} if path == CANCEL else {"success": True}
    message = f"Request {pk} marked for cancellation"
    refused(shopper.post(f"{path}{pk}"), 200, **shape, message=message)
    assert Run.objects.get().state == Run.State.CANCELLED
    refused(shopper.post(f"{path}{pk}"), 404, **gone(path, pk))


@pytest.mark.parametrize("path", CANCELS)
def test_nobody_cancels_what_is_another_s(stranger, shopper, administrator, path):
    pk = waiting(shopper).pk
    for client in (stranger, administrator):
        refused(client.post(f"{path}{pk}"), 404, **gone(path, pk))
    assert Run.objects.get().state == Run.State.PENDING


@pytest.mark.parametrize("path", CANCELS)
@pytest.mark.parametrize("name", ["7", "recent", UNKNOWN])
def test_what_is_not_there_cannot_be_cancelled(shopper, path, name):
    refused(shopper.post(f"{path}{name}"), 404, **gone(path, name))


def test_a_rebuild_is_not_cancelled_from_here(staff):
    run = services.start_rebuild(staff.user)
    assert staff.post(f"{CANCEL}{run.pk}").status_code == 404


def work_on(pk):
    """What a worker does once it hears of a run."""
    eventually(lambda: Run.objects.filter(pk=pk).exists())
    pipeline.execute(pk)


@pytest.mark.parametrize("path", ["/image/split", "/split_image", "/upload_image"])
def test_a_cancelled_request_is_answered_at_once_and_leaves_nothing(
    gate, beside, merchandiser, path
):
    """The work itself stops at its next checkpoint, which it does not reach before the answer."""
    pk = uuid4()
    body = {"image_base64": as_base64(photo()), "request_id": str(pk)}
    asked, worked = beside(merchandiser.post, path, body), beside(work_on, pk)
    assert gate.has_begun.wait(120)
    [request] = merchandiser.get("/request_status/recent").json()["requests"]
    assert request["id"] == str(pk)
    started = time.monotonic()
    assert merchandiser.post(f"/cancel_processing/{pk}").status_code == 200
    assert time.monotonic() - started < 20
    answer = asked.result(120).json()
    assert (answer["success"], answer["message"]) == (False, CANCELLED)
    assert not worked.done()
    gate.may_go_on.set()
    worked.result(120)
    assert not OriginalImage.objects.exists()
    assert not Query.objects.exists()
    assert stored_files() == []


def test_a_cancelled_search_says_so(beside, shopper, settings):
    settings.EMBEDDER = "tests.api.heavy:HeavyColour"
    pk = uuid4()
    body = {"image_base64": as_base64(photo()), "num": 5, "request_id": str(pk)}
    asked = beside(shopper.post, "/relay_image", body)
    eventually(lambda: Run.objects.filter(pk=pk).exists())
    assert shopper.post(f"{CANCEL}{pk}").status_code == 200
    refused(asked.result(120), 200, status="cancelled", message=CANCELLED)


def test_who_waits_too_long_is_told_to_come_again(shopper, settings, monkeypatch):
    settings.EMBEDDER = "tests.api.heavy:HeavyColour"
    monkeypatch.setattr("fashionsim.legacy.views.WAIT", 0.1)
    response = shopper.post("/relay_image", {"image_base64": as_base64(photo())})
    refused(response, 503, error="It takes longer than usual. Try again in a minute.")
    assert Run.objects.get().state == Run.State.CANCELLED
