"""What a product is suggested to be, and taking it over."""

import pytest

from catalog.models import Product, Tag
from similarity import suggestions
from tests.admin import send, told
from tests.shop import add_product


@pytest.fixture
def dress(db, settings):
    """A red thing of which little is known, among red dresses and one blue hat."""
    settings.EMBEDDER = "colour"
    for number in range(3):
        details = {"category": "Dresses", "tags": ["floral", "long"] if number else ["floral"]}
        add_product(f"R-{number}", "red", seed=number + 1, **details)
    add_product("B", "blue", category="Hats", tags=["warm"])
    return add_product("NEW", "red", seed=9).image.product


def names(product):
    return {one.name for one in suggestions.of(Product.objects.get(pk=product.pk))}


def url_of(product, what):
    return f"/admin/catalog/product/{product.pk}/{what}/"


def test_the_nearest_products_suggest_category_and_tags_and_garments_the_colour(dress):
    category = Product.objects.get(reference="R-0").category
    assert names(dress) == {f"category:{category.pk}", "tag:red", "tag:floral", "tag:long"}


def test_what_a_product_has_is_not_suggested(dress):
    dress.category = Product.objects.get(reference="R-0").category
    dress.save()
    dress.tags.add(Tag.objects.get(name="floral"), Tag.objects.create(name="Red"))
    assert names(dress) == {"tag:long"}


def test_a_product_without_pictures_gets_no_suggestion(dress):
    assert names(Product.objects.create(reference="X", name="Bare")) == set()


def test_a_suggestion_stands_beside_the_fields_with_its_reason(merchandiser, dress):
    page = merchandiser.get(url_of(dress, "change")).content.decode()
    assert 'name="suggestion" value="tag:red"' in page
    assert "of what looks like it" in page


def test_a_click_takes_it_over(merchandiser, dress):
    category = Product.objects.get(reference="R-0").category
    for name in (f"category:{category.pk}", "tag:red"):
        response = send(merchandiser, url_of(dress, "accept"), {"suggestion": name})
        assert response.status_code == 302
    dress.refresh_from_db()
    assert dress.category == category
    assert [tag.name for tag in dress.tags.all()] == ["red"]
    assert told(response) == ["red is taken over."]


def test_a_category_that_is_taken_over_is_predicted_no_longer(merchandiser, dress):
    hats, dresses = (Product.objects.get(reference=name).category for name in ("B", "R-0"))
    Product.objects.filter(pk=dress.pk).update(category=hats, category_predicted=True)
    send(merchandiser, url_of(dress, "accept"), {"suggestion": f"category:{dresses.pk}"})
    dress.refresh_from_db()
    assert (dress.category, dress.category_predicted) == (dresses, False)


@pytest.mark.parametrize(
    "name", ["", "category:x", "category:999999", "tag:", "price:1", "tag:" + "x" * 101]
)
def test_what_is_none_of_ours_changes_nothing(merchandiser, dress, name):
    response = send(merchandiser, url_of(dress, "accept"), {"suggestion": name})
    assert told(response) == ["It is no longer suggested."]
    assert not dress.tags.exists()


def test_who_may_not_change_products_takes_over_nothing(merchandiser, stranger, dress):
    group = merchandiser.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_product"))
    form = {"suggestion": "tag:red"}
    assert send(merchandiser, url_of(dress, "accept"), form).status_code == 403
    assert send(stranger, url_of(dress, "accept"), form).status_code == 302
    assert not dress.tags.exists()
    page = merchandiser.get(url_of(dress, "change")).content.decode()
    assert 'name="suggestion"' not in page
