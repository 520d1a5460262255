"""GET /api/v1/products/{reference}/similar/: what looks like a product, by its best picture."""

import numpy as np
import pytest

from catalog.models import OriginalImage, Segment
from similarity import indexing, services, serving
from similarity.models import Embedding, Run
from tests.api import queries_of, references, refused
from tests.pictures import photo
from tests.shop import add_photo, add_product

URL = "/api/v1/products/D-1/similar/"


def brute_force(reference: str) -> list[str]:
    """The obvious way: each of a product's garments against each of the others'."""
    rows = Embedding.objects.select_related("segment__image__product")
    mine = [row.vector for row in rows if row.segment.image.product.reference == reference]
    best: dict[str, float] = {}
    for row in rows:
        other = row.segment.image.product.reference
        if other != reference:
            likeness = max(float(np.dot(vector, row.vector)) for vector in mine)
            best[other] = max(likeness, best.get(other, -1.0))
    return sorted(best, key=lambda name: -best[name])


@pytest.fixture
def shop(db):
    """D-1 is red and, in another picture, blue; P-0 to P-5 have two pictures each."""
    first = add_product("D-1", "red")
    add_photo(photo("blue", seed=1), first.image.product)
    for number, colour in enumerate(("pink", "blue", "green", "red", "yellow", "black")):
        segment = add_product(f"P-{number}", colour, seed=10 + number, brand="ab"[number % 2])
        add_photo(photo("brown", seed=20 + number), segment.image.product)
    return first.image.product


@pytest.mark.parametrize("engine", ["exact", "annoy", "tail"])
def test_each_product_stands_once_in_the_order_of_its_best_picture(
    stranger, shop, settings, engine
):
    if engine != "tail":
        settings.INDEX = engine
        indexing.rebuild(serving.serving_embedder())
    response = stranger.get(URL)
    assert response.status_code == 200, response.content
    assert references(response) == brute_force("D-1")
    similarities = [item["similarity"] for item in response.json()["results"]]
    assert similarities == sorted(similarities, reverse=True)
    assert set(references(response)[:2]) == {"P-1", "P-3"}, "alike to the blue, and to the red"


def test_the_limit_and_the_filters_hold(stranger, shop):
    ranked = brute_force("D-1")
    assert references(stranger.get(URL, {"limit": 3})) == ranked[:3]
    of_a = [name for name in ranked if int(name[2:]) % 2 == 0]
    assert references(stranger.get(URL, {"brand": "a", "limit": 2})) == of_a[:2]
    assert references(stranger.get(URL, {"colour": "green"})) == ["P-2"]
    refused(stranger.get(URL, {"limit": 0}), 400, "invalid")
    refused(stranger.get(URL, {"brandt": "a"}), 400, "invalid")


@pytest.mark.parametrize("engine", ["annoy", "tail"])
def test_pictures_that_belong_to_no_product_are_none_of_them(stranger, shop, settings, engine):
    ranked = brute_force("D-1")
    for number in range(5):
        add_photo(photo("red", seed=60 + number))
    if engine != "tail":
        settings.INDEX = engine
        indexing.rebuild(serving.serving_embedder())
    assert references(stranger.get(URL, {"limit": 4})) == ranked[:4]


def test_pictures_that_are_deleted_speak_no_more(stranger, shop):
    OriginalImage.objects.filter(product=shop, position=1).delete()
    assert references(stranger.get(URL)) == brute_force("D-1")
    assert references(stranger.get(URL))[0] == "P-3"


def test_a_picture_speaks_by_its_best_garment_alone(stranger, shop):
    first = Segment.objects.get(image__product=shop, image__position=0)
    bag = Segment.objects.get(pk=first.pk)
    bag.pk, bag.number, bag.identifier = None, 1, "bag"
    bag.save()
    yellow = Embedding.objects.get(
        segment__image__product__reference="P-4", segment__image__position=0
    )
    Embedding.objects.create(segment=bag, embedder=yellow.embedder, vector=yellow.vector)
    assert references(stranger.get(URL))[0] != "P-4"


def test_a_product_without_a_described_picture_has_nothing_to_compare(stranger, merchandiser):
    merchandiser.put("/api/v1/products/D-1/", {"name": "Dress"})
    refused(stranger.get(URL), 409, "not_described")
    refused(stranger.get("/api/v1/products/NONE/similar/"), 404, "not_found")


def test_it_costs_few_queries_however_many_pictures_and_leaves_no_trace(stranger, shop):
    before = queries_of(lambda: stranger.get(URL))
    assert before <= 12
    for number in range(5):
        add_photo(photo("red", seed=40 + number), shop)
    assert queries_of(lambda: stranger.get(URL)) == before
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()


def test_of_very_many_pictures_the_first_speak(stranger, shop, monkeypatch):
    monkeypatch.setattr(services.likeness, "MOST_PICTURES", 1)
    assert references(stranger.get(URL))[0] == "P-3"
