"""The quality desk: pictures that somebody should look at."""

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import ImageFilter

from catalog import quality
from catalog.models import OriginalImage, PictureQuality, Segment
from catalog.services import save_product
from similarity import backends, pipeline, services
from similarity.engine.sharpness import sharpness
from tests.admin import act, told
from tests.pictures import drawing, encoded
from tests.shop import add_photo

LIST = "/admin/catalog/picturequality/"


def a_picture(kind="dress", colour="red", size=(480, 640), blur=0.0, product=None):
    image = drawing(kind, colour, size).filter(ImageFilter.GaussianBlur(blur))
    return add_photo(encoded(image), product).image


def problems(client, problem=""):
    page = client.get(LIST, {"problem": problem} if problem else {})
    assert page.status_code == 200
    return {row.image.identifier for row in page.context["cl"].result_list}


def test_a_blurred_picture_is_less_sharp_whatever_its_size():
    sharp = drawing(size=(480, 640))
    assert sharpness(sharp) > quality.BLURRY_BELOW
    assert sharpness(sharp.filter(ImageFilter.GaussianBlur(6))) < quality.BLURRY_BELOW
    large = drawing(size=(1920, 2560))
    assert sharpness(large) == pytest.approx(sharpness(sharp), rel=0.5)
    assert sharpness(drawing(size=(2, 2))) == 0


def test_pictures_are_measured_when_they_are_read(merchandiser):
    fine, blurred = a_picture(), a_picture(colour="blue", blur=6)
    assert problems(merchandiser, "blurry") == {blurred.identifier}
    assert problems(merchandiser) == {blurred.identifier}
    assert PictureQuality.objects.get(image=fine).sharpness > quality.BLURRY_BELOW


def test_tiny_pictures_are_told(merchandiser):
    tiny = a_picture(size=(120, 160))
    assert problems(merchandiser, "tiny") == {tiny.identifier}
    assert "Tiny (120 by 160 pixels)" in merchandiser.get(LIST).content.decode()


def test_pictures_without_a_garment_are_told(merchandiser, settings):
    a_picture()
    settings.DETECTOR = "tests.pipeline.backends:NothingDetector"
    backends.forget()
    bare = a_picture(colour="blue")
    assert problems(merchandiser, "nothing") == {bare.identifier}


def test_a_category_s_usual_garments_are_learned_from_the_shop(merchandiser, monkeypatch):
    monkeypatch.setattr(quality, "ENOUGH", 4)
    colours = ("red", "green", "blue", "black", "pink", "brown")
    for number, colour in enumerate(colours):
        product = save_product(f"D-{number}", name="Dress", category="Robes")
        image = a_picture(colour=colour, product=product)
        Segment.objects.filter(image=image).update(label="dress")
    monkeypatch.setattr(quality, "RARE", 0.2)
    Segment.objects.filter(image=image).update(label="shoes")
    cache.clear()
    assert problems(merchandiser, "category") == {image.identifier}
    page = merchandiser.get(LIST).content.decode()
    assert "Wrong category suspected: shoes in Robes, where dress is usual" in page


def test_of_a_picture_with_a_main_garment_that_one_counts(merchandiser, monkeypatch):
    monkeypatch.setattr(quality, "usual_labels", lambda: {product.category_id: ["dress"]})
    product = save_product("D-1", name="Dress", category="Robes")
    image = a_picture(product=product)
    Segment.objects.filter(image=image).update(label="dress")
    shoes = Segment.objects.create(
        identifier="shoes", image=image, number=1, x1=9, y1=9, x0=0, y0=0, label="shoes", score=1
    )
    assert problems(merchandiser, "category") == set()
    OriginalImage.objects.filter(pk=image.pk).update(main_segment=shoes)
    assert problems(merchandiser, "category") == {image.identifier}


def test_what_is_said_to_be_fine_is_not_shown_again(merchandiser):
    blurred = a_picture(blur=6)
    said = told(act(merchandiser, LIST, "fine", PictureQuality.objects.get()))
    assert said == ["1 pictures are fine, and will not be shown again."]
    assert problems(merchandiser) == set()
    assert problems(merchandiser, "accepted") == {blurred.identifier}
    pipeline.execute(services.describe_again(blurred).pk)
    assert problems(merchandiser) == set()
    assert PictureQuality.objects.get().accepted_by == merchandiser.user


def test_garments_are_found_again_from_the_desk(merchandiser):
    blurred = a_picture(blur=6)
    act(merchandiser, LIST, "describe_again", PictureQuality.objects.get())
    assert blurred.runs.filter(state="pending").exists()


def test_who_may_not_change_pictures_decides_nothing(merchandiser, stranger, shopper):
    a_picture(blur=6)
    group = merchandiser.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_originalimage"))
    act(merchandiser, LIST, "fine", PictureQuality.objects.get())
    assert PictureQuality.objects.get().accepted_at is None
    assert stranger.get(LIST).status_code == shopper.get(LIST).status_code == 302


def test_the_desk_asks_no_query_per_picture(merchandiser):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert merchandiser.get(LIST).status_code == 200
        return len(captured)

    a_picture(blur=6, product=save_product("D-0", name="Dress", category="Robes"))
    queries()
    few = queries()
    for number, colour in enumerate(("green", "blue", "black", "pink")):
        product = save_product(f"D-{number + 1}", name="Dress", category="Robes")
        a_picture(colour=colour, blur=6, product=product)
    assert queries() == few


def test_the_command_measures_what_was_read_before(merchandiser, capsys):
    blurred = a_picture(blur=6)
    PictureQuality.objects.all().delete()
    call_command("measure_pictures")
    assert capsys.readouterr().out == "1 pictures measured.\n"
    assert problems(merchandiser, "blurry") == {blurred.identifier}
    call_command("measure_pictures")
    assert capsys.readouterr().out == "0 pictures measured.\n"
