from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from similarity.engine import datasets, load
from similarity.engine.errors import MissingWeights, WrongWeights

pytestmark = pytest.mark.ml
TENSORS, STEPS = "mobilenet_v2_imagenet.npz", "mobilenet_v2_imagenet.json"


@pytest.fixture
def folder(mobilenet_v2_dir, tmp_path):
    """A copy of the weights, to spoil."""
    return shutil.copytree(mobilenet_v2_dir, tmp_path / "models")


def embedder(folder):
    return load("embedder", "mobilenet_v2", models_dir=folder, device="cpu")


def test_missing_weights_are_named_with_where_to_put_them(tmp_path):
    (complaint,) = embedder(tmp_path).missing()
    assert TENSORS in complaint
    assert STEPS in complaint
    assert str(tmp_path) in complaint
    model = embedder(tmp_path)
    for use in (lambda: model.embed([Image.new("RGB", (9, 9))]), lambda: model.fingerprint):
        with pytest.raises(MissingWeights, match=TENSORS):
            use()


@pytest.mark.parametrize("name", [TENSORS, STEPS])
def test_the_fingerprint_follows_both_files(folder, mobilenet_v2_dir, name):
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert embedder(folder).fingerprint != embedder(mobilenet_v2_dir).fingerprint


def _a_step_without_tensors(folder):
    listed = json.loads((folder / STEPS).read_text())
    listed["steps"][0]["name"] = "other"
    (folder / STEPS).write_text(json.dumps(listed))


def _too_few_features(folder):
    listed = json.loads((folder / STEPS).read_text())
    listed["steps"] = listed["steps"][:4]
    (folder / STEPS).write_text(json.dumps(listed))


def _cut_off(folder):
    (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:100])


def _pickled(folder):
    np.savez(folder / TENSORS, weights=np.array([{"a": 1}], dtype=object))


def _not_json(folder):
    (folder / STEPS).write_text("steps")


@pytest.mark.parametrize(
    "spoil", [_a_step_without_tensors, _too_few_features, _cut_off, _pickled, _not_json]
)
def test_weights_that_do_not_fit_are_refused(folder, picture, spoil):
    spoil(folder)
    with pytest.raises(WrongWeights, match=TENSORS):
        embedder(folder).embed([picture])


def test_steps_are_padded_as_tensorflow_does_it():
    torch = pytest.importorskip("torch")
    from similarity.engine.networks.mobilenet_v2 import MobileNetV2

    # A stride of 2 over 4 pixels pads one to the right and below only: the sums of 2 x 2 corners
    # of a 4 x 4 picture of ones under a 3 x 3 kernel are 9, 6, 6 and 4.
    step = {"name": "a", "op": "CONV_2D", "from": ["input"], "stride": 2, "groups": 1}
    weights = {"a.weight": torch.ones(1, 1, 3, 3), "a.bias": torch.zeros(1)}
    network = MobileNetV2([{**step, "activation": "none"}], weights)
    assert network.maps(torch.ones(1, 1, 4, 4)).flatten().tolist() == [9, 6, 6, 4]


@pytest.mark.photos
def test_the_published_weights_tell_shoes_from_dresses(photos):
    chosen = {"shoes": [], "dress": []}
    for photo in datasets.read(photos / "clothing"):
        kind = chosen.get(photo.garments[0].label)
        if kind is not None and len(kind) < 6:
            kind.append(datasets.open_rgb(photo))
    vectors = embedder(photos / "backbone").embed([*chosen["shoes"], *chosen["dress"]])
    alike = vectors @ vectors.T
    assert alike[:6, :6].mean() > alike[:6, 6:].mean() + 0.1
