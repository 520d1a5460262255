"""POST /image/split and /split_image: the garments of a photo that is not kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from similarity.models import Query, Run
from tests.api import stored_files
from tests.legacy import failed, opened, refused
from tests.pictures import as_base64, photo

SEARCH, ADMIN = "/image/split", "/split_image"
PHOTO = f"data:image/png;base64,{as_base64(photo('red', (100, 160)))}"
HALVES = "tests.pipeline.backends:HalvesDetector"
NOTHING = "tests.pipeline.backends:NothingDetector"
NONE = "No garment was found in the picture."


def assert_nothing_is_kept():
    assert not Run.objects.exists()
    assert not Query.objects.exists()
    assert stored_files() == []


def test_the_search_page_gets_data_urls(shopper, use, django_capture_on_commit_callbacks):
    use(HALVES)
    with django_capture_on_commit_callbacks(execute=True):  # by which files are deleted
        response = shopper.post(SEARCH, {"image_base64": PHOTO})
    assert response.status_code == 200
    body = response.json()
    texts = [segment.pop("image_base64") for segment in body["segments"]]
    shape = {"success": True, "message": "The picture was split.", "segments": [{}, {}]}
    assert body == shape
    for text in texts:
        prefix, _, data = text.partition(",")
        assert prefix == "data:image/png;base64"
        assert opened(data).size == (50, 160)
    assert_nothing_is_kept()


def test_a_segment_can_be_searched_with(shopper, use):
    use(HALVES)
    [first, _] = shopper.post(SEARCH, {"image_base64": PHOTO}).json()["segments"]
    assert shopper.post("/relay_image", {**first, "num": 5}).status_code == 200


def test_the_search_page_is_told_that_nothing_was_found(shopper, use):
    use(NOTHING)
    response = shopper.post(SEARCH, {"image_base64": PHOTO})
    refused(response, 200, success=False, message=NONE)


def test_the_administrator_s_page_gets_names_and_bare_base64(merchandiser, use):
    use(HALVES)
    asked = {"image_base64": PHOTO, "force_process": True}
    body = merchandiser.post(ADMIN, asked).json()
    segments = body["data"].pop("segments")
    pk = body.pop("request_id")
    assert body == {"success": True, "message": "The picture was split.", "data": {}}
    assert len(pk) == 36
    assert [segment["segment_id"] for segment in segments] == ["segment_0", "segment_1"]
    assert [opened(segment["segment_base64"]).size for segment in segments] == [(50, 160)] * 2
    assert not Run.objects.exists()


@pytest.mark.parametrize(("body", "found"), [({}, 1), ({"force_process": False}, 0)])
def test_a_photo_without_garments_is_one_if_it_is_to_be(merchandiser, use, body, found):
    use(NOTHING)
    response = merchandiser.post(ADMIN, {"image_base64": PHOTO, **body})
    if found:
        [segment] = response.json()["data"]["segments"]
        assert opened(segment["segment_base64"]).size == (100, 160)
    else:
        pk = response.json()["request_id"]
        refused(response, 200, success=False, message=NONE, request_id=pk)


def test_the_administrator_s_page_is_not_for_shoppers(stranger, shopper):
    failed(
        stranger.post(ADMIN, {"image_base64": PHOTO}),
        401,
        "Authentication credentials were not provided.",
    )
    failed(
        shopper.post(ADMIN, {"image_base64": PHOTO}),
        403,
        "You do not have permission to perform this action.",
    )


def test_a_photo_whose_process_dies_before_it_answers_is_gone_in_an_hour(shopper, monkeypatch):
    monkeypatch.setattr(Query, "delete", lambda query: None)
    shopper.post(SEARCH, {"image_base64": PHOTO})
    assert Query.objects.get().expires_at < timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize("path", [SEARCH, ADMIN])
def test_what_is_no_picture_is_refused(merchandiser, path):
    failed(merchandiser.post(path, {}), 400, "Missing required parameters: image_base64")
    failed(merchandiser.post(path, {"image_base64": "?"}), 400, "The picture is not valid base64.")


def test_a_detector_that_falls_over_is_our_fault(shopper, use):
    use("tests.api.heavy:BrokenDetector")
    response = shopper.post(SEARCH, {"image_base64": PHOTO})
    failed(response, 500, "Something went wrong here. The server's log says what.")
    assert not Query.objects.exists()
