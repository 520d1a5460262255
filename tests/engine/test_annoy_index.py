"""What is Annoy's alone: its trees, its recall, and when it is not asked at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from similarity.engine import load
from tests.engine.test_indexes import random_units, unit

pytest.importorskip("annoy")

BUSHES = {"trees": 1, "search_k": 10}
"""Options that grow trees for as few as 51 vectors."""


def clustered(count: int, dim: int, clusters: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around random centres, each at a cosine of about 0.7 to its own."""
    random = np.random.default_rng(seed)
    centres = unit(random.normal(size=(clusters, dim)))
    noise = random.standard_normal((count, dim), np.float32) / np.sqrt(dim)
    return unit(centres[random.integers(clusters, size=count)] + noise)


def build(name, vectors, folder, **options):
    index = load("index", name, **options)
    info = index.build(np.arange(len(vectors)) * 3, vectors, folder)
    index.open(folder, info)
    return index, info


def recall(found, wanted) -> float:
    pairs = zip(found, wanted, strict=True)
    return float(np.mean([len({h.key for h in f} & {h.key for h in w}) / len(w) for f, w in pairs]))


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """4,000 vectors in a small forest, and the exact index of the same."""
    vectors = clustered(4000, 32, clusters=40)
    folders = [tmp_path_factory.mktemp(name) for name in ("annoy", "exact")]
    annoy, info = build("annoy", vectors, folders[0], trees=10, search_k=500)
    exact, _ = build("exact", vectors, folders[1])
    return annoy, exact, vectors, info


def test_a_small_index_grows_no_trees_since_a_scan_is_faster(tmp_path):
    _, info = build("annoy", random_units(300, 8), tmp_path)
    assert info.files == ("keys.npy", "vectors.npy")


def test_a_large_index_says_what_it_wrote_and_with_what(grown):
    *_, info = grown
    assert info.files == ("keys.npy", "vectors.npy", "trees.ann")
    assert info.parameters == {"trees": 10, "search_k": 500, "seed": 1}
    assert (info.count, info.dim) == (4000, 32)


def test_trees_find_nearly_all_that_the_scan_finds(grown):
    annoy, exact, vectors, _ = grown
    queries = vectors[::40]
    assert recall(annoy.search(queries, 5), exact.search(queries, 5)) >= 0.95


def test_trees_are_what_is_asked(grown, monkeypatch):
    annoy, _, vectors, _ = grown
    monkeypatch.setattr(annoy._flat, "search", lambda *_args: pytest.fail("scanned"))
    assert annoy.search(vectors[7:8], 1)[0][0].key == 21


def test_similarities_are_the_exact_ones(grown):
    annoy, exact, vectors, _ = grown
    found = annoy.search(vectors[:20], 8)
    for query, hits in zip(vectors[:20], found, strict=True):
        keys = np.array([hit.key for hit in hits])
        assert exact.search(query[None], 8, among=keys) == [hits]


def test_many_neighbours_are_found_exactly(grown):
    annoy, exact, vectors, _ = grown
    assert annoy.search(vectors[:3], 200) == exact.search(vectors[:3], 200)


def test_among_some_keys_the_trees_are_not_asked(grown, monkeypatch):
    annoy, exact, vectors, _ = grown
    monkeypatch.setattr(annoy, "_forest", object())
    among = np.arange(0, 12000, 30)
    assert annoy.search(vectors[:9], 5, among=among) == exact.search(vectors[:9], 5, among=among)


def test_an_answer_is_complete_where_annoy_gives_up_early(grown, monkeypatch):
    annoy, exact, vectors, _ = grown
    monkeypatch.setattr(annoy, "search_k", 1)
    monkeypatch.setattr(annoy, "_scan_is_faster", lambda *_args: False)
    assert annoy.search(vectors[:5], 3000) == exact.search(vectors[:5], 3000)


def test_threads_may_search_at_once(grown):
    annoy, _, vectors, _ = grown
    wanted = annoy.search(vectors[:200], 5)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: annoy.search(row[None], 5)[0], vectors[:200]))
    assert found == wanted


def test_equal_vectors_come_in_the_order_of_their_keys(tmp_path):
    annoy, _ = build("annoy", np.repeat(random_units(20, 8), 10, axis=0), tmp_path, **BUSHES)
    [found] = annoy.search(random_units(20, 8)[3:4], 3)
    assert len({hit.similarity for hit in found}) == 1
    assert [hit.key for hit in found] == sorted(hit.key for hit in found)


def test_one_seed_and_one_job_give_the_same_trees(tmp_path):
    files = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        build("annoy", random_units(500, 8), tmp_path / name, seed=seed, jobs=1, **BUSHES)
        files.append((tmp_path / name / "trees.ann").read_bytes())
    assert files[0] == files[1] != files[2]


def test_trees_of_another_count_are_refused(grown, tmp_path):
    annoy = load("index", "annoy", **BUSHES)
    info = annoy.build(np.arange(200), random_units(200, 8), tmp_path)
    (tmp_path / "other").mkdir()
    annoy.build(np.arange(300), random_units(300, 8), tmp_path / "other")
    (tmp_path / "other" / "trees.ann").replace(tmp_path / "trees.ann")
    with pytest.raises(ValueError, match="does not hold 200 vectors"):
        annoy.open(tmp_path, info)


@pytest.mark.parametrize("options", [{"trees": 0}, {"search_k": 0}, {"seed": -1}, {"jobs": 0}])
def test_options_that_annoy_cannot_use_are_refused(options):
    with pytest.raises(ValueError, match="cannot use"):
        load("index", "annoy", **options)


@pytest.mark.slow
def test_the_defaults_reach_99_percent_recall_on_a_hundred_thousand(tmp_path):
    vectors = clustered(100_000, 128, clusters=300)
    exact_folder, annoy_folder = tmp_path / "exact", tmp_path / "annoy"
    exact_folder.mkdir()
    annoy_folder.mkdir()
    exact, _ = build("exact", vectors, exact_folder)
    annoy, _ = build("annoy", vectors, annoy_folder)
    queries = unit(vectors[::500] + 0.3 * random_units(200, 128, seed=9))
    for k in (1, 10, 60):
        assert recall(annoy.search(queries, k), exact.search(queries, k)) >= 0.99
