"""/api/v1/searches/: by a photo, a box of it, a garment or a product; results, history, the end."""

import threading
import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image

from catalog.models import Segment
from similarity import backends, pipeline, services
from similarity.models import Hit, Query, Run
from tests.api import queries_of, references, refused, stored_files, traces
from tests.api.bad_files import BAD_FILES
from tests.conftest import client_of
from tests.pictures import as_base64, as_file, encoded, photo, picture
from tests.shop import add_photo, add_product

URL = "/api/v1/searches/"


def by_photo(client, data, **fields):
    return client.post(URL, {"image": as_file(data), **fields}, "multipart")


def use(settings, **backend_names):
    for name, backend in backend_names.items():
        setattr(settings, name.upper(), backend)
    backends.forget()


@pytest.fixture
def rainbow(db):
    """One product of each of three colours; their garments by the colour's name."""
    return {colour: add_product(colour.upper(), colour) for colour in ("red", "green", "blue")}


@pytest.fixture
def halves():
    """A photo whose left half is red and whose right half is blue, 200 by 100 pixels."""
    both = Image.new("RGB", (200, 100))
    both.paste(picture("red", (100, 100)), (0, 0))
    both.paste(picture("blue", (100, 100)), (100, 0))
    return encoded(both)


# --- By a photo -----------------------------------------------------------------------------


def test_a_photo_finds_what_looks_like_it_first(stranger, rainbow):
    response = by_photo(stranger, photo("green", seed=5))
    assert response.status_code == 201, response.content
    answer = response.json()
    assert answer["state"] == "done"
    assert references(response)[0] == "GREEN"
    assert answer["results"][0]["similarity"] > 0.9
    assert answer["query"]["detections"][0]["label"] == "garment"


def test_who_shows_the_results_otherwise_need_not_be_sent_them(stranger, rainbow):
    form = {"image": as_file(photo("green", seed=5))}
    response = stranger.post(URL, form, "multipart", headers={"Prefer": "return=minimal"})
    assert response.status_code == 201
    assert response["Preference-Applied"] == "return=minimal"
    answer = response.json()
    assert answer["state"] == "done"
    assert not {"results", "facets"} & set(answer)
    assert references(stranger.get(answer["link"]))[0] == "GREEN"


def test_base64_will_do_as_well(stranger, rainbow):
    for prefix in ("", "data:image/png;base64,"):
        response = stranger.post(URL, {"image": prefix + as_base64(photo("red", seed=3))})
        assert references(response)[0] == "RED"


@pytest.mark.parametrize(
    "form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF", "MPO"]
)
def test_photos_of_many_formats_are_taken(stranger, rainbow, form):
    response = by_photo(stranger, encoded(picture("blue", seed=4), form))
    assert references(response)[0] == "BLUE"


def test_results_come_with_all_that_a_shop_window_needs(stranger):
    segment = add_product("D-1", "red", brand="Ada", price="19.90", category="Dresses")
    (result,) = by_photo(stranger, photo("red")).json()["results"]
    assert (result["rank"], result["segment"]) == (0, segment.identifier)
    assert result["similarity"] == pytest.approx(1, abs=1e-4)
    assert result["product"]["price"] == "19.90"
    assert result["product"]["category"] == "Dresses"
    assert result["box"] == [0, 0, 120, 160]
    assert stranger.get(result["crop"])["Content-Type"] == "image/jpeg"


def test_results_are_ranked_best_first(stranger, rainbow):
    results = by_photo(stranger, photo("red")).json()["results"]
    assert [result["rank"] for result in results] == [0, 1, 2]
    similarities = [result["similarity"] for result in results]
    assert similarities == sorted(similarities, reverse=True)


def test_a_product_is_one_entry_with_its_best_image(stranger, rainbow):
    close = add_photo(photo("yellow"), rainbow["blue"].image.product)
    response = by_photo(stranger, photo("yellow", seed=9))
    assert sorted(references(response)) == ["BLUE", "GREEN", "RED"]
    best = response.json()["results"][0]
    assert (best["product"]["reference"], best["segment"]) == ("BLUE", close.identifier)


def test_a_picture_of_no_product_is_an_entry_of_its_own(stranger):
    segment = add_photo(photo("red"))
    (result,) = by_photo(stranger, photo("red")).json()["results"]
    assert (result["segment"], result["product"]) == (segment.identifier, None)


def test_an_empty_shop_gives_no_results(stranger):
    response = by_photo(stranger, photo())
    assert (response.status_code, response.json()["results"]) == (201, [])


def test_the_limit_holds(stranger, rainbow):
    assert len(by_photo(stranger, photo(), limit=2).json()["results"]) == 2


@pytest.mark.parametrize("limit", [0, 101, -1, "many", 1.5, None])
def test_a_limit_out_of_range_is_refused_and_leaves_nothing(stranger, limit):
    before = traces()
    body = {"image": as_base64(photo()), "limit": limit}
    problem = refused(stranger.post(URL, body), 400, "invalid")
    assert set(problem["errors"]) == {"limit"}
    assert traces() == before


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_and_leaves_nothing(stranger, name):
    data, status, code = BAD_FILES[name]
    before = traces()
    refused(by_photo(stranger, data), status, code)
    assert traces() == before


def test_a_file_that_is_too_large_is_refused(stranger, settings):
    settings.MAX_UPLOAD_BYTES = 2000
    refused(by_photo(stranger, photo()), 413, "file_too_large")
    refused(stranger.post(URL, {"image": as_base64(photo())}), 413, "file_too_large")


@pytest.mark.parametrize("image", ["no base64!", "data:text/plain,hello"])
def test_what_is_not_base64_is_refused(stranger, image):
    refused(stranger.post(URL, {"image": image}), 422, "not_base64")


def test_missing_weights_are_told_and_leave_nothing(stranger, settings, tmp_path):
    settings.BACKEND_OPTIONS = {"resnet50": {"models_dir": tmp_path}}
    use(settings, embedder="resnet50")
    before = traces()
    refused(by_photo(stranger, photo()), 503, "missing_weights")
    assert traces() == before


# --- What to search with --------------------------------------------------------------------


@pytest.mark.parametrize("sources", [[], ["segment", "product"], ["segment", "image"]])
def test_exactly_one_source_is_to_be_given(stranger, rainbow, sources):
    possible = {
        "segment": rainbow["red"].identifier,
        "product": "RED",
        "image": as_base64(photo()),
    }
    before = traces()
    refused(stranger.post(URL, {name: possible[name] for name in sources}), 400, "invalid")
    assert traces() == before


def test_a_garment_s_own_product_is_left_out(stranger, rainbow):
    add_photo(photo("red", seed=8), rainbow["red"].image.product)
    response = stranger.post(URL, {"segment": rainbow["red"].identifier})
    assert response.status_code == 201
    assert sorted(references(response)) == ["BLUE", "GREEN"]
    assert response.json()["segment"] == rainbow["red"].identifier


def test_a_garment_of_no_product_leaves_its_own_image_out(stranger, rainbow):
    alone = add_photo(photo("red", seed=8))
    response = stranger.post(URL, {"segment": alone.identifier})
    assert sorted(references(response)) == ["BLUE", "GREEN", "RED"]


def test_a_product_is_searched_with_by_its_first_picture(stranger, rainbow):
    product = rainbow["red"].image.product
    add_photo(photo("blue", seed=8), product)
    response = stranger.post(URL, {"product": "RED"})
    assert response.json()["segment"] == rainbow["red"].identifier
    assert "RED" not in references(response)


def test_what_the_embedder_has_not_described_yet_cannot_be_searched_with(stranger, rainbow):
    rainbow["red"].embeddings.all().delete()
    refused(stranger.post(URL, {"segment": rainbow["red"].identifier}), 409, "not_described")


def test_a_product_without_pictures_cannot_be_searched_with(stranger, rainbow):
    rainbow["red"].image.delete()
    refused(stranger.post(URL, {"product": "RED"}), 409, "not_described")


@pytest.mark.parametrize(
    "source",
    [{"segment": "none"}, {"product": "NONE"}, {"query": "none"}, {"segment": None}, {"image": 7}],
)
def test_a_source_that_is_none_is_refused(stranger, source):
    problem = refused(stranger.post(URL, source), 400, "invalid")
    assert set(problem["errors"]) == set(source)


def test_an_unknown_query_is_not_found(stranger, db):
    refused(stranger.post(URL, {"query": str(uuid4())}), 404, "not_found")


# --- By an address --------------------------------------------------------------------------


def test_addresses_are_not_fetched_unless_the_shop_allows_it(stranger):
    body = {"image_url": "https://example.com/dress.jpg"}
    refused(stranger.post(URL, body), 403, "image_urls_off")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://127.0.0.1/photo.jpg", "address_not_allowed"),
        ("http://169.254.169.254/latest/meta-data/", "address_not_allowed"),
        ("http://[::1]/photo.jpg", "address_not_allowed"),
        ("http://localhost/photo.jpg", "address_not_allowed"),
        ("http://93.184.215.14:22/photo.jpg", "bad_url"),
        ("ftp://93.184.215.14/photo.jpg", "bad_url"),
    ],
)
def test_addresses_inside_the_shop_s_own_network_are_refused(stranger, settings, address, code):
    settings.ALLOW_IMAGE_URLS = True
    before = traces()
    refused(stranger.post(URL, {"image_url": address}), 422, code)
    assert traces() == before


# --- A part of the photo --------------------------------------------------------------------


def test_a_box_searches_with_that_part_of_the_photo(stranger, rainbow, halves):
    for box, expected in (([0, 0, 100, 100], "RED"), ([100, 0, 200, 100], "BLUE")):
        response = stranger.post(URL, {"image": as_base64(halves), "box": box})
        assert references(response)[0] == expected
        assert response.json()["box"] == box


def test_a_form_s_box_is_four_values(stranger, rainbow, halves):
    response = by_photo(stranger, halves, box=[100, 0, 200, 100])
    assert references(response)[0] == "BLUE"


def test_a_box_is_cut_to_the_photo(stranger, rainbow, halves):
    response = stranger.post(URL, {"image": as_base64(halves), "box": [100, -50, 900, 900]})
    assert response.json()["box"] == [100, 0, 200, 100]


OUTSIDE = [[500, 500, 600, 600], [50, 50, 50, 80], [80, 80, 50, 50], [-9, -9, -1, -1]]


@pytest.mark.parametrize("box", OUTSIDE)
def test_a_box_that_holds_nothing_is_refused(stranger, rainbow, halves, box):
    query = by_photo(stranger, halves).json()["query"]["id"]
    refused(stranger.post(URL, {"query": query, "box": box}), 400, "bad_box")


@pytest.mark.parametrize("box", OUTSIDE)
def test_a_photo_with_a_box_that_holds_nothing_leaves_nothing(stranger, halves, box):
    before = traces()
    refused(stranger.post(URL, {"image": as_base64(halves), "box": box}), 400, "bad_box")
    assert traces() == before


@pytest.mark.parametrize(
    "box", [[1, 2, 3], [1, 2, 3, 4, 5], "box", [1, 2, 3, "x"], [1, 2, 3, None], [10**400, 0, 9, 9]]
)
def test_a_box_that_is_none_is_refused(stranger, box):
    problem = refused(stranger.post(URL, {"image": as_base64(photo()), "box": box}), 400, "invalid")
    assert set(problem["errors"]) == {"box"}


def test_a_garment_has_no_box(stranger, rainbow):
    body = {"segment": rainbow["red"].identifier, "box": [0, 0, 9, 9]}
    problem = refused(stranger.post(URL, body), 400, "invalid")
    assert set(problem["errors"]) == {"box"}


# --- Filters --------------------------------------------------------------------------------

ONE = {
    "category": "Summer dresses",
    "brand": "Ada",
    "store": "Paris",
    "tags": ["floral"],
    "sizes": ["M"],
    "season": "summer",
    "listing_season": "2026 spring",
    "sale_status": "sale",
    "waist_type": "high",
    "price": "50.00",
    "rating": "4.5",
}
OTHER = {
    "category": "Coats",
    "brand": "Grace",
    "store": "London",
    "tags": ["plain"],
    "sizes": ["L"],
    "season": "winter",
    "listing_season": "2025 autumn",
    "sale_status": "regular",
    "waist_type": "low",
    "price": "20.00",
    "rating": "3.0",
}
FILTERS = [
    {"category": ["summer-dresses"]},
    {"brand": ["Ada"]},
    {"store": ["Paris"]},
    {"tag": ["floral"]},
    {"size": ["M"]},
    {"season": ["summer"]},
    {"listing_season": ["2026 spring"]},
    {"sale_status": ["sale"]},
    {"waist_type": ["high"]},
    {"price_min": 49.5},
    {"rating_min": 4},
]
"""Each lets ONE through, and not OTHER."""


@pytest.fixture
def pair(db):
    """Two red products that differ in every detail: RED-1 is ONE, RED-2 is OTHER."""
    add_product("RED-1", "red", seed=1, **ONE)
    add_product("RED-2", "red", seed=2, **OTHER)


@pytest.mark.parametrize("filters", FILTERS, ids=lambda filters: next(iter(filters)))
def test_each_filter_narrows(stranger, pair, filters):
    response = stranger.post(URL, {"image": as_base64(photo("red")), "filters": filters})
    assert references(response) == ["RED-1"]
    assert response.json()["filters"] == filters


def test_prices_can_be_limited_from_above(stranger, pair):
    body = {"image": as_base64(photo("red")), "filters": {"price_max": 20}}
    assert references(stranger.post(URL, body)) == ["RED-2"]


def test_several_values_of_one_filter_widen_it(stranger, pair):
    body = {"image": as_base64(photo("red")), "filters": {"brand": ["Ada", "Grace"]}}
    assert len(references(stranger.post(URL, body))) == 2


def test_several_filters_narrow_the_result(stranger, pair):
    body = {"image": as_base64(photo("red")), "filters": {"brand": ["Ada"], "store": ["London"]}}
    assert references(stranger.post(URL, body)) == []


def test_a_colour_is_that_of_the_garment_found(stranger, rainbow):
    add_photo(photo("yellow"), rainbow["red"].image.product)
    lone = add_photo(photo("green", seed=7))
    body = {"image": as_base64(photo("red")), "filters": {"colour": ["yellow", "green"]}}
    answer = stranger.post(URL, body).json()
    found = {item["product"] and item["product"]["reference"]: item for item in answer["results"]}
    assert found.keys() == {"RED", "GREEN", None}
    assert found["RED"]["colours"][0]["name"] == "yellow"
    assert found[None]["segment"] == lone.identifier
    again = {"query": answer["query"]["id"], "filters": {"colour": ["blue"], "brand": ["Nobody"]}}
    assert stranger.post(URL, again).json()["results"] == []
    again = {"query": answer["query"]["id"], "filters": {"colour": ["blue"]}}
    assert references(stranger.post(URL, again)) == ["BLUE"]


def test_an_unknown_colour_is_refused_by_naming_the_known(stranger, db):
    before = traces()
    body = {"image": as_base64(photo()), "filters": {"colour": ["red", "mauve"]}}
    problem = refused(stranger.post(URL, body), 400, "invalid")
    told = str(problem["errors"]["filters"]["colour"])
    assert "mauve" in told
    assert "navy" in told
    assert traces() == before


def test_an_empty_filter_filters_nothing(stranger, pair):
    body = {"image": as_base64(photo("red")), "filters": {"brand": []}}
    assert len(references(stranger.post(URL, body))) == 2


def test_a_form_names_filters_with_a_dot(stranger, pair):
    response = by_photo(stranger, photo("red"), **{"filters.brand": ["Ada"]})
    assert references(response) == ["RED-1"]


def test_a_filter_that_does_not_exist_is_refused(stranger):
    before = traces()
    body = {"image": as_base64(photo()), "filters": {"brnd": ["Ada"]}}
    problem = refused(stranger.post(URL, body), 400, "invalid")
    assert set(problem["errors"]["filters"]) == {"brnd"}
    assert traces() == before


@pytest.mark.parametrize(
    "filters",
    [
        {"price_min": "cheap"},
        {"price_min": -1},
        {"price_min": "nan"},
        {"price_max": "inf"},
        {"price_max": 1e60},
        {"price_max": 10**400},
        {"rating_min": 6},
        {"rating_min": "nan"},
        {"brand": "Ada"},
        {"brand": [["Ada"]]},
        "brand",
    ],
    ids=str,
)
def test_a_filter_that_does_not_fit_is_refused_and_leaves_nothing(stranger, filters):
    before = traces()
    body = {"image": as_base64(photo()), "filters": filters}
    problem = refused(stranger.post(URL, body), 400, "invalid")
    assert set(problem["errors"]) == {"filters"}
    assert traces() == before


# --- Again, by the query's id ---------------------------------------------------------------


def test_a_photo_need_not_be_sent_again(stranger, rainbow, halves):
    query = by_photo(stranger, halves).json()["query"]["id"]
    files = stored_files()
    response = stranger.post(URL, {"query": query, "box": [100, 0, 200, 100], "limit": 1})
    assert response.status_code == 201
    assert references(response) == ["BLUE"]
    assert stored_files() == files
    assert Query.objects.count() == 1


def test_another_filter_searches_again(stranger, pair):
    query = by_photo(stranger, photo("red")).json()["query"]["id"]
    response = stranger.post(URL, {"query": query, "filters": {"brand": ["Grace"]}})
    assert references(response) == ["RED-2"]


def test_a_photo_s_garments_are_looked_for_once(stranger, rainbow):
    query = by_photo(stranger, photo()).json()["query"]["id"]
    stranger.post(URL, {"query": query})
    assert Run.objects.filter(kind=Run.Kind.DETECT).count() == 1


def test_a_photo_that_has_expired_is_not_found(stranger, rainbow):
    query = by_photo(stranger, photo()).json()["query"]["id"]
    Query.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(stranger.post(URL, {"query": query}), 404, "not_found")


def test_somebody_else_s_photo_is_not_found(shopper, other_shopper, stranger, rainbow):
    query = by_photo(shopper, photo()).json()["query"]["id"]
    for other in (other_shopper, stranger):
        refused(other.post(URL, {"query": query}), 404, "not_found")


# --- What a worker is to do -----------------------------------------------------------------


@pytest.fixture
def deferred(settings, stranger):
    """A search that is too heavy for a web request, and waits for a worker."""
    use(settings, embedder="tests.api.heavy:HeavyColour")
    add_product("GREEN", "green")
    response = by_photo(stranger, photo("green"), wait=0)
    assert response.status_code == 202
    return response.json()


def test_a_heavy_search_is_answered_with_a_link_to_ask_again(stranger, deferred):
    assert (deferred["state"], deferred["results"]) == ("pending", [])
    assert stranger.get(deferred["link"]).json()["state"] == "pending"
    pipeline.execute(UUID(deferred["id"]))
    response = stranger.get(deferred["link"])
    assert response.json()["state"] == "done"
    assert references(response) == ["GREEN"]


def test_a_heavy_search_waits_no_longer_than_it_is_told(settings, stranger, db):
    use(settings, embedder="tests.api.heavy:HeavyColour")
    start = time.monotonic()
    response = by_photo(stranger, photo(), wait=0.3)
    assert response.status_code == 202
    assert 0.3 <= time.monotonic() - start < 9  # ten seconds, where it is told nothing


@pytest.mark.django_db(transaction=True)
def test_a_request_waits_for_the_worker_and_gives_the_results(settings, stranger):
    use(settings, embedder="tests.api.heavy:HeavyColour")
    add_product("GREEN", "green")
    worker = threading.Thread(target=work_once)
    worker.start()
    response = by_photo(stranger, photo("green"), wait=30)
    worker.join()
    assert response.status_code == 201
    assert references(response) == ["GREEN"]


def work_once():
    """A worker that carries out one search, and has a connection of its own."""
    try:
        deadline = time.monotonic() + 60
        while not (waiting := Run.objects.filter(kind="search", state="pending").first()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pipeline.execute(waiting.pk)
    finally:
        connection.close()


def test_a_search_that_is_deleted_while_it_is_waited_for_is_a_cancelled_one(
    settings, shopper, db, monkeypatch
):
    use(settings, embedder="tests.api.heavy:HeavyColour")
    deleting = client_of(shopper.user)
    monkeypatch.setattr(services.runs.time, "sleep", lambda _: deleting.post(f"{URL}clear/"))
    response = by_photo(shopper, photo(), wait=20)
    assert (response.status_code, response.json()["state"]) == (201, "cancelled")
    assert response.json()["results"] == []
    assert not Run.objects.filter(kind=Run.Kind.SEARCH).exists()


@pytest.mark.parametrize("wait", [-1, 31, "long", "nan"])
def test_nobody_waits_for_ever(stranger, wait):
    problem = refused(
        stranger.post(URL, {"image": as_base64(photo()), "wait": wait}), 400, "invalid"
    )
    assert set(problem["errors"]) == {"wait"}


def test_a_search_can_be_cancelled_before_it_runs(stranger, deferred):
    response = stranger.post(f"{deferred['link']}cancel/")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    pipeline.execute(UUID(deferred["id"]))
    after = stranger.get(deferred["link"]).json()
    assert (after["state"], after["results"]) == ("cancelled", [])


def test_a_search_that_is_done_cannot_be_cancelled(stranger, rainbow):
    link = by_photo(stranger, photo()).json()["link"]
    refused(stranger.post(f"{link}cancel/"), 409, "already_ended")


def test_results_do_not_wait_for_a_heavy_detector(settings, stranger, rainbow):
    use(settings, detector="tests.api.heavy:HeavyDetector")
    response = by_photo(stranger, photo("red"))
    assert response.status_code == 201
    assert references(response)[0] == "RED"
    assert response.json()["query"]["detections"] is None
    pipeline.execute(Run.objects.get(kind=Run.Kind.DETECT).pk)
    (found,) = stranger.get(response.json()["link"]).json()["query"]["detections"]
    assert found == {"box": [0, 0, 120, 160], "label": "garment", "score": 1}


def test_garments_that_were_found_a_moment_ago_are_not_looked_for_again(settings, shopper, rainbow):
    use(settings, detector="tests.api.heavy:HeavyDetector")
    by_photo(shopper, photo("red"))
    read = Query.objects.get()
    pipeline.execute(Run.objects.get(kind=Run.Kind.DETECT).pk)
    assert services.look_for_garments(read, shopper.user) is None
    assert [found["label"] for found in read.detections] == ["garment"]
    assert Run.objects.filter(kind=Run.Kind.DETECT).count() == 1


def test_a_search_whose_detection_fails_has_its_results(settings, stranger, rainbow):
    use(settings, detector="tests.api.heavy:BrokenDetector")
    response = by_photo(stranger, photo("red"))
    assert references(response)[0] == "RED"
    assert response.json()["query"]["detections"] is None


# --- Whose it is ----------------------------------------------------------------------------


def test_a_stranger_s_search_is_known_by_its_id(stranger, shopper, rainbow):
    link = by_photo(stranger, photo("red")).json()["link"]
    assert references(stranger.get(link))[0] == "RED"
    assert references(shopper.get(link))[0] == "RED"


def test_somebody_s_search_is_not_found_by_others(shopper, other_shopper, stranger, staff, rainbow):
    link = by_photo(shopper, photo()).json()["link"]
    assert shopper.get(link).status_code == 200
    for other in (other_shopper, stranger, staff):
        refused(other.get(link), 404, "not_found")
        refused(other.post(f"{link}cancel/"), 404, "not_found")
        refused(other.delete(link), 404, "not_found")
    assert Run.objects.filter(kind=Run.Kind.SEARCH).exists()


def test_the_history_holds_one_s_own_searches_newest_first(shopper, other_shopper, rainbow):
    by_photo(other_shopper, photo("green"))
    first = by_photo(shopper, photo("red")).json()
    second = shopper.post(URL, {"segment": rainbow["blue"].identifier}).json()
    history = shopper.get(URL).json()
    assert [item["id"] for item in history["results"]] == [second["id"], first["id"]]


def test_the_history_says_how_many_were_found_and_the_best(shopper, rainbow):
    search = by_photo(shopper, photo("red"), limit=2).json()
    (item,) = shopper.get(URL).json()["results"]
    assert (item["found"], item["best"]) == (2, search["results"][0]["similarity"])
    assert "results" not in item


def test_the_history_can_be_narrowed_and_turned_round(shopper, rainbow):
    ids = [by_photo(shopper, photo(colour)).json()["id"] for colour in ("red", "green")]
    oldest_first = shopper.get(URL, {"ordering": "created_at"}).json()["results"]
    assert [item["id"] for item in oldest_first] == ids
    assert shopper.get(URL, {"state": "failed"}).json()["count"] == 0


def test_the_history_can_be_narrowed_to_what_was_much_alike(shopper, rainbow):
    alike = by_photo(shopper, photo("red", seed=9)).json()
    blank = by_photo(shopper, photo("red"), **{"filters.brand": "None"}).json()
    best = alike["results"][0]["similarity"]
    for least, ids in [(best - 0.01, [alike["id"]]), (-1, [alike["id"]]), (1, [])]:
        found = shopper.get(URL, {"best_min": least}).json()["results"]
        assert [item["id"] for item in found] == ids
    assert blank["id"] in {item["id"] for item in shopper.get(URL).json()["results"]}
    refused(shopper.get(URL, {"best_min": "much"}), 400, "invalid")
    assert shopper.get(alike["link"], {"best_min": 0.5}).status_code == 200


def test_a_stranger_has_no_history(stranger, db):
    response = stranger.get(URL)
    refused(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Basic")


def test_a_shop_may_let_only_those_search_who_have_signed_in(stranger, shopper, rainbow, settings):
    link = by_photo(stranger, photo()).json()["link"]
    settings.SEARCH_NEEDS_SIGN_IN = True
    segment = rainbow["red"].identifier
    refused(by_photo(stranger, photo()), 401, "not_authenticated")
    refused(stranger.get(link), 401, "not_authenticated")
    refused(stranger.get(f"/api/v1/segments/{segment}/similar/"), 401, "not_authenticated")
    assert by_photo(shopper, photo()).status_code == 201


# --- The end of it --------------------------------------------------------------------------


def delete(client, link, on_commit):
    with on_commit(execute=True):
        return client.delete(link)


def test_deleting_a_search_deletes_its_photo_and_rows(
    shopper, rainbow, django_capture_on_commit_callbacks
):
    before = traces()
    link = by_photo(shopper, photo("red", seed=3)).json()["link"]
    assert delete(shopper, link, django_capture_on_commit_callbacks).status_code == 204
    assert traces() == before
    assert not Hit.objects.exists()
    refused(shopper.get(link), 404, "not_found")


def test_a_photo_lives_as_long_as_a_search_that_needs_it(
    shopper, rainbow, django_capture_on_commit_callbacks
):
    first = by_photo(shopper, photo("red", seed=3)).json()
    again = shopper.post(URL, {"query": first["query"]["id"]}).json()
    delete(shopper, first["link"], django_capture_on_commit_callbacks)
    assert shopper.get(again["query"]["file"]).status_code == 200
    delete(shopper, again["link"], django_capture_on_commit_callbacks)
    assert not Query.objects.exists()
    assert not any("queries" in name for name in stored_files())


def test_the_history_is_cleared_of_one_s_own_searches(
    shopper, other_shopper, stranger, rainbow, django_capture_on_commit_callbacks
):
    kept = [by_photo(client, photo("green")).json() for client in (other_shopper, stranger)]
    files = stored_files()
    by_photo(shopper, photo("red", seed=3))
    shopper.post(URL, {"segment": rainbow["blue"].identifier})
    with django_capture_on_commit_callbacks(execute=True):
        assert shopper.post(f"{URL}clear/").status_code == 204
    assert shopper.get(URL).json()["count"] == 0
    assert stored_files() == files
    assert other_shopper.get(kept[0]["link"]).status_code == 200
    assert stranger.get(kept[1]["link"]).status_code == 200


def test_a_deleted_account_takes_its_searches_with_it(
    shopper, stranger, rainbow, django_capture_on_commit_callbacks
):
    before = traces()
    by_photo(shopper, photo("red", seed=3))
    link = shopper.post(URL, {"segment": rainbow["blue"].identifier}).json()["link"]
    with django_capture_on_commit_callbacks(execute=True):
        shopper.user.delete()
    assert traces() == before
    refused(stranger.get(link), 404, "not_found")


def test_a_search_outlives_the_garment_that_it_was_made_with(shopper, rainbow):
    link = shopper.post(URL, {"segment": rainbow["red"].identifier}).json()["link"]
    Segment.objects.filter(pk=rainbow["red"].pk).delete()
    answer = shopper.get(link).json()
    assert (answer["segment"], len(answer["results"])) == (None, 2)


# --- Its cost -------------------------------------------------------------------------------


def queries_with(client, products):
    """The queries of a search and of a look at it, in a shop of so many products."""
    for number in range(Segment.objects.count(), products):
        add_product(f"P-{number}", seed=number, tags=["a", "b"], sizes=["S", "M"], category="Tops")
    image = as_base64(photo("red", seed=99))
    links = []

    def search():
        response = client.post(URL, {"image": image})
        assert len(response.json()["results"]) == products
        links.append(response.json()["link"])
        return response

    return queries_of(search), queries_of(lambda: client.get(links[-1]))


def test_results_cost_no_query_each(shopper):
    assert queries_with(shopper, 3) == queries_with(shopper, 20)


def test_the_history_costs_no_query_per_search(shopper, rainbow):
    counts = []
    for searches in (2, 5):
        for _ in range(searches):
            by_photo(shopper, photo("red"))
        counts.append(queries_of(lambda: shopper.get(URL)))
    assert counts[0] == counts[1]
