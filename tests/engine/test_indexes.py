"""What every index promises, held against the obvious loop."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import BACKENDS, NO_CATEGORY, Hit, load
from tests.engine.live import LIVE, live_index

INDEXES = sorted(BACKENDS["index"])
IN_FILES = [name for name in INDEXES if name not in LIVE]


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_units(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def brute_force(keys, vectors, query, k, among=None) -> list[Hit]:
    hits = [
        Hit(int(key), cosine(query, vector))
        for key, vector in zip(keys, vectors, strict=True)
        if among is None or key in set(among)
    ]
    return sorted(hits, key=lambda hit: (-hit.similarity, hit.key))[:k]


def cosine(one, other) -> float:
    products = [float(a) * float(b) for a, b in zip(one, other, strict=True)]
    return min(1.0, max(-1.0, float(np.float32(math.fsum(products)))))


def opened(name, keys, vectors, folder, categories=None):
    if name in LIVE:
        sorted_as = np.full(len(vectors), NO_CATEGORY) if categories is None else categories
        index = live_index(name, vectors.shape[1])
        index.create("one")
        index.add("one", np.asarray(keys, np.int64), vectors, sorted_as)
        index.finish("one")
        index.serve("one")
        return index
    index = load("index", name)
    info = index.build(np.asarray(keys, np.int64), vectors, Path(folder))
    reader = load("index", name)
    reader.open(Path(folder), info)
    return reader


@pytest.fixture(params=INDEXES)
def name(request) -> str:
    return request.param


in_files = pytest.mark.parametrize("name", IN_FILES)
"""Services keep no files."""


@st.composite
def coarse_units(draw, min_rows=0):
    """Unit vectors from a small grid, so that equal ones and ties are common."""
    dim = draw(st.integers(1, 4))
    row = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim).filter(any)
    rows = draw(st.lists(row, min_size=min_rows, max_size=25))
    queries = draw(st.lists(row, min_size=1, max_size=3))
    return unit(np.reshape(rows, (-1, dim))), unit(queries)


@pytest.mark.parametrize("name", INDEXES)
@settings(max_examples=60, deadline=None)
@given(data=coarse_units(), k=st.integers(1, 30), step=st.integers(1, 9))
def test_it_finds_what_comparing_with_every_vector_finds(name, data, k, step):
    vectors, queries = data
    keys = range(-5, -5 + step * len(vectors), step)
    with TemporaryDirectory() as folder:
        found = opened(name, keys, vectors, folder).search(queries, k)
    assert found == [brute_force(keys, vectors, query, k) for query in queries]


@pytest.mark.parametrize("name", INDEXES)
@settings(max_examples=60, deadline=None)
@given(data=coarse_units(), k=st.integers(1, 10), among=st.lists(st.integers(-3, 60)))
def test_among_some_keys_it_finds_exactly_the_nearest_of_those(name, data, k, among):
    vectors, queries = data
    keys = range(0, 2 * len(vectors), 2)
    with TemporaryDirectory() as folder:
        index = opened(name, keys, vectors, folder)
        found = index.search(queries, k, among=np.array(among, np.int64))
    assert found == [brute_force(keys, vectors, query, k, among) for query in queries]


@pytest.mark.parametrize("name", LIVE)
@settings(max_examples=40, deadline=None)
@given(
    data=coarse_units(),
    k=st.integers(1, 10),
    sorted_as=st.lists(st.integers(NO_CATEGORY, 3), min_size=25, max_size=25),
    wanted=st.sets(st.integers(1, 5), max_size=3),
)
def test_in_some_categories_it_finds_exactly_the_nearest_of_those(name, data, k, sorted_as, wanted):
    vectors, queries = data
    keys, categories = range(len(vectors)), np.array(sorted_as[: len(vectors)], np.int64)
    with TemporaryDirectory() as folder:
        index = opened(name, keys, vectors, folder, categories)
        found = index.search(queries, k, categories=wanted)
    kept = [key for key in keys if categories[key] in wanted]
    assert found == [brute_force(keys, vectors, query, k, kept) for query in queries]


def test_a_key_named_twice_is_found_once(name, tmp_path):
    index = opened(name, range(9), random_units(9, 4), tmp_path)
    [found] = index.search(random_units(1, 4), 5, among=np.array([4, 2, 4, 4]))
    assert sorted(hit.key for hit in found) == [2, 4]


@pytest.mark.parametrize("kept", [0.001, 0.01, 0.3, 0.6, 1.0])
def test_among_is_exact_at_every_selectivity(name, kept, tmp_path):
    vectors, keys = random_units(3000, 8), np.arange(3000) * 7
    among = np.random.default_rng(1).permutation(keys)[: int(3000 * kept)]
    [found] = opened(name, keys, vectors, tmp_path).search(vectors[:1], 5, among=among)
    assert found == brute_force(keys, vectors, vectors[0], 5, set(among.tolist()))


def test_blocks_and_batches_leave_no_trace_in_the_answer(name, tmp_path, monkeypatch):
    vectors, keys = random_units(500, 8), np.arange(500)
    index = opened(name, keys, vectors, tmp_path)
    among = keys[keys % 3 > 0]
    whole = [index.search(vectors, 10), index.search(vectors, 10, among=among)]
    monkeypatch.setattr("similarity.engine.indexes.flat.SCRATCH", 700)
    monkeypatch.setattr("similarity.engine.indexes.flat.QUERIES_AT_ONCE", 7)
    assert whole == [index.search(vectors, 10), index.search(vectors, 10, among=among)]


def test_equal_vectors_come_in_the_order_of_their_keys(name, tmp_path):
    vectors = np.tile(random_units(1, 64), (1000, 1))
    [found] = opened(name, range(100, 1100), vectors, tmp_path).search(vectors[:1], 50)
    assert [hit.key for hit in found] == list(range(100, 150))
    assert len({hit.similarity for hit in found}) == 1


def test_more_neighbours_than_there_are_is_all_of_them(name, tmp_path):
    vectors = random_units(7, 3)
    [found] = opened(name, range(7), vectors, tmp_path).search(vectors[:1], 10**9)
    assert {hit.key for hit in found} == set(range(7))


def test_an_empty_index_answers_with_nothing(name, tmp_path):
    index = opened(name, [], np.empty((0, 4), np.float32), tmp_path)
    queries = random_units(2, 4)
    assert index.search(queries, 3) == [[], []]
    assert index.search(queries, 3, among=np.array([1], np.int64)) == [[], []]


def test_no_queries_is_no_answers(name, tmp_path):
    index = opened(name, range(5), random_units(5, 4), tmp_path)
    assert index.search(np.empty((0, 4), np.float32), 3) == []


def test_memory_mapped_vectors_can_be_indexed(name, tmp_path):
    vectors = random_units(20, 4)
    np.save(tmp_path / "source.npy", vectors)
    (tmp_path / "index").mkdir()
    mapped = np.load(tmp_path / "source.npy", mmap_mode="r")
    [found] = opened(name, range(20), mapped, tmp_path / "index").search(vectors[3:4], 1)
    assert found[0].key == 3


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_no_neighbour_is_refused(name, k, tmp_path):
    index = opened(name, range(5), random_units(5, 4), tmp_path)
    with pytest.raises(ValueError, match="at least one"):
        index.search(random_units(1, 4), k)


ODD_ROWS = {
    "nan": [math.nan, 1, 0],
    "infinite": [math.inf, 0, 0],
    "zero": [0, 0, 0],
    "long": [1.01, 0, 0],
    "huge": [3e38, 3e38, 0],
}


@pytest.mark.parametrize("row", ODD_ROWS.values(), ids=ODD_ROWS)
def test_what_is_not_a_unit_vector_is_refused(name, row, tmp_path):
    vectors = random_units(5, 3)
    odd = vectors.copy()
    odd[3] = row
    with pytest.raises(ValueError, match="Row 3 is not a unit vector"):
        opened(name, range(5), odd, tmp_path)
    with pytest.raises(ValueError, match="Row 3 is not a unit vector"):
        opened(name, range(5), vectors, tmp_path).search(odd, 1)


@pytest.mark.parametrize("keys", [[0, 2, 1], [0, 1, 1], [0, 1]], ids=["unsorted", "twice", "few"])
def test_keys_that_do_not_ascend_or_do_not_fit_are_refused(name, keys, tmp_path):
    with pytest.raises(ValueError, match="keys"):
        opened(name, keys, random_units(3, 4), tmp_path)


def test_a_query_of_another_dimension_is_refused(name, tmp_path):
    index = opened(name, range(5), random_units(5, 4), tmp_path)
    with pytest.raises(ValueError, match="3 dimensions in an index of 4"):
        index.search(random_units(1, 3), 1)


@in_files
def test_files_of_another_shape_than_said_are_refused(name, tmp_path):
    index = load("index", name)
    index.build(np.arange(6), random_units(6, 4), tmp_path)
    (tmp_path / "other").mkdir()
    other = index.build(np.arange(8), random_units(8, 3), tmp_path / "other")
    with pytest.raises(ValueError, match="holds"):
        index.open(tmp_path, other)


@in_files
def test_an_object_array_is_never_unpickled(name, tmp_path):
    index = load("index", name)
    info = index.build(np.arange(2), random_units(2, 4), tmp_path)
    np.save(tmp_path / "vectors.npy", np.array([[print], [print]]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        index.open(tmp_path, info)


@in_files
def test_a_search_before_opening_says_so(name):
    with pytest.raises(RuntimeError, match="before it was opened"):
        load("index", name).search(random_units(1, 4), 1)


def test_constructing_an_index_imports_no_library(name):
    code = (
        f"import sys; from similarity.engine import load; load('index', {name!r}); "
        "sys.exit(bool({'annoy', 'faiss', 'psycopg', 'qdrant_client'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
