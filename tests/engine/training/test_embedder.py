"""What the embedder's training shows: garments on floors that are not their own."""

import pytest
from PIL import Image, ImageDraw

from similarity.engine import datasets
from similarity.engine.datasets import Garment, Photo
from similarity.engine.errors import BadDataset
from tests.engine.training import needs_training
from tests.labelled import write_street

needs_training()

import torch  # noqa: E402

from similarity.engine.networks.pixels import CROP  # noqa: E402
from similarity.engine.training import augmentation, garments  # noqa: E402
from similarity.engine.training.augmentation import Cut, Dice  # noqa: E402

pytestmark = pytest.mark.ml


@pytest.fixture
def photos(tmp_path):
    """A navy garment on beige, and one on green."""
    made = []
    for floor in ("beige", "green"):
        image = Image.new("RGB", (120, 160), floor)
        ImageDraw.Draw(image).rectangle((30, 30, 90, 130), fill="navy")
        path = tmp_path / f"{floor}.png"
        image.save(path)
        made.append(Photo(path, floor, (Garment("dress", None),)))
    return made


def test_a_garment_keeps_its_pixels_and_gets_another_floor():
    image = torch.full((3, 40, 30), 0.2)
    floor = torch.full((3, 40, 30), 0.9)
    mask = torch.zeros(40, 30)
    mask[10:30, 5:25] = 1
    laid = augmentation.laid_on(image, floor, mask)
    assert (laid[:, 10:30, 5:25] == 0.2).all()
    assert (laid[:, :10] == 0.9).all()


def test_the_mask_goes_where_its_garment_goes():
    pixels = torch.zeros(3, 80, 60, dtype=torch.uint8)
    pixels[:, 20:60, 15:45] = 255
    turned = Cut(0.5, 0.5, 0.8, 0.8, angle=0.2, mirrored=True)
    grid, _ = augmentation.grid_of(turned, (60, 80), (96, 128))
    image = augmentation.sampled(pixels, grid, "zeros")
    covered = augmentation.covered(pixels[:1], grid)
    assert torch.equal(image[0] > 0.75, covered > 0.75)


@pytest.mark.parametrize("step", range(20))
def test_corners_lie_within_the_picture_and_out_of_its_middle(step):
    cut = augmentation.corner(Dice(1, step))
    for middle, side in ((cut.x, cut.width), (cut.y, cut.height)):
        assert 0 <= middle - side / 2 <= middle + side / 2 <= 1 + 1e-9
        assert abs(middle - 0.5) >= 0.3 - 1e-9


def test_about_half_the_garments_are_seen_on_anothers_floor(photos):
    samples = garments.read_samples(photos, ["dress"], CROP)
    assert all(sample.mask is not None for sample in samples)
    batches = garments.Batches(samples, CROP, seed=0)
    views = [batches._view(0, Dice(0, step)) for step in range(200)]
    green = [bool((view.image[:, 80, 4] < 0.7).all()) for view in views]
    exchanged = sum(green) / len(green)
    assert exchanged == pytest.approx(garments.EXCHANGED / 2, abs=0.1), "half are laid on their own"


def test_a_mixed_batch_shows_a_part_of_the_picture_before():
    images = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 40, 30)
    mixed = augmentation.mixed(images, Dice(0, 1))
    for number, picture in enumerate(mixed):
        assert set(picture.unique().tolist()) == {float(number), float((number - 1) % 3)}
    replaced = (mixed != images).float().mean((1, 2, 3))
    assert (replaced == replaced[0]).all()
    assert augmentation.MIXED_AREA[0] * 0.8 < replaced[0] < augmentation.MIXED_AREA[1] * 1.2
    assert torch.equal(images, torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 40, 30))


def test_batches_are_mixed_only_for_a_teacher(photos):
    samples = garments.read_samples(photos, ["dress"], CROP)
    plain, mixed = (garments.Batches(samples, CROP, seed=0, mixed=share) for share in (0, 0.5))
    assert not any(plain[step].mixed for step in range(20))
    assert 3 < sum(mixed[step].mixed for step in range(20)) < 17


def test_people_are_cut_out_by_the_outlines_that_somebody_drew(tmp_path):
    write_street(tmp_path, outlines=True)
    [photo, *_] = datasets.read(tmp_path)
    samples = garments.read_samples([photo], datasets.all_labels([photo]), CROP)
    outlined = datasets.outlined(photo) != datasets.NOBODY
    for sample, garment in zip(samples, photo.garments, strict=True):
        assert sample.mask.shape[1:] == sample.pixels.shape[1:]
        left, top, right, bottom = garment.box.pixels()
        x0, y0, x1, y1 = sample.inner
        high, wide = sample.pixels.shape[1:]
        inner = sample.mask[
            0, round(y0 * high) : round(y1 * high), round(x0 * wide) : round(x1 * wide)
        ]
        share = (inner > 127).float().mean().item()
        assert share == pytest.approx(outlined[top:bottom, left:right].mean(), abs=0.05)


def test_where_nothing_is_held_out_it_is_said():
    with pytest.raises(BadDataset, match="shows a garment"):
        garments.HeldOut([], CROP, 0)
