"""The catalogue as labelled photos."""

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
