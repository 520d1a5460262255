"""What is faiss's alone: its three structures, its quantisers, its threads and its files."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from similarity.engine import load
from similarity.engine.builds import BuildStore
from similarity.engine.errors import BrokenBuild
from similarity.engine.weights import not_installed
from tests.engine.test_annoy_index import build, clustered, recall
from tests.engine.test_indexes import random_units

faiss = pytest.importorskip("faiss")

OPTIONS = {
    "faiss_flat": {},
    "faiss_ivf": {"probes": 8},
    "faiss_hnsw": {"ef_search": 40, "links": 8},
}
"""For 4,000 vectors to be worth more than a scan."""


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(4000, 32, clusters=40)


@pytest.fixture(scope="module")
def exact(tmp_path_factory, vectors):
    return build("exact", vectors, tmp_path_factory.mktemp("exact"))[0]


@pytest.fixture(scope="module", params=OPTIONS)
def grown(request, tmp_path_factory, vectors):
    """An index of 4,000 vectors, what it says of itself, and its folder."""
    folder = tmp_path_factory.mktemp(request.param)
    return *build(request.param, vectors, folder, **OPTIONS[request.param]), folder


@pytest.fixture
def unscanned(grown, monkeypatch):
    """The same, where nothing may be answered by a scan."""
    index = grown[0]
    monkeypatch.setattr(index._flat, "search", lambda *_args, **_options: pytest.fail("scanned"))
    return index


def test_a_small_index_asks_no_library_since_a_scan_is_as_fast(tmp_path):
    _, info = build("faiss_hnsw", random_units(300, 8), tmp_path)
    assert info.files == ("keys.npy", "vectors.npy")


def test_it_says_what_it_wrote_and_with_what(grown):
    _, info, folder = grown
    assert info.files == ("keys.npy", "vectors.npy", "index.faiss")
    assert {path.name for path in folder.iterdir()} == set(info.files)
    assert info.parameters["bits"] == 8
    assert info.parameters.keys() >= grown[0].__dict__.keys() & {"probes", "ef_search", "links"}


def test_it_finds_nearly_all_that_the_scan_finds(unscanned, exact, vectors):
    queries = vectors[::40]
    found = unscanned.search(queries, 10)
    assert recall(found, [exact._flat.search(row[None], 10)[0] for row in queries]) >= 0.97


def test_similarities_are_the_exact_ones(grown, exact, vectors):
    for query, hits in zip(vectors[:20], grown[0].search(vectors[:20], 8), strict=True):
        keys = np.array([hit.key for hit in hits])
        assert exact.search(query[None], 8, among=keys) == [hits]


def test_among_some_keys_the_library_is_not_asked(grown, exact, vectors, monkeypatch):
    monkeypatch.setattr(grown[0], "_faiss", None)
    among = np.arange(0, 12000, 30)
    wanted = exact.search(vectors[:9], 5, among=among)
    assert grown[0].search(vectors[:9], 5, among=among) == wanted


@pytest.mark.parametrize("k", [500, 3999, 4000, 10**6])
def test_many_neighbours_are_as_many_as_asked_for(grown, vectors, k):
    found = grown[0].search(vectors[:2], k)
    assert [len({hit.key for hit in hits}) for hits in found] == [min(k, 4000)] * 2


def test_threads_may_search_at_once(grown, vectors):
    wanted = grown[0].search(vectors[:100], 5)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: grown[0].search(row[None], 5)[0], vectors[:100]))
    assert found == wanted


def test_with_32_bits_the_compact_scan_misses_nothing(tmp_path, exact, vectors):
    index, _ = build("faiss_flat", vectors, tmp_path, bits=32)
    queries = random_units(50, 32, seed=5)
    assert index.search(queries, 10) == exact.search(queries, 10)


@pytest.mark.parametrize("name", OPTIONS)
def test_fewer_bits_take_less_space_and_find_the_same(name, tmp_path, exact, vectors):
    sizes = []
    for bits in (32, 16, 8):
        folder = tmp_path / str(bits)
        folder.mkdir()
        index, _ = build(name, vectors, folder, bits=bits, **OPTIONS[name])
        sizes.append((folder / "index.faiss").stat().st_size)
        queries = vectors[::100]
        assert recall(index.search(queries, 10), exact.search(queries, 10)) >= 0.95
    assert sizes[0] - sizes[1] == pytest.approx(4000 * 32 * 2, rel=0.05)
    assert sizes[1] - sizes[2] == pytest.approx(4000 * 32, rel=0.05)


# --- Files ----------------------------------------------------------------------------------


@pytest.fixture
def copied(grown, tmp_path):
    """A copy of the index's folder, to be damaged."""
    shutil.copytree(grown[2], tmp_path / "copy")
    return tmp_path / "copy"


def reader(grown):
    return type(grown[0])()


@pytest.mark.parametrize("part", [0.0, 1e-4, 0.01, 0.3, 0.6, 0.99])
def test_a_truncated_file_is_refused(grown, copied, part):
    path = copied / "index.faiss"
    os.truncate(path, int(part * path.stat().st_size))
    with pytest.raises(ValueError, match="cannot be read"):
        reader(grown).open(copied, grown[1])


def test_what_is_no_index_is_refused(grown, copied):
    (copied / "index.faiss").write_bytes(b"\x00no index" * 1000)
    with pytest.raises(ValueError, match="cannot be read"):
        reader(grown).open(copied, grown[1])


def test_an_index_of_other_vectors_is_refused(grown, copied):
    smaller = type(grown[0])(**OPTIONS[_name(grown)])._empty(3900, 32)
    smaller.train(random_units(3900, 32))
    smaller.add(random_units(3900, 32))
    faiss.write_index(smaller, str(copied / "index.faiss"))
    with pytest.raises(ValueError, match="3900 vectors of 32 dimensions, not 4000"):
        reader(grown).open(copied, grown[1])


def test_another_kind_of_index_is_refused(grown, copied, vectors):
    other = faiss.IndexPQ(32, 8, 4)
    other.train(vectors)
    other.add(vectors)
    faiss.write_index(other, str(copied / "index.faiss"))
    with pytest.raises(ValueError, match="another kind of index: IndexPQ"):
        reader(grown).open(copied, grown[1])


def _name(grown) -> str:
    return grown[2].name.rstrip("0123456789")


def test_a_build_whose_file_is_damaged_is_not_opened(tmp_path, vectors):
    store = BuildStore(tmp_path)
    with store.lock():
        batches = [(np.arange(4000), vectors)]
        name = store.write("faiss_flat", {}, dim=32, batches=batches, about={}).name
    assert len(store.open(name).search(vectors[:1], 5)[0]) == 5
    with (tmp_path / name / "index.faiss").open("r+b") as file:
        file.seek(9)
        file.write(b"\xff" * 8)
    with pytest.raises(BrokenBuild, match=r"index\.faiss is damaged"):
        store.open(name)


# --- Processes ------------------------------------------------------------------------------


FORKED = """
import json, os, signal, sys, tempfile
from pathlib import Path
import numpy as np
from similarity.engine import load
from similarity.engine.builds import BuildStore
from similarity.engine.errors import BrokenBuild

rows = np.random.default_rng(1).normal(size=(3000, 16)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)

def built():
    folder = Path(tempfile.mkdtemp(dir=sys.argv[2]))
    index = load("index", sys.argv[1], jobs=2, **json.loads(sys.argv[3]))
    index.open(folder, index.build(np.arange(len(rows)), rows, folder))
    return index

before = built()
wanted = before.search(rows[:5], 3)
child = os.fork()
if not child:
    signal.alarm(60)
    found = [hits[0].key for hits in built().search(rows[:5], 3)]
    os._exit(before.search(rows[:5], 3) != wanted or found != [*range(5)])
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""


@pytest.mark.parametrize("name", OPTIONS)
def test_a_child_that_is_forked_after_a_build_searches_and_builds(
    name, tmp_path, in_another_process
):
    """As workers of the queue do; with OpenMP's threads left over it would hang."""
    assert in_another_process(FORKED, name, tmp_path, json.dumps(OPTIONS[name])) == 0


# --- Options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("faiss_flat", {"bits": 7}),
        ("faiss_flat", {"jobs": 0}),
        ("faiss_flat", {"jobs": -2}),
        ("faiss_ivf", {"probes": 0}),
        ("faiss_ivf", {"cells_per_root": 0}),
        ("faiss_hnsw", {"ef_search": 0}),
        ("faiss_hnsw", {"links": 1}),
        ("faiss_hnsw", {"ef_build": 0}),
    ],
)
def test_options_that_faiss_cannot_use_are_refused(name, options):
    with pytest.raises(ValueError, match="cannot use"):
        load("index", name, **options)


def test_a_library_that_is_missing_is_said_with_where_to_find_it():
    assert load("index", "faiss_flat").missing() == []
    [said] = not_installed("no_such_library", requirements="engines.txt")
    assert said.endswith("not installed: see requirements/engines.txt.")
