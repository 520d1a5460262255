"""What live engines promise beyond the contract of all: collections, changes, plain errors."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from similarity.engine import NO_CATEGORY, LiveIndex, load
from similarity.engine.errors import BrokenBuild, IndexUnavailable, NothingServes
from tests.engine.live import LIVE, live_index, live_options
from tests.engine.test_indexes import brute_force, random_units
from tests.scratch import eventually

KEYS = np.arange(1, 301)
VECTORS = random_units(300, 16)


@pytest.fixture(params=LIVE)
def index(request):
    found = live_index(request.param, 16)
    yield found
    for name in found.collections():
        found.drop(name)


def none(keys) -> np.ndarray:
    """Nothing is sorted."""
    return np.full(len(keys), NO_CATEGORY)


def fill(index, name: str, keys=KEYS, vectors=VECTORS, categories=None) -> None:
    index.create(name)
    index.add(name, keys, vectors, none(keys) if categories is None else categories)
    index.finish(name)


def keys_found(index, **how) -> list[int]:
    return [hit.key for hit in index.search(VECTORS[:1], 5, **how)[0]]


def test_it_is_a_live_index_that_lacks_nothing(index):
    assert isinstance(index, LiveIndex)
    assert index.missing() == []


def test_nothing_serves_until_something_does(index):
    assert (index.serving(), index.collections()) == (None, [])
    with pytest.raises(NothingServes):
        index.search(VECTORS[:1], 3)
    fill(index, "a")
    assert (index.serving(), index.collections()) == (None, ["a"])
    with pytest.raises(NothingServes):
        index.search(VECTORS[:1], 3)
    assert keys_found(index, name="a")[0] == 1
    index.serve("a")
    assert index.serving() == "a"
    assert keys_found(index)[0] == 1


def test_another_collection_takes_over_and_the_one_before_can_come_back(index):
    fill(index, "a")
    fill(index, "b", KEYS + 1000)
    index.serve("a")
    index.serve("b")
    assert (index.serving(), index.collections()) == ("b", ["b", "a"])
    assert keys_found(index)[0] == 1001
    index.serve("a")
    assert keys_found(index)[0] == 1
    index.drop("b")
    index.drop("never there")
    assert index.collections() == ["a"]


@pytest.mark.parametrize("kept", [0.05, 0.5, 1.0])
def test_keys_in_several_parts_are_answered_as_in_one(index, monkeypatch, kept):
    fill(index, "a")
    monkeypatch.setattr("similarity.engine.indexes.live.AMONG_AT_ONCE", 7)
    among = np.random.default_rng(1).permutation(KEYS)[: int(300 * kept)]
    found = index.search(VECTORS[:3], 10, among=among, name="a")
    wanted = set(among.tolist())
    assert found == [brute_force(KEYS, VECTORS, query, 10, wanted) for query in VECTORS[:3]]


def test_what_is_not_there_cannot_serve(index):
    with pytest.raises(BrokenBuild, match="no collection"):
        index.serve("none")


def test_searches_follow_what_is_added_replaced_and_removed(index):
    fill(index, "a", KEYS[:200], VECTORS[:200])
    index.serve("a")
    index.add(None, KEYS[200:], VECTORS[200:], none(KEYS[200:]))
    index.remove(None, np.array([1, 7, 999]))
    index.add(None, np.array([2]), -VECTORS[1:2], none([2]))
    keys = np.delete(KEYS, [0, 6])
    vectors = np.delete(np.concatenate([VECTORS[:1], -VECTORS[1:2], VECTORS[2:]]), [0, 6], axis=0)
    for query in random_units(5, 16, seed=3):
        found = index.search(query[None], 9, exactly=True)[0]
        assert found == brute_force(keys, vectors, query, 9)
    assert index.count(None) == 298
    index.add(None, KEYS[:1], VECTORS[:1], none([1]))
    index.add(None, KEYS[:1], VECTORS[:1], none([1]))
    assert index.count("a") == 299


def test_all_that_is_stored_comes_back_bit_by_bit(index):
    fill(index, "a")
    batches = list(index.stored("a"))
    assert np.array_equal(np.concatenate([keys for keys, _ in batches]), KEYS)
    assert np.array_equal(np.concatenate([vectors for _, vectors in batches]), VECTORS)
    assert index.size("a") >= VECTORS.nbytes


def test_spaces_know_nothing_of_each_other(index):
    fill(index, "a")
    index.serve("a")
    options = {"url": index.url}
    other = load(
        "index",
        "pgvector" if hasattr(index, "plan") else "qdrant",
        space=index.space + "-other",
        dim=16,
        **options,
    )
    other._client = getattr(index, "_client", None)  # Qdrant's local mode has one client
    assert (other.serving(), other.collections()) == (None, [])


def test_vectors_of_another_dimension_are_refused(index):
    index.create("a")
    with pytest.raises(ValueError, match="8 dimensions in an index of 16"):
        index.add("a", KEYS[:3], random_units(3, 8), none(KEYS[:3]))


# --- Categories ------------------------------------------------------------------------------

CATEGORIES = np.where(KEYS % 3, KEYS % 7, NO_CATEGORY)
"""A third is of none; each of the six others has some thirty."""


def in_categories(*wanted: int, of=CATEGORIES) -> set[int]:
    return set(KEYS[np.isin(of, wanted) & (of != NO_CATEGORY)].tolist())


def told(index, name: str | None) -> dict[int, int]:
    return {
        int(key): int(category)
        for keys, categories in index.categories(name)
        for key, category in zip(keys, categories, strict=True)
    }


def test_the_category_of_each_vector_comes_back(index):
    fill(index, "a", categories=CATEGORIES)
    assert told(index, "a") == dict(zip(KEYS.tolist(), CATEGORIES.tolist(), strict=True))
    assert np.array_equal(np.concatenate([keys for keys, _ in index.categories("a")]), KEYS)


@pytest.mark.parametrize("wanted", [[3], [6, 1], [1, 2, 3, 4, 5, 6], [3, 99]])
def test_a_search_is_kept_to_some_categories(index, wanted):
    fill(index, "a", categories=CATEGORIES)
    found = index.search(VECTORS[:3], 10, categories=wanted, name="a")
    kept = in_categories(*wanted)
    assert found == [brute_force(KEYS, VECTORS, query, 10, kept) for query in VECTORS[:3]]


@pytest.mark.parametrize("kept", [0.001, 0.01, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("exactly", [False, True])
def test_a_search_of_a_category_is_a_scan_of_it_at_every_selectivity(index, kept, exactly):
    keys, vectors = np.arange(3000) * 7, random_units(3000, 16, seed=8)
    chosen = np.random.default_rng(1).permutation(3000) < 3000 * kept
    fill(index, "a", keys, vectors, np.where(chosen, 5, 6))
    [found] = index.search(vectors[:1], 5, categories=[5], name="a", exactly=exactly)
    assert found == brute_force(keys, vectors, vectors[0], 5, set(keys[chosen].tolist()))


def test_more_neighbours_than_a_category_has_is_all_of_it(index):
    fill(index, "a", categories=CATEGORIES)
    [found] = index.search(VECTORS[:1], 200, categories=[3], name="a")
    assert {hit.key for hit in found} == in_categories(3)


@pytest.mark.parametrize("unknown", [[99], [], [NO_CATEGORY]])
def test_what_is_no_category_has_nothing(index, unknown):
    fill(index, "a", categories=CATEGORIES)
    assert index.search(VECTORS[:2], 5, categories=unknown, name="a") == [[], []]


def test_keys_and_categories_hold_together(index, monkeypatch):
    fill(index, "a", categories=CATEGORIES)
    monkeypatch.setattr("similarity.engine.indexes.live.AMONG_AT_ONCE", 40)
    [found] = index.search(VECTORS[:1], 9, among=KEYS[:150], categories=[2, 4], name="a")
    kept = in_categories(2, 4) & set(KEYS[:150].tolist())
    assert found == [*brute_force(KEYS, VECTORS, VECTORS[0], 9, kept)]


def test_categories_change_without_the_vectors_being_sent_again(index):
    fill(index, "a", categories=CATEGORIES)
    index.serve("a")
    index.categorise(None, np.array([2, 3, 4, 999]), np.array([50, 50, NO_CATEGORY, 50]))
    changed = CATEGORIES.copy()
    changed[[1, 2, 3]] = 50, 50, NO_CATEGORY
    assert told(index, None) == dict(zip(KEYS.tolist(), changed.tolist(), strict=True))
    assert index.count(None) == 300  # what is not there is passed over
    [found] = index.search(VECTORS[:1], 5, categories=[50])
    assert {hit.key for hit in found} == {2, 3}
    [vectors] = [vectors for _, vectors in index.stored(None)]
    assert np.array_equal(vectors, VECTORS)


def test_what_is_added_again_is_of_its_new_category(index):
    fill(index, "a", categories=CATEGORIES)
    index.add("a", KEYS[:1], VECTORS[:1], np.array([50]))
    assert told(index, "a")[1] == 50


def test_another_number_of_categories_than_of_keys_is_refused(index):
    index.create("a")
    with pytest.raises(ValueError, match="1 categories for 2 keys"):
        index.add("a", KEYS[:2], VECTORS[:2], none(KEYS[:1]))
    with pytest.raises(ValueError, match="1 categories for 2 keys"):
        index.categorise("a", KEYS[:2], none(KEYS[:1]))


# --- Services that do not answer -------------------------------------------------------------


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "url"),
    [("qdrant", "http://127.0.0.1:{}"), ("pgvector", "postgresql://nobody@127.0.0.1:{}/none")],
)
def test_a_service_that_is_not_there_is_said_to_be(name, url, closed_port):
    live_options(name)  # or skip
    index = load("index", name, space="tests", dim=16, url=url.format(closed_port), timeout=2)
    for ask in (index.serving, index.collections, lambda: index.search(VECTORS[:1], 3)):
        with pytest.raises(IndexUnavailable, match="does not answer") as caught:
            ask()
        assert not isinstance(caught.value, NothingServes)


@contextmanager
def qdrant_that(answer):
    """A client of a server that answers, and counts, each request (method, path, body) like this:
    a status and what it says. None is no answer in time."""
    pytest.importorskip("qdrant_client")
    asked: list[tuple[str, str, dict]] = []
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.command, self.path.partition("?")[0], json.loads(body or b"{}")))
            said = answer(len(asked))
            if said is None:
                is_over.wait(30)
                return
            status, result = said
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"result": result, "status": "ok", "time": 0}).encode())

        def do_PUT(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()


def test_qdrant_is_asked_again_while_it_is_busy():
    with qdrant_that(lambda turn: (503 if turn < 3 else 200, {"aliases": []})) as (url, asked):
        assert load("index", "qdrant", space="tests", dim=16, url=url).serving() is None
    assert len(asked) == 3


def test_qdrant_is_not_asked_again_for_what_it_refuses():
    with qdrant_that(lambda _: (403, {})) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url)
        with pytest.raises(IndexUnavailable, match="403"):
            index.serving()
    assert len(asked) == 1


def test_a_qdrant_that_hangs_is_given_up_after_the_time_that_is_set():
    with qdrant_that(lambda _: None) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url, timeout=1)
        with pytest.raises(IndexUnavailable, match="timed out"):
            index.serving()
        eventually(lambda: len(asked) >= 3)  # the server may hear of it later
    assert len(asked) == 3


CARRIED_OUT = {"operation_id": 1, "status": "completed"}


def makes(turn: int) -> tuple[int, object]:
    """A collection is made, and its index."""
    return 200, True if turn == 1 else CARRIED_OUT


def test_qdrant_cuts_a_collection_into_the_shards_and_copies_that_are_set():
    with qdrant_that(makes) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url, shards=6, replicas=2)
        index.create("a")
    method, path, body = asked[0]
    assert (method, path) == ("PUT", "/collections/fashionsim-tests.a")
    assert (body["shard_number"], body["replication_factor"]) == (6, 2)
    assert body["vectors"] == {"size": 16, "distance": "Dot"}


def test_qdrant_indexes_the_categories_of_a_collection_before_it_is_filled():
    with qdrant_that(makes) as (url, asked):
        load("index", "qdrant", space="tests", dim=16, url=url).create("a")
    method, path, body = asked[1]
    assert (method, path) == ("PUT", "/collections/fashionsim-tests.a/index")
    assert body["field_name"] == "category"
    assert body["field_schema"] == {"type": "integer", "lookup": True, "range": False}


def test_qdrant_is_asked_for_some_categories_by_a_filter_beside_that_of_keys():
    with qdrant_that(lambda _: (200, {"points": []})) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url)
        index.search(VECTORS[:1], 3, among=KEYS[:2], categories=[4, 7])
    assert asked[0][2]["filter"]["must"] == [
        {"has_id": [1, 2]},
        {"key": "category", "match": {"any": [4, 7]}},
    ]


def test_qdrant_is_told_of_many_changed_categories_in_one_request():
    with qdrant_that(lambda _: (200, [CARRIED_OUT] * 2)) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url)
        index.categorise(None, np.array([3, 5, 9]), np.array([4, NO_CATEGORY, 4]))
    [(method, path, body)] = asked
    assert (method, path) == ("POST", "/collections/fashionsim-tests/points/batch")
    assert [step["set_payload"] for step in body["operations"]] == [
        {"payload": {"category": None}, "filter": {"must": [{"has_id": [5]}]}},
        {"payload": {"category": 4}, "filter": {"must": [{"has_id": [3, 9]}]}},
    ]


# --- pgvector's own --------------------------------------------------------------------------


GROWN_CATEGORIES = np.where(np.arange(5000) % 500, 1, 50)


@pytest.fixture(scope="module")
def grown():
    """Enough vectors for PostgreSQL to prefer the graph."""
    index = live_index("pgvector", 16)
    fill(index, "a", np.arange(5000), random_units(5000, 16, seed=5), GROWN_CATEGORIES)
    index.serve("a")
    yield index
    index.drop("a")


@pytest.mark.parametrize("k", [10, 40])
def test_postgresql_searches_by_the_graph(grown, k):
    plan = grown.plan(VECTORS[0], k)
    assert "Index Scan using c_" in plan
    assert "_hnsw" in plan


def test_the_graph_finds_nearly_all_of_the_nearest_and_as_many_as_asked_for(grown):
    right = 0
    for query in random_units(10, 16, seed=6):
        found = grown.search(query[None], 10)[0]
        right += len(set(found) & set(grown.search(query[None], 10, exactly=True)[0]))
    assert right >= 97
    for k in (50, 1500):
        assert len(grown.search(VECTORS[:1], k)[0]) == k


def test_postgresql_looks_up_a_rare_category_and_goes_by_the_graph_for_a_frequent_one(grown):
    assert "_category" in grown.plan(VECTORS[0], 10, [50])
    assert "_hnsw" in grown.plan(VECTORS[0], 10, [1])
    keys, vectors = (np.concatenate(parts) for parts in zip(*grown.stored(None), strict=True))
    for category in (1, 50):
        [found] = grown.search(VECTORS[:1], 10, categories=[category])
        kept = set(keys[category == GROWN_CATEGORIES].tolist())
        assert found == brute_force(keys, vectors, VECTORS[0], 10, kept)


def test_a_table_of_before_there_were_categories_gets_them_when_it_is_used_again():
    index = live_index("pgvector", 16)
    fill(index, "a")
    index.serve("a")
    relation = index._relation("a")
    with index._connection().cursor() as cursor:  # as it was made then
        cursor.execute(f"DROP VIEW {index._view}")
        cursor.execute(f"ALTER TABLE {relation} DROP COLUMN category")
        cursor.execute(
            f"CREATE VIEW {index._view} AS SELECT key, embedding FROM {relation}"  # noqa: S608
        )
    index._close()
    assert keys_found(index)[0] == 1
    assert set(told(index, None).values()) == {NO_CATEGORY}
    index.add(None, np.array([301]), -VECTORS[:1], np.array([3]))
    index.categorise(None, KEYS[:1], np.array([3]))
    [found] = index.search(VECTORS[:1], 5, categories=[3])
    assert [hit.key for hit in found] == [1, 301]
    index.drop("a")


def test_a_lost_connection_is_made_anew(grown):
    grown._connection().close()
    assert len(grown.search(VECTORS[:1], 3)[0]) == 3
