"""Products, and what they are sorted by, in the admin."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.services import choose
from catalog.models import Category, OriginalImage, Product, Tag
from catalog.pictures import open_picture
from similarity import prototypes
from similarity.models import Rule, Run
from tests.admin import send, told
from tests.pictures import as_file, photo
from tests.shop import add_photo, add_product

LIST = "/admin/catalog/product/"


def page_of(product):
    return f"{LIST}{product.pk}/change/"


def form_of(product, **changes):
    """What the form of a product sends, with the changes typed in."""
    images = list(product.images.order_by("position", "pk")) if product.pk else []
    form = {
        "name": product.name,
        "reference": product.reference,
        "currency": "EUR",
        "sale_status": "regular",
        "images-TOTAL_FORMS": len(images),
        "images-INITIAL_FORMS": len(images),
    }
    for number, image in enumerate(images):
        form[f"images-{number}-id"] = image.pk
        form[f"images-{number}-product"] = product.pk
        form[f"images-{number}-position"] = image.position
    return form | changes


@pytest.fixture
def dress(db):
    details = {"brand": "Ada", "category": "Dresses", "tags": ["floral"], "store": "Paris"}
    return add_product("D-1", "red", name="Dress", price=Decimal("20.00"), **details).image.product


@pytest.mark.parametrize("language", ["ja", "de"])
def test_who_reads_another_language_works_in_it_all_the_same(merchandiser, dress, language):
    """German writes 12,50 and 1.2.2026; the admin is in English, numbers and dates included."""
    choose(merchandiser.user, language=language)
    client = Client(headers={"Accept-Language": language})
    client.force_login(merchandiser.user)
    page = client.get(page_of(dress)).text
    assert 'lang="en"' in page
    assert 'value="20.00"' in page
    response = send(client, page_of(dress), form_of(dress, price="12.50", rating="4.5"))
    assert response.status_code == 302, response.content
    dress.refresh_from_db()
    assert (dress.price, dress.rating) == (Decimal("12.50"), Decimal("4.5"))
    rule = {"action": "pin", "product": dress.pk, "position": 1, "starts_at_0": "2026-02-01"}
    rule |= {"starts_at_1": "10:00:00", "ends_at_0": "2026-03-01", "ends_at_1": "10:00:00"}
    response = send(client, "/admin/similarity/rule/add/", rule)
    assert response.status_code == 302, response.content
    assert Rule.objects.get().starts_at.month == 2


# --- The list -------------------------------------------------------------------------------


def queries_of(client, url):
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_the_list_asks_no_query_per_product(merchandiser):
    for number in range(3):
        add_product(f"P-{number}", seed=number, category="Tops")
    queries_of(merchandiser, LIST)  # what the filters offer is remembered
    few = queries_of(merchandiser, LIST)
    for number in range(3, 30):
        add_product(f"P-{number}", seed=number, category="Tops")
    assert queries_of(merchandiser, LIST) == few


def test_the_list_shows_the_first_picture_small_and_lazily(merchandiser, dress):
    second = add_photo(photo("blue"), dress).image
    dress.images.exclude(pk=second.pk).update(position=second.position + 1)
    page = merchandiser.get(LIST).content.decode()
    source = f"/api/v1/images/{second.identifier}/file/?width=160"
    assert f'src="{source}" alt="{dress.name}" loading="lazy"' in page
    assert page.count('class="thumbnail"') == 1


def test_the_list_shows_price_and_sale_status(merchandiser, dress):
    page = merchandiser.get(LIST).content.decode()
    assert "20.00 EUR" in page
    assert '<span class="badge badge-regular">Regular</span>' in page


@pytest.mark.parametrize("word", ["D-1", "dress", "ada", "floral"])
def test_products_are_found_by_reference_name_brand_and_tag(merchandiser, dress, word):
    Product.objects.create(reference="X", name="Other")
    page = merchandiser.get(LIST, {"q": word}).content.decode()
    assert "1 product" in page
    assert page_of(dress) in page


@pytest.mark.parametrize(
    ("filter_", "value"),
    [("brand", "Ada"), ("store", "Paris"), ("sale_status__exact", "regular")],
)
def test_filters_narrow_the_list(merchandiser, dress, filter_, value):
    other = Product.objects.create(reference="X", name="Other", brand="B", sale_status="sale")
    page = merchandiser.get(LIST, {filter_: value}).content.decode()
    assert page_of(dress) in page
    assert page_of(other) not in page


def test_the_brand_filter_offers_the_commonest_brands(merchandiser, dress):
    for number in range(60):
        Product.objects.create(reference=f"X{number}", name="x", brand=f"Brand {number // 2:02}")
    page = merchandiser.get(LIST).content.decode()
    assert page.count("?brand=") == 25
    assert "Brand 00 (2)" in page
    assert "Ada (1)" not in page


def test_a_category_links_to_its_products(merchandiser, dress):
    Product.objects.create(reference="X", name="Other")
    category = Category.objects.get()
    link = f"{LIST}?category__id__exact={category.pk}"
    page = merchandiser.get("/admin/catalog/category/").content.decode()
    assert f'<a href="{link}">1</a>' in page
    assert "1 product" in merchandiser.get(link).content.decode()


def test_a_tag_links_to_its_products(merchandiser, dress):
    link = f"{LIST}?tags__id__exact={Tag.objects.get().pk}"
    assert f'<a href="{link}">1</a>' in merchandiser.get("/admin/catalog/tag/").content.decode()
    assert page_of(dress) in merchandiser.get(link).content.decode()


# --- The form -------------------------------------------------------------------------------


def test_a_merchandiser_edits_the_details(merchandiser, dress):
    tag = Tag.objects.create(name="summery")
    changes = {"name": "Sun dress", "price": "12.50", "sale_status": "sale", "tags": [tag.pk]}
    assert send(merchandiser, page_of(dress), form_of(dress, **changes)).status_code == 302
    dress.refresh_from_db()
    assert (dress.name, dress.price, dress.sale_status) == ("Sun dress", Decimal("12.50"), "sale")
    assert list(dress.tags.all()) == [tag]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("price", "-1", "greater than or equal to 0"),
        ("price", "cheap", "Enter a number"),
        ("currency", "eur", "three capitals"),
        ("rating", "6", "less than or equal to 5"),
    ],
)
def test_a_bad_value_is_refused(merchandiser, dress, field, value, sentence):
    response = send(merchandiser, page_of(dress), form_of(dress, **{field: value}))
    assert response.status_code == 200
    assert sentence in response.content.decode()
    dress.refresh_from_db()
    assert dress.price == Decimal("20.00")


def test_the_picture_stands_beside_the_fields_with_its_garments(merchandiser, dress):
    segment = dress.images.get().segments.get()
    page = merchandiser.get(page_of(dress)).content.decode()
    assert f"/api/v1/images/{segment.image.identifier}/file/?width=640" in page
    assert 'viewBox="0 0 120 160"' in page
    assert 'd="M0.0 0.0H120.0V160.0H0.0Z"' in page


def test_a_product_leads_to_its_garment_on_the_site(merchandiser, dress):
    page = merchandiser.get(page_of(dress)).content.decode()
    link = reverse("garment", args=[dress.images.get().segments.get().identifier])
    assert f'<a href="{link}" class="viewsitelink">' in page


def test_a_product_without_pictures_leads_nowhere(merchandiser):
    product = Product.objects.create(reference="X", name="Bare")
    page = merchandiser.get(page_of(product)).content.decode()
    assert "viewsitelink" not in page


def test_pictures_are_put_in_order(merchandiser, dress):
    second = add_photo(photo("blue"), dress).image
    changes = {"images-0-position": 2, "images-1-position": 1}
    assert send(merchandiser, page_of(dress), form_of(dress, **changes)).status_code == 302
    assert dress.images.order_by("position").first() == second


# --- Adding pictures ------------------------------------------------------------------------


def test_pictures_are_added_by_the_one_intake(
    merchandiser, dress, django_capture_on_commit_callbacks
):
    files = [as_file(photo("blue"), "blue.png"), as_file(photo("green"), "green.png")]
    with django_capture_on_commit_callbacks() as callbacks:
        response = send(merchandiser, page_of(dress), form_of(dress, pictures=files))
    assert response.status_code == 302
    added = dress.images.filter(status=OriginalImage.Status.PENDING)
    assert {(image.source_name, image.owner) for image in added} == {
        ("blue.png", merchandiser.user),
        ("green.png", merchandiser.user),
    }
    assert Run.objects.filter(image__in=added, state=Run.State.PENDING).count() == 2
    assert len(callbacks) == 2  # one message to the queue for each


def test_a_new_product_comes_with_its_pictures(merchandiser):
    form = form_of(Product(reference="N", name="New"), pictures=[as_file(photo())])
    assert send(merchandiser, f"{LIST}add/", form).status_code == 302
    assert Product.objects.get(reference="N").images.count() == 1


def test_a_bad_picture_is_an_error_of_its_field_and_nothing_is_saved(merchandiser, dress):
    files = [as_file(photo("blue"), "good.png"), as_file(b"GIF89a no", "bad.png")]
    form = form_of(dress, name="Renamed", pictures=files)
    response = send(merchandiser, page_of(dress), form)
    assert response.status_code == 200
    [error] = response.context["adminform"].form.errors["pictures"]
    assert error.startswith("bad.png: ")
    dress.refresh_from_db()
    assert dress.name == "Dress"
    assert dress.images.count() == 1


def test_a_picture_of_another_product_stays_there_and_says_so(merchandiser, dress):
    other = Product.objects.create(reference="X", name="Other")
    form = form_of(other, pictures=[as_file(photo("red"), "red.png")])
    response = send(merchandiser, page_of(other), form)
    assert "red.png is a picture of Dress (D-1), and stays it." in told(response)
    assert not other.images.exists()


def test_saving_without_a_picture_logs_no_picture(merchandiser, dress):
    send(merchandiser, page_of(dress), form_of(dress, name="Sun dress"))
    assert "picture" not in LogEntry.objects.get().get_change_message().lower()


# --- Deleting -------------------------------------------------------------------------------


def test_deleting_a_product_deletes_its_pictures_files(
    merchandiser, dress, settings, django_capture_on_commit_callbacks
):
    open_picture(dress.images.get().file.name, width=160)  # so that there is a copy, too
    with django_capture_on_commit_callbacks(execute=True):
        response = send(merchandiser, f"{LIST}{dress.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert not Product.objects.exists()
    assert not [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_the_action_deletes_likewise(
    merchandiser, dress, settings, django_capture_on_commit_callbacks
):
    form = {"action": "delete_selected", "_selected_action": [dress.pk], "post": "yes"}
    with django_capture_on_commit_callbacks(execute=True):
        send(merchandiser, LIST, form)
    assert not Product.objects.exists()
    assert not [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


# --- Predicted categories -------------------------------------------------------------------


@pytest.fixture
def predicted(db):
    """A product whose category was told by its look."""
    add_product("R-1", "red", category="Dresses")
    prototypes.refresh()
    return add_product("N-1", "red", 50).image.product


def test_a_predicted_category_is_marked_in_the_list_and_can_be_filtered_for(
    merchandiser, predicted
):
    assert "badge-predicted" in merchandiser.get(LIST).content.decode()
    page = merchandiser.get(f"{LIST}?category_predicted__exact=1").content.decode()
    assert "N-1" in page
    assert "R-1" not in page


def test_who_chooses_a_category_clears_the_mark(merchandiser, predicted):
    coats = Category.objects.create(name="Coats", slug="coats")
    typed = form_of(predicted, category=coats.pk, category_predicted="on")
    assert send(merchandiser, page_of(predicted), typed).status_code == 302
    predicted.refresh_from_db()
    assert (predicted.category, predicted.category_predicted) == (coats, False)


def test_who_unticks_the_mark_confirms_the_category(merchandiser, predicted):
    predicted.refresh_from_db()
    typed = form_of(predicted, category=predicted.category_id)
    send(merchandiser, page_of(predicted), typed)
    predicted.refresh_from_db()
    assert (predicted.category.name, predicted.category_predicted) == ("Dresses", False)
