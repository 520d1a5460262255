from __future__ import annotations

import copy
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from similarity.engine import TextEmbedder, load
from similarity.engine.errors import MissingWeights, WrongWeights
from tests.engine import tiny_models
from tests.engine.conftest import skip_without

pytestmark = pytest.mark.ml
NAME = "marqo-fashionSigLIP"


def embedder(models_dir, model=NAME):
    return load(
        "embedder",
        "open_clip",
        models_dir=models_dir,
        model=model,
        device="cpu",
        precision="float32",
    )


@pytest.fixture(scope="module")
def siglip_dir(tmp_path_factory):
    """A model with an image tower of timm's and a tokenizer of its own."""
    skip_without("open_clip")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_open_clip(models_dir, "siglip", tiny_models.TINY_SIGLIP)
    return models_dir


@pytest.fixture
def spoilt(open_clip_dir, tmp_path):
    """A copy of the model, to spoil."""
    shutil.copytree(open_clip_dir / NAME, tmp_path / NAME)
    return tmp_path


def test_missing_weights_are_named_with_how_to_get_them(tmp_path):
    (complaint,) = embedder(tmp_path).missing()
    assert str(tmp_path / NAME) in complaint
    assert "models fetch" in complaint
    with pytest.raises(MissingWeights):
        embedder(tmp_path).embed([Image.new("RGB", (9, 9))])


@pytest.mark.parametrize("name", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_half_a_folder_is_a_missing_model(spoilt, name):
    (spoilt / NAME / name).unlink()
    assert len(embedder(spoilt).missing()) == 1


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_vectors_of_crops_and_words_are_those_of_the_library(
    kind, open_clip_dir, siglip_dir, picture
):
    torch = pytest.importorskip("torch")
    import open_clip

    folder = open_clip_dir / NAME if kind == "clip" else siglip_dir / "siglip"
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a red dress", "shoes"])
    own = embedder(folder.parent, folder.name)
    with torch.inference_mode():
        images = model.eval().encode_image(transform(picture)[None], normalize=True)
        texts = model.encode_text(tokens, normalize=True)
    np.testing.assert_allclose(own.embed_texts(["a red dress", "shoes"]), texts, atol=1e-5)
    assert float(own.embed([picture])[0] @ images[0].numpy()) > 0.9999
    assert isinstance(own, TextEmbedder)


@pytest.mark.parametrize("mode", ["squash", "shortest", "longest"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_a_crop_is_prepared_as_the_library_does(spoilt, mode, interpolation):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = copy.deepcopy(tiny_models.TINY_CLIP)
    config["preprocess_cfg"] = {"resize_mode": mode, "interpolation": interpolation}
    (spoilt / NAME / "open_clip_config.json").write_text(json.dumps(config))
    smooth = Image.radial_gradient("L").resize((300, 420))
    crop = Image.merge("RGB", (smooth, smooth.rotate(90), smooth.rotate(180)))
    transform = image_transform_v2(PreprocessCfg(32, **config["preprocess_cfg"]), is_train=False)
    difference = np.abs(transform(crop).numpy() - embedder(spoilt).pixels(crop))
    assert difference.mean() < 0.03  # two grey levels: the library rounds its margins otherwise


def test_the_library_does_not_fill_the_logs_with_what_is_not_so(siglip_dir, picture, caplog):
    model = embedder(siglip_dir, "siglip")
    with caplog.at_level(logging.INFO):
        model.embed([picture])
        model.embed_texts(["dress"])
        logging.getLogger().info("Others are heard.")
    assert [record.message for record in caplog.records] == ["Others are heard."]


def test_many_threads_may_describe_words_at_once(siglip_dir):
    model = embedder(siglip_dir, "siglip")
    words = ["red dress", "blue shoes", "hat"] * 4
    expected = model.embed_texts(words)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(model.embed_texts, [words] * 8):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


def _not_json(folder):
    (folder / "open_clip_config.json").write_text("{")


def _of_another_shape(folder):
    config = copy.deepcopy(tiny_models.TINY_CLIP)
    config["model_cfg"]["vision_cfg"]["width"] = 32
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def _no_such_tower(folder):
    config = copy.deepcopy(tiny_models.TINY_SIGLIP)
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "no_such_network"
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def _text_tower_of_a_hub(folder):
    config = copy.deepcopy(tiny_models.TINY_CLIP)
    config["model_cfg"]["text_cfg"] = {"hf_model_name": "nobody/on-a-hub"}
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def _cut_off(folder):
    path = folder / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    "spoil", [_not_json, _of_another_shape, _no_such_tower, _text_tower_of_a_hub, _cut_off]
)
def test_a_model_that_does_not_fit_together_is_refused(spoilt, picture, spoil):
    spoil(spoilt / NAME)
    with pytest.raises(WrongWeights, match=NAME):
        embedder(spoilt).embed([picture])


def test_a_tokenizer_that_is_not_there_is_named(siglip_dir, tmp_path):
    shutil.copytree(siglip_dir / "siglip", tmp_path / "siglip")
    for path in (tmp_path / "siglip").glob("*token*"):
        path.unlink()
    with pytest.raises(WrongWeights, match="tokenizer"):
        embedder(tmp_path, "siglip").embed_texts(["dress"])


def test_pickled_objects_are_not_loaded(spoilt, picture):
    torch = pytest.importorskip("torch")
    (spoilt / NAME / "open_clip_model.safetensors").unlink()
    torch.save({"weights": Image.new}, spoilt / NAME / "open_clip_pytorch_model.bin")
    with pytest.raises(WrongWeights, match="cannot be read"):
        embedder(spoilt).embed([picture])


def test_the_fingerprint_follows_configuration_and_weights(spoilt, open_clip_dir):
    whole = embedder(open_clip_dir).fingerprint
    with (spoilt / NAME / "open_clip_config.json").open("a") as file:
        file.write(" ")
    assert embedder(spoilt).fingerprint != whole
