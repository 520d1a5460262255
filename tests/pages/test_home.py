"""The search page as a browser without JavaScript uses it."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fashionsim import looks
from similarity import pipeline
from similarity.models import Run
from tests.pictures import as_file, encoded, photo, picture
from tests.shop import add_photo, add_product


def send(client, **fields):
    return client.post("/", fields, format="multipart", follow=True)


def names(response) -> list[str]:
    return [card.title for card in response.context["cards"]]


def half_red_half_blue() -> bytes:
    both = picture("red", (200, 160))
    both.paste(picture("blue", (100, 160)), (100, 0))
    return encoded(both)


@pytest.fixture
def three_colours(db):
    for colour in ("red", "green", "blue"):
        add_product(colour.upper(), colour, price="20.00", category=f"{colour} things")


def test_the_page_asks_for_a_photo(stranger, db):
    response = stranger.get("/")
    assert response.status_code == 200
    assert 'enctype="multipart/form-data"' in response.text


def test_what_came_last_is_there_to_start_from(stranger, three_colours):
    newest = stranger.get("/").context["newest"]
    assert [card.title for card in newest] == ["blue thing", "green thing", "red thing"]


def test_a_photo_leads_to_its_results(stranger, three_colours):
    response = send(stranger, image=as_file(photo("green", seed=5)))
    [(address, status)] = response.redirect_chain
    assert status == 302
    assert address == f"/?search={Run.objects.get(kind=Run.Kind.SEARCH).pk}"
    assert names(response)[0] == "green thing"
    assert "Very close" in response.text


def test_a_garment_of_the_photo_is_searched_with_without_sending_it_again(
    stranger, three_colours, use
):
    use("DETECTOR", "Halves")
    whole = send(stranger, image=as_file(half_red_half_blue()))
    left, right = whole.context["parts"]
    query = whole.context["query"]
    assert names(send(stranger, query=query.pk, box=left.box))[0] == "red thing"
    chosen = send(stranger, query=query.pk, box=right.box)
    assert names(chosen)[0] == "blue thing"
    assert [part.is_chosen for part in chosen.context["parts"]] == [False, True]


def test_a_part_of_ones_own_is_marked_as_well(stranger, three_colours, use):
    use("DETECTOR", "Halves")
    query = send(stranger, image=as_file(half_red_half_blue())).context["query"]
    response = send(stranger, query=query.pk, box=[120, 10, 180, 90])
    own = response.context["parts"][-1]
    assert (own.number, own.box, own.is_chosen) == (0, (120, 10, 180, 90), True)


def test_a_garment_that_fills_the_photo_is_not_marked(stranger, three_colours):
    response = send(stranger, image=as_file(photo("red")))
    assert response.context["query"].detections
    assert response.context["parts"] == []


def test_filters_narrow_the_results_and_stay_filled_in(stranger, three_colours):
    add_product("CHEAP", "red", seed=3, price="5.00", sale_status="sale", name="bargain")
    query = send(stranger, image=as_file(photo("red"))).context["query"]
    fields = {"query": query.pk, "filters.price_max": "9.50", "filters.sale_status": "sale"}
    response = send(stranger, **fields)
    assert names(response) == ["bargain"]
    assert 'value="9.5"' in response.text
    by_category = send(stranger, query=query.pk, **{"filters.category": "blue-things"})
    assert names(by_category) == ["blue thing"]


def test_fields_left_empty_filter_nothing(stranger, three_colours):
    query = send(stranger, image=as_file(photo("red"))).context["query"]
    fields = {"query": query.pk, "filters.price_max": "", "filters.category": ""}
    assert len(names(send(stranger, **fields))) == 3


def test_nothing_found_says_what_to_try(stranger, three_colours):
    query = send(stranger, image=as_file(photo("red"))).context["query"]
    response = send(stranger, query=query.pk, **{"filters.price_max": "1"})
    assert names(response) == []
    assert "Search without filters" in response.text


def test_an_empty_shop_says_so(stranger, db):
    response = send(stranger, image=as_file(photo("red")))
    assert "no product photo has been described" in response.text


def test_a_garment_without_a_product_goes_by_what_it_is(stranger, db):
    add_photo(photo("red"))
    assert names(send(stranger, image=as_file(photo("red", seed=2)))) == ["Garment"]


def test_a_garment_of_the_shop_can_be_searched_with(stranger, three_colours):
    segment = stranger.get("/").context["newest"][0].segment
    response = send(stranger, segment=segment.identifier, limit=12)
    assert response.context["run"].segment == segment
    assert len(names(response)) == 2


@pytest.mark.parametrize(
    ("file", "status", "says"),
    [
        (as_file(b"no picture", "photo.jpg"), 415, "not a picture"),
        (as_file(photo("red")[:200]), 422, ""),
    ],
)
def test_a_file_that_will_not_do_is_refused_on_the_page(stranger, db, file, status, says):
    response = send(stranger, image=file)
    assert response.status_code == status
    assert says in response.context["problem"]["detail"]
    assert response.context["problem"]["detail"] in response.text
    assert not Run.objects.exists()


def test_a_form_without_a_photo_is_refused(stranger, db):
    response = send(stranger)
    assert response.status_code == 400
    assert "Choose a photo first, or say in words" in response.text


@pytest.mark.parametrize("name", ["example", "product", "segment", "text", "filters.brand"])
def test_a_form_with_a_null_character_is_refused(stranger, db, name):
    """Whatever the database: PostgreSQL would fail over it."""
    response = send(stranger, **{name: "RED\0"})
    assert response.status_code == 400
    assert "malformed" in response.text
    assert not Run.objects.exists()


def test_a_link_to_a_picture_is_fetched_and_searched_with(stranger, three_colours, open_web):
    link = open_web.show("/p.png", photo("green", seed=5))
    assert names(send(stranger, text=f" {link} "))[0] == "green thing"
    broken = send(stranger, text=open_web.url + "/none.png")
    assert broken.status_code == 422
    assert broken.context["problem"]["detail"] in broken.text


def test_a_link_is_refused_where_the_shop_does_not_fetch(stranger, db):
    assert "link to a picture" not in stranger.get("/").text
    response = send(stranger, text="https://shop.example/p.png")
    assert "switched off here" in response.context["problem"]["detail"]
    assert not Run.objects.exists()


def test_photos_of_several_garments_are_there_to_try(stranger, db, use):
    add_product("ONE", "red")
    assert stranger.get("/").context["examples"] == []
    use("DETECTOR", "Halves")
    segment = add_product("TWO", "blue")
    add_photo(photo("blue", seed=3), segment.image.product)
    [image] = stranger.get("/").context["examples"]  # one of each product
    assert image.product == segment.image.product
    response = send(stranger, example=image.identifier)
    assert names(response)[0] == "blue thing"
    assert len(response.context["parts"]) == 2
    assert send(stranger, example="none").status_code == 404


def test_a_form_from_elsewhere_is_refused(db):
    response = Client(enforce_csrf_checks=True).post("/", {"limit": 12})
    assert response.status_code == 403
    assert "Please try again" in response.text


def test_a_slow_search_is_waited_for(stranger, three_colours, use):
    use("EMBEDDER", "ColourByWorker")
    waiting = send(stranger, image=as_file(photo("red")))
    assert "Waiting for its turn" in waiting.text
    assert '<noscript><meta http-equiv="refresh"' in waiting.text
    pipeline.execute(waiting.context["run"].pk)
    done = stranger.get(waiting.request["PATH_INFO"], {"search": waiting.context["run"].pk})
    assert done.context["run"].state == Run.State.DONE
    assert '<noscript><meta http-equiv="refresh"' not in done.text


def test_garments_found_while_the_page_is_being_made_are_on_it(stranger, three_colours, use):
    use("DETECTOR", "HalvesByWorker")
    sent = send(stranger, image=as_file(half_red_half_blue())).context["run"]
    read = Run.objects.select_related("query").get(pk=sent.pk)
    assert looks.look(read)["unsettled"]
    pipeline.execute(Run.objects.get(kind=Run.Kind.DETECT).pk)
    shown = looks.look(read)
    assert not shown["unsettled"]
    assert [part.number for part in shown["parts"]] == [1, 2]


def test_a_slow_search_can_be_stopped(stranger, db, use):
    use("EMBEDDER", "ColourByWorker")
    run = send(stranger, image=as_file(photo("red"))).context["run"]
    response = stranger.post(f"/searches/{run.pk}/cancel/", follow=True)
    assert "You stopped this search." in response.text


def test_stopping_a_search_that_has_ended_shows_its_results(stranger, three_colours):
    run = send(stranger, image=as_file(photo("red"))).context["run"]
    response = stranger.post(f"/searches/{run.pk}/cancel/", follow=True)
    assert names(response)[0] == "red thing"


def test_a_search_that_went_wrong_says_why(stranger, db, use):
    use("EMBEDDER", "ColourByWorker")
    run = send(stranger, image=as_file(photo("red"))).context["run"]
    run.query.file.delete(save=False)
    pipeline.execute(run.pk)
    response = stranger.get("/", {"search": run.pk})
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert "Search again" in response.text
    assert run.error_message.split(".")[0] in response.text


@pytest.mark.parametrize("page", ["/?search={}", "/searches/{}/"])
def test_a_search_is_for_who_has_asked(shopper, other_shopper, page):
    run = send(shopper, image=as_file(photo("red"))).context["run"]
    assert shopper.get(page.format(run.pk)).status_code == 200
    assert other_shopper.get(page.format(run.pk)).status_code == 404


def test_what_is_no_search_is_not_found(stranger, db):
    assert stranger.get("/?search=nonsense").status_code == 404


def test_the_fragment_is_the_search_alone(stranger, three_colours):
    run = send(stranger, image=as_file(photo("red"))).context["run"]
    response = stranger.get(f"/searches/{run.pk}/")
    assert "red thing" in response.text
    assert "<html" not in response.text


def test_a_stranger_signs_in_first_where_the_shop_says_so(stranger, shopper, settings):
    settings.SEARCH_NEEDS_SIGN_IN = True
    response = stranger.post("/", {"image": as_file(photo("red"))}, format="multipart")
    assert (response.status_code, response["Location"]) == (302, "/sign-in/?next=/")
    assert shopper.get("/").status_code == 200


def test_more_results_ask_no_more_of_the_database(stranger, db):
    for seed in range(12):
        add_product(f"P{seed}", "red", seed=seed, sizes=["S", "M"], tags=["soft"], brand="Ada")
    query = send(stranger, image=as_file(photo("red", seed=99))).context["query"]

    def queries(limit: int) -> int:
        run = send(stranger, query=query.pk, limit=limit).context["run"]
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert len(names(stranger.get("/", {"search": run.pk}))) == limit
        return len(captured)

    assert queries(2) == queries(12) <= 19, "seven, and twelve that count"


def test_colours_narrow_the_results_and_stay_ticked(stranger, three_colours):
    query = send(stranger, image=as_file(photo("red"))).context["query"]
    response = send(stranger, query=query.pk, **{"filters.colour": ["blue", "green"]})
    assert set(names(response)) == {"blue thing", "green thing"}
    for colour, is_ticked in (("blue", True), ("green", True), ("red", False)):
        ticked = f'id="filter-colour-{colour}" value="{colour}" checked'
        assert (ticked in response.text) is is_ticked
