"""Networks in bfloat16: as good as in single precision, packed where that is possible."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from similarity.engine import load, synthetic
from tests.engine.tiny_models import register_tiny_vits

pytestmark = pytest.mark.ml
torch = pytest.importorskip("torch")

NAMES = ("compact", "resnet50", "triplet", "vit_b_16", "dinov2", "open_clip")


@pytest.fixture
def crops(picture):
    noise = [Image.effect_noise((90, 120), spread).convert("RGB") for spread in (20, 80)]
    return [picture, picture.rotate(180), picture.crop((60, 70, 140, 170)), *noise]


@pytest.fixture
def of(request):
    """An embedder in that precision, of weights that are there."""

    def embedder(name, precision, **options):
        if name in {"vit_b_16", "dinov2"}:
            register_tiny_vits()
        shipped = name == "compact"
        models_dir = request.getfixturevalue("tmp_path" if shipped else f"{name}_dir")
        return load(
            "embedder", name, models_dir=models_dir, device="cpu", precision=precision, **options
        )

    return embedder


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_agrees_with_single_precision(of, crops, name):
    exact, halved = (of(name, precision).embed(crops) for precision in ("float32", "bfloat16"))
    assert (exact * halved).sum(axis=1).min() >= 0.999
    np.testing.assert_allclose(np.linalg.norm(halved, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_halved_vector_does_not_depend_on_its_batch(of, crops, name):
    embedder = of(name, "bfloat16", batch_size=32)
    many = (crops * 7)[:32]
    together = embedder.embed(many)[: len(crops)]
    alone = np.concatenate([embedder.embed([crop]) for crop in crops])
    assert (together * alone).sum(axis=1).min() >= 0.9999


def test_words_are_halved_as_crops_are(of):
    exact, halved = (
        of("open_clip", precision).embed_texts(["a red dress", "shoes"])
        for precision in ("float32", "bfloat16")
    )
    assert (exact * halved).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize("name", NAMES)
def test_vectors_of_two_precisions_never_mix(of, name):
    assert of(name, "float32").fingerprint != of(name, "bfloat16").fingerprint


@pytest.mark.usefixtures("packs_halves")
@pytest.mark.parametrize(("name", "convolutions"), [("triplet", 53), ("compact", 15)])
def test_convolutions_are_packed(of, crops, name, convolutions):
    embedder = of(name, "bfloat16")
    embedder.embed(crops[:1])
    assert _packed(embedder._network.get()) == convolutions


def _packed(network):
    from similarity.engine.networks.halved import PackedConvolution

    return sum(isinstance(module, PackedConvolution) for module in network.modules())


@pytest.mark.usefixtures("packs_halves")
def test_a_packed_teacher_sees_what_it_saw(mobilenet_v2_dir):
    from similarity.engine.networks.halved import computing, placed
    from similarity.engine.training.teacher import read_teacher

    teacher, cpu = read_teacher(mobilenet_v2_dir), torch.device("cpu")
    pixels = torch.rand(2, 3, 75, 64)  # odd, so that its sides are padded otherwise
    with torch.inference_mode(), computing("bfloat16", cpu):
        seen = teacher.pyramid(pixels)
        packed = placed(teacher, cpu, "bfloat16")
        again = packed.pyramid(pixels)
    assert _packed(packed) == 7
    for one, other in zip(seen, again, strict=True):
        assert (
            torch.cosine_similarity(one.float().flatten(), other.float().flatten(), dim=0) > 0.9999
        )


@pytest.fixture
def detectors(tmp_path):
    return {
        precision: load(
            "detector", "compact", models_dir=tmp_path, device="cpu", precision=precision
        )
        for precision in ("float32", "bfloat16")
    }


def test_a_halved_detector_finds_the_same_garments(detectors):
    photos = [synthetic.photo(3, number).image for number in range(8)]
    for photo in photos:
        exact, halved = (detectors[name].detect(photo) for name in ("float32", "bfloat16"))
        sure = [found for found in exact if found.score >= 0.4]
        assert all(
            any(other.label == found.label and other.box.iou(found.box) >= 0.9 for other in halved)
            for found in sure
        )
    assert detectors["float32"].fingerprint != detectors["bfloat16"].fingerprint


@pytest.mark.usefixtures("packs_halves")
def test_a_halved_detector_s_convolutions_are_packed(detectors, picture):
    detectors["bfloat16"].detect(picture)
    assert _packed(detectors["bfloat16"]._model.get().network) == 21


def test_the_compact_embedder_is_halved_only_where_that_is_said(tmp_path, monkeypatch):
    from similarity.engine import device

    monkeypatch.setattr(device, "_processor_flags", lambda: frozenset({"amx_bf16"}))
    assert load("embedder", "compact", models_dir=tmp_path).precision == "float32"
    assert load("detector", "compact", models_dir=tmp_path).precision == "bfloat16"


@pytest.mark.usefixtures("packs_halves")
def test_where_they_cannot_be_torch_s_own_serve_and_the_log_says_why(
    of, crops, monkeypatch, caplog
):
    from similarity.engine.networks import halved

    expected = of("triplet", "bfloat16").embed(crops)

    def broken(*_):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(halved.PackedConvolution, "added", broken)
    found = of("triplet", "bfloat16").embed(crops)
    assert "without packed convolutions: no such operator" in caplog.text
    assert (found * expected).sum(axis=1).min() >= 0.9999


@pytest.mark.usefixtures("packs_halves")
def test_packed_convolutions_that_give_something_else_are_not_used(of, crops, monkeypatch, caplog):
    from similarity.engine.networks import halved

    expected = of("triplet", "bfloat16").embed(crops)
    forward = halved.PackedConvolution.forward
    monkeypatch.setattr(
        halved.PackedConvolution, "forward", lambda self, pixels: forward(self, pixels.flip(1))
    )
    found = of("triplet", "bfloat16").embed(crops)
    assert "other features" in caplog.text
    assert (found * expected).sum(axis=1).min() >= 0.9999
