"""/api/v1/images/: the catalogue's pictures, their files, and what becomes of them."""

import io

import pytest
from PIL import Image

from catalog.models import OriginalImage, Product, Segment
from catalog.pictures import WIDTHS
from catalog.serializers import ImageSerializer
from catalog.services import save_product
from tests.api import queries_of, refused, stored_files
from tests.pictures import photo
from tests.shop import add_photo, add_product

URL = "/api/v1/images/"


def page(image):
    return f"{URL}{image.identifier}/"


def opened(response):
    return Image.open(io.BytesIO(response.getvalue()))


@pytest.fixture
def image(db):
    return add_product("D-1", "red").image


# --- Reading --------------------------------------------------------------------------------


def test_an_image_is_shown_with_its_garments_and_its_file(stranger, image):
    shown = stranger.get(page(image)).json()
    assert (shown["id"], shown["status"], shown["product"]) == (image.identifier, "ready", "D-1")
    assert (shown["width"], shown["height"]) == (120, 160)
    (segment,) = shown["segments"]
    assert (segment["box"], segment["label"]) == ([0, 0, 120, 160], "garment")
    assert stranger.get(shown["file"]).status_code == 200


def test_the_list_can_be_narrowed(stranger, image):
    other = add_photo(photo("blue"), source=OriginalImage.Source.FOLDER).image
    for filters, expected in (
        ({"product": "D-1"}, image),
        ({"source": "folder"}, other),
        ({"status": "ready", "search": other.identifier}, other),
    ):
        (found,) = stranger.get(URL, filters).json()["results"]
        assert found["id"] == expected.identifier


@pytest.mark.parametrize("filters", [{"status": "lost"}, {"source": "heaven"}])
def test_a_filter_that_does_not_fit_is_refused(stranger, db, filters):
    problem = refused(stranger.get(URL, filters), 400, "invalid")
    assert set(problem["errors"]) == set(filters)


def test_the_list_can_be_ordered(stranger, image):
    newer = add_photo(photo("blue")).image
    for ordering, expected in (("created_at", image), ("-created_at", newer)):
        first = stranger.get(URL, {"ordering": ordering}).json()["results"][0]
        assert first["id"] == expected.identifier


def test_the_list_costs_no_query_per_image(stranger, db):
    counts = []
    for number in range(20):
        add_product(f"P-{number}", seed=number)
        if number in {2, 19}:
            counts.append(queries_of(lambda: stranger.get(URL)))
    assert counts[0] == counts[1]


def test_no_picture_is_ever_sent_in_json(stranger, image):
    assert len(stranger.get(URL).content) < 2000


# --- Files ----------------------------------------------------------------------------------


def test_the_file_is_a_jpeg_that_caches_may_keep(stranger, image):
    response = stranger.get(f"{page(image)}file/")
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "public" in response["Cache-Control"]
    assert "max-age=3600" in response["Cache-Control"]
    assert int(response["Content-Length"]) == image.size
    assert opened(response).size == (120, 160)


def test_a_file_can_be_asked_about_without_being_sent(stranger, image):
    response = stranger.head(f"{page(image)}file/")
    assert (response.status_code, int(response["Content-Length"])) == (200, image.size)


def test_a_file_that_has_not_changed_is_not_sent_again(stranger, image):
    first = stranger.get(f"{page(image)}file/")
    again = stranger.get(f"{page(image)}file/", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert again["Cache-Control"] == first["Cache-Control"]


def test_a_file_that_has_changed_is_sent_again(stranger, image):
    response = stranger.get(f"{page(image)}file/", headers={"If-None-Match": '"another"'})
    assert response.status_code == 200


def test_a_file_asked_for_in_another_version_is_refused(stranger, image):
    response = stranger.get(f"{page(image)}file/", headers={"If-Match": '"another"'})
    refused(response, 412, "precondition_failed")


@pytest.mark.parametrize("accept", ["image/jpeg", "image/avif,image/webp,image/*", "*/*"])
def test_a_picture_may_be_asked_for_as_a_picture(stranger, image, accept):
    response = stranger.get(f"{page(image)}file/", headers={"Accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_thumbnail_is_as_wide_as_asked_for_and_never_enlarged(stranger, db, width):
    image = add_photo(photo(size=(500, 250))).image
    small = opened(stranger.get(f"{page(image)}file/", {"width": width}))
    assert small.size == (min(width, 500), min(width, 500) // 2)


def test_each_width_has_an_etag_of_its_own(stranger, image):
    addresses = [{}, {"width": 160}, {"width": 320}]
    tags = {stranger.get(f"{page(image)}file/", address)["ETag"] for address in addresses}
    assert len(tags) == 3


@pytest.mark.parametrize("width", ["161", "0", "-160", "wide", "160.0", "99999999999"])
def test_other_widths_are_refused_and_make_no_file(stranger, image, width):
    before = stored_files()
    problem = refused(stranger.get(f"{page(image)}file/", {"width": width}), 400, "invalid")
    assert set(problem["errors"]) == {"width"}
    assert stored_files() == before


def test_a_file_that_is_missing_is_not_found(stranger, image):
    image.file.storage.delete(image.file.name)
    for address in ({}, {"width": 160}):
        refused(stranger.get(f"{page(image)}file/", address), 404, "not_found")


# --- Changing and deleting ------------------------------------------------------------------


def test_an_image_can_be_given_to_a_product(merchandiser, image):
    save_product("D-2", name="Another")
    response = merchandiser.patch(page(image), {"product": "D-2", "position": 3})
    assert response.status_code == 200, response.content
    assert (response.json()["product"], response.json()["position"]) == ("D-2", 3)
    assert response.json()["segments"][0]["product"] == "D-2"


def test_what_answers_a_change_has_all_that_is_shown_of_an_image(merchandiser, image):
    answer = merchandiser.patch(page(image), {"position": 1}, "json").json()
    assert answer == merchandiser.get(page(image)).json()
    assert answer["possible_duplicate_of"] is None


def test_an_image_can_be_taken_from_its_product(merchandiser, image):
    assert merchandiser.patch(page(image), {"product": None}).json()["product"] is None


def test_a_change_leaves_alone_what_a_worker_writes_meanwhile(merchandiser, image, monkeypatch):
    OriginalImage.objects.update(status=OriginalImage.Status.PENDING)
    check = ImageSerializer.is_valid

    def described_meanwhile(*given, **options):
        OriginalImage.objects.update(status=OriginalImage.Status.READY)
        return check(*given, **options)

    monkeypatch.setattr(ImageSerializer, "is_valid", described_meanwhile)
    assert merchandiser.patch(page(image), {"position": 3}).status_code == 200
    image.refresh_from_db()
    assert (image.status, image.position) == (OriginalImage.Status.READY, 3)


@pytest.mark.parametrize("gone", [OriginalImage, Product])
def test_what_is_deleted_while_it_is_changed_is_not_found(merchandiser, image, monkeypatch, gone):
    save_product("D-2", name="Two")
    check = ImageSerializer.is_valid

    def deleted_meanwhile(*given, **options):
        fits = check(*given, **options)
        gone.objects.filter(**({"reference": "D-2"} if gone is Product else {})).delete()
        return fits

    monkeypatch.setattr(ImageSerializer, "is_valid", deleted_meanwhile)
    answer = merchandiser.patch(page(image), {"product": "D-2"})
    if gone is Product:
        problem = refused(answer, 400, "invalid")
        assert set(problem["errors"]) == {"product"}
    else:
        refused(answer, 404, "not_found")
        assert not OriginalImage.objects.exists()


def test_an_image_cannot_be_given_to_an_unknown_product(merchandiser, image):
    problem = refused(merchandiser.patch(page(image), {"product": "NONE"}), 400, "invalid")
    assert set(problem["errors"]) == {"product"}


@pytest.mark.parametrize("position", [-1, 10**30, "first"])
def test_a_position_that_does_not_fit_is_refused(merchandiser, image, position):
    refused(merchandiser.patch(page(image), {"position": position}), 400, "invalid")


def test_what_the_intake_has_measured_cannot_be_changed(merchandiser, image):
    merchandiser.patch(page(image), {"sha256": "0" * 64, "width": 1, "status": "failed"})
    image.refresh_from_db()
    assert (image.width, image.status) == (120, "ready")


def test_a_deleted_image_leaves_no_file_and_no_garment(
    merchandiser, image, django_capture_on_commit_callbacks
):
    kept = add_product("D-2", "blue")
    merchandiser.get(f"{page(image)}file/", {"width": 160})
    merchandiser.get(f"/api/v1/segments/{image.identifier}_segment_0/crop/")
    with django_capture_on_commit_callbacks(execute=True):
        assert merchandiser.delete(page(image)).status_code == 204
    assert not Segment.objects.filter(image=image.pk).exists()
    assert [kept.image.identifier in name for name in stored_files()] == [True]
    similar = merchandiser.get(f"/api/v1/segments/{kept.identifier}/similar/")
    assert similar.json()["results"] == []


def test_pictures_are_not_added_here(merchandiser, db):
    refused(merchandiser.post(URL, {}), 405, "method_not_allowed")
