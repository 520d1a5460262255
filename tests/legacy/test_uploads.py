"""POST /upload_image, /upload_single_image and /splitted_images: into the catalogue."""

from __future__ import annotations

from uuid import uuid4

import pytest

from catalog.models import OriginalImage, Segment
from similarity import pipeline, services
from similarity.models import Run
from tests.api import stored_files
from tests.legacy import failed, refused
from tests.pictures import as_base64, photo
from tests.shop import add_photo

WHOLE, CROP, ROW = "/upload_image", "/upload_single_image", "/splitted_images"
DATA = photo("red", (100, 160))
PHOTO = f"data:image/png;base64,{as_base64(DATA)}"
HALVES = "tests.pipeline.backends:HalvesDetector"
NOTHING = "tests.pipeline.backends:NothingDetector"

BODIES = {
    WHOLE: {"image_base64": PHOTO},
    CROP: {
        "image_base64": PHOTO,
        "original_image_id": "original_1711111111111",
        "segment_id": "segment_0",
    },
    ROW: {
        "splitted_image_id": "01_segment_0",
        "splitted_image_path": "01/segment_0.png",
        "original_image_id": "01",
        "splitted_image_data": PHOTO,
    },
}


def test_a_picture_is_stored_with_the_garments_found_in_it(merchandiser, use):
    use(HALVES)
    response = merchandiser.post(WHOLE, {"image_base64": PHOTO, "image_name": "spring/../01"})
    image, run = OriginalImage.objects.get(), Run.objects.get()
    name = image.identifier
    refused(
        response,
        200,
        success=True,
        message="The picture was stored.",
        request_id=str(run.pk),
        data={
            "original_image_id": name,
            "segments": [
                {
                    "splitted_image_id": f"{name}_segment_{number}",
                    "splitted_image_path": f"{name}/segment_{number}.png",
                }
                for number in (0, 1)
            ],
        },
    )
    assert (image.owner, image.source_name) == (merchandiser.user, "spring/../01")
    assert all(".." not in file for file in stored_files())


def test_it_is_found_at_once(merchandiser):
    merchandiser.post(WHOLE, {"image_base64": PHOTO})
    [found] = merchandiser.post("/relay_image", {"image_base64": PHOTO}).json()["results"]
    assert found["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("force", [True, False])
def test_a_picture_without_garments_is_stored_if_it_is_to_be(merchandiser, use, force):
    use(NOTHING)
    response = merchandiser.post(WHOLE, {"image_base64": PHOTO, "force_process": force})
    assert (response.status_code, response.json()["success"]) == (200, force)
    if force:
        segment = Segment.objects.get()
        assert (segment.box, segment.detector) == ((0, 0, 100, 160), Segment.NOTHING_FOUND)
    else:
        assert response.json()["message"] == "No garment was found in the picture."
        assert not OriginalImage.objects.exists()


def test_a_chosen_garment_is_stored_as_it_was_cut_out(merchandiser, use):
    use(HALVES)  # which would find two in it
    response = merchandiser.post(CROP, BODIES[CROP])
    segment = Segment.objects.select_related("image").get()
    assert segment.box == (0, 0, 100, 160)
    assert segment.image.source_name == "original_1711111111111_segment_0"
    refused(
        response,
        200,
        success=True,
        message="Image successfully uploaded",
        data={
            "splitted_image_id": segment.identifier,
            "splitted_image_path": f"{segment.image.identifier}/segment_0.png",
        },
    )


def test_a_chosen_garment_stays_one_when_it_is_described_anew(merchandiser, use):
    use(HALVES)
    merchandiser.post(CROP, BODIES[CROP])
    pipeline.execute(services.describe_again(OriginalImage.objects.get()).pk)
    assert Segment.objects.get().box == (0, 0, 100, 160)


def test_a_row_is_stored_by_its_picture(merchandiser):
    response = merchandiser.post(ROW, BODIES[ROW])
    segment = Segment.objects.get()
    assert response.json()["data"]["splitted_image_id"] == segment.identifier
    assert response.json()["success"] is True


@pytest.mark.parametrize("path", BODIES)
def test_the_same_bytes_twice_are_a_conflict_that_names_what_is_there(merchandiser, path):
    segment = add_photo(DATA)
    response = merchandiser.post(path, BODIES[path])
    refused(
        response,
        409,
        success=False,
        message="This picture is in the catalogue already.",
        data={
            "original_image_id": segment.image.identifier,
            "segments": [
                {
                    "splitted_image_id": segment.identifier,
                    "splitted_image_path": f"{segment.image.identifier}/segment_0.png",
                }
            ],
        },
    )
    assert OriginalImage.objects.count() == Run.objects.count() == 1


@pytest.mark.parametrize("path", BODIES)
def test_what_is_missing_is_named(merchandiser, path):
    response = merchandiser.post(path, {})
    failed(response, 400, f"Missing required parameters: {', '.join(BODIES[path])}")


@pytest.mark.parametrize("path", BODIES)
def test_what_is_no_picture_is_refused(merchandiser, path):
    body = {name: "?" if value == PHOTO else value for name, value in BODIES[path].items()}
    failed(merchandiser.post(path, body), 400, "The picture is not valid base64.")
    assert stored_files() == []


@pytest.mark.parametrize("path", BODIES)
def test_shoppers_and_strangers_store_nothing(stranger, shopper, path):
    assert stranger.post(path, BODIES[path]).status_code == 401
    failed(
        shopper.post(path, BODIES[path]), 403, "You do not have permission to perform this action."
    )
    assert not OriginalImage.objects.exists()


def test_a_failed_upload_may_be_sent_again(merchandiser):
    segment = add_photo(DATA)
    segment.delete()
    Run.objects.update(state=Run.State.FAILED)
    OriginalImage.objects.update(status=OriginalImage.Status.FAILED)
    assert merchandiser.post(WHOLE, {"image_base64": PHOTO}).json()["success"] is True
    assert Segment.objects.count() == 1


def test_an_id_of_the_client_s_own_gives_the_same_upload_again(merchandiser, administrator):
    asked = {"image_base64": PHOTO, "request_id": str(uuid4())}
    first = merchandiser.post(WHOLE, asked).json()
    assert first["request_id"] == asked["request_id"]
    assert merchandiser.post(WHOLE, asked).json() == first
    failed(administrator.post(WHOLE, asked), 409, "This id is taken. Give another.")


def test_an_id_of_a_whole_picture_gives_no_single_garment(merchandiser, use):
    use(HALVES)
    pk = str(uuid4())
    merchandiser.post(WHOLE, {"image_base64": PHOTO, "request_id": pk})
    answer = merchandiser.post(CROP, BODIES[CROP] | {"request_id": pk})
    failed(answer, 409, "This id is taken. Give another.")
