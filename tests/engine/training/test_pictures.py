"""What the detector learns from: rare labels more often, people in other places, outlines."""

import pytest

from tests.engine.training import needs_training

needs_training()

import torch  # noqa: E402
from PIL import Image  # noqa: E402

from similarity.engine import Box, datasets  # noqa: E402
from similarity.engine.datasets import NOBODY, Garment, Photo  # noqa: E402
from similarity.engine.training import augmentation, pictures  # noqa: E402
from similarity.engine.training.augmentation import UNKNOWN, Dice  # noqa: E402
from similarity.engine.training.pictures import Sample  # noqa: E402
from similarity.engine.training.targets import Boxes  # noqa: E402
from tests.labelled import write_street  # noqa: E402

pytestmark = pytest.mark.ml

COMMON, RARE = 0, 1


def _photo(*labels: int) -> Sample:
    edges = torch.tensor([[0.0, 0.0, 9.0, 9.0]] * len(labels)).view(-1, 4)
    return Sample(torch.zeros(3, 9, 9, dtype=torch.uint8), Boxes(edges, torch.tensor(labels)))


def test_photos_of_a_rare_label_are_drawn_by_the_root_of_its_rarity():
    photos = [_photo(COMMON)] * 97 + [_photo(COMMON, RARE)] * 3
    factors = pictures.repeats(photos)
    assert factors[0] == 1
    assert factors[-1].item() == pytest.approx((pictures.RARE / 0.03) ** 0.5)


def test_photos_of_nothing_are_drawn_as_often_as_any():
    assert pictures.repeats([_photo(COMMON), _photo()]).tolist() == [1, 1]


def _outlined(size: tuple[int, int] = (80, 120)) -> Sample:
    """A white garment of label 3 in a black photo (width, height), whose outline is known."""
    pixels = torch.zeros(3, size[1], size[0], dtype=torch.uint8)
    shown = torch.zeros(size[1], size[0], dtype=torch.uint8)
    pixels[:, 30:80, 30:50] = 255
    shown[30:80, 30:50] = 3 + 1
    return Sample(pixels, Boxes(torch.tensor([[30.0, 30, 50, 80]]), torch.tensor([3])), shown)


def _grown(marked):
    """Two pixels more on all sides."""
    return torch.nn.functional.max_pool2d(marked[None].float(), 5, 1, 2)[0].bool()


@pytest.mark.parametrize("step", range(20))
def test_outlines_go_where_their_garments_go(step):
    drawn = pictures.placed(_outlined(), (96, 128), Dice(2, step))
    assert set(drawn.shown.unique().tolist()) <= {NOBODY, 3 + 1, UNKNOWN}
    marked = drawn.shown == 3 + 1
    unlike = marked != (drawn.image[0] > 0.5)
    assert unlike.float().mean() < 0.01  # along its edges


def test_of_a_photo_without_outlines_nothing_is_known():
    sample = _outlined()._replace(shown=None)
    assert (pictures.placed(sample, (96, 128), Dice(0, 0)).shown == UNKNOWN).all()


def test_some_garments_are_dyed_and_what_is_around_them_is_not():
    drawn = pictures.placed(_outlined(), (96, 128), Dice(0, 1))
    drawn = drawn._replace(image=drawn.image * torch.tensor([0.9, 0.5, 0.2]).view(3, 1, 1))
    inside = drawn.shown == 3 + 1
    around, within = _grown(inside), ~_grown(~inside)
    dyed = 0
    for step in range(100):
        made = pictures.dyed(drawn, Dice(1, step))
        assert torch.equal(made.image[:, ~around], drawn.image[:, ~around])
        assert torch.equal(made.shown, drawn.shown)
        assert torch.equal(made.boxes.edges, drawn.boxes.edges)
        dyed += not torch.allclose(made.image[:, within], drawn.image[:, within], atol=0.02)
    assert dyed == pytest.approx(100 * pictures.DYED, abs=15)


def test_a_garment_of_which_no_outline_is_known_keeps_its_colour():
    drawn = pictures.placed(_outlined()._replace(shown=None), (96, 128), Dice(0, 1))
    assert all(
        torch.equal(pictures.dyed(drawn, Dice(1, step)).image, drawn.image) for step in range(20)
    )


def test_before_another_background_only_the_garment_stays():
    drawn = pictures.placed(_outlined(), (96, 128), Dice(0, 1))
    moved = pictures.elsewhere(drawn, torch.full_like(drawn.image, 0.25))
    inside = drawn.shown == 3 + 1
    around = _grown(inside)
    within = ~_grown(~inside)
    assert within.any()
    assert (moved.image[:, ~around] == 0.25).all()
    assert torch.allclose(moved.image[:, within], drawn.image[:, within])
    assert torch.equal(moved.shown == 3 + 1, inside)
    assert (moved.shown[~inside] == NOBODY).all()  # all of it is known now
    assert torch.equal(moved.boxes.edges, drawn.boxes.edges)


def test_a_garment_at_a_picture_s_edge_stays_whole_before_another_background():
    shown = torch.zeros(12, 12, dtype=torch.uint8)
    shown[:, :6] = 3 + 1
    none = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    drawn = pictures.Placed(torch.ones(3, 12, 12), none, shown)
    moved = pictures.elsewhere(drawn, torch.zeros(3, 12, 12))
    assert torch.allclose(moved.image[:, :, :5], torch.ones(3, 12, 5))
    assert (moved.image[:, :, 7:] == 0).all()


def test_a_background_shows_nothing_of_the_garments_beside_it():
    for step in range(20):
        floor = pictures.background(_outlined(), (96, 128), Dice(3, step))
        assert floor.shape == (3, 128, 96)
        assert floor.max() < 0.01


def test_a_photo_full_of_a_garment_lends_no_background():
    full = _outlined()._replace(shown=torch.full((120, 80), 4, dtype=torch.uint8))
    assert pictures.background(full, (96, 128), Dice(0, 0)) is None
    drawn = pictures.placed(full, (96, 128), Dice(0, 0))
    assert pictures.elsewhere(drawn, None) is drawn


@pytest.mark.parametrize(
    ("extent", "part"),
    [
        ((slice(30, 90), slice(40, 70)), (slice(None), slice(0, 40))),
        ((slice(30, 90), slice(10, 40)), (slice(None), slice(40, 80))),
        ((slice(50, 120), slice(10, 70)), (slice(0, 50), slice(None))),
        ((slice(0, 70), slice(10, 70)), (slice(70, 120), slice(None))),
    ],
)
def test_the_largest_part_beside_a_garment_is_found(extent, part):
    shown = torch.zeros(120, 80, dtype=torch.uint8)
    shown[extent] = 1
    assert augmentation.beside(shown) == part


def test_a_photo_is_stored_with_the_outlines_that_somebody_drew(tmp_path):
    write_street(tmp_path, outlines=True)
    [photo, *_] = datasets.read(tmp_path)
    labels = sorted({garment.label for garment in photo.garments})
    sample = pictures.stored(photo, labels)
    assert sample.shown.shape == sample.pixels.shape[1:]
    for edges, label in zip(sample.boxes.edges.tolist(), sample.boxes.labels.tolist(), strict=True):
        rows, columns = (sample.shown == label + 1).nonzero(as_tuple=True)
        x0, y0, x1, y1 = edges
        assert columns.min() >= x0 - 2
        assert columns.max() <= x1 + 2
        assert rows.min() >= y0 - 2
        assert rows.max() <= y1 + 2


def test_a_photo_in_which_not_every_garment_is_boxed_is_left_out(tmp_path):
    write_street(tmp_path)
    [photo, *_] = datasets.read(tmp_path)
    part = Photo(photo.path, photo.group, (Garment("top", Box(0, 0, 9, 9)), Garment("hat", None)))
    assert pictures.stored(part, ["hat", "top"]) is None


@pytest.mark.parametrize(
    ("labels", "known"), [(["hat", "top"], "top"), (["hat", "top", "t-shirt"], "t-shirt")]
)
def test_a_finer_label_is_told_apart_where_the_detector_does_so(tmp_path, labels, known):
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 40)).save(path)
    photo = Photo(path, "a", (Garment("t-shirt", Box(5, 5, 30, 30)),))
    sample = pictures.stored(photo, labels)
    assert [labels[n] for n in sample.boxes.labels.tolist()] == [known]


def test_a_photo_as_narrow_as_can_be_is_kept(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (5000, 3)).save(path)
    photo = Photo(path, "a", (Garment("top", Box(0, 0, 5000, 3)),))
    assert pictures.stored(photo, ["top"]).pixels.shape == (3, 1, 600)


def test_a_batch_has_the_rare_more_often():
    samples = [_photo(COMMON)] * 97 + [_photo(RARE)] * 3
    mixture = [pictures.Mixture(samples, 1.0, pictures.repeats(samples))]
    batches = pictures.Batches(mixture, [], seed=0)
    drawn = torch.cat([boxes.labels for step in range(20) for boxes in batches[step].boxes])
    share = (drawn == RARE).float().mean().item()
    factor = (pictures.RARE / 0.03) ** 0.5
    assert share == pytest.approx(3 * factor / (97 + 3 * factor), abs=0.05)


def _grey(value: int, shown: int) -> Sample:
    """A photo of one grey whose left half shows somebody, or nobody."""
    marks = torch.zeros(120, 80, dtype=torch.uint8)
    marks[:, :40] = shown
    pixels = torch.full((3, 120, 80), value, dtype=torch.uint8)
    return Sample(pixels, Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)), marks)


def _brightness(mixture, outlined):
    batches = pictures.Batches(mixture, outlined, seed=0)
    drawn = [batches[step] for step in range(6)]
    assert not any(len(boxes.labels) for batch in drawn for boxes in batch.boxes)
    assert all((batch.shown == NOBODY).any() for batch in drawn)
    return torch.cat([batch.images.mean((1, 2, 3)) for batch in drawn])


def test_some_pictures_of_nothing_are_what_photos_show_beside_people():
    nothing = [pictures.Mixture([_grey(0, NOBODY)], 1.0, torch.ones(1))]
    streets, floors = [_grey(250, 1)] * 2, [_grey(250, 1)] * 9
    assert (_brightness(nothing, []) < 0).all()
    bright = (_brightness(nothing, [streets, floors]) > 0).float().mean().item()
    assert bright == pytest.approx(pictures.EXCHANGED, abs=0.15)


def test_photos_of_every_kind_lend_their_backgrounds_as_often():
    nothing = [pictures.Mixture([_grey(0, NOBODY)], 1.0, torch.ones(1))]
    few, many, none = [_grey(250, 1)], [_grey(0, 1)] * 50, []
    bright = (_brightness(nothing, [few, many, none]) > 0).float().mean().item()
    assert bright == pytest.approx(pictures.EXCHANGED / 2, abs=0.12)
