"""Grounding DINO through the real library, with tiny random weights."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from similarity.engine import Box, Detection, load
from similarity.engine.detectors import groundingdino
from similarity.engine.errors import MissingWeights, WrongWeights
from tests.engine.tiny_models import TINY_DINO, groundingdino_options

pytestmark = pytest.mark.ml
CHECKPOINT = "groundingdino_swint_ogc.pth"


@pytest.fixture
def make(groundingdino_dir):
    def of(**options):
        options = {**groundingdino_options(groundingdino_dir), **options}
        return load("detector", "groundingdino", **options)

    return of


@pytest.fixture
def copied(groundingdino_dir, tmp_path) -> Path:
    """A copy of the models folder, to be spoilt."""
    return shutil.copytree(groundingdino_dir, tmp_path / "models")


def test_labels_are_words_of_the_prompt(make, picture):
    prompt = ["Evening dress", "hat"]
    found = make(prompt=prompt, box_threshold=0.0, text_threshold=0.0).detect(picture)
    assert {detection.label for detection in found} <= set(prompt)


def test_boxes_below_the_threshold_are_left_out(make, picture):
    found = make(box_threshold=0.99).detect(picture)
    assert 0 < len(found) < len(make(box_threshold=0.9).detect(picture))
    assert min(detection.score for detection in found) >= 0.99


def test_kept_boxes_do_not_overlap_more_than_allowed(make, picture):
    found = make(nms_threshold=0.2).detect(picture)
    overlaps = [a.box.iou(b.box) for i, a in enumerate(found) for b in found[:i]]
    assert max(overlaps) <= 0.2


def test_a_picture_is_prepared_as_the_library_prepares_it(make, picture):
    pytest.importorskip("groundingdino")
    from similarity.engine.device import prepare_torch

    prepare_torch()
    from groundingdino.datasets import transforms

    steps = [
        transforms.RandomResize([480], max_size=800),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    expected, _ = transforms.Compose(steps)(picture, None)
    canvas, extent = make(shorter_side=480, longer_side=800)._canvas(picture)
    np.testing.assert_allclose(canvas, expected.numpy(), atol=1e-5)
    assert extent.tolist() == [200, 300]


def test_a_narrow_picture_stands_in_the_corner_of_a_larger_canvas(make):
    narrow = Image.new("RGB", (20, 400), "white")
    canvas, extent = make(shorter_side=240, longer_side=400)._canvas(narrow)
    assert canvas.shape == (3, 400, 256)
    assert canvas[:, :, :20].min() > 2  # white, in standard deviations
    assert not canvas[:, :, 20:].any()
    assert extent.tolist() == [256, 400]


def test_a_box_is_turned_from_fractions_of_the_canvas_into_pixels():
    box = groundingdino._box(np.float32([0.5, 0.25, 0.5, 0.25]), np.array([200.0, 400.0]))
    assert box == Box(50, 50, 150, 150)


def test_the_spans_of_words_are_found_among_the_tokens(groundingdino_dir):
    pytest.importorskip("transformers")
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast(vocab_file=f"{groundingdino_dir}/bert-base-uncased/vocab.txt")
    spans = groundingdino.word_spans(tokenizer, "hat. fur coat.", most=256)  # a letter, a token
    assert spans == [slice(1, 4), slice(5, 12)]
    with pytest.raises(ValueError, match="14 tokens"):
        groundingdino.word_spans(tokenizer, "hat. fur coat.", most=13)


def test_a_word_counts_if_all_its_tokens_do():
    scores = np.float32([[0, 0.4, 0, 0.9, 0.1, 0], [0, 0.4, 0, 0.9, 0.3, 0]])
    best, words = groundingdino.best_words(scores, [slice(1, 2), slice(3, 5)], 0.25)
    assert words.tolist() == [0, 1]
    np.testing.assert_allclose(best, [0.4, 0.9])


def test_of_one_garment_under_two_words_the_better_stays():
    top = Detection(Box(0, 0, 10, 10), "top", 0.5)
    outwear = Detection(Box(0, 0, 10, 11), "outwear", 0.6)
    pants = Detection(Box(0, 10, 10, 30), "pants", 0.4)
    assert groundingdino.suppress([top, outwear, pants], 0.7) == [outwear, pants]


def test_the_library_is_given_the_published_configuration():
    library = pytest.importorskip("groundingdino")
    published: dict[str, object] = {}
    source = Path(library.__file__).parent / "config" / "GroundingDINO_SwinT_OGC.py"
    exec(source.read_text(), {}, published)  # noqa: S102 (the library's own file)
    ours = {**groundingdino.SWIN_T, "use_checkpoint": True, "use_transformer_ckpt": True}
    assert ours.items() <= published.items()


def test_nothing_comes_from_the_network_and_nothing_goes_to_stdout(
    make, picture, monkeypatch, capfd
):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert make().detect(picture)
    assert capfd.readouterr().out == ""


def test_threads_that_meet_at_first_use_load_it_once(make, picture, monkeypatch):
    built, results = [], []
    build = groundingdino.build
    monkeypatch.setattr(groundingdino, "build", lambda *a: built.append(1) or build(*a))
    detector = make()
    threads = [
        threading.Thread(target=lambda: results.append(detector.detect(picture))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len(results) == 3
    assert results[0] == results[1] == results[2]


def test_all_that_is_missing_is_named_with_where_to_put_it(tmp_path, picture):
    detector = load("detector", "groundingdino", models_dir=tmp_path)
    checkpoint, encoder = detector.missing()
    assert str(tmp_path / CHECKPOINT) in checkpoint
    assert str(tmp_path / "bert-base-uncased") in encoder
    assert "vocab.txt" in encoder
    for use in (lambda: detector.detect(picture), lambda: detector.fingerprint):
        with pytest.raises(MissingWeights, match=CHECKPOINT):
            use()


def test_a_checkpoint_of_another_model_is_refused(make, copied, resnet50_dir, picture):
    shutil.copy(resnet50_dir / "resnet50-11ad3fa6.pth", copied / CHECKPOINT)
    with pytest.raises(WrongWeights, match=r"lacks .* and adds "):
        make(models_dir=copied).detect(picture)


def test_a_checkpoint_that_lacks_one_tensor_is_refused(make, copied, picture):
    torch = pytest.importorskip("torch")
    state = torch.load(copied / CHECKPOINT, weights_only=True)
    del state["model"]["module.feat_map.weight"]
    torch.save(state, copied / CHECKPOINT)
    with pytest.raises(WrongWeights, match=r"lacks feat_map\.weight\.$"):
        make(models_dir=copied).detect(picture)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ["coat"]},
        {"box_threshold": 0.5},
        {"shorter_side": 320},
        {"config": {**TINY_DINO, "nheads": 4}},
    ],
)
def test_the_fingerprint_follows_what_changes_the_result(make, change):
    assert make(**change).fingerprint != make().fingerprint


def test_the_fingerprint_follows_the_checkpoint_and_the_vocabulary(make, copied):
    assert make(models_dir=copied).fingerprint == make().fingerprint
    for file in (copied / CHECKPOINT, copied / "bert-base-uncased" / "vocab.txt"):
        before = make(models_dir=copied).fingerprint
        with file.open("ab") as end:
            end.write(b"\nx")
        assert make(models_dir=copied).fingerprint != before


@pytest.mark.parametrize("prompt", [[], ["hat", " "], ["hat. bag"], ["what?"]])
def test_a_prompt_that_the_model_would_misread_is_refused(make, prompt):
    with pytest.raises(ValueError, match="prompt"):
        make(prompt=prompt)


def test_an_unknown_configuration_is_refused(make):
    with pytest.raises(ValueError, match="bakcbone"):
        make(config={"bakcbone": "swin_B_384_22k"})
