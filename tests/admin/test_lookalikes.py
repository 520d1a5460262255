"""Pictures that look alike, for a merchandiser to decide."""

import pytest

from catalog.models import Lookalike, OriginalImage
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
