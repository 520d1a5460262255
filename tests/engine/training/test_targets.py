"""What a detector's maps ought to show, by examples worked out by hand."""

import math

import pytest

from tests.engine.training import needs_training

torch = needs_training()

from similarity.engine.datasets import NOBODY  # noqa: E402
from similarity.engine.networks.decoding import decode  # noqa: E402
from similarity.engine.training.augmentation import UNKNOWN  # noqa: E402
from similarity.engine.training.targets import (  # noqa: E402
    Boxes,
    boxes_loss,
    middles_loss,
    outlines_loss,
    targets_of,
)

pytestmark = pytest.mark.ml


def boxes(*rows: tuple[float, float, float, float], labels: list[int]) -> Boxes:
    return Boxes(torch.tensor(rows, dtype=torch.float32).view(-1, 4), torch.tensor(labels))


def test_a_garment_has_its_middle_in_the_cell_of_its_boxs_centre():
    # The centre of (16, 24, 48, 104) is (32, 64): column 32 / 8 = 4, row 64 / 8 = 8.
    targets = targets_of([boxes((16, 24, 48, 104), labels=[1])], 3, (20, 10))
    assert targets.middles.shape == (1, 3, 20, 10)
    assert targets.middles[0, 1].max() == targets.middles[0, 1, 8, 4] == 1
    assert targets.middles[0, [0, 2]].sum() == 0


def test_the_gaussian_has_the_shape_of_the_box():
    # 32 x 80 pixels are 4 x 10 cells; 0.54 / 2 of them are 1.08 and 2.7, so 1 column and 2 rows
    # to each side, with deviations of (2 * 1 + 1) / 6 = 0.5 and (2 * 2 + 1) / 6 = 0.8333.
    targets = targets_of([boxes((16, 24, 48, 104), labels=[0])], 1, (20, 10))
    bell = targets.middles[0, 0]
    assert bell[8, 5] == pytest.approx(math.exp(-1 / (2 * 0.25)), abs=1e-6)
    assert bell[10, 4] == pytest.approx(math.exp(-4 / (2 * 0.8333**2)), abs=1e-3)
    assert (bell > 0).sum() == 3 * 5
    assert len(targets.cells) == 15


def test_a_photo_without_garments_has_targets_of_nothing():
    targets = targets_of([boxes(labels=[])], 2, (4, 4))
    assert targets.middles.sum() == 0
    assert len(targets.cells) == 0
    assert boxes_loss(torch.ones(1, 2, 4, 4, 4), targets) == 0


def test_a_garment_at_the_edge_stays_on_the_grid():
    targets = targets_of([boxes((150, 0, 160, 160), labels=[0])], 1, (20, 20))
    assert targets.cells[:, 3].max() == 19


def test_maps_that_show_what_they_ought_to_cost_nothing_and_give_the_boxes():
    wanted = boxes((16, 24, 48, 104), (80, 8, 150, 90), labels=[0, 1])
    targets = targets_of([wanted], 2, (20, 20))
    logits = torch.where(targets.middles == 1, 20.0, -20.0)
    distances = torch.ones(1, 2, 4, 20, 20)
    for (_, label, row, column), (x0, y0, x1, y1) in zip(
        targets.cells.tolist(), targets.boxes.tolist(), strict=True
    ):
        across, down = (column + 0.5) * 8, (row + 0.5) * 8
        edges = (across - x0, down - y0, x1 - across, y1 - down)
        distances[0, label, :, row, column] = torch.tensor(edges)
    assert middles_loss(logits, targets.middles) < 1e-4
    assert boxes_loss(distances, targets) == pytest.approx(0, abs=1e-5)
    (found,) = decode(logits, distances, 0.5, 0.6)
    assert sorted(found.labels.tolist()) == [0, 1]
    for edges, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True):
        assert edges == pytest.approx(wanted.edges[label].tolist(), abs=1e-4)


@pytest.mark.parametrize(("row", "column"), [(3, 4), (0, 0)])
def test_a_box_is_what_a_middle_and_its_neighbours_tell_by_the_squares_of_their_scores(row, column):
    scores = torch.full((1, 1, 6, 8), 0.1)
    scores[0, 0, row, column], scores[0, 0, row, column + 1] = 0.8, 0.4
    # From its middle each cell tells a box of 2 x 2 cells; that to the right, of 4 x 4.
    distances = torch.full((1, 1, 4, 6, 8), 8.0)
    distances[..., row, column + 1] = 16.0
    (found,) = decode(scores.logit(), distances, 0.5, 0.6)
    total, edges = 0.0, torch.zeros(4)
    for y in range(max(0, row - 1), row + 2):
        for x in range(max(0, column - 1), column + 2):
            reach = 16 if (y, x) == (row, column + 1) else 8
            weight = scores[0, 0, y, x].item() ** 2
            middle = torch.tensor([8 * x + 4, 8 * y + 4, 8 * x + 4, 8 * y + 4])
            edges += weight * (middle + torch.tensor([-reach, -reach, reach, reach]))
            total += weight
    assert found.boxes[0].tolist() == pytest.approx((edges / total).tolist(), abs=1e-3)
    assert found.scores.tolist() == pytest.approx([0.8])


def test_what_cells_show_is_learnt_and_what_nobody_knows_is_not():
    shown = torch.full((1, 32, 32), NOBODY, dtype=torch.uint8)
    shown[:, :16, :16] = 2
    shown[:, 16:] = UNKNOWN
    logits = torch.zeros(1, 3, 4, 4)
    logits[:, NOBODY] = 20.0
    logits[:, :, :2, :2] = torch.tensor([0.0, 0.0, 20.0]).view(3, 1, 1)
    assert outlines_loss(logits, shown) < 1e-4
    logits[:, 1, 2:] = 40.0
    assert outlines_loss(logits, shown) < 1e-4
    logits[:, 1, 0, 0] = 40.0
    assert outlines_loss(logits, shown) > 1


def test_the_few_cells_that_show_something_weigh_as_much_as_the_many_others():
    shown = torch.full((1, 8, 8), NOBODY, dtype=torch.uint8)
    shown[0, 0, 0] = 1
    blind = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    missed, right = math.log1p(math.exp(2)), math.log1p(math.exp(-2))
    assert outlines_loss(blind, shown).item() == pytest.approx((missed + right) / 2)


def test_pictures_of_which_nothing_is_known_cost_nothing():
    unknown = torch.full((1, 8, 8), UNKNOWN, dtype=torch.uint8)
    assert outlines_loss(torch.randn(1, 3, 4, 4), unknown) == 0


def test_a_wrong_middle_costs_less_the_nearer_it_is():
    targets = targets_of([boxes((16, 24, 80, 104), labels=[0])], 1, (20, 20))

    def cost(row: int, column: int) -> float:
        logits = torch.full((1, 1, 20, 20), -8.0)
        logits[0, 0, row, column] = 4.0
        return middles_loss(logits, targets.middles).item()

    assert cost(8, 6) < cost(9, 6) < cost(18, 18)


def test_targets_lie_where_the_network_computes():
    targets = targets_of([boxes((16, 24, 48, 104), labels=[1])], 3, (20, 10), "meta")
    assert {part.device.type for part in targets} == {"meta"}
