"""Pictures that look alike, for a merchandiser to decide."""

import re

import pytest
from django.contrib.auth.models import Group, Permission

from accounts import roles
from catalog.models import Lookalike, OriginalImage, Product
from catalog.services import save_product
from similarity import golden, services
from similarity.models import GoldenQuery, GoldenSet, Verdict
from tests.admin import act, send, told
from tests.pictures import drawing, encoded, poor_jpeg
from tests.shop import add_photo, add_product

LIST = "/admin/catalog/lookalike/"


@pytest.fixture
def pair(db):
    product = add_product("D-1", "green", name="Dress").image.product
    add_photo(encoded(drawing()), product)
    add_photo(poor_jpeg(drawing()))
    return Lookalike.objects.get()


def page_of(pair):
    return f"{LIST}{pair.pk}/change/"


def test_a_pair_is_shown_side_by_side(merchandiser, pair):
    for url in (LIST, page_of(pair)):
        page = merchandiser.get(url).content.decode()
        for image in (pair.earlier, pair.later):
            assert f"/api/v1/images/{image.identifier}/file/?width=320" in page
        assert "Dress (D-1)" in page
        assert "Undecided" in page


def buttons(client):
    return re.findall(r'form="operate-\d+" name="action" value="(\w+)"', page_at(client, LIST))


def page_at(client, url):
    return client.get(url).content.decode()


def test_each_row_has_buttons_of_what_its_reader_may_do(merchandiser, pair):
    assert buttons(merchandiser) == ["different", "same", "keep_earlier", "keep_later"]
    assert f'id="operate-{pair.pk}"' in page_at(merchandiser, LIST)
    merchandiser.user.groups.clear()
    merchandiser.user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_lookalike", "change_lookalike"])
    )
    assert buttons(merchandiser) == ["different", "same"]
    act(merchandiser, LIST, "different", pair)
    assert buttons(merchandiser) == []
    assert "operate-" not in page_at(merchandiser, LIST)


def test_a_decided_pair_is_asked_about_no_more(merchandiser, pair):
    assert 'value="different"' in merchandiser.get(page_of(pair)).content.decode()
    [message] = told(act(merchandiser, LIST, "different", pair))
    assert message.endswith("Different. It will not be asked again.")
    page = merchandiser.get(page_of(pair)).content.decode()
    assert 'value="different"' not in page
    assert "mona, " in page
    [message] = told(act(merchandiser, LIST, "same", pair))
    assert message.endswith("Somebody has decided about these two already.")


@pytest.mark.parametrize(("action", "kept"), [("keep_earlier", "earlier"), ("keep_later", "later")])
def test_a_pair_is_merged_into_the_one_chosen(merchandiser, pair, action, kept):
    image = getattr(pair, kept)
    [message] = told(act(merchandiser, LIST, action, pair))
    assert message.endswith(f"{image} stands for both now.")
    assert OriginalImage.objects.filter(product__reference="D-1").count() == 2
    assert not Lookalike.objects.exists()


@pytest.fixture
def golden_query(pair):
    """A golden set searches with the garment of the earlier picture; two products are marked."""
    golden_set = GoldenSet.objects.create(name="golden")
    return asked_with(golden_set, pair.earlier, **{"D-2": True, "D-3": False})


def asked_with(golden_set, image, **marks) -> GoldenQuery:
    segment = image.segments.get()
    query = golden_set.queries.create(segment=segment, key=golden.key_of(segment))
    for reference, is_right in marks.items():
        product = Product.objects.filter(reference=reference).first()
        product = product or save_product(reference, name=reference)
        query.verdicts.create(product=product, is_right=is_right)
    return query


def marks() -> dict:
    return dict(Verdict.objects.values_list("product__reference", "is_right"))


def test_what_a_golden_set_searches_with_goes_along(merchandiser, pair, golden_query):
    told(act(merchandiser, LIST, "keep_later", pair))
    [query] = GoldenQuery.objects.all()
    assert query.segment.image == pair.later
    assert marks() == {"D-2": True, "D-3": False}
    merchandiser.user.groups.add(*Group.objects.filter(name=roles.STAFF))
    run = services.search(segment=query.segment, limit=5, asked_by=merchandiser.user)
    assert set(golden.verdicts(run, "golden").values()) == {True, False}, "known by its new key"


def test_marks_of_both_pictures_are_put_together(merchandiser, pair, golden_query):
    asked_with(golden_query.golden_set, pair.later, **{"D-2": True, "D-4": True})
    told(act(merchandiser, LIST, "keep_later", pair))
    assert GoldenQuery.objects.get().segment.image == pair.later
    assert marks() == {"D-2": True, "D-3": False, "D-4": True}


def test_marks_that_contradict_each_other_are_to_be_settled_first(merchandiser, pair, golden_query):
    asked_with(golden_query.golden_set, pair.later, **{"D-3": True})
    [message] = told(act(merchandiser, LIST, "keep_later", pair))
    assert "Settle the marks first." in message
    pair.refresh_from_db()
    assert pair.is_open
    assert GoldenQuery.objects.count() == 2


def test_ids_of_the_service_before_lead_to_the_kept_picture(merchandiser, pair):
    pair.later.former_items.create(number=7, name="01_segment_0")
    told(act(merchandiser, LIST, "keep_earlier", pair))
    assert pair.earlier.former_items.get().number == 7


def test_shoppers_decide_nothing(shopper, pair):
    act(shopper, LIST, "keep_later", pair)
    pair.refresh_from_db()
    assert pair.is_open


def test_the_list_asks_no_query_per_row(merchandiser, pair, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        merchandiser.get(LIST)


def test_a_picture_with_undecided_pairs_can_be_deleted(merchandiser, pair):
    url = f"/admin/catalog/originalimage/{pair.later_id}/delete/"
    assert send(merchandiser, url, {"post": "yes"}).status_code == 302
    assert not Lookalike.objects.exists()
