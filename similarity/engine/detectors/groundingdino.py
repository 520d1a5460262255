"""Grounding DINO finds garments by the words of a prompt: the detector for photos of people.

Liu et al., "Grounding DINO", ECCV 2024 (arXiv 2303.05499), by way of groundingdino-py. It takes
seconds a picture on a processor and over a gigabyte of memory: the worker's, never a web request's.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.contracts import Box, Detection
from similarity.engine.device import (
    ANY_UNITS,
    Precision,
    fill,
    marks,
    pick_device,
    pick_precision,
    prepare_torch,
    read_tensors,
)
from similarity.engine.errors import MissingWeights
from similarity.engine.weights import Lazy, WeightsFile, digest, not_installed, sha256

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]

Variant = Literal["swin_t", "swin_b"]
CHECKPOINTS: Mapping[str, WeightsFile] = {
    "swin_t": WeightsFile(
        "groundingdino_swint_ogc.pth",
        "For the published Swin-T run: manage.py models fetch groundingdino.",
    ),
    "swin_b": WeightsFile(
        "groundingdino_swinb_cogcoor.pth",
        "For the published Swin-B run: manage.py models fetch groundingdino_swinb.",
    ),
}
"""By the name of the backbone: the published ones."""
TEXT_ENCODER = WeightsFile(
    "bert-base-uncased",
    "They are two small files of huggingface.co/google-bert/bert-base-uncased;"
    " BERT's weights come with the checkpoint.",
)
ENCODER_FILES = ("config.json", "vocab.txt")

GARMENTS = (
    "top",
    "outwear",
    "dress",
    "pants",
    "shorts",
    "skirt",
    "shoes",
    "hat",
    "bag",
    "scarf",
)

# GroundingDINO_SwinT_OGC.py of the published model, without what only training reads. A table
# and not that file: the library would execute it.
SWIN_T: Mapping[str, Any] = {
    "modelname": "groundingdino",
    "backbone": "swin_T_224_1k",
    "position_embedding": "sine",
    "pe_temperatureH": 20,
    "pe_temperatureW": 20,
    "return_interm_indices": [1, 2, 3],
    "backbone_freeze_keywords": None,
    "enc_layers": 6,
    "dec_layers": 6,
    "pre_norm": False,
    "dim_feedforward": 2048,
    "hidden_dim": 256,
    "dropout": 0.0,
    "nheads": 8,
    "num_queries": 900,
    "query_dim": 4,
    "num_patterns": 0,
    "num_feature_levels": 4,
    "enc_n_points": 4,
    "dec_n_points": 4,
    "two_stage_type": "standard",
    "two_stage_bbox_embed_share": False,
    "two_stage_class_embed_share": False,
    "transformer_activation": "relu",
    "dec_pred_bbox_embed_share": True,
    "dn_box_noise_scale": 1.0,
    "dn_label_noise_ratio": 0.5,
    "embed_init_tgt": True,
    "dn_labelbook_size": 2000,
    "max_text_len": 256,
    "use_text_enhancer": True,
    "use_fusion_layer": True,
    "use_checkpoint": False,  # gradient checkpoints: they would only slow inference down
    "use_transformer_ckpt": False,
    "use_text_cross_attention": True,
    "text_dropout": 0.0,
    "fusion_dropout": 0.0,
    "fusion_droppath": 0.1,
    "sub_sentence_present": True,
}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "swin_t": SWIN_T,
    "swin_b": {**SWIN_T, "backbone": "swin_B_384_22k"},
}
"""GroundingDINO_SwinB_cfg.py differs in nothing else."""

LEFT_OVER = ("bert.embeddings.position_ids", "label_enc.weight")
"""Tensors of the published checkpoints that this version of the library has no use for."""

MEAN = np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
"""Of ImageNet's channels, as the checkpoints were trained with."""

SMALLEST_SIDE = 256
"""The decoder picks its 900 queries among the feature positions, and raises when there are fewer;
256 by 256 pixels have 1360. What is smaller or narrower is padded to it."""


LONGEST = 2.0
"""Of a picture that is longer than so many times its shorter side, parts are looked at as well."""
OVERLAP = 0.3
"""Of a part with the next: what is cut in one is whole in the other, if it is no longer."""
MOST_PARTS = 8
"""Of one picture; of a still longer one each part is longer."""
CUT_WITHIN = 0.02
"""A box that ends so near to a part's edge, in shorter sides of the picture, is cut by it."""


class GroundingDinoDetector:
    """Finds what the words of `prompt` name; a detection's label is one of them.

    The prompt is "shirt . dress . shoes .", as the model's authors write it, "shirt, dress, shoes",
    or a sequence of words. `variant` is the backbone; `checkpoint` is a file, by default the
    published one of that variant, and `text_encoder` a folder with config.json and vocab.txt, in
    `models_dir`. `config` holds what else differs, under the names of the library's own
    configuration.

    A box is kept if a word scores `box_threshold` there, and bears the word if each of its
    tokens (of "leather jacket", both) scores `text_threshold`. Of boxes whose IoU exceeds
    `nms_threshold` the best stays, whatever their words: one garment seen as "top" and as
    "outwear" is one garment, and a shopper gets one hotspot.

    Pictures are scaled, up or down, to `shorter_side`, or to `longer_side` if that is reached
    first. The published 800 by 1333 finds small things better and takes three times as long.
    A very tall or wide one would come out small: it is looked at as a whole and in parts.

    `precision` is what a processor makes the features in; a GPU computes in single precision.
    """

    light: ClassVar[bool] = False

    def __init__(
        self,
        models_dir: Path | str,
        *,
        variant: Variant = "swin_t",
        checkpoint: str | None = None,
        config: Mapping[str, Any] | None = None,
        text_encoder: str = TEXT_ENCODER.name,
        prompt: str | Sequence[str] = GARMENTS,
        box_threshold: float = 0.3,
        text_threshold: float = 0.25,
        nms_threshold: float = 0.7,
        device: str = "auto",
        precision: Precision = "auto",
        shorter_side: int = 480,
        longer_side: int = 800,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.config = _checked_config(variant, config or {})
        self.published = CHECKPOINTS[variant]
        self.checkpoint = checkpoint or self.published.name
        self.encoder = self.models_dir / text_encoder
        self.prompt = _checked_prompt(prompt)
        self.box_threshold = box_threshold
        self.text_threshold = text_threshold
        self.nms_threshold = nms_threshold
        self.device = device
        self.precision = pick_precision(precision, ANY_UNITS)
        self.shorter_side = shorter_side
        self.longer_side = longer_side
        self._network = Lazy(self._load)
        # One picture at a time: each takes up to two gigabytes, and a tokenizer of the
        # transformers library raises "Already borrowed" when two threads meet in it.
        self._busy = threading.Lock()

    @property
    def fingerprint(self) -> str:
        if missing := self._missing_files():
            raise MissingWeights(" ".join(missing))
        files = [self._checkpoint(), *(self.encoder / name for name in ENCODER_FILES)]
        return digest(
            "groundingdino",
            2,
            sorted(self.config.items()),
            self.prompt,
            (self.box_threshold, self.text_threshold, self.nms_threshold),
            (self.shorter_side, self.longer_side),
            *map(sha256, files),
            *marks(self.precision),
        )

    def missing(self) -> list[str]:
        packages = not_installed("torch", "torchvision", "transformers", "groundingdino")
        return packages + self._missing_files()

    def detect(self, image: Image) -> list[Detection]:
        network = self._network.get()
        whole: list[Detection] = []
        cut: list[Detection] = []
        with self._busy:
            for part in parts(image.size, self.longer_side / self.shorter_side):
                for found in self._look(network, image, part):
                    (cut if _is_cut(found.box, part, image.size) else whole).append(found)
        return merge(whole, cut, self.nms_threshold)

    def _look(self, network: _Network, image: Image, part: Box) -> Iterator[Detection]:
        """What is found in one part of an image, in the image's own pixels."""
        view = image if part == Box.whole(image) else image.crop(part.pixels())
        canvas, extent = self._canvas(view)
        token_scores, boxes = network.predict(canvas)
        scores, words = best_words(token_scores, network.spans, self.text_threshold)
        for query in np.flatnonzero(scores >= self.box_threshold):
            box = _box(boxes[query], extent).clamped(view.width, view.height)
            if box.area > 0:
                yield Detection(_moved(box, part), self.prompt[words[query]], float(scores[query]))

    def _canvas(self, image: Image) -> tuple[Floats, NDArray[np.float64]]:
        """The network's input, (3, height, width), and its width and height in image pixels."""
        scale = min(self.shorter_side / min(image.size), self.longer_side / max(image.size))
        fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        resized = image.resize(fitted, Resampling.BILINEAR)
        pixels = (np.asarray(resized) / 255 - MEAN) / DEVIATION
        width, height = (max(side, SMALLEST_SIDE) for side in fitted)
        canvas = np.zeros((3, height, width), dtype=np.float32)
        canvas[:, : fitted[1], : fitted[0]] = pixels.transpose(2, 0, 1)
        return canvas, np.divide((width, height), fitted) * image.size

    def _checkpoint(self) -> Path:
        return self.models_dir / self.checkpoint

    def _missing_files(self) -> list[str]:
        lacking = []
        if not self._checkpoint().is_file():
            is_published = self.checkpoint == self.published.name
            hint = f" {self.published.hint}" if is_published else ""
            lacking.append(f"Grounding DINO's checkpoint {self._checkpoint()} is missing.{hint}")
        files = [name for name in ENCODER_FILES if not (self.encoder / name).is_file()]
        if files:
            names = " and ".join(files)
            lacking.append(
                f"The text encoder's folder {self.encoder} lacks {names}. {TEXT_ENCODER.hint}"
            )
        return lacking

    def _load(self) -> _Network:
        if lacking := self.missing():
            raise MissingWeights(" ".join(lacking))
        checkpoint = self._checkpoint()
        model = build(self.config, self.encoder)
        fill(model, read_tensors(checkpoint), checkpoint, optional=LEFT_OVER)
        caption = ". ".join(self.prompt).lower() + "."
        device = pick_device(self.device)
        from similarity.engine.networks.grounding import lighten

        with _without_warnings():
            lighten(model.eval(), caption, device, self.precision)
        return _Network(
            model.to(device),
            caption,
            word_spans(model.tokenizer, caption, self.config["max_text_len"]),
        )


@dataclass(frozen=True, slots=True)
class _Network:
    """A loaded model, the caption it is asked with, and where the words are among its tokens."""

    model: torch.nn.Module
    caption: str
    spans: list[slice]

    def predict(self, canvas: Floats) -> tuple[Floats, Floats]:
        """Probabilities (queries, tokens), and boxes (queries, 4) as fractions of the canvas."""
        import torch

        device = next(self.model.parameters()).device
        pixels = torch.from_numpy(canvas)[None].to(device)
        with torch.inference_mode(), _without_warnings():
            output = self.model(pixels, captions=[self.caption])
        scores = output["pred_logits"][0].sigmoid()
        return scores.float().cpu().numpy(), output["pred_boxes"][0].float().cpu().numpy()


def build(config: Mapping[str, Any], encoder: Path) -> torch.nn.Module:
    """The library's model with random weights; the text encoder's shape is read from a folder."""
    prepare_torch()
    with _without_warnings():
        from groundingdino.models import build_model

        with _local_text_encoder(encoder):
            settings = SimpleNamespace(**config, text_encoder_type=str(encoder))
            return build_model(settings)  # type: ignore[no-any-return]


@contextmanager
def _local_text_encoder(folder: Path) -> Iterator[None]:
    """Make the library take tokenizer and BERT from a folder, without the latter's weights.

    By itself it would ask a hub for both, load 440 MB that the checkpoint replaces, and print
    on stdout, which belongs to our commands.
    """
    import transformers
    from groundingdino.util import get_tokenlizer as library

    bert: Any = transformers
    tokenizer = bert.BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=True)
    config = bert.BertConfig.from_json_file(folder / "config.json")
    kept = library.get_tokenlizer, library.get_pretrained_language_model
    library.get_tokenlizer = lambda _: tokenizer
    library.get_pretrained_language_model = lambda _: bert.BertModel(config)
    try:
        yield
    finally:
        library.get_tokenlizer, library.get_pretrained_language_model = kept


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the library's use of what torch and timm have deprecated out of the logs."""
    with warnings.catch_warnings(action="ignore"):
        yield


def word_spans(tokenizer: Any, caption: str, most: int) -> list[slice]:
    """Where each word of a caption "dress. leather jacket." lies among its tokens.

    Raises ValueError if there are more than `most` tokens, or a word that has none.
    """
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(caption)["input_ids"])
    ends = [place for place, piece in enumerate(tokens) if piece == "."]
    starts = [1, *(end + 1 for end in ends)]  # behind [CLS], and behind each full stop
    spans = [slice(start, end) for start, end in zip(starts, ends, strict=False)]
    if len(tokens) > most or any(span.start == span.stop for span in spans):
        raise ValueError(
            f"The prompt {caption!r} makes {len(tokens)} tokens: it may have {most}, and each"
            " word needs one."
        )
    return spans


def best_words(
    scores: Floats, spans: Sequence[slice], text_threshold: float
) -> tuple[Floats, NDArray[np.intp]]:
    """For each row of token scores (queries, tokens) its best word's score and number.

    A word scores as its best token does, or 0 if one of its tokens is below the threshold.
    """
    by_word = [scores[:, span] for span in spans]
    best = np.stack([tokens.max(axis=1) for tokens in by_word], axis=1)
    least = np.stack([tokens.min(axis=1) for tokens in by_word], axis=1)
    best[least < text_threshold] = 0.0
    return best.max(axis=1), best.argmax(axis=1)


def parts(size: tuple[int, int], longest: float) -> list[Box]:
    """What to look at of an image (width, height): the whole and, if it is very long, parts of it.

    They are up to `longest` times as long as wide, overlap, and together are the whole.
    """
    width, height = size
    whole = Box(0.0, 0.0, float(width), float(height))
    short, long = min(size), max(size)
    if long <= LONGEST * short:
        return [whole]
    length = short * longest
    count = min(MOST_PARTS, ceil((long - OVERLAP * length) / ((1 - OVERLAP) * length)))
    length = max(length, long / (count - (count - 1) * OVERLAP))
    starts = [round(start) for start in np.linspace(0, long - length, count)]
    edges = [(float(start), float(min(long, ceil(start + length)))) for start in starts]
    if width > height:
        return [whole, *(Box(start, 0.0, end, whole.y1) for start, end in edges)]
    return [whole, *(Box(0.0, start, whole.x1, end) for start, end in edges)]


def _is_cut(box: Box, part: Box, size: tuple[int, int]) -> bool:
    """Whether a box ends where the part does and the image goes on."""
    width, height = size
    near = CUT_WITHIN * min(size)
    inner = ((part.x0, 0.0), (part.y0, 0.0), (part.x1, width), (part.y1, height))
    distances = (abs(edge - end) for edge, end in zip(box.edges, part.edges, strict=True))
    return any(
        end != border and distance <= near
        for (end, border), distance in zip(inner, distances, strict=True)
    )


def _moved(box: Box, part: Box) -> Box:
    """A box in a part of an image, as one in the image."""
    return Box(box.x0 + part.x0, box.y0 + part.y0, box.x1 + part.x0, box.y1 + part.y0)


def suppress(found: Sequence[Detection], most_iou: float) -> list[Detection]:
    """Greedy non-maximum suppression over all labels together; best first."""
    kept: list[Detection] = []
    for detection in _best_first(found):
        if all(detection.box.iou(better.box) <= most_iou for better in kept):
            kept.append(detection)
    return kept


def merge(whole: Sequence[Detection], cut: Sequence[Detection], most_iou: float) -> list[Detection]:
    """What was found in all parts of an image, each garment once; best first.

    A garment that a part's edge cuts scores there as well as it may: it gives way to any that
    holds most of it.
    """
    kept = suppress(whole, most_iou)
    for detection in _best_first(cut):
        if all(_held(detection.box, other.box) <= most_iou for other in kept):
            kept.append(detection)
    return _best_first(kept)


def _held(box: Box, other: Box) -> float:
    """How much of a box's area another holds, 0 to 1."""
    shared = Box(
        max(box.x0, other.x0),
        max(box.y0, other.y0),
        min(box.x1, other.x1),
        min(box.y1, other.y1),
    )
    return shared.area / box.area


def _best_first(found: Sequence[Detection]) -> list[Detection]:
    return sorted(found, key=lambda one: one.score, reverse=True)


def _box(relative: Floats, extent: NDArray[np.float64]) -> Box:
    """The box of a centre and a size that are fractions of the extent."""
    centre, half = relative[:2] * extent, relative[2:] * extent / 2
    return Box(*(float(edge) for edge in (*(centre - half), *(centre + half))))


def _checked_prompt(prompt: str | Sequence[str]) -> tuple[str, ...]:
    """The words, each once, in order."""
    text = prompt if isinstance(prompt, str) else ",".join(prompt)
    words = [" ".join(word.split()) for word in re.split(r"[.,]", text)]
    words = list(dict.fromkeys(word for word in words if word))
    if not words or "?" in text:
        raise ValueError(f"A prompt is words, and has no question marks: {prompt!r}.")
    return tuple(words)


def _checked_config(variant: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if variant not in VARIANTS:
        raise ValueError(f"Grounding DINO has no {variant!r}: take {' or '.join(VARIANTS)}.")
    if unknown := config.keys() - SWIN_T.keys():
        raise ValueError(f"Grounding DINO's configuration has no {', '.join(sorted(unknown))}.")
    return {**VARIANTS[variant], **config}
