from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load
from similarity.engine.embedders import resnet50 as module
from similarity.engine.embedders.resnet50 import _pixels
from similarity.engine.errors import MissingWeights, WrongWeights
from similarity.engine.networks.exported import NotUsable, _verified

pytestmark = pytest.mark.ml
V2, V1 = "resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def embedder(resnet50_dir):
    return load("embedder", "resnet50", models_dir=resnet50_dir, device="cpu", precision="float32")


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
    another = load("embedder", "resnet50", models_dir=tmp_path, precision="float32")
    assert another.fingerprint != embedder.fingerprint


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


# --- ONNX Runtime ---------------------------------------------------------------------------


@pytest.fixture
def own_dir(resnet50_dir, tmp_path):
    """A models folder of the test's own, nothing exported in it yet."""
    models_dir = tmp_path / "own"
    models_dir.mkdir()
    (models_dir / V2).symlink_to(resnet50_dir / V2)
    return models_dir


@pytest.fixture
def crops(picture):
    return [picture, picture.rotate(180), Image.new("RGB", (40, 90), "red")]


@pytest.fixture
def by_torch(own_dir, crops, monkeypatch):
    """What torch alone makes of the crops."""
    with monkeypatch.context() as patch:
        patch.setattr("similarity.engine.networks.exported.exported", lambda *_: None)
        return vectors(own_dir, crops)


def vectors(models_dir, crops, **options):
    return load(
        "embedder", "resnet50", models_dir=models_dir, device="cpu", precision="float32", **options
    ).embed(crops)


@pytest.fixture
def exports(monkeypatch):
    """One entry for each time that the network of torch is built."""
    pytest.importorskip("onnxruntime")
    built = []
    network = module.ResNet50Embedder._network
    monkeypatch.setattr(
        module.ResNet50Embedder, "_network", lambda self: built.append(1) or network(self)
    )
    return built


@pytest.fixture(scope="module")
def exported_dir(resnet50_dir, tmp_path_factory, picture):
    """A models folder with an exported copy in it."""
    pytest.importorskip("onnxruntime")
    models_dir = tmp_path_factory.mktemp("exported")
    (models_dir / V2).symlink_to(resnet50_dir / V2)
    vectors(models_dir, [picture])
    return models_dir


def spoil_the_network(folder):
    [copy] = folder.glob("*.onnx")
    copy.write_bytes(copy.read_bytes()[:-1000])


def spoil_the_probe(folder):
    [probe] = folder.glob("*.npy")
    np.save(probe, np.random.default_rng(0).normal(size=(2, 2048)).astype(np.float32))


def take_the_probe_away(folder):
    [probe] = folder.glob("*.npy")
    probe.unlink()


@pytest.mark.slow
def test_an_exported_copy_is_made_once_and_gives_the_vectors_of_torch(
    exported_dir, crops, by_torch, exports, capfd
):
    np.testing.assert_allclose(vectors(exported_dir, crops), by_torch, atol=1e-5)
    np.testing.assert_allclose(vectors(exported_dir, crops, batch_size=1), by_torch, atol=1e-5)
    assert exports == []
    files = sorted(file.suffix for file in (exported_dir / "exported").iterdir())
    assert files == [".npy", ".onnx"]
    assert capfd.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [spoil_the_network, spoil_the_probe, take_the_probe_away])
def test_a_copy_that_is_damaged_or_another_networks_is_not_used(exported_dir, tmp_path, spoil):
    folder = shutil.copytree(exported_dir / "exported", tmp_path / "copy")
    spoil(folder)
    [copy] = folder.glob("*.onnx")
    with pytest.raises(NotUsable, match=copy.name):
        _verified(copy, (3, 224, 224))


@pytest.mark.slow
def test_a_copy_of_no_use_is_made_anew(own_dir, exported_dir, picture, exports, caplog):
    spoil_the_probe(shutil.copytree(exported_dir / "exported", own_dir / "exported"))
    made = vectors(own_dir, [picture])
    assert len(exports) == 1
    assert "is made anew" in caplog.text
    np.testing.assert_array_equal(vectors(own_dir, [picture]), made)
    assert len(exports) == 1


def test_where_no_copy_can_be_kept_torch_serves_and_the_log_says_why(
    own_dir, crops, by_torch, caplog
):
    pytest.importorskip("onnxruntime")
    (own_dir / "exported").write_text("a file where the folder should be")
    np.testing.assert_allclose(vectors(own_dir, crops), by_torch, atol=1e-6)
    assert "torch runs the network, not ONNX Runtime: " in caplog.text


def test_without_onnx_runtime_torch_serves(own_dir, crops, by_torch, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "similarity.engine")
    monkeypatch.setattr(
        "similarity.engine.networks.exported.not_installed", lambda *_: ["onnxruntime is not here."]
    )
    np.testing.assert_allclose(vectors(own_dir, crops), by_torch, atol=1e-6)
    assert "onnxruntime is not here." in caplog.text
    assert not (own_dir / "exported").exists()
