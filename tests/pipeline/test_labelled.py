"""The catalogue as labelled photos."""

from catalog.models import OriginalImage, Segment
from similarity import backends
from similarity.labelled import catalogue_photos
from tests.pictures import photo
from tests.pipeline.backends import HERE
from tests.shop import add_photo, add_product


def test_a_picture_without_a_garment_is_nothing_to_train_on(db, settings):
    garment = add_product("D-1", "red", category="Dresses")
    settings.DETECTOR = f"{HERE}:NothingDetector"
    backends.forget()
    add_photo(photo("blue"), garment.image.product)
    [labelled] = catalogue_photos()
    assert str(labelled.path) == garment.image.file.name
    assert [found.label for found in labelled.garments] == ["dresses"]


def test_the_garment_that_was_chosen_is_taken_for_the_product(db):
    best = add_product("D-1", "red", category="Dresses")
    image = best.image
    chosen = Segment.objects.create(
        image=image, number=best.number + 1, x0=0, y0=0, x1=20, y1=20, label="shoes", score=0.3
    )
    OriginalImage.objects.filter(pk=image.pk).update(main_segment=chosen)
    [labelled] = catalogue_photos()
    assert [(found.label, found.product) for found in labelled.garments] == [
        (best.label, None),
        ("dresses", "D-1"),
    ]


def test_the_best_of_what_is_left_is_taken_for_the_product_where_none_was_chosen(db):
    best = add_product("D-1", "red", category="Dresses")
    Segment.objects.create(
        image=best.image, number=best.number + 3, x0=0, y0=0, x1=20, y1=20, label="shoes", score=0.3
    )
    best.delete()
    [labelled] = catalogue_photos()
    assert [(found.label, found.product) for found in labelled.garments] == [("dresses", "D-1")]
