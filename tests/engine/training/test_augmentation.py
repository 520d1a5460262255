"""What chance does to a picture, it does to what is known of it as well."""

import math

import pytest

from tests.engine.training import needs_training

torch = needs_training()

from similarity.engine.training import augmentation  # noqa: E402
from similarity.engine.training.augmentation import Cut, Dice  # noqa: E402
from similarity.engine.training.pictures import Sample, placed  # noqa: E402
from similarity.engine.training.targets import Boxes  # noqa: E402

pytestmark = pytest.mark.ml


def test_dice_of_another_seed_or_step_fall_otherwise_and_the_same_always_alike():
    games = [(0, 0), (0, 1), (1, 0), (1, 1), (2**32, 0), (2**33 + 1, 1), (-1, 0)]
    thrown = [Dice(*game).many((4,), 0, 1).tolist() for game in games]
    assert len({tuple(throw) for throw in thrown}) == len(games)
    assert thrown == [Dice(*game).many((4,), 0, 1).tolist() for game in games]


def square(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (80, 120)):
    """A black picture (width, height) with a white rectangle."""
    pixels = torch.zeros(3, size[1], size[0], dtype=torch.uint8)
    pixels[:, y0:y1, x0:x1] = 255
    return pixels


def extent(image) -> tuple[int, int, int, int]:
    rows, columns = (image[0] > 0.5).nonzero(as_tuple=True)
    return tuple(map(int, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))


def test_the_whole_picture_is_letterboxed():
    pixels = square(0, 0, 60, 60, size=(60, 60))
    grid, mask = augmentation.grid_of(Cut(0.5, 0.5, 1, 1), (60, 60), (30, 60))
    image = augmentation.sampled(pixels, grid, "zeros")
    assert mask[15:45].all()
    assert not mask[:15].any()
    assert (image * mask)[0, 15:45].min() > 0.9


def test_a_mirrored_cut_is_mirrored_and_a_plain_one_is_not():
    pixels = square(0, 0, 20, 120)
    for mirrored, columns in ((False, (0, 20)), (True, (60, 80))):
        grid, _ = augmentation.grid_of(Cut(0.5, 0.5, 1, 1, mirrored=mirrored), (80, 120), (80, 120))
        left, _, right, _ = extent(augmentation.sampled(pixels, grid, "zeros"))
        assert (left, right) == columns


def test_a_quarter_turn_turns_clockwise_about_the_middle():
    pixels = square(35, 0, 45, 40, size=(80, 80))  # above the middle
    cut = Cut(0.5, 0.5, 1, 1, angle=math.pi / 2)
    image = augmentation.sampled(pixels, augmentation.grid_of(cut, (80, 80), (80, 80))[0], "zeros")
    assert extent(image) in {(0, 35, 40, 45), (40, 35, 80, 45)}


@pytest.mark.parametrize("step", range(20))
def test_parts_lie_within_the_picture_and_are_large_enough(step):
    cut = augmentation.part(Dice(1, step), 0.5)
    assert cut.width * cut.height >= 0.49
    assert cut.x - cut.width / 2 >= -1e-6
    assert cut.x + cut.width / 2 <= 1 + 1e-6


def test_the_same_seed_and_step_throw_the_same():
    images = torch.rand(2, 3, 40, 30)
    once, again, other = (
        augmentation.relit(images, Dice(4, step), least_saturation=0.5) for step in (7, 7, 8)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert 0 <= once.min() <= once.max() <= 1


@pytest.mark.parametrize("step", range(30))
def test_boxes_go_where_their_garments_go(step):
    sample = Sample(
        square(20, 30, 50, 80), Boxes(torch.tensor([[20.0, 30, 50, 80]]), torch.tensor([3]))
    )
    image, boxes, _ = placed(sample, (96, 128), Dice(2, step))
    assert image.shape == (3, 128, 96)
    if not len(boxes.edges):
        return  # it fell outside the picture
    assert boxes.labels.tolist() == [3]
    x0, y0, x1, y1 = extent(image)
    wanted = boxes.edges[0].tolist()
    assert [x0, y0, x1, y1] == pytest.approx(wanted, abs=2)


def test_dyed_pictures_keep_their_shades_and_stay_within_what_a_picture_is():
    shades = torch.linspace(0, 1, 50).view(1, 1, 50) * torch.ones(3, 4, 50)
    for step in range(20):
        made = augmentation.dyed(shades, Dice(4, step))
        assert made.min() >= 0
        assert made.max() <= 1
        assert (made.diff(dim=2) >= 0).all()


def test_a_dyed_picture_has_another_colour():
    red = torch.tensor([0.8, 0.1, 0.1]).view(3, 1, 1) * torch.ones(3, 4, 4)
    strongest = {int(augmentation.dyed(red, Dice(4, step))[:, 0, 0].argmax()) for step in range(20)}
    assert strongest == {0, 1, 2}
