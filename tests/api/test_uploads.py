"""/api/v1/uploads/: pictures into the catalogue, one or many, and what becomes of them."""

from uuid import UUID

import pytest

from catalog.lookalikes import keep_both
from catalog.models import Lookalike, OriginalImage
from catalog.services import save_product
from similarity import backends, pipeline, services
from similarity.models import Run
from tests.api import refused, stored_files, traces
from tests.api.bad_files import BAD_FILES
from tests.pictures import as_base64, as_file, drawing, encoded, photo, picture, poor_jpeg
from tests.shop import add_photo, add_product

URL = "/api/v1/uploads/"


def upload(client, *files, **fields):
    return client.post(URL, {"images": [as_file(data) for data in files], **fields}, "multipart")


def only_run(response):
    (run,) = response.json()["uploads"]
    return run


@pytest.fixture
def pending(merchandiser):
    return only_run(upload(merchandiser, photo()))


@pytest.fixture
def broken(settings, merchandiser):
    """An upload that has failed."""
    settings.DETECTOR = "tests.api.heavy:BrokenDetector"
    backends.forget()
    run = only_run(upload(merchandiser, photo()))
    pipeline.execute(UUID(run["id"]))
    settings.DETECTOR = "whole_image"
    backends.forget()
    return run


# --- Adding ---------------------------------------------------------------------------------


def test_an_upload_is_accepted_with_a_link_to_follow(merchandiser):
    response = upload(merchandiser, photo())
    assert response.status_code == 202
    run = only_run(response)
    assert (run["state"], run["is_new"]) == ("pending", True)
    assert merchandiser.get(run["link"]).json()["state"] == "pending"


def test_after_its_run_the_picture_can_be_found(merchandiser):
    run = only_run(upload(merchandiser, photo()))
    pipeline.execute(UUID(run["id"]))
    after = merchandiser.get(run["link"]).json()
    assert (after["state"], after["progress"], after["error"]) == ("done", 1.0, None)
    image = merchandiser.get(f"/api/v1/images/{after['image']}/").json()
    assert image["status"] == "ready"
    assert len(image["segments"]) == 1


def test_many_pictures_go_in_one_request(merchandiser):
    response = upload(merchandiser, photo("red"), photo("green"), photo("blue"))
    assert len({run["image"] for run in response.json()["uploads"]}) == 3


def test_base64_will_do_as_well(merchandiser):
    images = [as_base64(photo("red")), "data:image/png;base64," + as_base64(photo("blue"))]
    response = merchandiser.post(URL, {"images": images})
    assert response.status_code == 202
    assert len(response.json()["uploads"]) == 2


def test_pictures_are_joined_to_the_product_that_is_named(merchandiser):
    save_product("D-1", name="Dress")
    run = only_run(upload(merchandiser, photo(), product="D-1"))
    assert OriginalImage.objects.get(identifier=run["image"]).product.reference == "D-1"


def test_the_sender_and_the_file_s_name_are_kept(merchandiser):
    run = only_run(merchandiser.post(URL, {"images": as_file(photo(), "Red.PNG")}, "multipart"))
    image = OriginalImage.objects.get(identifier=run["image"])
    assert (image.owner, image.source_name) == (merchandiser.user, "Red.PNG")


def test_what_is_stored_is_a_jpeg_of_its_own(merchandiser):
    upload(merchandiser, encoded(picture(), "TIFF"))
    (name,) = stored_files()
    assert name.endswith(".jpg")


def test_bytes_that_are_known_give_the_same_image(merchandiser):
    first = only_run(upload(merchandiser, photo()))
    second = only_run(upload(merchandiser, photo()))
    assert (first["is_new"], second["is_new"]) == (True, False)
    assert second["image"] == first["image"]
    assert OriginalImage.objects.count() == 1


def test_bytes_that_are_known_are_answered_with_the_product_they_show(merchandiser):
    garment = add_product("D-1", "red")
    run = only_run(upload(merchandiser, photo("red")))
    assert (run["image"], run["product"], run["is_new"]) == (garment.image.identifier, "D-1", False)


def test_the_same_picture_in_other_bytes_is_said_to_be_a_possible_duplicate(merchandiser):
    known = add_photo(encoded(drawing())).image.identifier
    run = only_run(upload(merchandiser, poor_jpeg(drawing())))
    assert (run["is_new"], run["possible_duplicate_of"]) == (True, None), "nobody has looked yet"
    pipeline.execute(run["id"])
    assert merchandiser.get(run["link"]).json()["possible_duplicate_of"] == known
    image = f"/api/v1/images/{run['image']}/"
    assert merchandiser.get(image).json()["possible_duplicate_of"] == known
    keep_both(Lookalike.objects.get(), Lookalike.Decision.DIFFERENT, None)
    assert merchandiser.get(image).json()["possible_duplicate_of"] is None
    assert merchandiser.get(run["link"]).json()["possible_duplicate_of"] is None


def test_the_same_bytes_twice_in_one_request_are_one_image(merchandiser):
    runs = upload(merchandiser, photo(), photo()).json()["uploads"]
    assert [run["is_new"] for run in runs] == [True, False]


def test_bytes_that_somebody_else_sent_give_a_link_that_works(merchandiser, staff):
    upload(staff, photo())
    run = only_run(upload(merchandiser, photo()))
    assert merchandiser.get(run["link"]).status_code == 200


def test_bytes_that_came_from_a_folder_give_a_link_that_works(merchandiser):
    add_photo(photo(), source=OriginalImage.Source.FOLDER)
    run = only_run(upload(merchandiser, photo()))
    assert (run["state"], run["is_new"]) == ("done", False)
    assert merchandiser.get(run["link"]).status_code == 200


# --- What is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_and_leaves_nothing(merchandiser, name):
    data, status, code = BAD_FILES[name]
    before = traces()
    refused(upload(merchandiser, data), status, code)
    assert traces() == before


def test_a_file_that_is_too_large_is_refused(merchandiser, settings):
    settings.MAX_UPLOAD_BYTES = 2000
    refused(upload(merchandiser, photo()), 413, "file_too_large")


def test_what_is_not_base64_is_refused(merchandiser):
    refused(merchandiser.post(URL, {"images": ["no base64!"]}), 422, "not_base64")


def test_good_files_are_taken_and_bad_ones_named(merchandiser):
    answer = upload(merchandiser, photo("red"), b"text", photo("blue")).json()
    assert len(answer["uploads"]) == 2
    (rejected,) = answer["rejected"]
    assert (rejected["index"], rejected["code"]) == (1, "not_an_image")
    assert rejected["detail"].endswith(".")


def test_one_file_too_large_stops_no_other(merchandiser, settings):
    settings.MAX_UPLOAD_BYTES = 20_000
    answer = upload(merchandiser, photo(size=(16, 16)), photo(size=(200, 200))).json()
    assert len(answer["uploads"]) == 1
    assert answer["rejected"][0]["code"] == "file_too_large"


def test_one_that_is_not_base64_stops_no_other(merchandiser):
    answer = merchandiser.post(URL, {"images": ["no base64!", as_base64(photo())]}).json()
    assert len(answer["uploads"]) == 1
    assert (answer["rejected"][0]["index"], answer["rejected"][0]["code"]) == (0, "not_base64")


def test_many_files_that_are_all_bad_are_refused_each_with_its_reason(merchandiser):
    before = traces()
    problem = refused(upload(merchandiser, b"text", photo()[:2000]), 400, "invalid")
    reasons = [item["code"] for item in problem["errors"]["images"]]
    assert reasons == ["not_an_image", "damaged_image"]
    assert traces() == before


def test_an_unknown_product_is_refused_and_leaves_nothing(merchandiser):
    before = traces()
    problem = refused(upload(merchandiser, photo(), product="NONE"), 400, "invalid")
    assert "product" in problem["errors"]
    assert traces() == before


@pytest.mark.parametrize(
    "body", [{}, {"images": []}, {"images": "text"}, {"images": [7]}, [], None]
)
def test_a_request_without_pictures_is_refused(merchandiser, body):
    refused(merchandiser.post(URL, body), 400, "invalid")


def test_too_many_files_are_refused(merchandiser, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = settings.MAX_UPLOAD_FILES = 2
    before = traces()
    refused(upload(merchandiser, photo(), photo(), photo()), 413, "too_many_files")
    refused(merchandiser.post(URL, {"images": [as_base64(photo())] * 3}), 413, "too_many_files")
    assert traces() == before


# --- Looking --------------------------------------------------------------------------------


def test_the_list_holds_one_s_own(merchandiser, staff, pending):
    theirs = only_run(upload(staff, photo("blue")))
    mine = merchandiser.get(URL).json()["results"]
    assert [run["id"] for run in mine] == [pending["id"]]
    assert {run["id"] for run in staff.get(URL).json()["results"]} == {pending["id"], theirs["id"]}


def test_the_list_can_be_narrowed_to_a_state(merchandiser, pending):
    assert merchandiser.get(URL, {"state": "pending"}).json()["count"] == 1
    assert merchandiser.get(URL, {"state": "done"}).json()["count"] == 0
    refused(merchandiser.get(URL, {"state": "lost"}), 400, "invalid")


def test_a_search_is_no_upload(merchandiser):
    add_photo(photo())
    search = services.search(segment=add_photo(photo("blue")), limit=1, asked_by=merchandiser.user)
    refused(merchandiser.get(f"{URL}{search.pk}/"), 404, "not_found")


# --- Cancelling, and another try ----------------------------------------------------------


def test_cancelling_before_it_runs_leaves_no_image_and_no_file(
    merchandiser, pending, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = merchandiser.post(f"{pending['link']}cancel/")
    assert response.json()["state"] == "cancelled"
    assert not OriginalImage.objects.exists()
    assert stored_files() == []


def test_a_cancelled_upload_is_not_carried_out(merchandiser, pending):
    merchandiser.post(f"{pending['link']}cancel/")
    pipeline.execute(UUID(pending["id"]))
    assert Run.objects.get(pk=pending["id"]).state == Run.State.CANCELLED


def test_a_cancelled_upload_cannot_be_run_again_as_its_image_is_gone(merchandiser, pending):
    merchandiser.post(f"{pending['link']}cancel/")
    refused(merchandiser.post(f"{pending['link']}retry/"), 409, "not_repeatable")


def test_an_upload_that_is_done_cannot_be_cancelled(merchandiser, pending):
    pipeline.execute(UUID(pending["id"]))
    refused(merchandiser.post(f"{pending['link']}cancel/"), 409, "already_ended")


def test_a_failure_is_told_without_the_program_s_own_words(merchandiser, broken):
    run = merchandiser.get(broken["link"]).json()
    assert (run["state"], run["error"]["code"]) == ("failed", "internal_error")
    assert "memory" not in run["error"]["detail"]
    image = merchandiser.get(f"/api/v1/images/{broken['image']}/").json()
    assert image["status"] == "failed"
    assert image["problem"]


def test_another_try_may_succeed(merchandiser, broken):
    response = merchandiser.post(f"{broken['link']}retry/")
    assert (response.status_code, response.json()["state"]) == (202, "pending")
    pipeline.execute(UUID(broken["id"]))
    assert merchandiser.get(broken["link"]).json()["state"] == "done"
    assert OriginalImage.objects.get().status == OriginalImage.Status.READY


def test_an_upload_that_waits_cannot_be_tried_again(merchandiser, pending):
    refused(merchandiser.post(f"{pending['link']}retry/"), 409, "not_repeatable")
