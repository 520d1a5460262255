from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load
from similarity.engine.errors import MissingWeights, WrongWeights

pytestmark = pytest.mark.ml


def embedder(folder):
    return load("embedder", "triplet", models_dir=folder, device="cpu", precision="float32")


def test_missing_weights_are_named_with_what_makes_them(tmp_path):
    (complaint,) = embedder(tmp_path).missing()
    assert "triplet.safetensors" in complaint
    assert "train_triplet" in complaint
    with pytest.raises(MissingWeights, match="train_triplet"):
        embedder(tmp_path).embed([Image.new("RGB", (9, 9))])


def test_the_vector_is_what_the_head_makes_of_resnet50s_features(triplet_dir, picture):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file
    from torchvision.models import resnet50

    network = resnet50(num_classes=128)
    network.load_state_dict(load_file(triplet_dir / "triplet.safetensors"))
    model = embedder(triplet_dir)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(model.pixels(picture))[None])[0].numpy()
    np.testing.assert_allclose(
        model.embed([picture])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


@pytest.mark.parametrize(
    "size", [None, "x", json.dumps([48]), json.dumps([48, 0]), json.dumps([48, 10**6])]
)
def test_a_file_that_does_not_say_its_size_is_refused(tmp_path, picture, triplet_dir, size):
    from safetensors.torch import load_file, save_file

    tensors = load_file(triplet_dir / "triplet.safetensors")
    said = {} if size is None else {"size": size}
    save_file(tensors, tmp_path / "triplet.safetensors", said)
    with pytest.raises(WrongWeights, match="triplet"):
        embedder(tmp_path).embed([picture])


def test_the_weights_of_another_model_are_refused(tmp_path, picture):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    said = {"size": json.dumps([48, 64])}
    save_file({"fc.weight": torch.zeros(128, 9)}, tmp_path / "triplet.safetensors", said)
    with pytest.raises(WrongWeights, match="triplet"):
        embedder(tmp_path).embed([picture])
