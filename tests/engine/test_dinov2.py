from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load
from similarity.engine.errors import MissingWeights, WrongWeights

pytestmark = pytest.mark.ml
WEIGHTS = "dinov2_vits14_pretrain.pth"


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.parametrize(("variant", "dim"), [("vits14", 384), ("vitb14", 768), ("vitl14", 1024)])
def test_each_size_says_what_it_needs_and_how_long_its_vectors_are(tmp_path, variant, dim):
    embedder = load("embedder", "dinov2", models_dir=tmp_path, variant=variant)
    assert embedder.dim == dim
    (complaint,) = embedder.missing()
    assert f"dinov2_{variant}_pretrain.pth" in complaint
    assert f"models fetch dinov2_{variant}" in complaint
    with pytest.raises(MissingWeights):
        embedder.embed([Image.new("RGB", (9, 9))])


def test_a_size_that_was_never_published_is_refused(tmp_path):
    with pytest.raises(ValueError, match="vits14"):
        load("embedder", "dinov2", models_dir=tmp_path, variant="vitx14")


def test_torch_hub_is_never_asked(dinov2_dir, picture, monkeypatch):
    torch = pytest.importorskip("torch")

    def refuse(*_, **__):
        pytest.fail("torch.hub was asked")

    for name in ("load", "load_state_dict_from_url", "download_url_to_file"):
        monkeypatch.setattr(torch.hub, name, refuse)
    embedder = load("embedder", "dinov2", models_dir=dinov2_dir, device="cpu", precision="float32")
    assert embedder.embed([picture]).shape == (1, 384)


def test_the_vector_is_the_normed_class_token_with_the_positions_of_its_own_size(
    dinov2_dir, picture
):
    torch = pytest.importorskip("torch")
    embedder = load("embedder", "dinov2", models_dir=dinov2_dir, device="cpu", precision="float32")
    network = embedder.read().eval()
    assert network.pos_embed.shape == (1, 1 + 16 * 16, 384), "published for 37 x 37 patches"
    published = torch.load(dinov2_dir / WEIGHTS, weights_only=True)
    assert torch.equal(network.cls_token, published["cls_token"])
    assert torch.equal(network.pos_embed[0, 0], published["pos_embed"][0, 0])
    with torch.inference_mode():
        pixels = torch.from_numpy(embedder.pixels(picture))[None]
        expected = network.forward_features(pixels)[0, 0].numpy()
    np.testing.assert_allclose(
        embedder.embed([picture])[0], expected / np.linalg.norm(expected), atol=1e-5
    )


@pytest.mark.parametrize("tensors", [{}, {"mask_token": None}, {"cls_token": None}])
def test_the_weights_of_another_model_are_refused(tmp_path, picture, tensors):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.zeros(1, 384) for name in tensors}, tmp_path / WEIGHTS)
    with pytest.raises(WrongWeights, match=WEIGHTS):
        load("embedder", "dinov2", models_dir=tmp_path, device="cpu").embed([picture])


def test_the_fingerprint_follows_the_size(dinov2_dir, tmp_path):
    (tmp_path / "dinov2_vitb14_pretrain.pth").symlink_to(dinov2_dir / WEIGHTS)
    small = load("embedder", "dinov2", models_dir=dinov2_dir)
    large = load("embedder", "dinov2", models_dir=tmp_path, variant="vitb14")
    assert small.fingerprint != large.fingerprint
