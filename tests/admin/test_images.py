"""Original images and their garments in the admin."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import OriginalImage, Product, Segment
from similarity import backends, pipeline, services
from similarity.admin.uploads import ImageAdmin
from similarity.models import Embedding, Run
from tests.admin import act, send, told
from tests.pictures import as_file, photo
from tests.shop import add_photo, add_product

LIST = "/admin/catalog/originalimage/"
SEGMENTS = "/admin/catalog/segment/"


def page_of(image):
    return f"{LIST}{image.pk}/change/"


def find_again(client, image):
    return told(act(client, LIST, "describe_again", image))


@pytest.fixture
def image(db):
    return add_product("D-1", "red", name="Dress").image


@pytest.mark.parametrize("url", [LIST, SEGMENTS])
def test_the_lists_ask_no_query_per_row(staff, url):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(url).status_code == 200
        return len(captured)

    for number in range(2):
        add_product(f"P-{number}", seed=number)
    few = queries()
    for number in range(2, 8):
        add_product(f"P-{number}", seed=number)
    assert queries() == few


@pytest.mark.parametrize("word", ["Dress", "D-1"])
def test_images_are_found_by_their_product(merchandiser, image, word):
    other = add_photo(photo("blue")).image
    page = merchandiser.get(LIST, {"q": word}).content.decode()
    assert page_of(image) in page
    assert page_of(other) not in page


def test_the_list_narrows_to_what_failed_and_says_why(merchandiser, image):
    broken = add_photo(photo("blue")).image
    OriginalImage.objects.filter(pk=broken.pk).update(status="failed", problem="Too odd.")
    page = merchandiser.get(LIST, {"status__exact": "failed"}).content.decode()
    assert "Too odd." in page
    assert page_of(image) not in page


def test_the_page_shows_the_picture_and_its_garments(merchandiser, image):
    page = merchandiser.get(page_of(image)).content.decode()
    assert f"/api/v1/images/{image.identifier}/file/?width=640" in page
    assert 'd="M0.0 0.0H120.0V160.0H0.0Z"' in page
    assert f"/api/v1/segments/{image.identifier}_segment_0/crop/?width=160" in page
    assert image.sha256 in page


def test_runs_are_shown_to_staff_only(merchandiser, staff, image):
    run = image.runs.get()
    assert f"/similarity/run/{run.pk}/" in staff.get(page_of(image)).content.decode()
    assert str(run.pk) not in merchandiser.get(page_of(image)).content.decode()


def test_a_picture_that_is_deleted_meanwhile_keeps_no_other_from_its_turn(
    merchandiser, image, monkeypatch
):
    other = add_photo(photo("blue")).image

    def with_another_deleted(row, by):
        OriginalImage.objects.exclude(pk=row.pk).delete()
        return describe_again(row, by)

    describe_again = services.describe_again
    monkeypatch.setattr(services, "describe_again", with_another_deleted)
    said = told(act(merchandiser, LIST, "describe_again", image, other))
    assert said == [
        f"{other}: Its garments are being looked for again.",
        f"{image}: It is there no more.",
    ]


def test_a_picture_can_be_moved_to_another_product_and_its_file_not_changed(merchandiser, image):
    other = Product.objects.create(reference="X", name="Other")
    form = {"product": other.pk, "position": 3, "sha256": "0" * 64, "identifier": "mine"}
    form |= {"segments-TOTAL_FORMS": 0, "segments-INITIAL_FORMS": 0}
    assert send(merchandiser, page_of(image), form).status_code == 302
    moved = OriginalImage.objects.get(pk=image.pk)
    assert (moved.product, moved.position) == (other, 3)
    assert (moved.sha256, moved.identifier) == (image.sha256, image.identifier)


def meanwhile(monkeypatch, act):
    """Have that done between the reading of an image for its form and its writing."""
    save = ImageAdmin.save_model

    def late(*given):
        act()
        save(*given)

    monkeypatch.setattr(ImageAdmin, "save_model", late)


FORM = {"position": 3, "segments-TOTAL_FORMS": 0, "segments-INITIAL_FORMS": 0}


def test_what_a_worker_writes_while_a_form_is_saved_stays(merchandiser, image, monkeypatch):
    row = OriginalImage.objects.filter(pk=image.pk)
    row.update(status="pending", problem="")
    meanwhile(monkeypatch, lambda: row.update(status="ready", problem="Noted."))
    form = FORM | {"product": image.product.pk}
    assert send(merchandiser, page_of(image), form).status_code == 302
    assert row.values_list("status", "problem", "position").get() == ("ready", "Noted.", 3)


def test_a_picture_that_is_deleted_while_its_form_is_saved_is_not_found(
    merchandiser, image, monkeypatch
):
    meanwhile(monkeypatch, OriginalImage.objects.all().delete)
    form = FORM | {"product": image.product.pk}
    assert send(merchandiser, page_of(image), form).status_code == 404


def test_a_garment_can_be_looked_at_and_leads_to_the_site(merchandiser, image):
    segment = image.segments.get()
    page = merchandiser.get(f"{SEGMENTS}{segment.pk}/change/").content.decode()
    assert f"/garments/{segment.identifier}/" in page
    assert "Dress (D-1)" in page


def test_a_picture_without_a_garment_is_told_apart(staff, image, settings):
    settings.DETECTOR = "tests.pipeline.backends:NothingDetector"
    backends.forget()
    whole = add_photo(photo("blue"))
    told_apart = "No garment found: whole picture"
    for url in (page_of(whole.image), SEGMENTS, f"{SEGMENTS}{whole.pk}/change/"):
        assert told_apart in staff.get(url).content.decode()
    assert told_apart not in staff.get(page_of(image)).content.decode()
    found = {
        choice: staff.get(SEGMENTS, {"found": choice}).content.decode()
        for choice in ("nothing", "garment")
    }
    garment = image.segments.get()
    assert whole.identifier in found["nothing"]
    assert garment.identifier not in found["nothing"]
    assert garment.identifier in found["garment"]
    assert whole.identifier not in found["garment"]


# --- Adding ---------------------------------------------------------------------------------


def test_a_picture_is_added_by_the_one_intake(merchandiser, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        response = send(merchandiser, f"{LIST}add/", {"picture": as_file(photo(), "a.png")})
    assert response.status_code == 302
    image = OriginalImage.objects.get()
    assert (image.owner, image.source_name) == (merchandiser.user, "a.png")
    assert len(callbacks) == 1
    pipeline.execute(image.runs.get().pk)
    assert image.segments.exists()


def test_a_picture_that_is_known_leads_to_the_one_there_is(merchandiser, image):
    form = {"picture": as_file(photo("red")), "_continue": "1"}
    assert send(merchandiser, f"{LIST}add/", form).url == page_of(image)


@pytest.mark.parametrize(
    ("data", "sentence"), [(b"", "empty"), (b"%PDF-1.7", "a.png: "), (photo()[:300], "a.png: ")]
)
def test_a_bad_picture_is_refused(merchandiser, data, sentence):
    response = send(merchandiser, f"{LIST}add/", {"picture": as_file(data, "a.png")})
    assert sentence in str(response.context["adminform"].form.errors["picture"])
    assert not OriginalImage.objects.exists()


# --- Finding garments again -----------------------------------------------------------------


def test_garments_are_found_again_and_the_old_ones_stay_until_then(merchandiser, image):
    before = image.segments.get()
    vector = before.embeddings.get()
    [message] = find_again(merchandiser, image)
    assert message.endswith("Its garments are being looked for again.")
    run = image.runs.get(state=Run.State.PENDING)
    assert run.requested_by == merchandiser.user
    assert image.segments.get() == before
    pipeline.execute(run.pk)
    assert image.segments.get() == before  # searches that have found it still show it
    assert not Embedding.objects.filter(pk=vector.pk).exists()


def test_one_search_for_garments_at_a_time(merchandiser, image):
    find_again(merchandiser, image)
    [message] = find_again(merchandiser, image)
    assert message == f"{image}: Its garments are being looked for already."
    assert image.runs.count() == 2


def test_an_image_that_failed_gets_another_chance_and_outlives_its_cancelling(merchandiser, image):
    OriginalImage.objects.filter(pk=image.pk).update(status="failed", problem="Too odd.")
    find_again(merchandiser, image)
    services.cancel(image.runs.get(state=Run.State.PENDING))
    image.refresh_from_db()
    assert (image.status, image.problem) == ("failed", "Too odd.")
    find_again(merchandiser, image)
    pipeline.execute(image.runs.get(state=Run.State.PENDING).pk)
    image.refresh_from_db()
    assert (image.status, image.problem) == ("ready", "")


def test_deleting_an_image_deletes_its_garments(merchandiser, image):
    response = send(merchandiser, f"{LIST}{image.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert not Segment.objects.exists()


# --- Colours --------------------------------------------------------------------------------


def test_garments_are_listed_with_their_colours_and_narrowed_by_them(staff, image):
    blue = add_photo(photo("blue"))
    page = staff.get(SEGMENTS).content.decode()
    assert "swatch-red" in page
    assert "swatch-blue" in page
    page = staff.get(SEGMENTS, {"colour": "blue"}).content.decode()
    assert blue.identifier in page
    assert image.segments.get().identifier not in page


def test_a_garment_s_own_page_and_its_image_s_show_its_colours(staff, image):
    for address in (page_of(image), f"{SEGMENTS}{image.segments.get().pk}/change/"):
        assert "swatch-red" in staff.get(address).content.decode()
