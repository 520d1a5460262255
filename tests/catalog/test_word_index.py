"""catalog.word_index: always what the products say, ranked as plain Python would."""

from __future__ import annotations

from math import log

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import word_index
from catalog.models import Category, Product, ProductWord, Tag
from catalog.services import Found, delete_segment, replace_segments, save_product
from catalog.words import asked, listed
from tests.pictures import photo
from tests.shop import add_photo, add_product

BOX = (0.0, 0.0, 10.0, 10.0)


def found(text: str) -> list[str]:
    """References of the products that a text finds, best first."""
    references = dict(Product.objects.values_list("pk", "reference"))
    return [references[key] for key in word_index.ranked(asked(text))]


# --- Ranking --------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["red", "Reds", "floral", "dress", "dresses", "mini", "T-shirt", "裙子", "a"]
)
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)


def ranked_plainly(products: dict[str, tuple[str, str, str]], text: str) -> list[str]:
    """The obvious way: every word of every product, counted by hand."""
    counts = {}
    for reference, (name, brand, description) in products.items():
        counts[reference] = {}
        for field, worth in ((name, 4), (brand, 3), (description, 1)):
            for word in listed(field):
                if worth > 1 or word not in word_index.EMPTY:
                    counts[reference][word] = counts[reference].get(word, 0) + worth
    scores = {}
    for word in asked(text):
        having = [reference for reference in products if word in counts[reference]]
        n, total = len(having), len(products)
        rareness = max(1, round(1000 * log(1 + (total - n + 0.5) / (n + 0.5))))
        for reference in having:
            count = counts[reference][word]
            scores.setdefault(reference, 0)
            scores[reference] += round(1000 * count / (count + 2)) * rareness
    return sorted(scores, key=lambda reference: (-scores[reference], reference))


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6), TEXTS)
def test_products_are_ranked_as_plain_python_would(db, details, text):
    Product.objects.all().delete()
    products = {f"P{number}": fields for number, fields in enumerate(details)}
    for reference, (name, brand, description) in products.items():
        save_product(reference, name=name or "x", brand=brand, description=description)
    named = {key: (name or "x", *rest) for key, (name, *rest) in products.items()}
    assert found(text) == ranked_plainly(named, text)


def test_a_rare_word_says_more_than_a_common_one(db):
    for number in range(5):
        save_product(f"COMMON-{number}", name="Plain dress")
    save_product("RARE", name="Floral skirt")
    assert found("floral dress")[0] == "RARE"


def test_the_name_says_more_than_the_description(db):
    save_product("TOLD", name="Coat", description="Goes with any dress.")
    save_product("NAMED", name="Dress")
    assert found("dresses") == ["NAMED", "TOLD"]


def test_of_very_many_words_the_rarest_are_asked_for(db):
    for number in range(30):
        save_product(f"P-{number}", name=f"thing w{number}x")
    text = " ".join(["thing", *(f"w{number}x" for number in range(30))])
    assert len(found(text)) == word_index.MOST


def test_looking_takes_two_queries_and_a_count(db):
    save_product("P-1", name="Red dress")
    with CaptureQueriesContext(connection) as queries:
        assert found("red dress of silk") == ["P-1"]
    assert len(queries) == 4, "one of them this test's own"


# --- Keeping --------------------------------------------------------------------------------


def test_every_field_is_found(db):
    details = {"brand": "Ada", "category": "Frocks", "tags": ["boho"], "description": "Of linen."}
    product = add_product("P-1", "red", name="Midi", **details).image.product
    for word in ("midi", "ada", "frock", "boho", "linen", "red"):
        assert found(word) == ["P-1"], word
    assert found("of") == [], "empty words of a description"
    product.delete()
    assert not ProductWord.objects.exists()


def test_what_changes_is_found_anew(db):
    save_product("P-1", name="Red coat", tags=["old"])
    save_product("P-1", name="Blue coat", tags=["new"])
    assert (found("red"), found("old")) == ([], [])
    assert found("blue") == found("new") == ["P-1"]


def test_a_product_is_written_once_however_much_of_it_changes(db):
    with CaptureQueriesContext(connection) as queries:
        save_product("P-1", name="Red coat", tags=["a", "b"], sizes=["S"], category="Coats")
    written = [q for q in queries if q["sql"].startswith("INSERT") and "productword" in q["sql"]]
    assert len(written) == 1
    with CaptureQueriesContext(connection) as queries:
        save_product("P-1", name="Red coat", price="9.00")
    words = [q["sql"] for q in queries if "catalog_productword" in q["sql"]]
    assert not [sql for sql in words if "DELETE" in sql or "INSERT" in sql]


def test_what_fails_leaves_the_words_as_they_were(db):
    save_product("P-1", name="Red coat")
    with pytest.raises(ValidationError, match="100 characters"):
        save_product("P-1", name="Blue coat", tags=["x" * 101])
    assert (found("red"), found("blue")) == (["P-1"], [])


def test_names_of_tags_and_categories_are_followed(db):
    product = save_product("P-1", name="Coat", tags=["boho"], category="Frocks")
    tag, category = Tag.objects.get(), Category.objects.get()
    tag.name, category.name = "grunge", "Gowns"
    tag.save()
    category.save()
    assert (found("boho"), found("frocks")) == ([], [])
    assert found("grunge") == found("gown") == ["P-1"]
    tag.products.clear()
    assert found("grunge") == []
    tag.products.add(product)
    assert found("grunge") == ["P-1"]
    tag.delete()
    Category.objects.all().delete()
    assert found("grunge") == found("gown") == []


def test_colours_follow_the_garments_and_their_pictures(db):
    segment = add_product("P-1", "red", name="Coat")
    image, other = segment.image, save_product("P-2", name="Skirt")
    assert found("red") == ["P-1"]
    replace_segments({image: [Found(BOX, "top", 0.9, "d", [("navy", 0.9)])]})
    assert (found("red"), found("navy")) == ([], ["P-1"])
    image.product = other
    image.save()
    assert found("navy") == ["P-2"]
    replace_segments({image: []})
    assert found("navy") == []
    replace_segments({image: [Found(BOX, "top", 0.9, "d", [("pink", 0.1), ("green", 0.8)])]})
    assert (found("pink"), found("green")) == ([], ["P-2"])
    image.delete()
    assert found("green") == []


def test_a_garment_that_is_deleted_takes_its_colours_along(db):
    image = add_product("P-1", "red", name="Coat").image
    both = [Found(BOX, "top", 0.9, "d", [(name, 0.9)]) for name in ("navy", "green")]
    _, green = replace_segments({image: both})
    assert (found("navy"), found("green")) == (["P-1"], ["P-1"])
    delete_segment(green)
    assert (found("navy"), found("green")) == (["P-1"], [])


def test_a_picture_that_joins_a_product_brings_its_colours(db):
    product = save_product("P-1", name="Coat")
    add_photo(photo("red"))
    add_photo(photo("red"), product)
    assert found("red") == ["P-1"]


def test_the_admin_and_the_api_keep_them_too(db, administrator):
    administrator.post("/api/v1/products/", {"reference": "P-1", "name": "Coat", "tags": ["boho"]})
    assert found("boho") == ["P-1"]
    administrator.patch("/api/v1/products/P-1/", {"name": "Cape"})
    assert (found("coat"), found("cape")) == ([], ["P-1"])
    tag = Tag.objects.create(name="grunge")
    product = Product.objects.get()
    form = {"name": "Cloak", "reference": "P-1", "tags": [tag.pk], "currency": "EUR"}
    form |= {"sale_status": "regular", "images-TOTAL_FORMS": 0, "images-INITIAL_FORMS": 0}
    response = administrator.post(
        f"/admin/catalog/product/{product.pk}/change/", form, format="multipart"
    )
    assert response.status_code == 302, response.content
    assert (found("boho"), found("grunge"), found("cloak")) == ([], ["P-1"], ["P-1"])
