from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load
from similarity.engine.embedders.resnet50 import _pixels
from similarity.engine.errors import MissingWeights, WrongWeights

pytestmark = pytest.mark.ml
V2, V1 = "resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def embedder(resnet50_dir):
    return load("embedder", "resnet50", models_dir=resnet50_dir, device="cpu")


def test_missing_weights_are_named_with_where_to_put_them(tmp_path):
    embedder = load("embedder", "resnet50", models_dir=tmp_path)
    (complaint,) = embedder.missing()
    assert V2 in complaint
    assert str(tmp_path) in complaint
    for use in (lambda: embedder.embed([Image.new("RGB", (9, 9))]), lambda: embedder.fingerprint):
        with pytest.raises(MissingWeights, match=V2):
            use()


def test_weights_put_in_place_later_are_taken_up(tmp_path, resnet50_dir, picture):
    embedder = load("embedder", "resnet50", models_dir=tmp_path, device="cpu")
    with pytest.raises(MissingWeights):
        embedder.embed([picture])
    shutil.copy(resnet50_dir / V2, tmp_path / V1)
    assert embedder.missing() == []
    assert embedder.embed([picture]).shape == (1, 2048)


def test_weights_in_torch_hubs_cache_will_do(tmp_path, resnet50_dir):
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / V1).symlink_to(resnet50_dir / V2)
    assert load("embedder", "resnet50", models_dir=tmp_path / "empty").missing() == []


def test_the_weights_of_another_model_are_refused(tmp_path, picture):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / V2)
    with pytest.raises(WrongWeights, match=V2):
        load("embedder", "resnet50", models_dir=tmp_path, device="cpu").embed([picture])


def test_the_fingerprint_follows_the_weights(embedder, resnet50_dir, tmp_path):
    changed = bytearray((resnet50_dir / V2).read_bytes())
    changed[-1] ^= 1
    (tmp_path / V2).write_bytes(changed)
    assert load("embedder", "resnet50", models_dir=tmp_path).fingerprint != embedder.fingerprint


def test_the_vector_is_the_pooled_feature_of_torchvisions_own_network(
    embedder, resnet50_dir, picture
):
    torch = pytest.importorskip("torch")
    from torchvision.models import resnet50
    from torchvision.models.feature_extraction import create_feature_extractor

    network = resnet50(weights=None)
    network.load_state_dict(torch.load(resnet50_dir / V2, weights_only=True))
    pooled = create_feature_extractor(network.eval(), {"flatten": "pooled"})
    with torch.inference_mode():
        expected = pooled(torch.from_numpy(_pixels(picture))[None])["pooled"][0].numpy()
    np.testing.assert_allclose(
        embedder.embed([picture])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_a_crop_is_prepared_as_torchvisions_preset_does():
    pytest.importorskip("torch")
    from similarity.engine.device import prepare_torch

    prepare_torch()
    from torchvision.models import ResNet50_Weights

    smooth = Image.radial_gradient("L").resize((300, 420))
    crop = Image.merge("RGB", (smooth, smooth.rotate(90), smooth.rotate(180)))
    preset = ResNet50_Weights.IMAGENET1K_V2.transforms()
    difference = np.abs(preset(crop).numpy() - _pixels(crop))
    assert difference.mean() < 0.02  # about one grey level
