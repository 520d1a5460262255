from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load
from similarity.engine.errors import MissingWeights, WrongWeights

pytestmark = pytest.mark.ml
WEIGHTS = "vit_b_16-c867db91.pth"


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_missing_weights_are_named_with_how_to_get_them(tmp_path):
    embedder = load("embedder", "vit_b_16", models_dir=tmp_path)
    (complaint,) = embedder.missing()
    assert WEIGHTS in complaint
    assert "models fetch vit_b_16" in complaint
    with pytest.raises(MissingWeights, match=WEIGHTS):
        embedder.embed([Image.new("RGB", (9, 9))])


def test_the_vector_is_the_class_token_of_torchvisions_own_network(vit_b_16_dir, picture):
    torch = pytest.importorskip("torch")
    from torchvision.models import vit_b_16

    network = vit_b_16(weights=None)
    network.load_state_dict(torch.load(vit_b_16_dir / WEIGHTS, weights_only=True))
    seen = []
    network.eval().heads.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    embedder = load(
        "embedder", "vit_b_16", models_dir=vit_b_16_dir, device="cpu", precision="float32"
    )
    with torch.inference_mode():
        network(torch.from_numpy(embedder.pixels(picture))[None])
    expected = seen[0][0].numpy()
    np.testing.assert_allclose(
        embedder.embed([picture])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


def test_a_crop_is_prepared_as_torchvisions_preset_does(tmp_path):
    pytest.importorskip("torch")
    from similarity.engine.device import prepare_torch

    prepare_torch()
    from torchvision.models import ViT_B_16_Weights

    smooth = Image.radial_gradient("L").resize((300, 420))
    crop = Image.merge("RGB", (smooth, smooth.rotate(90), smooth.rotate(180)))
    preset = ViT_B_16_Weights.IMAGENET1K_V1.transforms()
    pixels = load("embedder", "vit_b_16", models_dir=tmp_path).pixels(crop)
    assert np.abs(preset(crop).numpy() - pixels).mean() < 0.02  # about one grey level


def test_the_weights_of_another_model_are_refused(tmp_path, picture):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / WEIGHTS)
    with pytest.raises(WrongWeights, match=WEIGHTS):
        load("embedder", "vit_b_16", models_dir=tmp_path, device="cpu").embed([picture])
