"""What the detector's training shows: the rarer a label, the more often its photos."""

import pytest

from tests.engine.training import needs_training

needs_training()

import torch  # noqa: E402

from similarity.engine.training import detector  # noqa: E402
from similarity.engine.training.detector import Sample  # noqa: E402
from similarity.engine.training.targets import Boxes  # noqa: E402

pytestmark = pytest.mark.ml

COMMON, RARE = 0, 1


def _photo(*labels: int) -> Sample:
    edges = torch.tensor([[0.0, 0.0, 9.0, 9.0]] * len(labels)).view(-1, 4)
    return Sample(torch.zeros(3, 9, 9, dtype=torch.uint8), Boxes(edges, torch.tensor(labels)))


def test_photos_of_a_rare_label_are_drawn_by_the_root_of_its_rarity():
    photos = [_photo(COMMON)] * 97 + [_photo(COMMON, RARE)] * 3
    factors = detector.repeats(photos)
    assert factors[0] == 1
    assert factors[-1].item() == pytest.approx((detector.RARE / 0.03) ** 0.5)


def test_photos_of_nothing_are_drawn_as_often_as_any():
    assert detector.repeats([_photo(COMMON), _photo()]).tolist() == [1, 1]


def test_a_batch_has_the_rare_more_often():
    samples = [_photo(COMMON)] * 97 + [_photo(RARE)] * 3
    mixture = [detector.Mixture(samples, 1.0, detector.repeats(samples))]
    batches = detector._Batches(mixture, seed=0)
    drawn = torch.cat([boxes.labels for step in range(20) for boxes in batches[step].boxes])
    share = (drawn == RARE).float().mean().item()
    factor = (detector.RARE / 0.03) ** 0.5
    assert share == pytest.approx(3 * factor / (97 + 3 * factor), abs=0.05)
