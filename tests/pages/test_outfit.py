"""The page of a whole look: each garment of the photo, and what the shop has like it."""

import pytest

from similarity.models import Run
from tests.pages.test_home import half_red_half_blue, send
from tests.pictures import as_file
from tests.shop import add_product


@pytest.fixture
def shop(db):
    for seed in range(6):
        add_product(f"RED-{seed}", "red", seed=seed)
    add_product("BLUE", "blue")


@pytest.fixture
def search(stranger, shop, use):
    """A stranger's search with a photo in which two garments were found."""
    use("DETECTOR", "Halves")
    return send(stranger, image=as_file(half_red_half_blue())).context["run"]


def outfit_of(client, run):
    return client.get(f"/searches/{run.pk}/outfit/", follow=True)


def test_each_garment_has_a_row_of_what_is_like_it(stranger, search):
    response = outfit_of(stranger, search)
    top, bag = response.context["pieces"]
    assert (top.part.label, bag.part.label) == ("Top", "Bag")
    assert [card.product.reference[:3] for card in top.cards] == ["RED"] * 4
    assert bag.cards[0].product.reference == "BLUE"
    assert "The whole look" in response.text
    assert f'viewBox="{top.frame}"' in response.text


def test_it_is_offered_beside_the_photo(stranger, search):
    assert f"/searches/{search.pk}/outfit/" in stranger.get("/", {"search": search.pk}).text


def test_it_is_not_offered_for_a_single_garment(stranger, shop):
    page = send(stranger, image=as_file(half_red_half_blue()))
    assert "/outfit/" not in page.text


def test_it_leaves_no_trace(stranger, search):
    before = Run.objects.count()
    outfit_of(stranger, search)
    assert Run.objects.count() == before


def test_all_of_one_row_can_be_shown(stranger, search):
    piece = outfit_of(stranger, search).context["pieces"][1]
    page = send(stranger, query=search.query.pk, box=list(piece.part.box))
    assert page.context["cards"][0].product.reference == "BLUE"


def test_a_search_without_garments_leads_back_to_itself(stranger, shop):
    run = send(stranger, image=as_file(half_red_half_blue())).context["run"]
    run.query.detections = []
    run.query.save()
    assert outfit_of(stranger, run).redirect_chain == [(f"/?search={run.pk}", 302)]


def test_models_that_take_long_are_not_kept_waiting_for(stranger, search, use):
    use("EMBEDDER", "ColourByWorker")
    assert outfit_of(stranger, search).redirect_chain == [(f"/?search={search.pk}", 302)]


def test_another_s_look_is_not_there(shopper, other_shopper, shop, use):
    use("DETECTOR", "Halves")
    run = send(shopper, image=as_file(half_red_half_blue())).context["run"]
    assert outfit_of(other_shopper, run).status_code == 404
    assert outfit_of(shopper, run).status_code == 200
