"""Rules in the admin: what comes first, sooner, later or never."""

import datetime as dt

import pytest
from django.utils import timezone

from catalog.models import Category, Product
from similarity.models import Rule
from tests.shop import add_product

LIST = "/admin/similarity/rule/"
DAY = dt.timedelta(days=1)


@pytest.fixture
def product(db):
    return add_product("D-1", name="Long dress", category="Dresses").image.product


def filled_in(product, **fields):
    return {"action": "pin", "product": product.pk, "position": 1, **fields}


def test_a_merchandiser_makes_changes_and_deletes_a_rule(merchandiser, product):
    response = merchandiser.post(
        f"{LIST}add/",
        filled_in(product, note="Summer", starts_at_0="2026-06-01", starts_at_1="08:00"),
        format="multipart",
    )
    assert response.status_code == 302, response.context["errors"]
    rule = Rule.objects.get()
    assert (rule.product, rule.note, rule.starts_at.month) == (product, "Summer", 6)
    page = f"{LIST}{rule.pk}/change/"
    merchandiser.post(page, filled_in(product, action="block"), format="multipart")
    rule.refresh_from_db()
    assert (rule.action, rule.starts_at) == ("block", None)
    merchandiser.post(f"{LIST}{rule.pk}/delete/", {"post": "yes"}, format="multipart")
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"category": True, "query_product": True}, "Choose a category or a product, not both."),
        (
            {
                "starts_at_0": "2026-06-02",
                "starts_at_1": "08:00",
                "ends_at_0": "2026-06-01",
                "ends_at_1": "08:00",
            },
            "It has to end after it starts.",
        ),
    ],
)
def test_what_makes_no_rule_is_refused(merchandiser, product, wrong, told):
    keys = {"category": Category.objects.get().pk, "query_product": product.pk}
    fields = {name: keys.get(name, value) for name, value in wrong.items()}
    response = merchandiser.post(f"{LIST}add/", filled_in(product, **fields), format="multipart")
    assert told in response.content.decode()
    assert not Rule.objects.exists()


def test_the_list_tells_and_filters_when_a_rule_holds(merchandiser, product):
    now = timezone.now()
    for note, starts, ends in (
        ("holds", None, now + DAY),
        ("comes", now + DAY, None),
        ("is past", None, now - DAY),
    ):
        Rule.objects.create(
            action="pin", product=product, note=note, starts_at=starts, ends_at=ends
        )
    for chosen, note in (("now", "holds"), ("later", "comes"), ("over", "is past")):
        page = merchandiser.get(LIST, {"active": chosen})
        assert [rule.note for rule in page.context["cl"].result_list] == [note]
    page = merchandiser.get(LIST).content.decode()
    for told in ("Active now", "To come", "Over", "Long dress (D-1)"):
        assert told in page


def test_the_list_asks_no_query_per_row(merchandiser, product, django_assert_max_num_queries):
    category = Category.objects.get()
    for number in range(20):
        other = Product.objects.create(reference=f"P-{number}", name="Other")
        Rule.objects.create(action="boost", product=other, category=category)
        Rule.objects.create(action="bury", product=other, query_product=product)
    with django_assert_max_num_queries(12):
        assert merchandiser.get(LIST).status_code == 200


def test_shoppers_make_no_rules(shopper, product):
    assert shopper.get(LIST).status_code == 302
    shopper.post(f"{LIST}add/", filled_in(product), format="multipart")
    assert not Rule.objects.exists()
