"""What of the detector's finds is worth showing."""

import pytest

from similarity.engine import Box, Detection
from tests.engine.training import needs_training

needs_training()

from similarity.engine.training.detector import BETA, f_measure  # noqa: E402

pytestmark = pytest.mark.ml

HERE, ELSEWHERE = Box(0, 0, 10, 10), Box(50, 50, 60, 60)


def _shown(box, score):
    return Detection(box, "top", score)


def test_recall_counts_beta_squared_times_what_precision_does():
    truth = [[HERE, ELSEWHERE], []]
    found = [[_shown(HERE, 0.9)], [_shown(HERE, 0.8), _shown(HERE, 0.4)]]
    precision, recall = 1 / 3, 1 / 2
    wanted = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    assert f_measure(truth, found, 0.3) == pytest.approx(wanted)
    precision = 1 / 2
    wanted = (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
    assert f_measure(truth, found, 0.5) == pytest.approx(wanted)


def test_wrong_boxes_below_the_last_right_one_count_as_well():
    found = [[_shown(HERE, 0.9), *[_shown(ELSEWHERE, 0.12)] * 50]]
    assert f_measure([[HERE]], found, 0.5) == 1
    assert f_measure([[HERE]], found, 0.1) < 0.2


def test_nothing_right_is_worth_nothing():
    assert f_measure([[HERE]], [[]], 0.1) == 0
    assert f_measure([[]], [[_shown(HERE, 0.9)]], 0.1) == 0
