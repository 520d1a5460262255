"""The models that the project has trained itself, as they are shipped."""

import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

from similarity.engine import Box, load, synthetic
from similarity.engine.errors import MissingWeights, WrongWeights
from similarity.engine.synthetic import KINDS, backgrounds, noise
from similarity.engine.synthetic.colours import PALETTE
from similarity.engine.weights import SHIPPED, sha256

pytestmark = pytest.mark.ml
IOU_THRESHOLD = 0.6
KIND_AND_WEIGHTS = [
    ("detector", "compact_detector.safetensors"),
    ("embedder", "compact_embedder.safetensors"),
]


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return load("detector", "compact", models_dir=tmp_path_factory.mktemp("none"), device="cpu")


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return load("embedder", "compact", models_dir=tmp_path_factory.mktemp("none"), device="cpu")


def test_both_are_small_and_have_a_card():
    weights = sorted(SHIPPED.glob("*.safetensors"))
    assert [path.name for path in weights] == [name for _, name in KIND_AND_WEIGHTS]
    assert sum(path.stat().st_size for path in weights) <= 12e6
    for path in weights:
        card = path.with_suffix(".md").read_text()
        assert sha256(path) in card


def test_a_garment_is_more_like_itself_in_other_light_than_like_others(embedder):
    crops = [synthetic.photo(3, number, 1).image.resize((300, 400)) for number in range(12)]
    dimmed = [crop.point(lambda value: int(value * 0.75)) for crop in crops]
    nearest = (embedder.embed(dimmed) @ embedder.embed(crops).T).argmax(1)
    assert (nearest == np.arange(12)).mean() >= 0.9


def test_a_garment_is_most_like_its_own_mirror_image(embedder):
    crops = [synthetic.photo(3, number, 1).image for number in range(12)]
    mirrored = [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops]
    likeness = embedder.embed(crops) @ embedder.embed(mirrored).T
    assert likeness.argmax(1).tolist() == list(range(12))
    assert likeness.diagonal().min() > 0.9


def test_weights_that_read_looks_from_one_map_alone_still_serve(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    from similarity.engine.device import fused
    from similarity.engine.networks.compact import LOOK, WIDTHS, read_embedder
    from similarity.engine.networks.pixels import letterboxed

    shipped = load_file(SHIPPED / "compact_embedder.safetensors")
    chance = torch.Generator().manual_seed(0)
    own = {name: tensor for name, tensor in shipped.items() if not name.startswith("look.")} | {
        "look.weight": torch.randn(LOOK, WIDTHS[-1], generator=chance).half(),
        "look.bias": torch.randn(LOOK, generator=chance).half(),
    }
    path = tmp_path / "own.safetensors"
    save_file(own, path)
    crop = synthetic.photo(3, 1).image
    (vector,) = load("embedder", "compact", models_dir=tmp_path, weights=path.name).embed([crop])

    network = fused(read_embedder(path))
    pooled = network.features(torch.from_numpy(letterboxed(crop))[None]).mean((2, 3))
    weight, bias = own["look.weight"].float(), own["look.bias"].float()
    look = torch.nn.functional.linear(pooled, weight, bias)[0].numpy()
    cosine = vector[-LOOK:] @ look / np.linalg.norm(vector[-LOOK:]) / np.linalg.norm(look)
    assert cosine > 0.999999


@pytest.mark.parametrize(
    "look", [{"look.weight": (64, 256)}, {"look.weight": (64, 2000), "look.bias": (64,)}]
)
def test_weights_that_read_looks_as_none_did_are_refused(tmp_path, look):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    shipped = load_file(SHIPPED / "compact_embedder.safetensors")
    kept = {name: tensor for name, tensor in shipped.items() if not name.startswith("look.")}
    path = tmp_path / "odd.safetensors"
    save_file(kept | {name: torch.zeros(shape) for name, shape in look.items()}, path)
    with pytest.raises(WrongWeights, match="does not fit the model"):
        load("embedder", "compact", models_dir=tmp_path, weights=path.name).embed(
            [Image.new("RGB", (20, 20))]
        )


def test_a_map_s_statistics_are_the_means_and_deviations_of_the_three_coarsest():
    torch = pytest.importorskip("torch")
    from similarity.engine.networks.compact import statistics

    finest, fine, coarse = (torch.full((1, 1, side, side), 9.0) for side in (16, 8, 4))
    fine[:, :, :, 4:] = 1.0
    coarse[:, :, 2:] = 3.0
    single = torch.full((1, 2, 1, 1), 7.0)
    read = statistics([finest, fine, coarse, single])
    assert read[0].tolist() == pytest.approx([7, 7, 6, 5, 0, 0, 3, 4], abs=1e-5)


def test_a_map_that_is_the_same_everywhere_can_be_learnt_from():
    torch = pytest.importorskip("torch")
    from similarity.engine.networks.compact import statistics

    flat = torch.zeros(1, 2, 4, 4, requires_grad=True)
    statistics([flat] * 4).sum().backward()
    assert flat.grad.isfinite().all()


def test_a_batch_of_one_and_of_many_agree(embedder):
    crops = [synthetic.photo(3, number).image for number in range(33)]
    together = embedder.embed(crops)
    alone = np.concatenate([embedder.embed([crop]) for crop in crops])
    assert (together * alone).sum(1).min() >= 0.9999


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2)])
def test_crops_of_any_shape_are_described(embedder, size):
    vectors = embedder.embed([Image.new("RGB", size, "red")])
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)


def test_garments_laid_flat_are_boxed(detector):
    found = 0
    scenes = [synthetic.photo(5, number, 1) for number in range(12)]
    for scene in scenes:
        boxes = [detection.box for detection in detector.detect(scene.image)]
        found += bool(boxes) and boxes[0].iou(scene.placed[0].box) >= 0.5
    assert found >= 9


def test_a_garment_that_fills_the_photo_is_held_by_its_box(detector):
    held = 0
    for number in range(24):
        scene = synthetic.photo(6, number, 1)
        x0, y0, x1, y1 = scene.placed[0].box.edges
        across, down = (x1 - x0) * 0.08, (y1 - y0) * 0.08
        shown = Box(x0 - across, y0 - down, x1 + across, y1 + down).clamped(*scene.image.size)
        left, top, *_ = shown.pixels()
        found = detector.detect(scene.image.crop(shown.pixels()))
        garment = Box(x0 - left, y0 - top, x1 - left, y1 - top)
        held += bool(found) and found[0].box.iou(garment) >= 0.7
    assert held >= 15


def test_a_garment_is_boxed_once_though_the_photo_is_looked_at_twice(detector):
    for number in range(12):
        found = detector.detect(synthetic.photo(5, number, 1).image)
        for one, other in itertools.combinations(found, 2):
            assert one.label != other.label or one.box.iou(other.box) <= IOU_THRESHOLD


def test_detections_are_best_first_within_the_image_and_of_known_kinds(detector):
    image = synthetic.street(5, 2).image
    found = detector.detect(image)
    assert found
    assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    for detection in found:
        assert detection.label in KINDS
        assert detection.box == detection.box.clamped(*image.size)
        assert detection.box.area > 0


@pytest.mark.parametrize("name", [*backgrounds.PLAIN])
def test_a_background_without_a_garment_gives_no_box(detector, name):
    image = backgrounds.PLAIN[name](noise.rng(77, 1, name), (450, 600), PALETTE["navy"])
    assert detector.detect(image) == []


def test_a_blank_picture_gives_no_box(detector):
    assert detector.detect(Image.new("RGB", (400, 600), (128, 128, 128))) == []


@pytest.mark.parametrize("size", [(1, 1), (30, 2000), (2000, 30)])
def test_pictures_of_any_shape_are_searched(detector, size):
    for detection in detector.detect(Image.new("RGB", size, "white")):
        assert detection.box == detection.box.clamped(*size)


def test_a_threshold_of_the_shops_own_is_kept_to(tmp_path):
    image = synthetic.street(5, 2).image
    strict = load("detector", "compact", models_dir=tmp_path, threshold=0.99, device="cpu")
    assert strict.detect(image) == []


@pytest.mark.parametrize(("kind", "name"), KIND_AND_WEIGHTS)
def test_weights_of_the_shops_own_go_before_the_shipped_ones(tmp_path, kind, name):
    shipped = load(kind, "compact", models_dir=tmp_path, device="cpu").fingerprint
    (tmp_path / name).write_bytes((SHIPPED / name).read_bytes() + b" ")
    assert load(kind, "compact", models_dir=tmp_path, device="cpu").fingerprint != shipped


@pytest.mark.parametrize(("kind", "name"), KIND_AND_WEIGHTS)
def test_weights_that_are_not_there_are_named(tmp_path, kind, name):
    backend = load(kind, "compact", models_dir=tmp_path, weights="own.safetensors", device="cpu")
    assert "own.safetensors" in backend.missing()[0]
    with pytest.raises(MissingWeights, match=r"own\.safetensors"):
        _ = backend.fingerprint


@pytest.mark.parametrize(("kind", "name"), KIND_AND_WEIGHTS)
def test_damaged_weights_are_refused(tmp_path, kind, name):
    (tmp_path / name).write_bytes((SHIPPED / name).read_bytes()[:5000])
    with pytest.raises(WrongWeights):
        use(load(kind, "compact", models_dir=tmp_path, device="cpu"))


@pytest.mark.parametrize(("kind", "name"), KIND_AND_WEIGHTS)
def test_weights_of_the_other_kind_are_refused(tmp_path, kind, name):
    other = next(weights for _, weights in KIND_AND_WEIGHTS if weights != name)
    shutil.copy(SHIPPED / other, tmp_path / name)
    with pytest.raises(WrongWeights):
        use(load(kind, "compact", models_dir=tmp_path, device="cpu"))


def use(backend):
    image = Image.new("RGB", (40, 60))
    return backend.detect(image) if hasattr(backend, "detect") else backend.embed([image])


def test_boxes_are_in_pixels_of_the_image_whatever_its_size(detector):
    scene = synthetic.photo(5, 0, 1)
    large = scene.image.resize((scene.image.width * 2, scene.image.height * 2))
    small, double = (detector.detect(image)[0].box for image in (scene.image, large))
    assert Box(*(edge * 2 for edge in small.edges)).iou(double) > 0.8
