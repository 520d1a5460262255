"""/api/v1/index/: how the index stands, building it anew, and going back."""

import shutil

import pytest

from similarity import indexing, pipeline, serving
from similarity.models import IndexBuild, Run
from tests.api import queries_of, references, refused
from tests.shop import add_product

URL = "/api/v1/index/"


@pytest.fixture
def shop(db):
    return [add_product(colour.upper(), colour) for colour in ("red", "green", "blue")]


def build():
    return indexing.rebuild(serving.serving_embedder())


def page(build):
    return f"{URL}builds/{build.pk}/"


# --- How it stands --------------------------------------------------------------------------


def test_without_a_build_all_vectors_are_searched_exactly(stranger, shop):
    status = stranger.get(URL).json()
    assert status["embedder"].startswith("colour-")
    assert (status["serving"], status["indexed"], status["newer"]) == (None, 0, 3)
    assert status["problem"] is None


def test_what_came_since_the_build_is_counted(stranger, shop):
    name = build().name
    add_product("PINK", "pink")
    status = stranger.get(URL).json()
    assert (status["serving"], status["indexed"], status["newer"]) == (name, 3, 1)


# --- Building it anew -----------------------------------------------------------------------


def test_a_rebuild_is_left_to_a_worker(staff, shop):
    response = staff.post(f"{URL}rebuild/")
    assert (response.status_code, response.json()["state"]) == (202, "pending")
    assert staff.get(URL).json()["serving"] is None
    pipeline.execute(Run.objects.get(pk=response.json()["id"]).pk)
    status = staff.get(URL).json()
    assert (status["indexed"], status["newer"]) == (3, 0)
    (built,) = staff.get(f"{URL}builds/").json()["results"]
    assert (built["name"], built["state"], built["count"]) == (status["serving"], "ready", 3)
    assert built["is_serving"] is True


def test_a_rebuild_that_is_under_way_is_the_one(staff, shop):
    first, second = (staff.post(f"{URL}rebuild/").json() for _ in range(2))
    assert first["id"] == second["id"]


def test_results_are_the_same_before_and_after(stranger, shop):
    address = f"/api/v1/segments/{shop[0].identifier}/similar/"
    before = references(stranger.get(address))
    build()
    assert references(stranger.get(address)) == before


# --- Builds ---------------------------------------------------------------------------------


def test_builds_are_listed_newest_first(staff, shop):
    first, second = build(), build()
    listed = staff.get(f"{URL}builds/").json()["results"]
    assert [item["name"] for item in listed] == [second.name, first.name]
    assert [item["is_serving"] for item in listed] == [True, False]


def test_builds_can_be_narrowed_to_a_state(staff, shop):
    build()
    assert staff.get(f"{URL}builds/", {"state": "ready"}).json()["count"] == 1
    assert staff.get(f"{URL}builds/", {"state": "failed"}).json()["count"] == 0


def test_an_earlier_build_can_serve_again(staff, shop):
    first, second = build(), build()
    response = staff.post(f"{page(first)}activate/")
    assert (response.status_code, response.json()["is_serving"]) == (200, True)
    assert staff.get(URL).json()["serving"] == first.name
    assert staff.get(page(second)).json()["is_serving"] is False


def test_a_build_that_is_gone_cannot_serve(staff, shop):
    first, second = build(), build()
    store = indexing.build_store(serving.serving_embedder())
    shutil.rmtree(store.root / first.name)
    refused(staff.post(f"{page(first)}activate/"), 409, "broken_build")
    assert staff.get(URL).json()["serving"] == second.name


def test_a_build_that_failed_cannot_serve(staff, shop):
    failed = IndexBuild.objects.create(
        embedder=serving.serving_embedder(), engine="exact", state=IndexBuild.State.FAILED
    )
    refused(staff.post(f"{page(failed)}activate/"), 409, "broken_build")


@pytest.mark.parametrize("pk", ["0", "none", "9" * 30])
def test_an_unknown_build_is_not_found(staff, pk):
    refused(staff.get(f"{URL}builds/{pk}/"), 404, "not_found")


def test_the_list_costs_no_query_per_build(staff, shop):
    counts = []
    for number in range(3):
        build()
        if number in {0, 2}:
            counts.append(queries_of(lambda: staff.get(f"{URL}builds/")))
    assert counts[0] == counts[1]
