"""Small, randomly initialised weights for the real libraries: built in a second, loaded by the
product's own road. What they find and how they describe it means nothing; that they load, and
that every shape, unit and order holds, does.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

TINY_DINO: dict[str, Any] = {
    "modelname": "groundingdino_tiny",
    "enc_layers": 1,
    "dec_layers": 1,
    "dim_feedforward": 64,
}
"""What differs from Swin-T; the 900 queries are the real ones."""

TINY_BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 64,
    "max_position_embeddings": 256,
}


def register_tiny_dino() -> None:
    """Teach the library a model that is Grounding DINO around the smallest of Swins."""
    from similarity.engine.device import prepare_torch

    prepare_torch(threads=1)
    with warnings.catch_warnings(action="ignore"):
        from groundingdino.models.GroundingDINO import groundingdino as library
        from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
        from groundingdino.models.registry import MODULE_BUILD_FUNCS

    def tiny_swin(_name: str, pretrain_img_size: int, **options: Any) -> SwinTransformer:
        return SwinTransformer(
            pretrain_img_size=pretrain_img_size,
            embed_dim=16,
            depths=[1] * 4,
            num_heads=[1, 2, 2, 4],
            window_size=4,
            **options,
        )

    def groundingdino_tiny(settings: Any) -> Any:
        swin = "groundingdino.models.GroundingDINO.backbone.backbone.build_swin_transformer"
        with patch(swin, tiny_swin):
            return library.build_groundingdino(settings)

    MODULE_BUILD_FUNCS.register(groundingdino_tiny, force=True)


def groundingdino_options(models_dir: Path) -> dict[str, Any]:
    """How to construct the detector for the tiny checkpoint; half the usual size, for speed."""
    return {
        "models_dir": models_dir,
        "config": TINY_DINO,
        "shorter_side": 240,
        "longer_side": 400,
        "device": "cpu",
    }


def write_text_encoder(folder: Path) -> None:
    """A folder as a text encoder's: its shape and a vocabulary, no weights."""
    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    (folder / "config.json").write_text(json.dumps(TINY_BERT))


def write_groundingdino(models_dir: Path) -> None:
    """A checkpoint wrapped as the published one is, with its left-over tensors, and its encoder."""
    import torch

    from similarity.engine.detectors.groundingdino import SWIN_T, build

    encoder = models_dir / "bert-base-uncased"
    write_text_encoder(encoder)
    register_tiny_dino()
    torch.manual_seed(0)
    model = build({**SWIN_T, **TINY_DINO}, encoder)
    tensors = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors["module.label_enc.weight"] = torch.zeros(3, 256)
    tensors["module.bert.embeddings.position_ids"] = torch.arange(256)[None]
    torch.save({"model": tensors}, models_dir / "groundingdino_swint_ogc.pth")


def write_true_groundingdino(models_dir: Path, words: Sequence[str]) -> None:
    """Random weights of the published Swin-T's size, 690 MB: to time it, not to test it."""
    import torch

    from similarity.engine.detectors.groundingdino import SWIN_T, build

    encoder = models_dir / "bert-base-uncased"
    encoder.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?"]
    (encoder / "vocab.txt").write_text("\n".join([*special, *words]))
    (encoder / "config.json").write_text(json.dumps({"model_type": "bert"}))  # a BERT-base's
    torch.manual_seed(0)
    model = build(SWIN_T, encoder)
    torch.save({"model": model.state_dict()}, models_dir / "groundingdino_swint_ogc.pth")


def write_mobilenet_v2(models_dir: Path) -> None:
    """Each kind of step once: strided, depthwise, linear, added up, and pooled to 1280.

    Strided ones are 3 x 3, as the real ones are: oneDNN 3.12 crashes in the gradient of a strided
    1 x 1 convolution of 8 channels on some processors (Zen 5).
    """
    convolution = {"op": "CONV_2D", "stride": 1, "groups": 1, "activation": "relu6"}
    steps = [
        {**convolution, "name": "a", "from": ["input"], "stride": 2},
        {**convolution, "name": "b", "from": ["a"], "op": "DEPTHWISE_CONV_2D", "groups": 8},
        {**convolution, "name": "c", "from": ["b"], "activation": "none"},
        {"op": "ADD", "name": "d", "from": ["a", "c"]},
        {**convolution, "name": "e", "from": ["d"], "stride": 2},
        {**convolution, "name": "f", "from": ["e"], "stride": 2},
        {**convolution, "name": "g", "from": ["f"], "stride": 2},
        {**convolution, "name": "h", "from": ["g"], "stride": 2},
        {"op": "AVERAGE_POOL_2D", "name": "i", "from": ["h"]},
    ]
    shapes = {"a": (8, 3, 3, 3), "b": (8, 1, 3, 3), "c": (8, 8, 1, 1), "e": (8, 8, 3, 3)}
    shapes |= {"f": (8, 8, 3, 3), "g": (8, 8, 3, 3), "h": (1280, 8, 3, 3)}
    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = random.normal(0, 0.4, shape).astype(np.float16)
        tensors[f"{name}.bias"] = random.normal(0.2, 0.2, shape[0]).astype(np.float32)
    np.savez(models_dir / "mobilenet_v2_imagenet.npz", **tensors)
    (models_dir / "mobilenet_v2_imagenet.json").write_text(json.dumps({"steps": steps}))


def write_resnet50(models_dir: Path) -> None:
    """A whole ResNet-50, classifier included, as torchvision publishes it."""
    from similarity.engine.device import prepare_torch

    prepare_torch(threads=1)
    import torch
    from torchvision.models import resnet50

    torch.manual_seed(0)
    torch.save(resnet50(weights=None).state_dict(), models_dir / "resnet50-11ad3fa6.pth")


def write_triplet(models_dir: Path) -> None:
    """A randomly initialised triplet network, as `train_triplet` writes it, for small crops."""
    from similarity.engine.device import prepare_torch

    prepare_torch(threads=1)
    import torch
    from safetensors.torch import save_file

    from similarity.engine.networks.triplet import TripletNetwork

    torch.manual_seed(0)
    tensors = TripletNetwork().state_dict()
    save_file(tensors, models_dir / "triplet.safetensors", {"size": json.dumps([48, 64])})


def register_tiny_vits() -> None:
    """Make torchvision's ViT-B/16 and all of timm's have two layers instead of twelve."""
    from similarity.engine.device import prepare_torch

    prepare_torch(threads=1)
    import timm
    from timm.models import vision_transformer
    from torchvision import models
    from torchvision.models.vision_transformer import VisionTransformer

    def vit_b_16(weights: None) -> VisionTransformer:
        return VisionTransformer(224, 16, 2, 12, 768, 3072)

    def create_model(name: str, *, pretrained: bool, **options: Any) -> Any:
        assert not pretrained
        return getattr(vision_transformer, name)(depth=2, **options)

    models.vit_b_16 = vit_b_16
    timm.create_model = create_model


def write_vit_b_16(models_dir: Path) -> None:
    """A ViT-B/16 of two layers, classifier included, as torchvision publishes it."""
    register_tiny_vits()
    import torch
    from torchvision.models import vit_b_16

    torch.manual_seed(0)
    torch.save(vit_b_16(weights=None).state_dict(), models_dir / "vit_b_16-c867db91.pth")


def write_dinov2(models_dir: Path) -> None:
    """Two layers of ViT-S/14 under the published names: made for pictures of 518 pixels, some of
    which were masked."""
    register_tiny_vits()
    import timm
    import torch

    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0)
    tensors = network.state_dict() | {"mask_token": torch.zeros(1, 384)}
    for name, tensor in tensors.items():
        if name.endswith("gamma"):  # hardly anything comes through an untrained one
            tensor.fill_(1)
    torch.save(tensors, models_dir / "dinov2_vits14_pretrain.pth")


TINY_CLIP: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32},
        "text_cfg": {"context_length": 16, "width": 32, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {"resize_mode": "shortest", "interpolation": "bicubic"},
}
"""Two small transformers and the library's own tokenizer, as OpenAI's models have it."""

TINY_SIGLIP: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 192,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 224,
            "timm_model_name": "vit_tiny_patch16_224",
            "timm_model_pretrained": True,  # published files say so, and must not be believed
            "timm_pool": "avg",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 64,
            "hf_tokenizer_name": "nobody/on-a-hub",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 32,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
        },
    },
    "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"},
}
"""Built as Marqo-FashionSigLIP is: an image tower of timm's, a tokenizer in the folder."""


def write_open_clip(
    models_dir: Path, name: str = "marqo-fashionSigLIP", config: dict[str, Any] = TINY_CLIP
) -> Path:
    """A folder as the hub has it, with random weights for its configuration."""
    register_tiny_vits()
    import open_clip
    import torch
    from safetensors.torch import save_model

    folder = models_dir / name
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    if "hf_tokenizer_name" in config["model_cfg"]["text_cfg"]:
        write_tokenizer(folder)
    torch.manual_seed(0)
    model = open_clip.create_model(
        f"local-dir:{folder}", load_weights=False, pretrained_image=False, pretrained_text=False
    )
    save_model(model, str(folder / "open_clip_model.safetensors"))
    return folder


def write_tokenizer(folder: Path) -> None:
    """Letters as words, under the names that the transformers library looks for."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz "]
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    made.save_pretrained(folder)
