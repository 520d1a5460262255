"""What looks are learnt from, by themselves: two views of each of many garments."""

import pytest

from tests.engine.training import needs_training

needs_training()

import torch  # noqa: E402

from similarity.engine.training import looks  # noqa: E402
from similarity.engine.training.looks import Pairs, Views  # noqa: E402

pytestmark = pytest.mark.ml


def _views(*identities: int) -> Views:
    """Views of garments, each of which is known by its number."""
    rows = torch.arange(len(identities)).float()[:, None]
    return Views(rows, torch.tensor(identities))


def _told(batch: Views) -> tuple[list[int], list[int]]:
    return batch.read[:, 0].int().tolist(), batch.identities.tolist()


@pytest.mark.parametrize("step", range(20))
def test_a_batch_has_two_unlike_views_of_each_garment(step):
    views = _views(3, 0, 1, 3, 0, 1, 3, 3)
    rows, identities = _told(Pairs(views, seed=0)[step])
    assert sorted(identities) == [0, 0, 1, 1, 3, 3]
    assert len(set(rows)) == len(rows)
    assert [views.identities[row].item() for row in rows] == identities
    assert identities[:3] == identities[3:]


def test_a_garment_that_was_seen_once_is_left_out():
    _, identities = _told(Pairs(_views(0, 1, 0, 2), seed=0)[0])
    assert identities == [0, 0]


def test_all_views_have_their_turn():
    pairs = Pairs(_views(*[0] * 5, *[1] * 5), seed=0)
    seen = {row for step in range(60) for row in _told(pairs[step])[0]}
    assert seen == set(range(10))


def test_a_batch_holds_no_more_garments_than_it_is_to(monkeypatch):
    monkeypatch.setattr(looks, "CONTRASTED", 3)
    pairs = Pairs(_views(*range(9), *range(9)), seed=0)
    drawn = [_told(pairs[step])[1] for step in range(5)]
    assert all(len(identities) == 6 and len(set(identities)) == 3 for identities in drawn)
    assert len({tuple(sorted(identities)) for identities in drawn}) > 1


@pytest.mark.parametrize(("views", "garments", "steps"), [(12, 8, 3), (1, 33, 2), (1, 1, 1)])
def test_batches_enough_for_so_many_views(views, garments, steps):
    assert looks.steps_of(views, garments) == steps
