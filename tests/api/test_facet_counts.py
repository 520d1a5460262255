"""The number beside each choice is the number of results that a click on it gives, in every way of
searching: each is clicked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from catalog.models import Category, Product
from catalog.services import save_product
from similarity import backends, services
from similarity.models import Rule
from tests.pictures import photo
from tests.shop import add_photo, add_product

URL = "/api/v1/searches/"

THOROUGHLY = {"a photo", "words, and not others"}

LISTS = ("category", "brand", "season", "colour", "tag", "size", "sale_status", "in_stock")

COLOURS = ("red", "green", "blue", "pink", "brown")

FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"category": ["dresses"], "in_stock": True},
    {"colour": ["red", "green"], "price_min": 25},
)
"""Under each of them all is clicked, but the first alone for every way of searching."""


@pytest.fixture(params=["looked up", "compared"])
def words(request, settings) -> None:
    """Words are looked up in the catalogue, or compared with pictures."""
    if request.param == "compared":
        settings.EMBEDDER = "tests.api.texts:ColourWords"
        backends.forget()


@pytest.fixture
def shop(db, words) -> dict[str, Any]:
    """Products of every kind that a count could get wrong, and pictures that belong to none."""
    die = random.Random(5)
    segments = [
        add_product(
            f"P-{number}",
            die.choice(COLOURS),
            seed=number,
            name=die.choice(["Midi dress", "Rain coat", "Straw hat"]),
            brand=die.choice(["", "Ada", "Bea"]),
            category=die.choice([None, "Dresses", "Hats"]),
            season=die.choice(["", "summer", "winter"]),
            sale_status=die.choice(Product.SaleStatus.values),
            price=die.choice([None, "10.00", "30.00", "700.00"]),
            tags=die.sample(["floral", "warm"], die.randrange(3)),
            sizes=die.sample(["S", "M"], die.randrange(3)),
        )
        for number in range(16)
    ]
    add_photo(photo("pink", seed=70), segments[0].image.product)  # a second picture
    for number in range(3):  # nothing of these can be shown
        save_product(f"BARE-{number}", name="Floral dress", brand="Ada", category="Dresses")
    loose = [add_photo(photo(colour, seed=80)) for colour in ("red", "green", "blue")]
    query = services.search_photo(photo("red", seed=90), limit=1).query_id
    return {
        "garments": [row.identifier for row in segments],
        "loose": loose[0].identifier,
        "photo": {"query": query},
    }


def modes(shop: dict[str, Any]) -> dict[str, dict[str, Any]]:
    first, second, third, *_ = shop["garments"]
    image = shop["photo"]
    return {
        "a photo": image,
        "a garment": {"segment": first},
        "a picture of no product": {"segment": shop["loose"]},
        "words": {"text": "floral dress"},
        "words, and not others": {"text": "dress", "without": "floral"},
        "a photo and words": {**image, "text": "coat"},
        "a photo, and not some words": {**image, "without": "dress"},
        "examples": {"like": [first], "unlike": [second]},
        "words and examples": {"text": "dress hat", "unlike": [third]},
        "the nearest categories": {**image, "top_categories": 1},
    }


def rules() -> None:
    """Of each action one for all searches, and for a category of its own and another."""
    dresses = Category.objects.get(slug="dresses")
    inside, outside = (
        list(Product.objects.filter(images__isnull=False, **its).order_by("pk")[:3])
        for its in ({"category": dresses}, {"category__slug": "hats"})
    )
    for number, action in enumerate(("block", "pin", "bury")):
        Rule.objects.create(action=action, category=dresses, product=inside[number])
        Rule.objects.create(action=action, category=dresses, product=outside[number])
    rest = Product.objects.filter(images__isnull=False, category=None).order_by("pk")
    for action, product in zip(("block", "pin", "boost"), rest, strict=False):
        Rule.objects.create(action=action, product=product)


def clicks(facets: dict[str, Any]) -> Iterator[tuple[dict[str, Any], tuple[str, ...], int]]:
    """Each choice: the filters that it sets, those of its own that it replaces, and its number."""
    for name in LISTS:
        for value in facets[name]:
            chosen = True if name == "in_stock" else [value["value"]]
            yield {name: chosen}, (name,), value["count"]
    for band in facets["price"]:
        ends = {name: band[name] for name in ("price_min", "price_max") if band[name]}
        yield ends, ("price_min", "price_max"), band["count"]


def wrong_counts(client, asked: dict[str, Any], some: Sequence[dict[str, Any]]) -> tuple[int, list]:
    """How many choices were clicked, and those whose number was another than that of results."""
    clicked, wrong = 0, []
    for filters in some:
        first = client.post(URL, {**asked, "filters": filters, "facets": True}).json()
        for chosen, own, number in clicks(first["facets"]):
            kept = {name: value for name, value in filters.items() if name not in own}
            answer = client.post(URL, {**asked, "filters": {**kept, **chosen}, "limit": 100})
            found = len(answer.json()["results"])
            clicked += 1
            if found != number:
                wrong.append((filters, chosen, number, found))
    return clicked, wrong


@pytest.mark.parametrize("ruled", [False, True], ids=["without rules", "with rules"])
def test_every_number_is_that_of_the_results_which_a_click_gives(stranger, shop, settings, ruled):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES)
    if ruled:
        rules()
    told = {
        name: wrong_counts(stranger, asked, FILTERS if name in THOROUGHLY else FILTERS[:1])
        for name, asked in modes(shop).items()
    }
    assert {name: wrong for name, (_, wrong) in told.items() if wrong} == {}
    assert all(clicked for clicked, _ in told.values())
