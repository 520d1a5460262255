"""/api/v1/searches/ by words, by what is to be left out, and by examples."""

from datetime import timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.apps import apps
from django.utils import timezone

from catalog.models import ProductWord
from catalog.services import save_product
from similarity import backends, pipeline, serving
from similarity.models import Run
from tests.api import queries_of, references, refused, traces
from tests.api.test_export import taken_away
from tests.conftest import program_with
from tests.pictures import as_base64, as_file, photo
from tests.shop import add_photo, add_product

URL = "/api/v1/searches/"


def search(client, **asked):
    response = client.post(URL, asked)
    assert response.status_code in {201, 202}, response.content
    return response


def use(settings, embedder: str) -> None:
    settings.EMBEDDER = f"tests.api.texts:{embedder}"
    backends.forget()


@pytest.fixture
def text_side(settings):
    use(settings, "ColourWords")


@pytest.fixture
def server(db):
    """A shop's server, with a key for all that there is."""
    return program_with("Server", may_search=True, may_edit=True)


@pytest.fixture
def shop(db):
    """A product of each of four colours, by the colour's name."""
    details = {
        "red": {"name": "Midi dress", "brand": "Ada", "tags": ["floral"]},
        "pink": {"name": "Evening gown", "brand": "Ada", "description": "A dress for dancing."},
        "blue": {"name": "Mini dress", "brand": "Grace"},
        "green": {"name": "Rain coat", "brand": "Grace", "category": "Coats"},
    }
    return {
        colour: add_product(colour.upper(), colour, **fields) for colour, fields in details.items()
    }


# --- By words, in what the catalogue says ----------------------------------------------------


def test_words_find_what_the_catalogue_says_of_products(stranger, shop):
    response = search(stranger, text="Floral DRESSES")
    assert references(response) == ["RED", "BLUE", "PINK"]
    answer = response.json()
    assert (answer["state"], answer["text"]) == ("done", "Floral DRESSES")
    first, *others = answer["results"]
    assert (first["similarity"], first["matched"]) == (None, ["Floral", "DRESSES"])
    assert [item["matched"] for item in others] == [["DRESSES"], ["DRESSES"]]
    assert stranger.get(answer["link"]).json()["results"] == answer["results"]


def test_the_colours_of_garments_are_words(stranger, shop):
    assert references(search(stranger, text="green dress"))[0] == "GREEN"
    assert references(search(stranger, text="blue dress"))[0] == "BLUE"


def test_words_that_nothing_has_find_nothing(stranger, shop):
    assert references(search(stranger, text="Zeppelin")) == []


def test_a_product_that_has_no_garment_to_show_is_not_found(stranger, shop):
    for number in range(3):
        save_product(f"BARE-{number}", name="Floral floral dress")
    assert references(search(stranger, text="floral")) == ["RED"]


def test_products_without_garments_hide_no_others(stranger, shop, monkeypatch):
    monkeypatch.setattr("similarity.combined.LOOKED_AT", 2)
    for number in range(5):
        save_product(f"BARE-{number}", name="Floral floral dress")
    assert references(search(stranger, text="floral dress")) == ["RED", "BLUE", "PINK"]


def test_filters_hold_for_words(stranger, shop):
    assert references(search(stranger, text="dress", filters={"brand": ["Grace"]})) == ["BLUE"]
    assert references(search(stranger, text="dress", filters={"colour": ["pink"]})) == ["PINK"]


def test_a_filter_of_colour_shows_the_garment_of_that_colour(stranger, shop):
    second = add_photo(photo("yellow"), shop["red"].image.product)
    (found,) = search(stranger, text="floral", filters={"colour": ["yellow"]}).json()["results"]
    assert found["segment"] == second.identifier


def test_a_longer_list_begins_as_a_shorter_one(stranger, shop):
    image = as_base64(photo("red", seed=3))
    for asked in ({"text": "dress"}, {"text": "dress", "image": image}):
        whole = references(search(stranger, **asked))
        assert references(search(stranger, **asked, limit=2)) == whole[:2]


@pytest.mark.parametrize(
    "text", ["% dress", "dress_", "'; DROP TABLE--", "dress\\", "-dress*", '"']
)
def test_every_sign_is_harmless(stranger, shop, text):
    response = stranger.post(URL, {"text": text})
    if response.status_code == 400:
        refused(response, 400, "invalid")
    else:
        assert set(references(response)) in ({"RED", "BLUE", "PINK"}, set())


# --- A photo and words ----------------------------------------------------------------------


def test_a_photo_and_words_are_merged_by_reciprocal_rank(stranger, shop):
    """The photo's order is green, then others; the words' RED, BLUE, PINK: 1/61 + 1/6x each."""
    image = as_base64(photo("green", seed=3))
    nearest = references(search(stranger, image=image))
    worded = references(search(stranger, text="floral dress"))
    scores = {
        name: sum(
            1 / (61 + ranking.index(name)) for ranking in (nearest, worded) if name in ranking
        )
        for name in nearest
    }
    response = search(stranger, image=image, text="floral dress")
    assert references(response) == sorted(scores, key=lambda name: -scores[name])
    assert references(response)[-1] == "GREEN" != nearest[-1]
    by_name = {item["product"]["reference"]: item for item in response.json()["results"]}
    assert by_name["RED"]["matched"] == ["floral", "dress"]
    assert by_name["GREEN"]["matched"] == []
    assert by_name["GREEN"]["similarity"] > by_name["RED"]["similarity"]


def test_what_words_find_far_from_the_photo_is_measured_too(stranger, shop, monkeypatch):
    monkeypatch.setattr("similarity.combined.DEPTH", 1)
    second = add_photo(photo("white"), shop["red"].image.product)
    image = as_base64(photo("green", seed=3))
    found = search(stranger, image=image, text="floral").json()["results"]
    assert [item["product"]["reference"] for item in found] == ["GREEN", "RED"]
    assert found[1]["similarity"] is not None
    assert found[1]["segment"] in {shop["red"].identifier, second.identifier}


def test_filters_hold_for_photo_and_words_alike(stranger, shop):
    image = as_base64(photo("red", seed=3))
    found = references(search(stranger, image=image, text="dress", filters={"brand": ["Grace"]}))
    assert sorted(found) == ["BLUE", "GREEN"]


def test_a_picture_of_no_product_is_merged_as_well(stranger, shop):
    lone = add_photo(photo("red", seed=7))
    found = search(stranger, image=as_base64(photo("red")), text="dress").json()["results"]
    assert [item["matched"] for item in found if item["segment"] == lone.identifier] == [[]]


# --- Without --------------------------------------------------------------------------------


def test_what_is_left_out_in_words_is_not_found(stranger, shop):
    assert references(search(stranger, text="dress", without="floral")) == ["BLUE", "PINK"]
    image = as_base64(photo("red", seed=3))
    found = references(search(stranger, image=image, without="floral coats"))
    assert sorted(found) == ["BLUE", "PINK"]
    assert found[0] == "PINK"


def test_what_has_no_words_is_not_left_out(stranger, shop):
    lone = add_photo(photo("red", seed=7))
    found = search(stranger, image=as_base64(photo("red")), without="dress coats").json()["results"]
    assert [item["segment"] for item in found] == [lone.identifier]


def test_leaving_out_and_filters_go_together(stranger, shop):
    image = as_base64(photo("red", seed=3))
    asked = {"image": image, "without": "floral", "filters": {"brand": ["Ada"]}}
    assert references(search(stranger, **asked)) == ["PINK"]


def test_leaving_out_most_of_a_shop_still_finds_the_rest(stranger, shop):
    for seed in range(30):
        add_product(f"OUT-{seed}", "red", seed=seed, tags=["unwanted"])
    image = as_base64(photo("red", seed=99))
    found = references(search(stranger, image=image, without="unwanted", limit=4))
    assert sorted(found) == ["BLUE", "GREEN", "PINK", "RED"]


# --- Examples -------------------------------------------------------------------------------


def similarities(response) -> dict[str, float]:
    return {item["product"]["reference"]: item["similarity"] for item in response.json()["results"]}


def test_more_like_one_and_less_like_another_moves_the_results(stranger, shop):
    add_product("PINKISH", "pink", seed=5)
    add_product("BLUEISH", "blue", seed=5)
    image = as_base64(photo("white"))
    before = similarities(search(stranger, image=image))
    for like, unlike in (("pink", "blue"), ("blue", "pink")):
        asked = {"like": [shop[like].identifier], "unlike": [shop[unlike].identifier]}
        response = search(stranger, image=image, **asked)
        after = similarities(response)
        assert references(response)[0] == f"{like}ish".upper()
        assert after[f"{like}ish".upper()] > before[f"{like}ish".upper()]
        assert after[f"{unlike}ish".upper()] < before[f"{unlike}ish".upper()]
        assert not {like.upper(), unlike.upper()} & set(after), "examples are known already"


def test_examples_alone_will_do(stranger, shop):
    add_product("PINKISH", "pink", seed=5)
    response = search(stranger, like=[shop["pink"].identifier])
    assert references(response)[0] == "PINKISH"
    assert "PINK" not in references(response)
    assert response.json()["like"] == [shop["pink"].identifier]


def test_examples_move_what_words_have_found(stranger, shop):
    twins = {colour: add_product(f"T-{colour}", colour, seed=5) for colour in ("pink", "blue")}
    for colour, other in (("pink", "blue"), ("blue", "pink")):
        unlike = [twins[other].identifier]
        found = references(search(stranger, text="ada grace gown mini", unlike=unlike))
        assert found.index(colour.upper()) < found.index(other.upper())
        found = references(search(stranger, text="gown mini", like=[twins[colour].identifier]))
        assert found.index(colour.upper()) < found.index(other.upper())


def test_a_garment_and_examples_go_together(stranger, shop):
    asked = {"segment": shop["red"].identifier, "unlike": [shop["blue"].identifier]}
    assert sorted(references(search(stranger, **asked))) == ["GREEN", "PINK"]


def test_an_example_that_is_not_described_yet_is_told(stranger, shop):
    shop["red"].embeddings.all().delete()
    refused(stranger.post(URL, {"like": [shop["red"].identifier]}), 409, "not_described")


@pytest.mark.parametrize("asker", ["stranger", "search_key", "server"])
def test_a_search_without_a_photo_that_is_no_person_s_is_forgotten_like_one_with(
    asker, request, shop, settings
):
    settings.QUERY_LIFETIME_DAYS = 3
    client = request.getfixturevalue(asker)
    for asked in ({"text": "dress"}, {"segment": shop["red"].identifier}):
        run = Run.objects.get(pk=search(client, **asked).json()["id"])
        assert timedelta(days=2) < run.expires_at - timezone.now() <= timedelta(days=3)


def test_a_shop_s_server_has_its_searches_listed_until_they_are_forgotten(server, shop):
    search(server, text="dress")
    assert server.get(URL).json()["count"] == 1
    Run.objects.update(expires_at=timezone.now())
    assert server.get(URL).json()["count"] == 0


def test_what_programs_searched_for_before_is_forgotten_as_well(server, shopper, shop):
    for client in (server, shopper):
        search(client, text="dress")
    Run.objects.update(expires_at=None)
    migration = import_module("similarity.migrations.0015_programs_searches_expire")
    migration.expire(apps, None)
    [run] = Run.objects.exclude(expires_at=None)
    assert run.requested_by == server.user


def test_a_person_s_search_without_a_photo_stays_in_their_history(shopper, shop):
    pk = search(shopper, text="dress").json()["id"]
    assert Run.objects.get(pk=pk).expires_at is None


def test_a_photo_that_cannot_be_searched_with_is_not_kept(
    stranger, shop, django_capture_on_commit_callbacks
):
    shop["red"].embeddings.all().delete()
    before = traces()
    body = {"image": as_base64(photo()), "like": [shop["red"].identifier]}
    with django_capture_on_commit_callbacks(execute=True):  # by which files are deleted
        refused(stranger.post(URL, body), 409, "not_described")
    assert traces() == before


# --- An embedder with a text side ------------------------------------------------------------


def test_words_are_vectors_where_the_embedder_has_a_text_side(stranger, text_side, shop):
    response = search(stranger, text="something blue")
    assert references(response)[0] == "BLUE"
    first = response.json()["results"][0]
    assert first["similarity"] > 0.9
    assert first["matched"] == ["blue"]
    assert len(references(response)) == 4, "what lacks the word is merely less alike"


def test_a_photo_and_words_are_one_vector(stranger, text_side, shop):
    image = as_base64(photo("red", seed=3))
    before, after = (
        similarities(search(stranger, image=image, **words)) for words in ({}, {"text": "green"})
    )
    assert list(before)[:2] == ["RED", "PINK"]
    assert set(list(after)[:2]) == {"RED", "GREEN"}
    assert after["GREEN"] > before["GREEN"]


def test_words_to_leave_out_push_away(stranger, text_side, shop):
    ProductWord.objects.all().delete()  # so that nothing is left out by the catalogue's word
    image = as_base64(photo("white"))
    before, after = (
        similarities(search(stranger, image=image, **words)) for words in ({}, {"without": "pink"})
    )
    assert after["PINK"] < before["PINK"]
    assert list(after).index("PINK") > list(before).index("PINK") or list(after)[-1] == "PINK"


def test_words_and_examples_are_one_vector(stranger, text_side, shop):
    add_product("BLUEISH", "blue", seed=5)
    like = [shop["blue"].identifier]
    assert references(search(stranger, text="white", like=like))[0] == "BLUEISH"


def test_words_for_a_heavy_embedder_are_a_worker_s(stranger, shop, settings):
    use(settings, "HeavyColourWords")
    for segment in shop.values():
        segment.embeddings.update(embedder=serving.serving_embedder())
    asked = search(stranger, text="blue", without="coat", wait=0).json()
    assert asked["state"] == "pending"
    pipeline.execute(UUID(asked["id"]))
    done = stranger.get(asked["link"])
    assert references(done)[0] == "BLUE"
    assert "GREEN" not in references(done)
    like = search(stranger, like=[shop["red"].identifier])
    assert like.status_code == 201, "nothing is described: answered at once"


def test_an_example_that_has_gone_before_the_worker_came_is_passed_over(stranger, shop, settings):
    settings.EMBEDDER = "tests.api.heavy:HeavyColour"
    backends.forget()
    for segment in shop.values():
        segment.embeddings.update(embedder=serving.serving_embedder())
    like = [shop["red"].identifier]
    asked = search(stranger, image=as_base64(photo("blue")), like=like, wait=0).json()
    shop["red"].image.product.delete()
    pipeline.execute(UUID(asked["id"]))
    assert references(stranger.get(asked["link"]))[0] == "BLUE"


# --- What will not do -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"text": "x" * 201}, "text"),
        ({"text": "!!!"}, "text"),
        ({"text": "\x00dress"}, "text"),
        ({"text": ["dress"]}, "text"),
        ({"text": "dress", "without": "%"}, "without"),
        ({"text": "dress", "without": "x" * 201}, "without"),
        ({"like": ["nobody"]}, "like"),
        ({"text": "dress", "unlike": ["nobody"]}, "unlike"),
        ({"text": "dress", "like": "nobody"}, "like"),
        ({"text": "dress", "like": [f"s{number}" for number in range(21)]}, "like"),
        ({"text": "dress", "like": ["x" * 101]}, "like"),
        ({"text": "dress", "box": [0, 0, 9, 9]}, "box"),
        ({"text": " "}, "non_field_errors"),
        ({"without": "dress"}, "non_field_errors"),
        ({"like": []}, "non_field_errors"),
    ],
)
def test_what_cannot_be_searched_with_is_refused_and_leaves_nothing(stranger, shop, asked, field):
    before = traces()
    problem = refused(stranger.post(URL, asked), 400, "invalid")
    assert set(problem["errors"]) == {field}
    assert traces() == before


def test_nothing_is_both_an_example_and_its_opposite(stranger, shop):
    ids = [shop["red"].identifier]
    problem = refused(stranger.post(URL, {"like": ids, "unlike": ids}), 400, "invalid")
    assert set(problem["errors"]) == {"unlike"}


def test_a_search_by_words_is_counted_as_any(stranger, shop, settings):
    settings.THROTTLES = {**settings.THROTTLES, "search": "2/min"}
    statuses = [stranger.post(URL, {"text": "dress"}).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]


# --- What is kept ---------------------------------------------------------------------------


def test_words_and_examples_are_kept_with_the_search(shopper, shop):
    liked = shop["red"].identifier
    asked = {"text": "dress", "without": "mini", "like": [liked], "unlike": []}
    done = search(shopper, **asked).json()
    (listed,) = shopper.get(URL).json()["results"]
    for seen in (done, listed):
        assert {name: seen[name] for name in asked} == asked
    (exported,) = taken_away_searches(shopper)
    assert {name: exported[name] for name in asked} == asked
    assert exported["results"][0]["matched"] == ["dress"]
    words_alone = search(shopper, text="floral").json()
    best = {item["id"]: item["best"] for item in shopper.get(URL).json()["results"]}
    assert best[words_alone["id"]] is None


def taken_away_searches(client):
    import json

    return json.loads(taken_away(client)["searches.json"])


def test_a_search_from_before_there_were_words_is_shown(shopper, shop):
    options = {"limit": 1, "box": None, "filters": {}}
    run = Run.objects.create(kind="search", requested_by=shopper.user, options=options)
    for answer in (shopper.get(f"{URL}{run.pk}/").json(), shopper.get(URL).json()["results"][0]):
        assert (answer["text"], answer["without"], answer["like"]) == ("", "", [])


def test_a_form_will_do(stranger, shop):
    form = {"image": as_file(photo("green")), "text": "dress", "like": [shop["red"].identifier]}
    response = stranger.post(URL, form, "multipart")
    assert response.status_code == 201
    assert response.json()["like"] == [shop["red"].identifier]


# --- Its cost -------------------------------------------------------------------------------


def test_more_products_cost_no_more_queries(stranger, shop):
    def counts():
        return [
            queries_of(lambda asked=asked: stranger.post(URL, asked))
            for asked in ({"text": "dress"}, {"text": "dress", "like": [shop["green"].identifier]})
        ]

    before = counts()
    for number in range(10):
        add_product(f"P-{number}", "red", seed=number, name="Long dress", tags=["a", "b"])
    assert counts() == before
