"""What live engines promise beyond the contract of all: collections, changes, plain errors."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from similarity.engine import LiveIndex, load
from similarity.engine.errors import BrokenBuild, IndexUnavailable, NothingServes
from tests.engine.live import LIVE, live_index, live_options
from tests.engine.test_indexes import brute_force, random_units

KEYS = np.arange(1, 301)
VECTORS = random_units(300, 16)


@pytest.fixture(params=LIVE)
def index(request):
    found = live_index(request.param, 16)
    yield found
    for name in found.collections():
        found.drop(name)


def fill(index, name: str, keys=KEYS, vectors=VECTORS) -> None:
    index.create(name)
    index.add(name, keys, vectors)
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


def test_what_is_not_there_cannot_serve(index):
    with pytest.raises(BrokenBuild, match="no collection"):
        index.serve("none")


def test_searches_follow_what_is_added_replaced_and_removed(index):
    fill(index, "a", KEYS[:200], VECTORS[:200])
    index.serve("a")
    index.add(None, KEYS[200:], VECTORS[200:])
    index.remove(None, np.array([1, 7, 999]))
    index.add(None, np.array([2]), -VECTORS[1:2])
    keys = np.delete(KEYS, [0, 6])
    vectors = np.delete(np.concatenate([VECTORS[:1], -VECTORS[1:2], VECTORS[2:]]), [0, 6], axis=0)
    for query in random_units(5, 16, seed=3):
        found = index.search(query[None], 9, exactly=True)[0]
        assert found == brute_force(keys, vectors, query, 9)
    assert index.count(None) == 298
    index.add(None, KEYS[:1], VECTORS[:1])
    index.add(None, KEYS[:1], VECTORS[:1])
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
        index.add("a", KEYS[:3], random_units(3, 8))


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
    assert len(asked) == 3


def test_qdrant_cuts_a_collection_into_the_shards_and_copies_that_are_set():
    with qdrant_that(lambda _: (200, True)) as (url, asked):
        index = load("index", "qdrant", space="tests", dim=16, url=url, shards=6, replicas=2)
        index.create("a")
    [(method, path, body)] = asked
    assert (method, path) == ("PUT", "/collections/fashionsim-tests.a")
    assert (body["shard_number"], body["replication_factor"]) == (6, 2)
    assert body["vectors"] == {"size": 16, "distance": "Dot"}


# --- pgvector's own --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grown():
    """Enough vectors for PostgreSQL to prefer the graph."""
    index = live_index("pgvector", 16)
    fill(index, "a", np.arange(5000), random_units(5000, 16, seed=5))
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


def test_a_lost_connection_is_made_anew(grown):
    grown._connection().close()
    assert len(grown.search(VECTORS[:1], 3)[0]) == 3
