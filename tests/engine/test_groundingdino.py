"""Grounding DINO through the real library, with tiny random weights."""

from __future__ import annotations

import copy
import itertools
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


def test_a_picture_of_usual_shape_is_looked_at_once():
    for size in ((200, 300), (300, 200), (100, 200)):
        assert groundingdino.parts(size, 1.6) == [Box(0, 0, *size)]


@pytest.mark.parametrize("size", [(100, 201), (100, 320), (1000, 90), (37, 5000)])
def test_the_parts_of_a_long_picture_overlap_and_are_the_whole(size):
    whole, *parts = groundingdino.parts(size, 1.6)
    assert whole == Box(0, 0, *size)
    assert 2 <= len(parts) <= groundingdino.MOST_PARTS
    along = [(p.x0, p.x1) if size[0] > size[1] else (p.y0, p.y1) for p in parts]
    assert along[0][0] == 0
    assert along[-1][1] == max(size)
    for (_, end), (start, following) in itertools.pairwise(along):
        assert end - start >= 0.29 * (following - start)


def test_a_box_that_a_parts_edge_cuts_gives_way_to_one_that_holds_it():
    part = Box(0, 0, 100, 160)
    dress = Detection(Box(20, 100, 80, 240), "dress", 0.4)
    half = Detection(Box(22, 101, 79, 159), "dress", 0.9)
    hat = Detection(Box(30, 0, 60, 20), "hat", 0.5)
    assert groundingdino._is_cut(half.box, part, (100, 400))
    assert not groundingdino._is_cut(hat.box, part, (100, 400))  # there the picture ends
    assert groundingdino.merge([dress, hat], [half], 0.7) == [hat, dress]
    assert groundingdino.merge([hat], [half], 0.7) == [half, hat]


def test_what_is_found_in_the_parts_of_a_long_picture_lies_where_it_is(make, picture, monkeypatch):
    """The network is asked for real, and its answer exchanged for a box that we know."""
    tall = Image.new("RGB", (200, 1200), "white")
    tall.paste(picture, (0, 900))
    detector = make(prompt=["dress"])
    seen = []

    def predict(_, canvas):
        seen.append(canvas.shape)
        dark = np.argwhere((canvas[0] < 2.0) & (canvas[0] != 0.0))
        boxes, scores = np.zeros((1, 4), np.float32), np.zeros((1, 256), np.float32)
        if len(dark):
            (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
            height, width = canvas.shape[1:]
            middle = ((left + right) / 2 / width, (top + bottom) / 2 / height)
            boxes[0] = (*middle, (right - left) / width, (bottom - top) / height)
            scores[0, 1:6] = 0.9
        return scores, boxes

    monkeypatch.setattr(groundingdino._Network, "predict", predict)
    [found] = detector.detect(tall)
    assert len(seen) == 6
    np.testing.assert_allclose(found.box.edges, (0, 900, 200, 1200), atol=6)


def test_of_one_garment_under_two_words_the_better_stays():
    top = Detection(Box(0, 0, 10, 10), "top", 0.5)
    outwear = Detection(Box(0, 0, 10, 11), "outwear", 0.6)
    pants = Detection(Box(0, 10, 10, 30), "pants", 0.4)
    assert groundingdino.suppress([top, outwear, pants], 0.7) == [outwear, pants]


@pytest.mark.parametrize(
    ("variant", "file"),
    [("swin_t", "GroundingDINO_SwinT_OGC.py"), ("swin_b", "GroundingDINO_SwinB_cfg.py")],
)
def test_the_library_is_given_the_published_configuration(make, variant, file):
    library = pytest.importorskip("groundingdino")
    published: dict[str, object] = {}
    source = Path(library.__file__).parent / "config" / file
    exec(source.read_text(), {}, published)  # noqa: S102 (the library's own file)
    config = make(variant=variant, config=None).config
    ours = {**config, "use_checkpoint": True, "use_transformer_ckpt": True}
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
        {"nms_threshold": 0.5},
        {"variant": "swin_b", "checkpoint": CHECKPOINT},
        {"box_threshold": 0.5},
        {"shorter_side": 320},
        {"precision": "bfloat16"},
        {"config": {**TINY_DINO, "nheads": 4}},
    ],
)
def test_the_fingerprint_follows_what_changes_the_result(make, change):
    usual = {"precision": "float32"}
    assert make(**usual | change).fingerprint != make(**usual).fingerprint


def test_the_fingerprint_follows_the_checkpoint_and_the_vocabulary(make, copied):
    assert make(models_dir=copied).fingerprint == make().fingerprint
    for file in (copied / CHECKPOINT, copied / "bert-base-uncased" / "vocab.txt"):
        before = make(models_dir=copied).fingerprint
        with file.open("ab") as end:
            end.write(b"\nx")
        assert make(models_dir=copied).fingerprint != before


@pytest.mark.parametrize(
    "prompt",
    [
        "shirt . leather jacket . shoes .",
        "shirt, leather  jacket,shoes",
        ["shirt", "leather jacket", "shoes"],
    ],
)
def test_a_prompt_is_taken_with_full_stops_with_commas_or_as_a_list(make, prompt):
    assert make(prompt=prompt).prompt == ("shirt", "leather jacket", "shoes")


@pytest.mark.parametrize("prompt", [[], " . ", ["what?"]])
def test_a_prompt_that_the_model_would_misread_is_refused(make, prompt):
    with pytest.raises(ValueError, match="prompt"):
        make(prompt=prompt)


def test_an_unknown_variant_is_refused(make):
    with pytest.raises(ValueError, match="swin_x"):
        make(variant="swin_x")


def test_an_unknown_configuration_is_refused(make):
    with pytest.raises(ValueError, match="bakcbone"):
        make(config={"bakcbone": "swin_B_384_22k"})


# --- Leaner forms: the same answers ---------------------------------------------------------


@pytest.fixture(scope="module")
def original(groundingdino_dir):
    """The library's own model with the tiny checkpoint."""
    from similarity.engine.device import fill, read_tensors

    path = groundingdino_dir / CHECKPOINT
    model = groundingdino.build(
        {**groundingdino.SWIN_T, **TINY_DINO}, groundingdino_dir / "bert-base-uncased"
    )
    fill(model, read_tensors(path), path, groundingdino.LEFT_OVER)
    return model.eval()


def test_the_detectors_network_answers_as_the_librarys_own(make, original, picture):
    torch = pytest.importorskip("torch")
    detector = make(prompt=["hat", "fur coat"], precision="float32")
    canvas, _ = detector._canvas(picture)
    with torch.inference_mode():
        expected = original(torch.from_numpy(canvas)[None], captions=["hat. fur coat."])
    scores, boxes = detector._network.get().predict(canvas)
    is_same = np.isclose(scores, expected["pred_logits"][0].sigmoid(), atol=1e-3).all(axis=1)
    is_same &= np.isclose(boxes, expected["pred_boxes"][0], atol=1e-3).all(axis=1)
    # Of 900 queries, a few that are all but equally good may have changed places.
    assert is_same.mean() >= 0.99


def test_features_in_bfloat16_are_those_of_single_precision(make, picture):
    torch = pytest.importorskip("torch")
    features = {}
    for precision in ("float32", "bfloat16"):
        detector = make(prompt=["hat"], precision=precision)
        network = detector._network.get()
        network.model.transformer.encoder.register_forward_hook(
            lambda _m, _i, made, how=precision: features.update({how: made[0].clone()})
        )
        network.predict(detector._canvas(picture)[0])
    like = torch.nn.functional.cosine_similarity(*features.values(), dim=-1)
    assert not torch.equal(*features.values())
    assert like.min() >= 0.999


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
def test_a_packed_layer_gives_what_torchs_own_gives(request, precision, activation):
    torch = pytest.importorskip("torch")
    if precision == "bfloat16":
        request.getfixturevalue("packs_halves")
    from similarity.engine.networks.packed import TOLERANCE, TYPES, PackedLinear

    linear = torch.nn.Linear(40, 24).requires_grad_(False)
    given = torch.randn(2, 9, 40)
    after = {"none": torch.nn.Identity(), "relu": torch.nn.ReLU(), "gelu": torch.nn.GELU()}
    found = PackedLinear(linear, precision, activation)(given)
    assert found.dtype is (torch.float32 if activation == "none" else TYPES[precision])
    torch.testing.assert_close(
        found.float(), after[activation](linear(given)), atol=TOLERANCE[precision] / 2, rtol=0
    )


def test_where_nothing_can_be_packed_the_layers_stay(make, picture, monkeypatch, caplog):
    torch = pytest.importorskip("torch")
    from similarity.engine.networks import packed

    def refuses(*_a):
        raise NotImplementedError("No such operator here.")

    monkeypatch.setattr(packed, "PackedLinear", refuses)
    packed.is_possible.cache_clear()
    try:
        detector = make(precision="float32")
        detector.detect(picture)
    finally:
        packed.is_possible.cache_clear()
    assert "No such operator here." in caplog.text
    backbone = detector._network.get().model.backbone
    assert any(type(module) is torch.nn.Linear for module in backbone.modules())


def test_the_text_is_encoded_once_and_its_encoder_let_go(make, original, picture):
    torch = pytest.importorskip("torch")
    encoded = []
    hook = original.bert.register_forward_hook(lambda *a: encoded.append(a[2]["last_hidden_state"]))
    with torch.inference_mode():
        original(torch.zeros(1, 3, 256, 256), captions=["hat."])
    hook.remove()
    network = make(prompt=["hat"])._network.get()
    assert torch.equal(network.model.bert(input_ids=None)["last_hidden_state"], encoded[0])
    names = [name for name, _ in network.model.named_parameters()]
    assert not [name for name in names if name.startswith("bert.")]


@pytest.mark.parametrize("numbers", [2, 4])
def test_sampling_by_bags_is_the_librarys_sampling_also_beyond_the_edge(numbers):
    torch = pytest.importorskip("torch")
    pytest.importorskip("groundingdino")
    from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention

    from similarity.engine.networks.grounding import QUERIES_AT_ONCE, DeformableAttention

    torch.manual_seed(0)
    theirs = MultiScaleDeformableAttention(embed_dim=32, num_heads=4, batch_first=True)
    torch.nn.init.normal_(theirs.sampling_offsets.weight, std=2.0)
    torch.nn.init.normal_(theirs.attention_weights.weight)
    shapes = torch.tensor([[9, 13], [5, 7], [3, 4], [2, 2]])
    pixels = int(shapes.prod(1).sum())
    queries = QUERIES_AT_ONCE + 5
    asked = {
        "query": torch.randn(1, queries, 32),
        "value": torch.randn(1, pixels, 32),
        "reference_points": torch.rand(1, queries, 4, numbers) * 1.4 - 0.2,
        "spatial_shapes": shapes,
        "key_padding_mask": torch.rand(1, pixels) < 0.2,
    }
    with torch.inference_mode():
        expected, found = theirs(**asked), DeformableAttention(theirs)(**asked)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_fusing_with_the_text_gives_what_the_librarys_gives():
    torch = pytest.importorskip("torch")
    pytest.importorskip("groundingdino")
    from groundingdino.models.GroundingDINO.fuse_modules import BiMultiHeadAttention

    from similarity.engine.networks.grounding import TextFusion

    torch.manual_seed(0)
    theirs = BiMultiHeadAttention(v_dim=24, l_dim=16, embed_dim=64, num_heads=4).eval()
    for bias in (p for name, p in theirs.named_parameters() if name.endswith("bias")):
        torch.nn.init.normal_(bias)
    v, words = torch.randn(1, 50, 24), torch.randn(1, 7, 16)
    masks = {
        "attention_mask_v": torch.arange(50)[None] > 40,
        "attention_mask_l": torch.arange(7)[None] > 5,
    }
    with torch.inference_mode():
        for given in (masks, {}):
            expected = theirs(v, words, **copy.deepcopy(given))
            found = TextFusion(theirs)(v, words, **given)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
