"""Two products of which a merchandiser says that they are one."""

from html import unescape

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group, Permission

from catalog.models import FormerReference, Lookalike, Product
from catalog.services import save_product
from shop.models import ShopperEvent
from similarity.models import GoldenQuery, GoldenSet, Rule, Run, Verdict
from tests.admin import send, told
from tests.pictures import drawing, encoded, poor_jpeg
from tests.shop import add_photo, add_product

DETAILS = {"name": "Dress", "price": 40, "tags": ["long"], "sizes": ["S"], "category": "Dresses"}


@pytest.fixture
def pair(db):
    """Two products that show one picture: D-1 with details, D-2 with others."""
    first = save_product("D-1", **DETAILS)
    second = save_product("D-2", name="Frock", brand="Ada", price=50, tags=["warm"], sizes=["M"])
    add_photo(encoded(drawing()), first)
    add_photo(poor_jpeg(drawing()), second)
    return Lookalike.objects.get()


@pytest.fixture
def products(pair):
    return pair.earlier.product, pair.later.product


def merge(client, pair, keep):
    return send(client, f"/admin/catalog/lookalike/{pair.pk}/products/", {"keep": keep.pk})


def merged(client, pair, keep):
    [message] = told(merge(client, pair, keep))
    assert "still to be decided" in message, message
    return Product.objects.get()


def refused(client, pair, keep):
    """Why the products were not merged; nothing has changed."""
    response = merge(client, pair, keep)
    assert response.status_code == 409
    assert Product.objects.count() == 2
    assert not FormerReference.objects.exists()
    assert sorted(image.product.reference for image in (pair.earlier, pair.later)) == ["D-1", "D-2"]
    return unescape(response.content.decode())


def test_the_desk_leads_to_two_products_side_by_side(merchandiser, pair):
    url = f"/admin/catalog/lookalike/{pair.pk}/products/"
    for desk in ("/admin/catalog/lookalike/", f"/admin/catalog/lookalike/{pair.pk}/change/"):
        assert f'href="{url}"' in merchandiser.get(desk).content.decode()
    page = merchandiser.get(url).content.decode()
    for text in ("Keep D-1", "Keep D-2", "Dress", "Frock", "40.00", "50.00", "long", "warm"):
        assert text in page


def test_one_product_stands_for_both_with_all_that_they_had(merchandiser, pair, products):
    kept = merged(merchandiser, pair, products[0])
    assert (kept.reference, kept.name, kept.price) == ("D-1", "Dress", 40)
    assert kept.brand == "Ada", "it had none"
    assert {tag.name for tag in kept.tags.all()} == {"long", "warm"}
    assert {size.name for size in kept.sizes.all()} == {"S", "M"}
    assert list(kept.images.order_by("position")) == [pair.earlier, pair.later]
    assert set(kept.words.values_list("word", flat=True)) >= {"ada", "warm"}


def test_the_later_one_can_be_kept_as_well(merchandiser, pair, products):
    kept = merged(merchandiser, pair, products[1])
    assert (kept.reference, kept.name, kept.price) == ("D-2", "Frock", 50)
    assert kept.category.name == "Dresses"
    assert list(kept.images.order_by("position")) == [pair.later, pair.earlier]


def test_a_price_keeps_its_currency(merchandiser, pair, products):
    Product.objects.filter(pk=products[0].pk).update(price=None)
    Product.objects.filter(pk=products[1].pk).update(currency="CHF")
    kept = merged(merchandiser, pair, products[0])
    assert (kept.price, kept.currency) == (50, "CHF")


def test_a_category_that_a_person_chose_takes_the_place_of_a_predicted_one(
    merchandiser, pair, products
):
    save_product("D-2", category="Frocks")
    Product.objects.filter(pk=products[0].pk).update(category_predicted=True)
    kept = merged(merchandiser, pair, products[0])
    assert (kept.category.name, kept.category_predicted) == ("Frocks", False)


def test_results_have_one_entry_for_both_at_once(merchandiser, stranger, pair, products):
    garment = add_product("X-1", "blue")
    url = f"/api/v1/segments/{garment.identifier}/similar/"

    def found():
        rows = stranger.get(url).json()["results"]
        return sorted(row["product"]["reference"] for row in rows)

    assert found() == ["D-1", "D-2"]
    send(merchandiser, f"/admin/catalog/lookalike/{pair.pk}/products/", {"keep": products[0].pk})
    assert found() == ["D-1"]


def test_rules_marks_and_events_go_along(merchandiser, pair, products):
    kept, going = products
    other = save_product("X-1", name="Thing")
    garment = add_photo(encoded(drawing("trousers", "blue")), other)
    Rule.objects.create(action="pin", product=going)
    Rule.objects.create(action="block", product=other, query_product=going)
    golden = GoldenSet.objects.create(name="set")
    query = GoldenQuery.objects.create(golden_set=golden, key="k", segment=garment)
    Verdict.objects.create(query=query, product=going, is_right=True)
    ShopperEvent.objects.create(kind="view", product=going)
    send(merchandiser, f"/admin/catalog/lookalike/{pair.pk}/products/", {"keep": kept.pk})
    assert not Product.objects.filter(reference="D-2").exists()
    assert Rule.objects.get(action="pin").product == kept
    assert Rule.objects.get(action="block").query_product == kept
    assert Verdict.objects.get().product == kept
    assert ShopperEvent.objects.get().product == kept


def test_the_same_mark_of_both_is_one_mark(merchandiser, pair, products):
    query = golden_query()
    for product in products:
        Verdict.objects.create(query=query, product=product, is_right=True)
    merged(merchandiser, pair, products[0])
    assert Verdict.objects.get().product == products[0]


def test_that_one_is_right_for_the_other_needs_no_mark_any_more(merchandiser, pair, products):
    query = golden_query(pair.later.segments.get())
    verdict = Verdict.objects.create(query=query, product=products[0], is_right=False)
    assert "marked wrong for the other" in refused(merchandiser, pair, products[0])
    Verdict.objects.filter(pk=verdict.pk).update(is_right=True)
    merged(merchandiser, pair, products[0])
    assert not Verdict.objects.exists()


def golden_query(segment=None):
    golden = GoldenSet.objects.create(name="set")
    return GoldenQuery.objects.create(golden_set=golden, key="k", segment=segment)


def test_marks_that_contradict_each_other_are_to_be_settled_first(merchandiser, pair, products):
    query = golden_query()
    for product, is_right in zip(products, (True, False), strict=True):
        Verdict.objects.create(query=query, product=product, is_right=is_right)
    assert "marked right and the other wrong" in refused(merchandiser, pair, products[0])
    assert Verdict.objects.count() == 2


def test_rules_that_contradict_each_other_are_to_be_settled_first(merchandiser, pair, products):
    Rule.objects.create(action="pin", product=products[0])
    blocked = Rule.objects.create(action="block", product=products[1])
    assert "contradict each other" in refused(merchandiser, pair, products[0])
    blocked.delete()
    Rule.objects.create(action="bury", product=products[1], query_product=products[0])
    assert "A rule is about the two of them" in refused(merchandiser, pair, products[0])
    assert Rule.objects.count() == 2


def test_pictures_on_their_way_are_waited_for(merchandiser, pair, products):
    run = Run.objects.create(kind=Run.Kind.UPLOAD, product=products[1])
    assert "still being fetched (1)" in refused(merchandiser, pair, products[0])
    Run.objects.filter(pk=run.pk).update(state=Run.State.FAILED)
    merged(merchandiser, pair, products[0])
    run.refresh_from_db()
    assert run.product == products[0]


def test_the_former_reference_leads_to_the_product(merchandiser, stranger, pair, products):
    merged(merchandiser, pair, products[0])
    add_product("X-1", "blue")
    answer = stranger.get("/api/v1/products/D-2/")
    assert (answer.status_code, answer.json()["reference"]) == (200, "D-1")
    similar = stranger.get("/api/v1/products/D-2/similar/").json()["results"]
    assert [row["product"]["reference"] for row in similar] == ["X-1"]
    search = stranger.post("/api/v1/searches/", {"product": "D-2"}, format="json").json()
    assert [row["product"]["reference"] for row in search["results"]] == ["X-1"]
    event = {"events": [{"kind": "view", "product": "D-2"}]}
    stranger.post("/api/v1/events/", event, format="json")
    assert ShopperEvent.objects.get().product == products[0]


def test_a_former_reference_is_no_new_product_and_changes_none(merchandiser, pair, products):
    merged(merchandiser, pair, products[0])
    body = {"name": "Frock"}
    answer = merchandiser.put("/api/v1/products/D-2/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"reference": ["D-2 was merged into D-1: use that."]}
    assert merchandiser.patch("/api/v1/products/D-2/", body, format="json").status_code == 404
    assert merchandiser.delete("/api/v1/products/D-2/").status_code == 404
    assert Product.objects.get().name == "Dress"


def test_a_former_reference_can_be_set_free(merchandiser, pair, products):
    kept = merged(merchandiser, pair, products[0])
    url = f"/admin/catalog/product/{kept.pk}/change/"
    page = merchandiser.get(url)
    assert "Also known as" in page.content.decode()
    formsets = [page.context["adminform"].form, *page.context["inline_admin_formsets"]]
    data = {}
    for form in (getattr(one, "formset", one) for one in formsets):
        for fields in [form.management_form, *form.forms] if hasattr(form, "forms") else [form]:
            for field in fields:
                value = field.value()
                if value is not None and field.html_name != "pictures":
                    data[field.html_name] = value
    answer = send(merchandiser, url, data | {"former_references-0-DELETE": "on"})
    assert answer.status_code == 302
    assert not FormerReference.objects.exists()
    assert save_product("D-2", name="Frock").pk


def test_merging_again_takes_former_references_along(merchandiser, pair, products):
    kept = merged(merchandiser, pair, products[0])
    other = save_product("D-3", name="Gown")
    pair.later.product = other
    pair.later.save()
    merge(merchandiser, Lookalike.objects.get(), other)
    assert set(FormerReference.objects.values_list("reference", "product")) == {
        ("D-1", other.pk),
        ("D-2", other.pk),
    }
    assert not Product.objects.filter(pk=kept.pk).exists()


def test_the_audit_log_has_what_was_and_who_did_it(merchandiser, pair, products):
    merged(merchandiser, pair, products[0])
    gone = LogEntry.objects.get(object_repr="Frock (D-2)", action=LogEntry.Action.DELETE)
    assert gone.actor == merchandiser.user
    assert gone.changes["price"][0] == "50.00"
    entries = LogEntry.objects.get_for_object(products[0])
    assert any("brand" in entry.changes for entry in entries)
    moved = LogEntry.objects.get_for_object(pair.later).first()
    assert "product" in moved.changes


def test_the_pictures_can_be_merged_once_the_products_are(merchandiser, pair, products):
    merged(merchandiser, pair, products[0])
    page = merchandiser.get(f"/admin/catalog/lookalike/{pair.pk}/change/").content.decode()
    assert 'value="keep_earlier"' in page
    assert "merge them" not in page


def test_there_is_nothing_to_merge_where_two_pictures_show_one_product(merchandiser, pair):
    pair.later.product = pair.earlier.product
    pair.later.save()
    url = f"/admin/catalog/lookalike/{pair.pk}/products/"
    assert merchandiser.get(url).status_code == 404


def test_whoever_keeps_neither_is_asked_again(merchandiser, pair):
    url = f"/admin/catalog/lookalike/{pair.pk}/products/"
    for said in ({}, {"keep": "0"}):
        response = send(merchandiser, url, said)
        assert response.status_code == 422
        assert "Say which of the two is to be kept." in response.content.decode()


def test_shoppers_and_those_who_may_not_delete_products_merge_nothing(
    shopper, merchandiser, pair, products
):
    merge(shopper, pair, products[0])
    may_delete = Permission.objects.get(codename="delete_product")
    Group.objects.get(name="Merchandiser").permissions.remove(may_delete)
    assert merge(merchandiser, pair, products[0]).status_code == 403
    assert Product.objects.count() == 2


def test_all_that_points_to_a_product_is_known(db):
    """Whatever is new here: say in `similarity.merging` what becomes of it."""
    assert {relation.name for relation in Product._meta.related_objects} == {
        "images",
        "former_references",
        "words",
        "runs",
        "rules",
        "rules_as_query",
        "verdicts",
        "events",
        "events_beside",
    }
