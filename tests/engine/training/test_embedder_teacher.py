"""A teacher that is taught the labels first."""

import pytest

from similarity.engine import datasets
from tests import labelled
from tests.engine import tiny_models
from tests.engine.training import needs_training

torch = needs_training()

from similarity.engine.networks.pixels import DEVIATION, MEAN  # noqa: E402
from similarity.engine.training.embedder_teacher import TuningTask  # noqa: E402
from similarity.engine.training.teacher import as_seen_by_teacher, read_teacher  # noqa: E402
from similarity.engine.training.trainer import Budget, Trainer  # noqa: E402

pytestmark = pytest.mark.ml


@pytest.fixture
def taught(tmp_path):
    """A tiny teacher before some steps, and the trainer after them."""
    tiny_models.write_mobilenet_v2(tmp_path)
    labelled.write_clothing(tmp_path / "clothing", products=2, senders=10)
    parts = datasets.split(datasets.read(tmp_path), 0.4)
    task = TuningTask(read_teacher(tmp_path), parts.train, parts.held_out)
    trainer = Trainer(task, Budget(epochs=8), tmp_path / "a.checkpoint", device="cpu")
    for _ in trainer.run():
        pass
    return read_teacher(tmp_path), trainer


def test_its_later_convolutions_learn_and_its_first_stay(taught):
    before, trainer = taught
    after = trainer.network.teacher.state_dict()
    kept = {
        name for name, tensor in before.state_dict().items() if torch.equal(tensor, after[name])
    }
    assert {name.split(".")[1] for name in kept} == {"a", "b"}
    assert len(kept) == 4  # a weight and a bias each


def test_pixels_reach_it_as_in_its_own_training():
    black, white = (
        torch.from_numpy((level - MEAN) / DEVIATION).float().view(1, 3, 1, 1) for level in (0, 1)
    )
    assert as_seen_by_teacher(black).flatten().tolist() == pytest.approx([-1] * 3)
    assert as_seen_by_teacher(white).flatten().tolist() == pytest.approx([1] * 3)
