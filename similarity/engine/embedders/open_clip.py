"""Any model of open_clip with weights on this disk: crops and words as vectors of one space.

Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021;
Zhai et al., "Sigmoid loss for language image pre-training", ICCV 2023. Recommended for fashion:
Marqo-FashionSigLIP (Zhu et al., "Generalized contrastive learning", 2024).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from similarity.engine.contracts import Vectors
from similarity.engine.device import Precision, fill, read_tensors
from similarity.engine.errors import MissingWeights, WrongWeights
from similarity.engine.networks.embedding import NetworkEmbedder
from similarity.engine.networks.pixels import letterbox, middle, scaled
from similarity.engine.weights import Lazy

if TYPE_CHECKING:
    import torch

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""The files of a model's folder, by the names that its publishers give them."""

RECOMMENDED = "marqo-fashionSigLIP"

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""What the library takes where a configuration is silent."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a crop becomes pixels."""

    size: tuple[int, int]
    """Width and height."""
    mode: str
    """squash, shortest (its middle) or longest (all of it, with margins)."""
    resampling: Resampling
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    margin: int


class OpenClipEmbedder(NetworkEmbedder):
    """Image and text towers of the model in the folder `model` of `models_dir`.

    The folder is one as the hub has it: open_clip_config.json, the weights, and the files of a
    tokenizer if the configuration names one.
    """

    name = "open_clip"
    packages: ClassVar[tuple[str, ...]] = (
        "torch",
        "torchvision",
        "open_clip",
        "safetensors",
        "transformers",
    )

    def __init__(
        self,
        models_dir: Path | str,
        *,
        model: str = RECOMMENDED,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
    ) -> None:
        super().__init__(models_dir, device=device, precision=precision, batch_size=batch_size)
        self.folder = self.models_dir / model
        self._tokenizer = Lazy(self._load_tokenizer)
        # A tokenizer of the transformers library raises "Already borrowed" when two threads
        # meet in it.
        self._tokenizing = threading.Lock()

    @property
    def dim(self) -> int:
        return int(self._config["model_cfg"]["embed_dim"])

    def files(self) -> list[Path]:
        config = self.folder / CONFIG
        weights = next((path for path in self._weights() if path.is_file()), None)
        if not config.is_file() or weights is None:
            raise MissingWeights(
                f"The folder {self.folder} lacks {CONFIG} or {' or '.join(WEIGHTS)}: put a model "
                f"of open_clip there, or run: manage.py models fetch {RECOMMENDED}"
            )
        return [config, weights]

    def pixels(self, crop: Image) -> NDArray[np.float32]:
        how = self._preprocessing
        if how.mode == "squash":
            image = crop.resize(how.size, how.resampling)
        elif how.mode == "shortest":
            image = middle(crop, how.size, 1.0, how.resampling)
        else:
            image = letterbox(crop, how.size, how.resampling, how.margin)
        return scaled(image, how.mean, how.deviation)

    def read(self) -> torch.nn.Module:
        import open_clip

        config, weights = self.files()
        try:
            with _without_its_log():
                # Neither tower may fetch what it was once begun from.
                network: Any = open_clip.create_model(
                    f"local-dir:{self.folder}",
                    load_weights=False,
                    pretrained_image=False,
                    pretrained_text=False,
                )
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise WrongWeights(f"{config} makes no model of open_clip: {error}") from error
        fill(network, read_tensors(weights), weights, ("position_ids",))
        return network  # type: ignore[no-any-return]

    def describe(self, network: Any, pixels: torch.Tensor) -> torch.Tensor:
        rows: torch.Tensor = network.encode_image(pixels)
        return rows

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return self.by_batches(self._embed_texts, texts)

    def _embed_texts(self, texts: Sequence[str]) -> Vectors:
        tokenizer = self._tokenizer.get()
        with self._tokenizing:
            tokens = tokenizer(list(texts))
        return self.run(lambda network, device: network.encode_text(tokens.to(device)))

    def _load_tokenizer(self) -> Any:
        import open_clip

        try:
            with _without_its_log():
                return open_clip.get_tokenizer(f"local-dir:{self.folder}")
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise WrongWeights(f"{self.folder} holds no tokenizer: {error}") from error

    def _weights(self) -> list[Path]:
        return [self.folder / name for name in WEIGHTS]

    @cached_property
    def _config(self) -> dict[str, Any]:
        path, _ = self.files()
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            int(config["model_cfg"]["embed_dim"])
        except (KeyError, TypeError, ValueError) as error:
            raise WrongWeights(f"{path} is no configuration of open_clip: {error!r}") from error
        return dict(config)

    @cached_property
    def _preprocessing(self) -> Preprocessing:
        said = self._config.get("preprocess_cfg", {})
        size = said.get("size") or self._config["model_cfg"]["vision_cfg"].get("image_size", 224)
        height, width = size if isinstance(size, list) else (size, size)
        mode = said.get("resize_mode") or "shortest"
        if mode not in {"squash", "shortest", "longest"}:
            raise WrongWeights(f"{self.folder / CONFIG} has no resize_mode that is known: {mode}")
        is_linear = said.get("interpolation") == "bilinear"
        return Preprocessing(
            size=(width, height),
            mode=mode,
            resampling=Resampling.BILINEAR if is_linear else Resampling.BICUBIC,
            mean=np.array(said.get("mean") or OPENAI_MEAN, dtype=np.float32),
            deviation=np.array(said.get("std") or OPENAI_DEVIATION, dtype=np.float32),
            margin=said.get("fill_color", 0),
        )


@contextmanager
def _without_its_log() -> Iterator[None]:
    """Keep what the library tells the root logger out of the logs: that weights are random, which
    are filled in the next moment."""

    def is_of_others(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_of_others)
    try:
        yield
    finally:
        root.removeFilter(is_of_others)
