"""catalog.services: products, categories, positions, segments."""

import pytest
from django.core.exceptions import ValidationError

from catalog import services
from catalog.models import Category, Product, SegmentColour, Tag
from catalog.services import Found, category_named, replace_segments, save_product
from similarity.engine.colours import NAMES
from tests.pictures import photo
from tests.shop import add_photo, add_product

BOX = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize("details", [{"tags": ["x" * 101]}, {"sizes": ["x" * 31]}])
def test_names_that_are_too_long_are_refused_and_change_nothing(db, details):
    with pytest.raises(ValidationError):
        save_product("P-1", name="Shirt", **details)
    assert not Product.objects.exists()
    assert not Tag.objects.exists()


def test_a_category_whose_name_is_too_long_is_refused(db):
    with pytest.raises(ValidationError):
        category_named("x" * 101)


def test_categories_that_read_alike_stay_apart(db):
    shoes, slashed = category_named("Women Shoes"), category_named("Women / Shoes")
    assert (shoes.slug, slashed.slug) == ("women-shoes", "women-shoes-2")
    assert category_named("Women Shoes") == shoes


@pytest.mark.parametrize("name", ["Dresses", "Dresses!"])
def test_a_category_that_somebody_makes_meanwhile_stands_in_nobodys_way(db, monkeypatch, name):
    free_slug = services._free_slug

    def made_meanwhile(wanted):
        slug = free_slug(wanted)
        Category.objects.get_or_create(name=name, slug="dresses")
        return slug

    monkeypatch.setattr(services, "_free_slug", made_meanwhile)
    assert category_named("Dresses").name == "Dresses"
    assert {category.name for category in Category.objects.all()} == {name, "Dresses"}


def test_a_category_of_any_script_can_be_saved_again(db):
    for name in ("Röcke", "ドレス", "!!!", "ﷺ" * 90):
        category_named(name).full_clean()
    assert Category.objects.count() == 4


def test_pictures_of_a_product_stand_in_the_order_they_came(db):
    product = add_product("P-1", "red").image.product
    for seed in (1, 2):
        add_photo(photo("red", seed=seed), product)
    assert list(product.images.order_by("position").values_list("position", flat=True)) == [0, 1, 2]


def test_a_picture_that_joins_a_product_later_stands_behind(db):
    lone = add_photo(photo("blue")).image
    product = add_product("P-1", "red").image.product
    add_photo(photo("blue"), product)
    lone.refresh_from_db()
    assert (lone.product, lone.position) == (product, 1)


def test_segments_keep_their_rows_and_surplus_ones_go(db):
    image = add_photo(photo()).image
    first = image.segments.get()
    two = [Found(BOX, "top", 0.9, "d"), Found(BOX, "bag", 0.8, "d")]
    kept, added = replace_segments({image: two})
    assert (kept.pk, added.identifier) == (first.pk, f"{image.identifier}_segment_1")
    replace_segments({image: two[:1]})
    assert list(image.segments.values_list("pk", "label")) == [(first.pk, "top")]


def test_a_garment_found_anew_has_the_colours_that_were_found_anew(db):
    segment = add_photo(photo("red"))
    anew = Found(BOX, "top", 0.9, "d", [("navy", 0.6), ("white", 0.4)])
    (kept,) = replace_segments({segment.image: [anew]})
    assert list(kept.colours.values_list("colour", "share")) == [("navy", 0.6), ("white", 0.4)]
    assert SegmentColour.objects.count() == 2


def test_the_catalogue_knows_the_colours_that_are_found():
    assert set(SegmentColour.Name.values) == set(NAMES)
