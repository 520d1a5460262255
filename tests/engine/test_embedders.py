"""What every registered embedder promises."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from similarity.engine import TextEmbedder, load
from tests.engine.conftest import every
from tests.engine.test_detectors import HEAVY

LOOK_AT_IT = """
import json, sys
from pathlib import Path
from similarity.engine import load
name, models_dir = sys.argv[1:]
options = {"models_dir": Path(models_dir)} if models_dir else {}
embedder = load("embedder", name, **options)
embedder.light, embedder.dim, embedder.missing(), embedder.fingerprint
print(json.dumps(sorted(sys.modules)))
"""

EMBED = """
import json, sys
from pathlib import Path
from PIL import Image
from similarity.engine import load
from tests.engine.tiny_models import register_tiny_vits
name, models_dir, photo = sys.argv[1:]
if name in ("vit_b_16", "dinov2"):
    register_tiny_vits()
options = {"models_dir": Path(models_dir), "device": "cpu"} if models_dir else {}
embedder = load("embedder", name, **options)
print(json.dumps(embedder.embed([Image.open(photo)]).tolist()))
"""


@pytest.fixture(scope="module")
def loaded():
    """Embedders by name: what they promise, they promise in one process, so each is loaded once."""
    return {}


@pytest.fixture
def embedder(options, loaded):
    def of(name):
        if name not in loaded:
            loaded[name] = load("embedder", name, **options(name))
        return loaded[name]

    return of


@pytest.fixture
def crops(picture):
    return [
        picture,
        picture.crop((60, 70, 140, 170)),
        picture.crop((65, 170, 135, 280)).rotate(20),
        Image.effect_noise((90, 120), 80).convert("RGB"),
    ]


@every("embedder")
def test_a_crop_becomes_a_unit_row_of_the_promised_length(embedder, name, crops):
    model = embedder(name)
    vectors = model.embed(crops)
    assert vectors.shape == (len(crops), model.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@every("embedder")
def test_no_crops_make_no_rows(embedder, name):
    model = embedder(name)
    assert model.embed([]).shape == (0, model.dim)
    assert model.embed([]).dtype == np.float32


@every("embedder")
def test_a_vector_does_not_depend_on_the_rest_of_its_batch(embedder, name, crops):
    model = embedder(name)
    together = model.embed(crops * 3)
    alone = np.concatenate([model.embed([crop]) for crop in crops * 3])
    assert (together * alone).sum(axis=1).min() >= 0.9999


@every("embedder")
def test_different_crops_have_different_vectors(embedder, name, crops):
    first, second = embedder(name).embed(crops[:2])
    assert float(first @ second) < 0.9999


@every("embedder")
@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (7, 2000)])
@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_crops_of_odd_sizes_and_one_colour_have_unit_vectors(embedder, name, size, colour):
    (vector,) = embedder(name).embed([Image.new("RGB", size, colour)])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@every("embedder")
def test_another_process_makes_the_same_vector(
    options, in_another_process, name, picture, tmp_path
):
    picture.save(tmp_path / "photo.png")
    models_dir = options(name).get("models_dir", "")
    there = in_another_process(EMBED, name, models_dir, tmp_path / "photo.png")
    here = load("embedder", name, **options(name)).embed([picture])
    assert float(here[0] @ np.float32(there[0])) >= 0.9999


@every("embedder")
def test_a_text_side_describes_words_as_it_describes_crops(embedder, name, crops):
    model = embedder(name)
    if not isinstance(model, TextEmbedder):
        pytest.skip(f"{name} knows no words.")
    vectors = model.embed_texts(["a red dress", "shoes", ""] * 4)
    assert vectors.shape == (12, model.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert model.embed_texts([]).shape == (0, model.dim)
    alone = model.embed_texts(["shoes"])[0]
    assert float(vectors[1] @ alone) >= 0.9999
    assert float(vectors[0] @ alone) < 0.9999


@every("embedder")
def test_nothing_is_missing_when_all_is_in_place(embedder, name):
    assert embedder(name).missing() == []


@every("embedder")
def test_the_fingerprint_is_hex_and_stays(embedder, name):
    assert int(embedder(name).fingerprint, 16)
    assert embedder(name).fingerprint == embedder(name).fingerprint


@every("embedder")
def test_constructing_it_imports_nothing_heavy(in_another_process, options, name):
    loaded = in_another_process(LOOK_AT_IT, name, options(name).get("models_dir", ""))
    assert not set(HEAVY) & set(loaded)


def colours_agree(one: Image.Image, other: Image.Image) -> float:
    first, second = load("embedder", "colour").embed([one, other])
    return float(first @ second)


def test_colour_tells_red_from_navy_but_hardly_from_another_red():
    red, crimson, navy = (
        Image.new("RGB", (80, 80), colour) for colour in ("#c01828", "#b82030", "#182058")
    )
    assert colours_agree(red, crimson) > 0.7
    assert colours_agree(red, navy) < 0.1


def test_colour_looks_at_the_middle_more_than_at_the_background():
    in_the_middle, in_the_corners = (Image.new("RGB", (100, 100), "white") for _ in range(2))
    in_the_middle.paste((192, 24, 40), (25, 25, 75, 75))
    for corner in ((0, 0), (75, 0), (0, 75), (75, 75)):
        in_the_corners.paste((192, 24, 40), (*corner, corner[0] + 25, corner[1] + 25))
    all_over = Image.new("RGB", (100, 100), (192, 24, 40))
    assert colours_agree(in_the_middle, all_over) > colours_agree(in_the_corners, all_over) + 0.2


def test_colour_tells_top_over_trousers_from_trousers_over_top(picture):
    upside_down = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert colours_agree(picture, mirrored) > 0.99
    assert colours_agree(picture, upside_down) < 0.9
