"""Working on many products: the list of a large shop, saved views, edits of many at once."""

from decimal import Decimal

import pytest
from auditlog.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.admin import BoundedPaginator
from catalog.bulk import MOST
from catalog.models import Product, ProductWord, SavedView, Tag
from catalog.services import category_named, save_product
from tests.admin import send, told

LIST = "/admin/catalog/product/"


@pytest.fixture
def three(db):
    return [
        save_product(f"P-{n}", name=f"Dress {n}", price=Decimal("9.99"), tags=["old"])
        for n in range(3)
    ]


# --- The list -----------------------------------------------------------------------------------


def test_no_query_of_the_list_counts_all_products(merchandiser, three):
    merchandiser.get(LIST)  # what the filters offer is remembered
    with CaptureQueriesContext(connection) as captured:
        merchandiser.get(LIST)
    table = f"FROM {connection.ops.quote_name('catalog_product')}"
    of_products = [query["sql"] for query in captured if table in query["sql"]]
    assert len(of_products) == 2  # how many, up to a bound, and a page of them
    for sql in of_products:
        assert "LIMIT" in sql


def test_beyond_so_many_the_list_says_more_than(merchandiser, three, monkeypatch):
    monkeypatch.setattr(BoundedPaginator, "MOST", 2)
    assert "More than 2 products" in merchandiser.get(LIST).content.decode()
    monkeypatch.setattr(BoundedPaginator, "MOST", 3)
    assert "3 products" in merchandiser.get(LIST).content.decode()


# --- Saved views --------------------------------------------------------------------------------


def keep(client, **form):
    return send(client, f"{LIST}views/", form)


def test_a_filtered_list_is_kept_under_a_name_and_forgotten(merchandiser, three):
    response = keep(merchandiser, name="On sale", query="sale_status__exact=sale&o=3")
    assert response.url == f"{LIST}?sale_status__exact=sale&o=3"
    page = merchandiser.get(LIST).content.decode()
    assert '<a href="?sale_status__exact=sale&amp;o=3">On sale</a>' in page
    keep(merchandiser, forget="On sale")
    assert not SavedView.objects.exists()


def test_views_are_one_s_own(merchandiser, staff, three):
    keep(merchandiser, name="Mine", query="q=x")
    assert "Mine" not in staff.get(LIST).content.decode()
    keep(staff, forget="Mine")
    assert SavedView.objects.count() == 1


def test_the_same_name_again_is_the_same_view(merchandiser):
    keep(merchandiser, name="Mine", query="q=x")
    keep(merchandiser, name="Mine", query="q=y")
    assert SavedView.objects.get().query == "q=y"


def test_no_address_gets_into_a_view(merchandiser):
    response = keep(merchandiser, name="Away", query="//evil.example/?a=1")
    assert response.url.startswith(f"{LIST}?")


def test_strangers_keep_nothing(stranger, shopper):
    for client in (stranger, shopper):
        assert keep(client, name="Mine", query="q=x").status_code == 302
    assert not SavedView.objects.exists()


# --- Editing many -------------------------------------------------------------------------------


def together(client, products, **form):
    form = {"action": "edit_together", "_selected_action": [row.pk for row in products]} | form
    return send(client, LIST, form)


def test_the_form_comes_before_anything_is_changed(merchandiser, three):
    page = together(merchandiser, three[:2]).content.decode()
    assert "Edit 2 products together" in page
    assert "Change 2 products" in page


def test_many_are_changed_together_and_the_others_not(merchandiser, three):
    category = category_named("Dresses")
    response = together(
        merchandiser,
        three[:2],
        apply="1",
        category=category.pk,
        brand="Ada",
        season="summer",
        add_tags="floral, new",
        remove_tags="old",
        percent="-10",
    )
    assert told(response) == ["2 products were changed."]
    for product in three:
        product.refresh_from_db()
    one, _, other = three
    assert (one.category, one.brand, one.season) == (category, "Ada", "summer")
    assert one.price == Decimal("8.99")
    assert sorted(tag.name for tag in one.tags.all()) == ["floral", "new"]
    assert (other.category, other.brand, other.price) == (None, "", Decimal("9.99"))
    assert ProductWord.objects.filter(product=one, word="floral").exists()


def test_a_category_that_is_chosen_for_many_is_predicted_no_longer(merchandiser, three):
    category = category_named("Dresses")
    Product.objects.update(category=category, category_predicted=True)
    together(merchandiser, three[:1], apply="1", category=category.pk)
    together(merchandiser, three[1:2], apply="1", brand="Ada")
    predicted = Product.objects.order_by("reference").values_list("category_predicted", flat=True)
    assert list(predicted) == [False, True, True]


def test_each_change_stands_in_the_audit_log_and_in_the_product_s_history(merchandiser, three):
    together(merchandiser, three[:1], apply="1", brand="Ada")
    entry = LogEntry.objects.get_for_object(three[0]).first()
    assert (entry.changes_dict, entry.actor) == ({"brand": ["", "Ada"]}, merchandiser.user)
    page = merchandiser.get(f"{LIST}{three[0].pk}/history/").content.decode()
    assert "<td>brand</td><td></td><td>Ada</td>" in page
    assert "mona" in page


def test_a_price_that_does_not_fit_leaves_all_as_they_were(merchandiser, three):
    Product.objects.filter(pk=three[1].pk).update(price=Decimal("99999999.00"))
    page = together(merchandiser, three, apply="1", brand="Ada", percent="100").content.decode()
    assert "Nothing was changed." in page
    assert not Product.objects.filter(brand="Ada").exists()


def test_nothing_to_change_is_told(merchandiser, three):
    page = together(merchandiser, three, apply="1").content.decode()
    assert "Say what is to be changed." in page


def test_too_many_at_once_are_refused(merchandiser, three, monkeypatch):
    monkeypatch.setattr("catalog.admin.MOST_EDITED", 2)
    said = told(together(merchandiser, three, apply="1", brand="Ada"))
    assert said == ["At most 2 products are edited together. Filter the list first."]
    assert not Product.objects.filter(brand="Ada").exists()


def test_as_many_as_are_edited_together_fit_into_one_form(merchandiser, three):
    last = three[-1].pk
    keys = [*(row.pk for row in three), *range(last + 1, last + 1 + MOST - len(three))]
    response = together(merchandiser, three, apply="1", brand="Ada", _selected_action=keys)
    assert told(response) == ["3 products were changed."]


def test_what_cannot_be_a_tag_s_name_is_told_and_changes_nothing(merchandiser, three):
    page = together(merchandiser, three, apply="1", brand="Ada", add_tags=f"new, {'x' * 101}")
    assert "at most 100 characters (it has 101)" in page.content.decode()
    assert not Product.objects.filter(brand="Ada").exists()
    assert not Tag.objects.filter(name="new").exists()


def test_what_fails_leaves_no_new_tags_behind(merchandiser, three):
    Product.objects.filter(pk=three[1].pk).update(price=Decimal("99999999.00"))
    together(merchandiser, three, apply="1", add_tags="new", percent="100")
    assert not Tag.objects.filter(name="new").exists()


def test_who_may_only_look_edits_nothing(merchandiser, three):
    group = merchandiser.user.groups.get()
    group.permissions.remove(group.permissions.get(codename="change_product"))
    together(merchandiser, three, apply="1", brand="Ada")
    assert not Product.objects.filter(brand="Ada").exists()
    assert not Tag.objects.filter(name="new").exists()
