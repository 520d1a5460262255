"""Small, randomly initialised weights for the real libraries: built in a second, loaded by the
product's own road. What they find and how they describe it means nothing; that they load, and
that every shape, unit and order holds, does.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

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


def write_resnet50(models_dir: Path) -> None:
    """A whole ResNet-50, classifier included, as torchvision publishes it."""
    from similarity.engine.device import prepare_torch

    prepare_torch(threads=1)
    import torch
    from torchvision.models import resnet50

    torch.manual_seed(0)
    torch.save(resnet50(weights=None).state_dict(), models_dir / "resnet50-11ad3fa6.pth")
