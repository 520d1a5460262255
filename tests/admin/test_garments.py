"""The box editor: a picture's garments, drawn by a person."""

import pytest
from auditlog.models import LogEntry
from django.urls import reverse

from catalog import boxes
from catalog.models import OriginalImage, ProductWord, Segment, SegmentColour
from similarity import backends, indexing, pipeline, services, serving
from similarity.models import Embedding, Run
from tests.admin import send, told
from tests.pages.test_home import half_red_half_blue
from tests.pictures import photo
from tests.shop import add_photo, add_product


@pytest.fixture
def image(db, settings):
    """A picture 240 wide: a red top at its left, a blue bag at its right."""
    settings.DETECTOR = "tests.pipeline.backends:HalvesDetector"
    settings.EMBEDDER = "colour"
    backends.forget()
    product = add_product("D-1", "green", name="Dress").image.product
    return add_photo(half_red_half_blue(), product).image


def page_of(image):
    return reverse("admin:garments", args=[image.pk])


def form_of(image, *rows, main="", **more):
    """What the editor sends: rows are (segment, label, x0, y0, x1, y1), or a Segment as it is."""
    form = {
        "form-TOTAL_FORMS": len(rows),
        "form-INITIAL_FORMS": image.segments.exclude(detector=Segment.NOTHING_FOUND).count(),
        "seen": boxes.state_of(OriginalImage.objects.get(pk=image.pk), boxes.garments(image)),
        "main": main,
    }
    for number, row in enumerate(rows):
        if isinstance(row, Segment):
            row = (row.pk, row.label, *row.pixels)  # noqa: PLW2901
        for name, value in zip(("segment", "label", "x0", "y0", "x1", "y1"), row, strict=True):
            form[f"form-{number}-{name}"] = "" if value is None else value
    return form | more


def save(client, image, *rows, **more):
    response = send(client, page_of(image), form_of(image, *rows, **more))
    assert response.status_code == 302, response.content.decode()
    return told(response)


def carried_out():
    for run in Run.objects.filter(state=Run.State.PENDING):
        pipeline.execute(run.pk)
        run.refresh_from_db()
        assert run.state == Run.State.DONE, run.error_message


def vectors_of(image):
    return dict(Embedding.objects.filter(segment__image=image).values_list("segment", "pk"))


def test_the_page_shows_each_garment_as_fields_that_work_without_a_script(merchandiser, image):
    page = merchandiser.get(page_of(image)).content.decode()
    for segment in image.segments.all():
        assert f'value="{segment.label}"' in page
        assert f'value="{segment.pixels[2]}"' in page
    assert f"/api/v1/images/{image.identifier}/file/" in page


def test_a_moved_box_is_described_anew_by_a_worker_and_no_other_is(merchandiser, image):
    left, right = image.segments.order_by("number")
    before = vectors_of(image)
    said = save(merchandiser, image, left, (right.pk, "bag", 130, 10, 200, 150))
    assert said == ["Saved. One garment is being described; the others stay as they are."]
    assert vectors_of(image) == {left.pk: before[left.pk]}
    [run] = Run.objects.filter(state=Run.State.PENDING)
    assert (run.kind, run.requested_by) == (Run.Kind.BOXES, merchandiser.user)
    carried_out()
    after = vectors_of(image)
    assert after[left.pk] == before[left.pk]
    assert after[right.pk] != before[right.pk]
    right.refresh_from_db()
    assert (right.box, right.detector) == ((130.0, 10.0, 200.0, 150.0), Segment.PERSON)
    assert SegmentColour.objects.filter(segment=right, colour="blue").exists()


def test_a_new_name_needs_no_new_description(merchandiser, image):
    left, right = image.segments.order_by("number")
    before = vectors_of(image)
    assert save(merchandiser, image, left, (right.pk, "scarf", *right.pixels)) == ["Saved."]
    right.refresh_from_db()
    assert (right.label, right.detector) == ("scarf", Segment.PERSON)
    assert vectors_of(image) == before


def test_a_drawn_garment_is_found(merchandiser, image):
    rows = list(image.segments.order_by("number"))
    save(merchandiser, image, *rows, (None, "hat", 0, 0, 60, 40))
    carried_out()
    hat = image.segments.get(label="hat")
    assert (hat.number, hat.identifier) == (2, f"{image.identifier}_segment_2")
    found = indexing.nearest(
        serving.serving_embedder(),
        pipeline.segment_vector(hat.pk, serving.serving_embedder()),
        limit=3,
    )
    assert found


def test_a_garment_that_is_not_sent_or_ticked_is_deleted(merchandiser, image):
    left, right = image.segments.order_by("number")
    save(merchandiser, image, left, right, **{"form-1-DELETE": "on"})
    assert list(image.segments.all()) == [left]


def test_with_its_last_garment_gone_the_picture_is_found_as_a_whole(merchandiser, image):
    save(merchandiser, image)
    carried_out()
    [whole] = image.segments.all()
    assert (whole.detector, whole.box) == (
        Segment.NOTHING_FOUND,
        (0.0, 0.0, float(image.width), float(image.height)),
    )
    assert vectors_of(image)
    page = merchandiser.get(page_of(image)).content.decode()
    assert f'value="{whole.pk}"' not in page  # it is no garment to be drawn


def test_the_first_drawn_garment_takes_the_place_of_the_whole_picture(merchandiser, image):
    save(merchandiser, image)
    save(merchandiser, image, (None, "top", 0, 0, 60, 40))
    assert [row.label for row in image.segments.all()] == ["top"]


@pytest.mark.parametrize("box", [(10, 10, 12, 90), (500, 10, 600, 90), (90, 10, 10, 90)], ids=str)
def test_a_box_that_holds_nothing_is_refused_and_what_was_typed_is_kept(merchandiser, image, box):
    rows = list(image.segments.order_by("number"))
    form = form_of(image, *rows, (None, "hat", *box))
    response = send(merchandiser, page_of(image), form)
    assert response.status_code == 422
    assert "A box is at least 4 pixels wide and high" in response.content.decode()
    assert 'value="hat"' in response.content.decode()
    assert image.segments.count() == 2


@pytest.mark.parametrize("place", range(4))
def test_a_number_that_is_too_large_for_a_picture_is_refused(merchandiser, image, place):
    box = [10, 10, 90, 90]
    box[place] = 10**400
    response = send(merchandiser, page_of(image), form_of(image, (None, "hat", *box)))
    assert response.status_code == 422
    assert "less than or equal to 2147483647" in response.content.decode()


def test_a_garment_without_a_name_is_refused(merchandiser, image):
    response = send(merchandiser, page_of(image), form_of(image, (None, "", 0, 0, 50, 50)))
    assert response.status_code == 422
    assert "This field is required." in response.content.decode()


def test_who_looks_at_old_garments_overwrites_no_newer_ones(merchandiser, image):
    left, right = image.segments.order_by("number")
    mine = form_of(image, left)
    save(merchandiser, image, left, (right.pk, "scarf", *right.pixels))
    response = send(merchandiser, page_of(image), mine)
    assert response.status_code == 302
    assert "changed meanwhile" in told(response)[0]
    assert image.segments.count() == 2


def test_another_picture_s_garment_cannot_be_named(merchandiser, image):
    other = add_photo(photo("blue")).image.segments.first()
    form = form_of(image, (other.pk, "top", 0, 0, 50, 50))
    assert "changed meanwhile" in told(send(merchandiser, page_of(image), form))[0]
    other.refresh_from_db()
    assert other.image != image


# --- What people have drawn stays --------------------------------------------------------------


def test_what_a_person_has_drawn_outlives_finding_again(merchandiser, image):
    left, right = image.segments.order_by("number")
    save(merchandiser, image, left, (right.pk, "cape", 125, 0, 240, 150))
    carried_out()
    drawn = vectors_of(image)[right.pk]
    pipeline.execute(services.describe_again(image).pk)
    assert [(row.number, row.label, row.detector) for row in image.segments.order_by("number")] == [
        (0, "top", "tests.pipeline.backends:HalvesDetector"),
        (1, "cape", Segment.PERSON),  # and the detector's bag there is left out
    ]
    assert vectors_of(image)[right.pk] == drawn


def test_another_garment_that_is_found_takes_a_free_number(merchandiser, image):
    left, _ = image.segments.order_by("number")
    save(merchandiser, image, (left.pk, "hat", 0, 0, 40, 40))
    carried_out()
    pipeline.execute(services.describe_again(image).pk)
    assert [(row.number, row.label) for row in image.segments.order_by("number")] == [
        (0, "hat"),
        (1, "top"),
        (2, "bag"),
    ]
    assert len(vectors_of(image)) == 3


def test_where_only_people_find_garments_the_picture_is_not_taken_whole(
    merchandiser, image, settings
):
    save(merchandiser, image, (None, "hat", 0, 0, 40, 40))
    carried_out()
    settings.DETECTOR = "tests.pipeline.backends:NothingDetector"
    backends.forget()
    pipeline.execute(services.describe_again(image).pk)
    assert [row.label for row in image.segments.all()] == ["hat"]


# --- The main garment --------------------------------------------------------------------------


def found_by(segment):
    """Keys of the garments that are found with one, its own product left in."""
    embedder = serving.serving_embedder()
    vector = pipeline.segment_vector(segment.pk, embedder)
    return [item.segment_id for item in indexing.nearest(embedder, vector, limit=10)]


def test_the_main_garment_alone_stands_for_its_picture(merchandiser, image):
    top, bag = image.segments.order_by("number")
    assert found_by(bag)[0] == bag.pk
    save(merchandiser, image, top, bag, main="form-0")
    image.refresh_from_db()
    assert image.main_segment == top
    assert bag.pk not in found_by(bag)
    assert top.pk in found_by(top)
    assert Embedding.objects.filter(segment=bag).exists()  # what it goes with is still known


def test_filtered_searches_and_words_know_of_it_too(merchandiser, image):
    top, bag = image.segments.order_by("number")
    product = image.product
    assert ProductWord.objects.filter(product=product, word="blue").exists()
    save(merchandiser, image, top, bag, main="form-0")
    assert not ProductWord.objects.filter(product=product, word="blue").exists()
    filters = {"colour": ["blue"]}
    run = services.search(segment=add_photo(photo("blue")), limit=5, filters=filters)
    assert bag.pk not in [segment for segment, *_ in run.ranking]


def test_the_main_garment_is_shown_for_its_product(merchandiser, image):
    product, (top, bag) = image.product, image.segments.order_by("number")
    OriginalImage.objects.filter(pk=image.pk).update(position=0)
    product.images.exclude(pk=image.pk).update(position=1)
    assert services.main_segment(product) == top
    save(merchandiser, image, top, bag, main="form-1")
    assert services.main_segment(product) == bag


def test_a_chosen_garment_is_a_person_s_and_outlives_finding_again(merchandiser, image):
    top, bag = image.segments.order_by("number")
    save(merchandiser, image, top, bag, main="form-1")
    pipeline.execute(services.describe_again(image).pk)
    image.refresh_from_db()
    assert image.main_segment == bag
    assert image.main_segment.label == "bag"


def test_no_main_garment_and_all_are_found_again(merchandiser, image):
    top, bag = image.segments.order_by("number")
    save(merchandiser, image, top, bag, main="form-1")
    save(merchandiser, image, *image.segments.order_by("number"))
    assert {top.pk, bag.pk} & set(found_by(bag)) == {bag.pk}
    image.refresh_from_db()
    assert image.main_segment is None


def test_a_deleted_main_garment_leaves_the_others_to_be_found(merchandiser, image):
    top, bag = image.segments.order_by("number")
    save(merchandiser, image, top, bag, main="form-0")
    save(merchandiser, image, image.segments.get(number=1))
    assert found_by(bag)[0] == bag.pk


def test_what_people_draw_stands_in_the_audit_log(merchandiser, image):
    top, bag = image.segments.order_by("number")
    save(merchandiser, image, top, (bag.pk, "scarf", *bag.pixels), main="form-1")
    changes = LogEntry.objects.get_for_object(bag).first().changes_dict
    assert changes["label"] == ["bag", "scarf"]
    assert "main_segment" in LogEntry.objects.get_for_object(image).first().changes_dict


# --- Who may ----------------------------------------------------------------------------------


def test_strangers_and_shoppers_are_asked_to_sign_in(image, stranger, shopper):
    for client in (stranger, shopper):
        assert client.get(page_of(image)).status_code == 302


def test_whoever_may_not_change_pictures_is_refused(image, merchandiser):
    group = merchandiser.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_originalimage"))
    assert merchandiser.get(page_of(image)).status_code == 403
    assert send(merchandiser, page_of(image), form_of(image)).status_code == 403
    assert image.segments.count() == 2
    product = merchandiser.get(reverse("admin:catalog_product_change", args=[image.product_id]))
    assert page_of(image) not in product.content.decode()


def test_a_product_s_page_leads_to_the_garments_of_each_picture(image, merchandiser):
    page = merchandiser.get(reverse("admin:catalog_product_change", args=[image.product_id]))
    assert page_of(image) in page.content.decode()
