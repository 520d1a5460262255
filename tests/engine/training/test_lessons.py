"""What an embedder's pupil is to take over from its teacher."""

import pytest

from tests.engine import tiny_models
from tests.engine.training import needs_training

torch = needs_training()

from pytorch_metric_learning.losses import NormalizedSoftmaxLoss  # noqa: E402

from similarity.engine.networks.mobilenet_v2 import FEATURES  # noqa: E402
from similarity.engine.training import lessons  # noqa: E402
from similarity.engine.training.lessons import Lessons, Teacher  # noqa: E402
from similarity.engine.training.teacher import read_teacher  # noqa: E402

pytestmark = pytest.mark.ml

LABELS = 5


@pytest.fixture
def teacher(tmp_path):
    tiny_models.write_mobilenet_v2(tmp_path)
    torch.manual_seed(0)
    return Teacher(read_teacher(tmp_path), NormalizedSoftmaxLoss(LABELS, FEATURES))


@pytest.fixture
def images():
    return torch.rand(4, 3, 160, 128)


def test_it_sees_maps_and_labels(teacher, images):
    seen = teacher.look(images)
    assert [map_.shape[1] for map_ in seen.maps] == teacher.widths
    assert seen.labels.shape == (len(images), LABELS)


def test_one_that_was_taught_no_labels_tells_none(teacher, images):
    seen = Teacher(teacher.network).look(images)
    assert seen.labels is None
    made = Lessons(teacher.widths, teacher.widths).losses(
        seen, seen.maps, torch.eye(4), torch.zeros(4, LABELS)
    )
    assert set(made) == {"seen", "relations"}


def test_a_pupil_that_sees_the_same_has_nothing_to_learn(teacher, images):
    seen = teacher.look(images)
    pupil = Lessons(teacher.widths, teacher.widths)
    for layer in pupil.translated:
        torch.nn.init.dirac_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    pooled = seen.maps[-1].mean((2, 3))
    kind = torch.nn.functional.normalize(pooled - pooled.mean(0))
    same = pupil.losses(seen, seen.maps, kind, seen.labels)
    assert {name: loss.item() for name, loss in same.items()} == pytest.approx(
        {"seen": 0, "relations": 0, "told": 0}, abs=1e-4
    )
    maps = [map_ + 1 for map_ in seen.maps]
    other = pupil.losses(seen, maps, torch.eye(*kind.shape), seen.labels.roll(1, 1) * 9)
    assert all(loss.item() > 0.01 for loss in other.values())


def test_garments_are_to_be_as_alike_as_the_teacher_finds_them():
    seen = torch.tensor([[3.0, 1.0], [3.0, 1.0], [1.0, 3.0], [1.0, 3.0]])
    alike = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    assert lessons._unlike_relations(alike, seen).item() == pytest.approx(0, abs=1e-6)
    assert lessons._unlike_relations(alike.roll(1, 0), seen).item() == pytest.approx(2)


def test_maps_of_other_sizes_show_the_same_places():
    wanted = torch.zeros(1, 2, 4, 4)
    wanted[..., 2:] = 1.0
    made = torch.zeros(1, 2, 2, 2)
    made[..., 1:] = 1.0
    assert lessons._unlike_maps(made, wanted).item() == pytest.approx(0, abs=1e-6)
    assert lessons._unlike_maps(1 - made, wanted).item() > 3
