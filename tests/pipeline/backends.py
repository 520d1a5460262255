"""Backends of the tests' own, named in settings as a shop names its own: "module:Class"."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL.Image import Image, Resampling

from similarity.engine import Box, Detection, IndexInfo, Keys, Vectors
from similarity.engine.detectors.whole_image import WholeImageDetector
from similarity.engine.indexes.exact import ExactIndex
from similarity.engine.weights import Lazy, digest

HERE = "tests.pipeline.backends"


class SlowDetector(WholeImageDetector):
    """Takes its time, as a large model does, and as long as there is a file `hold`.

    Where it has first come to an end, it notes in which process it was loaded.
    """

    light: ClassVar[bool] = False

    def __init__(self, seconds: float = 2.0) -> None:
        self.seconds = seconds
        self._model = Lazy(_note_loading)

    def detect(self, image: Image) -> list[Detection]:
        time.sleep(self.seconds)
        _wait_while_held()
        self._model.get()
        return super().detect(image)


def _wait_while_held() -> None:
    while (Path(os.environ["DATA_DIR"]) / "hold").exists():
        time.sleep(0.05)


def _note_loading() -> None:
    with (Path(os.environ["DATA_DIR"]) / "loaded").open("a") as file:
        file.write(f"{os.getpid()}\n")


class UnhurriedDetector(WholeImageDetector):
    """Takes a moment over each picture, so that a batch is long, and any process may have it."""

    def detect(self, image: Image) -> list[Detection]:
        time.sleep(0.05)
        return super().detect(image)


class GatedDetector(WholeImageDetector):
    """Says when it has begun, and goes on when it is told to."""

    light: ClassVar[bool] = False
    has_begun = threading.Event()
    may_go_on = threading.Event()

    def detect(self, image: Image) -> list[Detection]:
        self.has_begun.set()
        assert self.may_go_on.wait(180), "Nobody let the detector go on."
        return super().detect(image)


class FailingDetector(WholeImageDetector):
    """Fails in a way that nobody has foreseen."""

    light: ClassVar[bool] = False

    def detect(self, image: Image) -> list[Detection]:
        raise RuntimeError("A bug in a backend.")


class HalvesDetector(WholeImageDetector):
    """Two garments in each picture: the left half, then, less sure, the right."""

    def detect(self, image: Image) -> list[Detection]:
        middle, height = image.width / 2, float(image.height)
        return [
            Detection(Box(0.0, 0.0, middle, height), "top", 0.9),
            Detection(Box(middle, 0.0, float(image.width), height), "bag", 0.6),
        ]


class NothingDetector(WholeImageDetector):
    """Finds no garment anywhere."""

    def detect(self, image: Image) -> list[Detection]:
        return []


class ThumbnailEmbedder:
    """A picture's vector is its thumbnail of 4 x 4 pixels: 48 numbers."""

    light: ClassVar[bool] = True
    dim: ClassVar[int] = 48
    fingerprint = digest("thumbnail", 1)

    def missing(self) -> list[str]:
        return []

    def embed(self, crops: Sequence[Image]) -> Vectors:
        rows = np.empty((len(crops), self.dim), np.float32)
        for row, crop in zip(rows, crops, strict=True):
            row[:] = np.asarray(crop.resize((4, 4), Resampling.BOX), np.float32).ravel() + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class PickyEmbedder(ThumbnailEmbedder):
    """Cannot stand dark pictures, and fails with a whole batch that holds one."""

    def embed(self, crops: Sequence[Image]) -> Vectors:
        if any(np.asarray(crop).mean() < 60 for crop in crops):
            raise RuntimeError("Too dark.")
        return super().embed(crops)


class InterruptedDetector(WholeImageDetector):
    """Somebody presses Ctrl-C while it looks."""

    light: ClassVar[bool] = False

    def detect(self, image: Image) -> list[Detection]:
        raise KeyboardInterrupt


class SlowIndex(ExactIndex):
    """Takes long to build, as a large one does."""

    def build(self, keys: Keys, vectors: Vectors, into: Path) -> IndexInfo:
        time.sleep(8)
        return super().build(keys, vectors, into)


class DeadlyDetector(WholeImageDetector):
    """Kills its process over dark pictures, as a model does that asks for too much memory."""

    light: ClassVar[bool] = False

    def detect(self, image: Image) -> list[Detection]:
        if np.asarray(image).mean() < 60:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(image)


class HeldEmbedder(ThumbnailEmbedder):
    """Describes what any process first asks of it, and all else once there is no file `hold`."""

    def embed(self, crops: Sequence[Image]) -> Vectors:
        try:
            (Path(os.environ["DATA_DIR"]) / "begun").touch(exist_ok=False)
        except FileExistsError:
            _wait_while_held()
        return super().embed(crops)
