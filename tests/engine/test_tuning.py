"""What an index finds is measured honestly, and its options are chosen by it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from similarity.engine import tuning
from similarity.engine.builds import BuildStore, Manifest
from similarity.engine.indexes.annoy import AnnoyIndex
from similarity.engine.tuning import Queries
from tests.engine.test_annoy_index import build, clustered
from tests.engine.test_indexes import brute_force, random_units

KEYS = np.arange(1000) * 3


class Finder:
    """An index that finds what it is told to."""

    def __init__(self, find):
        self.find = find

    def search(self, vectors, k, *, among=None):
        return [self.find(query, k) for query in vectors]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(1000, 16, clusters=20)


@pytest.fixture(scope="module")
def queries(vectors) -> Queries:
    return Queries.drawn(vectors, 64, seed=1)


# --- Measuring ------------------------------------------------------------------------------


def test_half_of_the_queries_are_stored_vectors_and_half_are_near_one(queries, vectors):
    stored = queries.own >= 0
    assert stored.sum() == 32
    assert np.allclose(queries.vectors[stored], vectors[queries.own[stored]], atol=1e-6)
    nearest = (queries.vectors[~stored] @ vectors.T).max(axis=1)
    assert 0.9 < nearest.min() < nearest.max() < 0.999
    assert np.allclose(np.linalg.norm(queries.vectors, axis=1), 1, atol=1e-6)


def test_the_truth_is_what_comparing_with_every_other_vector_gives(queries, vectors, monkeypatch):
    monkeypatch.setattr(tuning, "STEP", 130)
    in_steps = Queries.drawn(vectors, 64, seed=1)
    for query, own, *bars in zip(
        queries.vectors, queries.own, queries.bar, in_steps.bar, strict=True
    ):
        others = [position for position in range(1000) if position != own]
        wanted = brute_force(others, vectors[others], query, 10)[-1].similarity
        assert bars == pytest.approx([wanted, wanted], abs=1e-6)


def test_an_exact_index_finds_all(queries, vectors, tmp_path):
    exact, _ = build("exact", vectors, tmp_path)
    measured = queries.measure(exact, KEYS)
    assert (measured.recall, measured.k, measured.queries) == (1.0, 10, 64)
    assert 0 < measured.p50_ms <= measured.p95_ms


def test_an_index_that_is_blind_to_every_second_vector_finds_half(queries, vectors):
    blind = Finder(partial(brute_force, KEYS[::2], vectors[::2]))
    assert queries.measure(blind, KEYS).recall == pytest.approx(0.5, abs=0.08)


def test_the_query_itself_is_no_neighbour_found(queries, vectors):
    def itself(query, k):
        return brute_force(KEYS, vectors, query, 1)

    recall = queries.measure(Finder(itself), KEYS).recall
    assert recall == 0.05, "one of ten for every second query, whose nearest is another vector"


def test_a_neighbour_that_is_as_near_as_another_is_as_right(tmp_path):
    twins = np.repeat(random_units(20, 8), 50, axis=0)
    last = Finder(lambda query, k: brute_force(KEYS, twins, query, 50)[-k:])
    assert Queries.drawn(twins, 20, seed=1).measure(last, KEYS).recall == 1.0


@pytest.mark.parametrize("count", [1, 2, 11, 12])
def test_few_vectors_are_measured_too(count, tmp_path):
    few = random_units(count, 4)
    exact, _ = build("exact", few, tmp_path)
    assert Queries.drawn(few, 256, seed=1).measure(exact, KEYS[:count]).recall == 1.0
    nothing = Queries.drawn(few, 256, seed=1).measure(Finder(lambda *_: []), KEYS[:count])
    assert nothing.recall == (1.0 if count == 1 else 0.0)


# --- Choosing -------------------------------------------------------------------------------

CHOICES = {"annoy": "search_k", "faiss_ivf": "probes", "faiss_hnsw": "ef_search"}

POOR = {"annoy": {"trees": 3}, "faiss_hnsw": {"links": 3}}
"""Sizes so small that few vectors take some effort to be found."""


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Random vectors: hard to find among, as each is about as far from all the others."""
    return random_units(4000, 12)


@pytest.fixture(params=CHOICES)
def engine(request, monkeypatch) -> str:
    pytest.importorskip(request.param.partition("_")[0])
    monkeypatch.setattr("similarity.engine.indexes.annoy.ROWS_PER_NODE", 0.5)
    monkeypatch.setattr("similarity.engine.indexes.faiss.ROWS_PER_STEP", 5)
    return request.param


def written(folder, engine, vectors, recall, **options) -> tuple[BuildStore, Manifest]:
    store = BuildStore(folder)
    with store.lock():
        batches = [(np.arange(len(vectors)), vectors)]
        return store, store.write(
            engine, options, dim=vectors.shape[1], batches=batches, about={}, recall=recall
        )


def test_it_takes_as_much_effort_as_the_recall_asked_for_needs(engine, many, tmp_path):
    efforts = []
    for recall in (0.7, 0.97):
        store, manifest = written(tmp_path, engine, many, recall, **POOR.get(engine, {}))
        effort = manifest.options[CHOICES[engine]]
        assert manifest.measured["recall"] >= recall
        assert manifest.parameters[CHOICES[engine]] == effort
        assert getattr(store.open(manifest.name).index, CHOICES[engine]) == effort
        efforts.append(effort)
    assert efforts[0] < efforts[1]


def test_what_is_written_finds_as_much_as_it_says(engine, many, tmp_path):
    store, manifest = written(tmp_path, engine, many, 0.9)
    fresh = Queries.drawn(many, 400, seed=99)
    index = store.open(manifest.name).index
    assert fresh.measure(index, np.arange(4000)).recall >= 0.9 - 0.03


def test_nothing_less_than_all_is_found_by_a_scan_if_need_be(engine, many, tmp_path):
    _, manifest = written(tmp_path, engine, many, 1.0)
    assert manifest.measured["recall"] == 1.0


def test_what_is_given_stays_and_is_only_measured(engine, many, tmp_path):
    given = {CHOICES[engine]: 2} | POOR.get(engine, {})
    _, manifest = written(tmp_path, engine, many, 0.99, **given)
    assert manifest.options == given
    assert 0 < manifest.measured["recall"] < 0.99


SLOW_ROWS = 1.0
"""Rows to a node's time at which 6,000 vectors are too many to scan with the default search_k."""


@pytest.fixture
def annoy(monkeypatch):
    pytest.importorskip("annoy")
    monkeypatch.setattr("similarity.engine.indexes.annoy.ROWS_PER_NODE", SLOW_ROWS)


@pytest.mark.usefixtures("annoy")
@pytest.mark.parametrize(("clusters", "trees"), [(40, {10, 20}), (600, {40, 80})])
def test_as_many_trees_are_planted_as_make_a_search_quick(clusters, trees, tmp_path):
    vectors = clustered(6000, 32, clusters=clusters)
    _, manifest = written(tmp_path, "annoy", vectors, 0.99)
    assert manifest.options["trees"] in trees
    assert manifest.measured["recall"] >= 0.99
    assert SLOW_ROWS * manifest.options["search_k"] < 6000 / 2


@pytest.fixture
def planted(monkeypatch) -> list[int]:
    """How many trees were planted, each time."""
    sizes: list[int] = []
    grow = AnnoyIndex._grow

    def noted(index, vectors, path):
        sizes.append(index.trees)
        grow(index, vectors, path)

    monkeypatch.setattr(AnnoyIndex, "_grow", noted)
    return sizes


@pytest.mark.usefixtures("annoy")
@pytest.mark.parametrize("clusters", [40, 300, 600])
def test_the_number_of_trees_is_foretold_by_the_fewest(clusters, planted, tmp_path):
    _, manifest = written(tmp_path, "annoy", clustered(6000, 32, clusters=clusters), 0.99)
    least = AnnoyIndex.tuning.sizes[0]
    chosen = manifest.options["trees"]
    assert planted == ([least] if chosen == least else [least, chosen])


@pytest.mark.usefixtures("annoy")
def test_no_more_trees_are_planted_than_can_be_waited_for(planted, monkeypatch, tmp_path):
    most = replace(AnnoyIndex.tuning, most_work=6000 * 20)
    monkeypatch.setattr(AnnoyIndex, "tuning", most)
    _, manifest = written(tmp_path, "annoy", clustered(6000, 32, clusters=600), 0.99)
    assert planted == [10, 20]
    assert manifest.measured["recall"] >= 0.99, "what trees cannot find, effort does"


@pytest.mark.usefixtures("annoy")
def test_a_long_scan_is_no_measure_of_a_quick_search(planted, monkeypatch, tmp_path):
    vectors = clustered(6000, 32, clusters=40)
    _, by_scan = written(tmp_path / "a", "annoy", vectors, 0.99)
    monkeypatch.setattr(tuning, "QUICK_ROWS", 100)
    _, by_time = written(tmp_path / "b", "annoy", vectors, 0.99)
    assert by_time.options["trees"] > by_scan.options["trees"]


@pytest.mark.usefixtures("annoy")
def test_more_trees_spare_a_search_its_effort_where_clusters_are_loose(tmp_path):
    vectors = clustered(6000, 32, clusters=600)
    _, few = written(tmp_path, "annoy", vectors, 0.99, trees=20)
    _, chosen = written(tmp_path, "annoy", vectors, 0.99)
    assert few.options["trees"] == 20, "what is given stays"
    assert chosen.options["search_k"] < few.options["search_k"] / 1.5


@pytest.mark.usefixtures("annoy")
def test_where_the_most_trees_take_longer_than_a_scan_the_vectors_are_scanned(tmp_path):
    vectors = random_units(6000, 200)
    store, manifest = written(tmp_path, "annoy", vectors, 0.99)
    assert manifest.parameters == {}
    assert manifest.checksums.keys() == {"keys.npy", "vectors.npy"}, "no trees are kept in vain"
    assert manifest.measured["recall"] == 1.0
    [hits] = store.open(manifest.name).search(vectors[:1], 10)
    assert hits == brute_force(np.arange(6000), vectors, vectors[0], 10)


@pytest.mark.usefixtures("annoy")
def test_the_trials_leave_nothing_behind(tmp_path):
    store, manifest = written(tmp_path, "annoy", clustered(6000, 32, clusters=600), 0.99)
    files = {path.name for path in (store.root / manifest.name).iterdir()}
    assert files == {"manifest.json", "keys.npy", "vectors.npy", "trees.ann"}
    assert {path.name for path in store.root.iterdir()} == {".lock", manifest.name}


def test_where_a_scan_is_faster_there_is_nothing_to_choose(tmp_path):
    pytest.importorskip("annoy")
    _, manifest = written(tmp_path, "annoy", random_units(300, 8), 0.99)
    assert (manifest.options, manifest.parameters) == ({}, {})
    assert manifest.measured["recall"] == 1.0


def test_without_a_recall_nothing_is_measured(tmp_path):
    _, manifest = written(tmp_path, "exact", random_units(30, 8), None)
    assert manifest.measured == {}


def test_of_nothing_nothing_is_measured(tmp_path):
    _, manifest = written(tmp_path, "annoy", np.empty((0, 8), np.float32), 0.99)
    assert manifest.measured == {}


def test_a_build_from_before_recall_was_measured_still_opens(tmp_path):
    store, manifest = written(tmp_path, "exact", random_units(30, 8), None)
    path = store.root / manifest.name / "manifest.json"
    fields = json.loads(path.read_text())
    del fields["measured"]
    path.write_text(json.dumps(fields))
    assert store.open(manifest.name).manifest == manifest
