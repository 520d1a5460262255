"""Several wishes in one: Rocchio's formula and reciprocal rank fusion, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from similarity.engine.mixing import fused, moved

X, Y, Z = np.eye(3, dtype=np.float32)


def direction(*coordinates: float) -> np.ndarray:
    vector = np.array(coordinates)
    return vector / np.linalg.norm(vector)


def test_a_search_moves_by_rocchio_s_formula():
    vector = moved([X], like=[Y], unlike=[Z])
    assert vector == pytest.approx(direction(1, 0.75, -0.25))
    assert vector.dtype == np.float32


def test_several_examples_weigh_no_more_than_one():
    both = direction(0, 1, 1) * 0.75
    assert moved([X], like=[Y, Z]) == pytest.approx(direction(1, both[1], both[2]))
    assert moved([X, Y]) == pytest.approx(direction(1, 1, 0))


def test_what_is_left_out_in_words_weighs_half():
    assert moved([X], without=[Y]) == pytest.approx(direction(1, -0.5, 0))


def test_examples_alone_will_do():
    assert moved([], like=[Y]) == pytest.approx(Y)
    assert moved([], unlike=[Y]) == pytest.approx(-Y)


@pytest.mark.parametrize("wanted", [[], [X, -X]])
def test_nothing_to_search_with_is_no_vector(wanted):
    assert moved(wanted) is None


def test_rankings_are_merged_by_reciprocal_rank():
    """1/61 + 1/63 = 0.03227, 1/62 + 1/62 = 0.03226, 1/63 + 1/61, 1/64, by hand."""
    assert fused(["a", "b", "c"], ["c", "b", "a", "d"]) == ["a", "c", "b", "d"]
    assert fused(["a", "b"], ["c", "b"]) == ["b", "a", "c"], "1/61 twice: as they first appear"


def test_an_empty_ranking_changes_nothing():
    assert fused(["a", "b"], []) == fused([], ["a", "b"]) == ["a", "b"]
