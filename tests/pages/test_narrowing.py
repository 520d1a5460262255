"""Filters with counts, chips, orders and ways out, as a browser without JavaScript gets them."""

from __future__ import annotations

import pytest

from tests.pages.test_home import names, send
from tests.pictures import as_file, photo
from tests.shop import add_product


@pytest.fixture
def shop(db):
    add_product("R", "red", price="20.00", category="Dresses", brand="Ada", sizes=["S", "M"])
    add_product("G", "green", price="60.00", category="Dresses", brand="Bea", season="summer")
    details = {"sale_status": "sold_out", "tags": ["wool"], "category": "Hats", "brand": "Ada"}
    add_product("B", "blue", price="45.50", **details)


@pytest.fixture
def search(stranger, shop):
    """Searches with a red photo, under filters."""
    query = send(stranger, image=as_file(photo("red", seed=9))).context["query"]

    def search(**filters):
        fields = {f"filters.{name}": value for name, value in filters.items()}
        return send(stranger, query=query.pk, limit=100, **fields)

    return search


def facet(response, name) -> dict[str, int]:
    [found] = [facet for facet in response.context["facets"] if facet.name == name]
    return {choice.name: choice.count for choice in found.choices}


def kept(response, kind: str, name: str) -> list:
    """What the form behind a chip, a band or a way out sends."""
    [found] = [one for one in response.context[kind] if one.text == name]
    return found.kept


def test_each_choice_says_how_many_it_would_leave(search):
    page = search()
    assert facet(page, "category") == {"Dresses": 2, "Hats": 1}
    assert facet(page, "brand") == {"Ada": 2, "Bea": 1}
    assert facet(page, "colour") == {"Red": 1, "Green": 1, "Blue": 1}
    assert list(facet(page, "size").items()) == [("S", 1), ("M", 1)]
    assert facet(page, "season") == {"Summer": 1}
    assert facet(page, "tag") == {"wool": 1}
    assert [(c.name, c.count) for c in page.context["stock"].choices] == [("In stock", 2)]
    assert [(b.text, b.count) for b in page.context["bands"]] == [
        ("Up to 24.99", 1),
        ("25 to 49.99", 1),
        ("50 to 99.99", 1),
    ]


def test_a_choice_narrows_the_others_and_not_its_own_kind(search):
    page = search(brand="Ada")
    assert names(page) == ["red thing", "blue thing"]
    assert facet(page, "brand") == {"Ada": 2, "Bea": 1}
    assert facet(page, "category") == {"Dresses": 1, "Hats": 1}


def test_what_is_sold_out_is_kept_back_on_demand(search):
    assert names(search(in_stock="true")) == ["red thing", "green thing"]


def test_a_price_band_is_two_filters_at_a_press(search):
    band = dict(kept(search(brand="Ada"), "bands", "25 to 49.99"))
    assert band == {"brand": "Ada", "price_min": 25.0, "price_max": 49.99}
    page = search(**band)
    assert names(page) == ["blue thing"]
    assert [band.text for band in page.context["bands"] if band.is_chosen] == ["25 to 49.99"]


def test_each_chip_takes_back_what_it_says_and_nothing_else(search):
    page = search(brand=["Ada", "Bea"], category="dresses", price_max=70, in_stock="true")
    texts = [chip.text for chip in page.context["chips"]]
    assert texts == ["Dresses", "Ada", "Bea", "In stock", "Up to 70"]
    assert dict(kept(page, "chips", "Up to 70")).keys() == {"category", "brand", "in_stock"}
    assert ("brand", "Ada") not in kept(page, "chips", "Ada")
    assert ("brand", "Bea") in kept(page, "chips", "Ada")


def test_filters_asked_for_elsewhere_are_chips_as_well_and_are_kept(search):
    page = search(store="online", brand="Ada", rating_min=4)
    assert {chip.text for chip in page.context["chips"]} >= {"online", "Rated 4.0 or more"}
    [brands] = [facet for facet in page.context["facets"] if facet.name == "brand"]
    assert dict(brands.kept) == {"store": "online", "rating_min": 4.0}


def test_a_choice_that_leaves_nothing_can_still_be_taken_back(search):
    page = search(category="hats", colour="green")
    assert names(page) == []
    assert facet(page, "colour")["Green"] == 0


def test_where_nothing_is_left_the_page_says_what_to_take_back_and_what_that_gives(search):
    page = search(category="hats", brand="Bea", price_max=70)
    assert "Nothing in the shop passes all of these filters." in page.text
    assert [(way.text, way.count) for way in page.context["ways_out"]] == [
        ("Any category", 1),
        ("Any brand", 1),
    ]
    assert dict(kept(page, "ways_out", "Any brand")) == {"category": "hats", "price_max": 70.0}


def test_words_alone_count_what_has_them(stranger, shop):
    page = send(stranger, text="red")
    assert names(page) == ["red thing"]
    assert facet(page, "brand") == {"Ada": 1}


def test_a_search_that_is_under_way_offers_no_filters(stranger, shop, use):
    use("EMBEDDER", "ColourByWorker")
    assert "facets" not in send(stranger, image=as_file(photo("red"))).context


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["R", "G", "B"]),
        ("price", ["R", "B", "G"]),
        ("-price", ["G", "B", "R"]),
        ("new", ["B", "G", "R"]),
        ("nonsense", ["R", "G", "B"]),
    ],
)
def test_results_come_in_the_order_that_the_address_names(stranger, search, sort, expected):
    run = search().context["run"]
    for path, query in (("/", {"search": run.pk}), (f"/searches/{run.pk}/", {})):
        page = stranger.get(path, {**query, "sort": sort})
        found = [card.product.reference for card in page.context["cards"]]
        assert sorted(found[1:]) == sorted(expected[1:]) if sort in {"", "nonsense"} else True
        assert found[0] == expected[0]
        assert found == expected or sort in {"", "nonsense"}


def test_what_has_no_price_comes_last_whichever_way(stranger, search):
    add_product("N", "red", seed=3, name="nameless")
    run = search().context["run"]
    for sort in ("price", "-price"):
        cards = stranger.get("/", {"search": run.pk, "sort": sort}).context["cards"]
        assert cards[-1].product.reference == "N"


def test_an_order_goes_along_when_something_is_chosen(stranger, shop):
    form = {"image": as_file(photo("red")), "sort": "price"}
    address = stranger.post("/", form, format="multipart")["Location"]
    assert address.endswith("&sort=price")
    assert '<input type="hidden" name="sort" value="price">' in stranger.get(address).text


def test_more_is_shown_by_a_link_until_there_is_no_more(stranger, db):
    segment, *_ = [add_product(f"P{seed}", seed=seed) for seed in range(6)]
    run = send(stranger, segment=segment.identifier, limit=100).context["run"]
    page = stranger.get("/", {"search": run.pk, "show": 2})
    assert len(names(page)) == 2
    assert page.context["more"] == f"/?search={run.pk}&show=5"
    page = stranger.get(page.context["more"])
    assert len(names(page)) == 5
    assert page.context["more"] == ""


@pytest.mark.parametrize("show", ["0", "-1", "x", "", "1e9", "99999"])
def test_a_number_of_nonsense_is_passed_over(stranger, search, show):
    run = search().context["run"]
    assert len(names(stranger.get("/", {"search": run.pk, "show": show}))) == 3
