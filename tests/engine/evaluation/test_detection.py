"""Figures of detection: by hand, and what must hold for any boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similarity.engine import Box, Detection
from similarity.engine.datasets import Garment
from similarity.engine.evaluation import detection

A, B, C = Box(0, 0, 10, 10), Box(20, 0, 30, 10), Box(40, 0, 50, 10)
NOWHERE = Box(80, 80, 90, 90)


def _found(*boxes: tuple[Box, float], label: str = "dress") -> list[Detection]:
    return [Detection(box, label, score) for box, score in boxes]


def _there(*boxes: Box, label: str = "dress") -> list[Garment]:
    return [Garment(label, box) for box in boxes]


def test_average_precision_by_hand():
    # Three garments; right 0.9, wrong 0.8, right 0.7, wrong 0.6: recall 1/3 at precision 1, then
    # 2/3 at 2/3. Area: 1/3 * 1 + 1/3 * 2/3 = 5/9; the third garment is never found.
    found = [_found((A, 0.9), (NOWHERE, 0.8), (B, 0.7), (NOWHERE, 0.6))]
    curve = detection.curve([[A, B, C]], found, 0.5)
    assert curve.area == pytest.approx(5 / 9)
    assert curve.recall == pytest.approx((1 / 3, 2 / 3))
    assert curve.precision == pytest.approx((1, 2 / 3))


def test_precision_is_the_highest_at_that_recall_or_beyond():
    # wrong 0.9, right 0.8, right 0.7: precisions 0, 1/2, 2/3; 2/3 holds from recall 0 to 1.
    found = [_found((NOWHERE, 0.9), (A, 0.8), (B, 0.7))]
    assert detection.curve([[A, B]], found, 0.5).area == pytest.approx(2 / 3)


def test_photos_share_one_ranking():
    # Photo 1: wrong 0.95; photo 2: right 0.9. Recall 1/2 at precision 1/2; A is never found.
    found = [_found((NOWHERE, 0.95)), _found((B, 0.9))]
    assert detection.curve([[A], [B]], found, 0.5).area == pytest.approx(1 / 4)


def test_a_garment_is_found_once():
    # The second box of the same garment is wrong, and stands before the right one of B:
    # recall 1/2 at 1, then 1 at 2/3. Area: 1/2 + 1/2 * 2/3 = 5/6.
    found = [_found((A, 0.9), (A, 0.8), (B, 0.7))]
    assert detection.curve([[A, B]], found, 0.5).area == pytest.approx(5 / 6)


def test_a_box_takes_the_best_of_the_garments_that_are_left():
    overlaps = np.array([[0.9, 0.6], [0.8, 0.7]])
    assert detection.matches(overlaps, [0.9, 0.8], 0.5) == [0, 1]
    assert detection.matches(overlaps, [0.8, 0.9], 0.5) == [1, 0]
    assert detection.matches(overlaps, [0.9, 0.8], 0.75) == [0, None]


def test_ap_is_the_mean_over_ten_thresholds_by_hand():
    # Of a garment 10 x 10 the box is 10 x 7.2: IoU 0.72, right at 0.5, 0.55, 0.6, 0.65 and 0.7.
    figures = detection.evaluate([_there(A)], [_found((Box(0, 0, 10, 7.2), 0.9))]).agnostic
    assert (figures.ap50, figures.ap) == pytest.approx((1, 0.5))


def test_equal_scores_enter_together():
    # One right and one wrong of one score: a single point, recall 1 at precision 1/2, whichever
    # of them is listed first.
    for photo in (_found((A, 1), (NOWHERE, 1)), _found((NOWHERE, 1), (A, 1))):
        curve = detection.curve([[A]], [photo], 0.5)
        assert (curve.area, curve.recall) == (0.5, (1.0,))


def test_labels_have_figures_of_their_own_and_count_the_same():
    # The dress is found, one hat of two is (AP 1/2), and the shoes are called a bag (AP 0).
    truth = [[*_there(A), *_there(B, C, label="hat")], _there(A, label="shoes")]
    found = [
        [*_found((A, 0.9)), *_found((B, 0.8), label="hat")],
        _found((A, 0.7), label="bag"),
    ]
    result = detection.evaluate(truth, found)
    ap50 = {label: figures.ap50 for label, figures in result.by_label.items()}
    assert ap50 == {"dress": 1, "hat": 0.5, "shoes": 0}
    assert result.mean.ap50 == pytest.approx(0.5)
    # Names left out, three of four garments are found, and nothing is wrong.
    assert result.agnostic.ap50 == pytest.approx(3 / 4)
    assert (result.photos, result.detections, result.agnostic.garments) == (2, 3, 4)


def test_nothing_found_and_nothing_there():
    assert detection.evaluate([_there(A)], [[]]).agnostic.ap50 == 0
    assert detection.evaluate([[]], [_found((A, 0.9))]).mean.ap50 == 0
    assert detection.evaluate([], []).as_dict()["precision_recall"] == []


def test_a_garment_without_a_box_is_refused():
    with pytest.raises(ValueError, match="has no box: hat"):
        detection.evaluate([[Garment("hat", None)]], [[]])


@pytest.mark.parametrize(
    ("box", "held"),
    [
        (Box(0, 0, 100, 100), True),
        (Box(0, 0, 100, 81), True),
        (Box(0, 0, 100, 79), False),  # a fifth of the garment is cut off
        (Box(0, 0, 199, 100), True),
        (Box(0, 0, 203, 100), False),  # more than twice as large
        (Box(200, 0, 300, 100), False),
    ],
)
def test_what_it_means_to_hold_a_garment(box: Box, held: bool):
    assert detection.holds(box, Box(0, 0, 100, 100)) is held


def test_flat_lay_by_hand():
    # IoU 1 and held; best of two is the wrong one (IoU 0); nothing found; no reference.
    found = [_found((A, 0.9)), _found((A, 0.2), (NOWHERE, 0.5)), [], _found((A, 0.9))]
    result = detection.flat_lay([A, A, A, None], found)
    assert (result.photos, result.left_out) == (3, 1)
    assert (result.held, result.iou50, result.mean_iou) == pytest.approx((1 / 3,) * 3)
    assert detection.flat_lay([], []).held == 0


def _scene(seed: int) -> tuple[list[list[Garment]], list[list[Detection]]]:
    random = np.random.default_rng(seed)

    def box() -> Box:
        x, y = random.uniform(0, 60, 2)
        return Box(x, y, x + random.uniform(10, 40), y + random.uniform(10, 40))

    def near(garment: Garment) -> Box:
        return Box(*(np.array(garment.box.edges) + random.normal(0, 2, 4)).tolist())

    names = ("dress", "hat")
    truth = [
        [Garment(names[random.integers(2)], box()) for _ in range(random.integers(4))]
        for _ in range(5)
    ]
    found = [
        [
            *(Detection(near(garment), garment.label, random.uniform()) for garment in photo),
            *(Detection(box(), names[random.integers(2)], random.uniform()) for _ in range(2)),
        ]
        for photo in truth
    ]
    return truth, found


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_figures_lie_between_0_and_1_and_stay_when_photos_are_shuffled(seed):
    truth, found = _scene(seed)
    result = detection.evaluate(truth, found)
    for figures in (result.agnostic, result.mean, *result.by_label.values()):
        assert 0 <= figures.ap <= figures.ap50 <= 1
    turned = detection.evaluate(truth[::-1], [photo[::-1] for photo in found[::-1]])
    assert turned.agnostic.ap == pytest.approx(result.agnostic.ap)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_truth_itself_is_perfect(seed):
    truth, _ = _scene(seed)
    found = [[Detection(g.box, g.label, 0.9) for g in photo] for photo in truth]
    result = detection.evaluate(truth, found)
    if any(truth):
        assert (result.agnostic.ap, result.mean.ap) == pytest.approx((1, 1))


@pytest.mark.ml
@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_coco_within_what_its_101_points_lose(seed):
    pycocotools = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    truth, found = _scene(seed)

    def as_coco(photo: int, garment: Garment | Detection) -> dict:
        box = garment.box
        edges = [box.x0, box.y0, box.width, box.height]
        return {"image_id": photo, "category_id": 1, "bbox": edges, "area": box.area}

    there = pycocotools.COCO()
    boxed = [as_coco(n, garment) for n, photo in enumerate(truth) for garment in photo]
    there.dataset = {
        "info": {},
        "images": [{"id": n} for n in range(len(truth))],
        "categories": [{"id": 1}],
        "annotations": [{**row, "id": n + 1, "iscrowd": 0} for n, row in enumerate(boxed)],
    }
    there.createIndex()
    rows = [{**as_coco(n, d), "score": d.score} for n, photo in enumerate(found) for d in photo]
    judge = COCOeval(there, there.loadRes(rows), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    ours = detection.evaluate(truth, found).agnostic
    assert (ours.ap, ours.ap50) == pytest.approx((judge.stats[0], judge.stats[1]), abs=0.02)
