"""Figures of retrieval: by hand, against scikit-learn, and what must hold for any vectors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine.evaluation import retrieval
from similarity.engine.evaluation.retrieval import LEVELS, Items, evaluate


def _hits(*relevant: int) -> np.ndarray:
    return np.array(relevant, dtype=bool)


def _at(*degrees: float) -> np.ndarray:
    """Unit vectors in the plane: the nearer the angles, the more similar."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _random(seed: int, count: int = 30, labels: int = 4, groups: int = 8) -> Items:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"label {n}" for n in random.integers(labels, size=count)]
    return Items(vectors, names, [f"group {n}" for n in random.integers(groups, size=count)])


def test_average_precision_by_hand():
    # Relevant at ranks 1, 3 and 6: (1/1 + 2/3 + 3/6) / 3 = 13/18
    assert retrieval.average_precision(_hits(1, 0, 1, 0, 0, 1)) == pytest.approx(13 / 18)


def test_reciprocal_rank_by_hand():
    assert retrieval.reciprocal_rank(_hits(0, 0, 0, 1, 1)) == 1 / 4


def test_ndcg_by_hand():
    # Gained at ranks 2 and 3: 1/log2(3) + 1/log2(4); best at ranks 1 and 2: 1 + 1/log2(3)
    expected = (1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3))
    assert retrieval.ndcg(_hits(0, 1, 1, 0)) == pytest.approx(expected)


def test_ndcg_looks_at_ten_ranks_and_knows_no_more_could_be_gained():
    # Twelve relevant items; ten of the first ten ranks hold one, which is as good as it gets.
    assert retrieval.ndcg(_hits(*[1] * 12)) == pytest.approx(1)
    assert retrieval.ndcg(_hits(*[0] * 10, 1)) == 0


def test_interpolated_precision_by_hand():
    # Relevant at ranks 2 and 3: precision 1/2 at recall 1/2, 2/3 at recall 1. The higher one
    # stands for all recalls up to 1.
    assert retrieval.precision_at_levels(_hits(0, 1, 1)) == pytest.approx([2 / 3] * 21)
    # Relevant at ranks 1 and 4: precision 1 up to recall 1/2, 2/4 beyond.
    curve = dict(zip(LEVELS, retrieval.precision_at_levels(_hits(1, 0, 0, 1)), strict=True))
    assert (curve[0.0], curve[0.5], curve[0.55], curve[1.0]) == (1, 1, 0.5, 0.5)


def test_a_whole_evaluation_by_hand():
    # Angles: a 0, b 10, c 25, d 45 degrees; a and c are dresses, b and d hats; everybody's own.
    # a: b (10), c (25), d (45): hat, DRESS, hat: AP 1/2, nDCG 1/log2(3)
    # b: a (10), c (15), d (35): dress, dress, HAT: AP 1/3, nDCG 1/2
    # c: b (15), d (20), a (25): hat, hat, DRESS: AP 1/3, nDCG 1/2
    # d: c (20), b (35), a (45): dress, HAT, dress: AP 1/2, nDCG 1/log2(3)
    items = Items(_at(0, 10, 25, 45), ["dress", "hat", "dress", "hat"], ["a", "b", "c", "d"])
    result = evaluate(items)
    assert result.left_out == 0
    assert result.overall.queries == 4
    assert (result.overall.recall_at_1, result.overall.recall_at_5) == (0, 1)
    assert result.overall.mean_average_precision == pytest.approx(5 / 12)
    assert result.overall.mean_reciprocal_rank == pytest.approx(5 / 12)
    assert result.overall.ndcg_at_10 == pytest.approx((1 / math.log2(3) + 1 / 2) / 2)
    assert result.average_precisions == pytest.approx([1 / 2, 1 / 3, 1 / 3, 1 / 2])
    assert result.by_label["hat"].mean_average_precision == pytest.approx(5 / 12)


def test_what_is_of_the_querys_group_is_not_in_its_gallery():
    # The nearest dress is the sender's own; without it a hat comes first and a dress second.
    items = Items(
        _at(0, 1, 5, 20), ["dress", "dress", "hat", "dress"], ["anna", "anna", "bo", "cy"]
    )
    rows = [rows.tolist() for rows, _ in retrieval.rankings(items, items)]
    assert rows[0] == [2, 3]
    assert evaluate(items).average_precisions[0] == pytest.approx(1 / 2)


def test_queries_that_nothing_could_answer_are_left_out_and_counted():
    items = Items(_at(0, 5, 12), ["dress", "dress", "hat"], ["a", "b", "c"])
    result = evaluate(items)
    assert (result.overall.queries, result.left_out) == (2, 1)
    assert result.overall.recall_at_1 == 1
    assert list(result.by_label) == ["dress"]
    assert math.isnan(result.average_precisions[2])


def test_vectors_that_are_all_alike_earn_nothing():
    items = Items(_at(*[30] * 12), ["dress"] * 2 + ["hat"] * 10, list("abcdefghijkl"))
    dress = evaluate(items).by_label["dress"]
    # The one other dress comes last of eleven.
    assert (dress.recall_at_1, dress.recall_at_10) == (0, 0)
    assert dress.mean_average_precision == pytest.approx(1 / 11)


def test_a_gallery_of_its_own():
    queries = Items(_at(0), ["dress"], ["q"])
    gallery = Items(_at(3, 1, 2), ["dress", "hat", "dress"], ["a", "b", "c"])
    # hat (1), DRESS (2), DRESS (3): (1/2 + 2/3) / 2 = 7/12
    assert evaluate(queries, gallery).overall.mean_average_precision == pytest.approx(7 / 12)


def test_no_queries_have_figures_too():
    nothing = Items(np.empty((0, 4), np.float32), [], [])
    result = evaluate(nothing)
    assert result.overall.queries == 0
    assert result.as_dict()["mean_average_precision"] == 0
    assert len(result.as_dict()["precision_recall"]) == len(LEVELS)


def test_each_vector_needs_a_label_and_a_group():
    with pytest.raises(ValueError, match="one label and one group"):
        Items(_at(0, 1), ["dress"], ["a", "b"])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_average_precision_is_scikit_learns(seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    items = _random(seed)
    result = evaluate(items)
    similarities = items.vectors @ items.vectors.T
    for row, ours in enumerate(result.average_precisions):
        among = [n for n in range(30) if items.groups[n] != items.groups[row]]
        relevant = [items.labels[n] == items.labels[row] for n in among]
        if any(relevant):
            theirs = sklearn.average_precision_score(relevant, similarities[row, among])
            assert ours == pytest.approx(theirs, abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any))
def test_figures_lie_between_0_and_1_and_1_is_the_best_order(relevant):
    hits = np.array(relevant)
    best = np.sort(hits)[::-1]
    for figure in (retrieval.average_precision, retrieval.reciprocal_rank, retrieval.ndcg):
        assert 0 <= figure(hits) <= 1 + 1e-12
        assert figure(best) == pytest.approx(1)
    precision = retrieval.precision_at_levels(hits)
    assert (np.diff(precision) <= 0).all()
    assert retrieval.precision_at_levels(best) == pytest.approx([1] * len(LEVELS))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_order_of_the_items_changes_nothing(seed):
    items = _random(seed)
    order = np.random.default_rng(seed + 1).permutation(len(items.labels))
    shuffled = Items(
        items.vectors[order], [items.labels[n] for n in order], [items.groups[n] for n in order]
    )
    one, other = evaluate(items).as_dict(), evaluate(shuffled).as_dict()
    assert one["mean_average_precision"] == pytest.approx(other["mean_average_precision"])
    assert one["ndcg_at_10"] == pytest.approx(other["ndcg_at_10"])
    assert one["left_out"] == other["left_out"]


def test_more_queries_than_fit_a_block_are_all_answered(monkeypatch):
    items = _random(3)
    whole = evaluate(items).as_dict()
    monkeypatch.setattr(retrieval, "BLOCK", 7)
    assert evaluate(items).as_dict() == whole
