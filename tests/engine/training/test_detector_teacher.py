"""A detector's teacher, and what its pupil is to take over."""

import pytest

from tests.engine import tiny_models
from tests.engine.training import needs_training

torch = needs_training()

from similarity.engine.networks.compact import NECK, DetectorNetwork  # noqa: E402
from similarity.engine.training import detector_teacher  # noqa: E402
from similarity.engine.training.teacher import read_teacher  # noqa: E402

pytestmark = pytest.mark.ml


@pytest.fixture
def teacher(tmp_path):
    tiny_models.write_mobilenet_v2(tmp_path)
    torch.manual_seed(0)
    return DetectorNetwork(3, detector_teacher.Prepared(read_teacher(tmp_path))).eval()


def test_it_says_of_photos_what_a_detector_does(teacher):
    middles, distances = teacher(torch.zeros(2, 3, 64, 96))
    assert middles.shape == (2, 3, 8, 12)
    assert distances.shape == (2, 3, 4, 8, 12)


def test_it_learns_and_its_first_convolutions_stay(teacher):
    learns = {name: tensor.requires_grad for name, tensor in teacher.named_parameters()}
    prepared = {name for name in learns if name.startswith("backbone")}
    assert not any(learns[name] for name in prepared if ".a_" in name)
    assert any(learns[name] for name in prepared)
    assert all(learns[name] for name in learns.keys() - prepared)


def test_a_pupil_that_says_the_same_has_nothing_to_learn(teacher):
    images = torch.rand(2, 3, 64, 64)
    merged = teacher.features(images).detach()
    seen = detector_teacher.Seen()
    torch.nn.init.dirac_(seen.translated.weight)
    torch.nn.init.zeros_(seen.translated.bias)
    same = seen.losses(teacher, images, merged, teacher.told(merged)[0], 1)
    assert {name: loss.item() for name, loss in same.items()} == pytest.approx(
        {"told": 0, "seen": 0}, abs=1e-3
    )
    other = seen.losses(teacher, images, merged + 1, teacher.told(merged)[0] + 3, 1)
    assert all(loss.item() > 0.01 for loss in other.values())


def test_maps_are_to_agree_where_the_teacher_sees_something():
    wanted = torch.rand(1, NECK, 4, 4)
    told = torch.zeros(1, 3, 4, 4)
    told[0, 1, 2, 2] = 1
    there, elsewhere = wanted.clone(), wanted.clone()
    there[:, :, 2, 2] += 1
    elsewhere[:, :, 0, 0] += 1
    lost = [detector_teacher._unlike_maps(made, wanted, told).item() for made in (there, elsewhere)]
    assert lost[0] / lost[1] == pytest.approx(
        (1 + detector_teacher.ELSEWHERE) / detector_teacher.ELSEWHERE
    )
