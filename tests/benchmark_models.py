"""The networks beside the plain use of their libraries, in one run.

Both sides take turns, so that whatever else the machine does meets both; what is printed is the
median of the pairs' ratios, once of the time that passed and once of the processor's. Weights are
random: a network's speed does not depend on them.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from similarity.engine import load
from similarity.engine.device import pick_precision, prepare_torch
from tests.engine.tiny_models import write_resnet50, write_true_groundingdino

WORDS = ("top", "outwear", "dress", "pants", "shorts", "skirt", "shoes", "hat", "bag", "scarf")
CHECKPOINT = "groundingdino_swint_ogc.pth"
NOTHING = 1.0  # a threshold that no box of random weights passes, on either side


def compare(
    name: str, plain: Callable[[], object], ours: Callable[[], object], pairs: int, count: int = 1
) -> None:
    """Print how fast `ours` is, and how many times as fast as `plain`; each does `count`."""
    plain(), ours()  # what a first call does belongs to neither
    timed = [(_timed(plain), _timed(ours)) for _ in range(pairs)]
    rate = count / statistics.median(wall for _, (wall, _) in timed)
    wall = statistics.median(theirs[0] / own[0] for theirs, own in timed)
    processor = statistics.median(theirs[1] / own[1] for theirs, own in timed)
    print(
        f"{name:<52}{rate:>8.2f} a second   {wall:.2f} x what it is compared with "
        f"({processor:.2f} x by the processor's time)",
        flush=True,
    )


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds that pass, and that the processors work for this process."""
    wall, processor = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - processor


def benchmark_models(pairs: int, threads: int) -> None:
    for write, part in (
        (_write_nothing, _compact),
        (write_resnet50, _resnet50),
        (_write_groundingdino, _groundingdino),
    ):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            write(Path(folder))
            prepare_torch(threads)
            part(Path(folder), pairs)
        gc.collect()


def _write_nothing(models_dir: Path) -> None:
    """The compact models are shipped."""


def _compact(models_dir: Path, pairs: int) -> None:
    """Against themselves in single precision, as every processor can."""
    detectors, embedders = (
        {
            precision: load(
                kind, "compact", models_dir=models_dir, device="cpu", precision=precision
            )
            for precision in dict.fromkeys(("float32", pick_precision()))
        }
        for kind in ("detector", "embedder")
    )
    random = np.random.default_rng(3)
    photo = Image.fromarray(random.integers(0, 256, (800, 600, 3), dtype=np.uint8))
    crops = [photo.resize((300, 400))] * 32
    for precision, detector in detectors.items():
        compare(
            f"compact detector in {precision}, 600 x 800",
            lambda: detectors["float32"].detect(photo),
            lambda own=detector: own.detect(photo),
            5 * pairs,
        )
    for precision, embedder in embedders.items():
        for size in (1, 32):
            compare(
                f"compact embedder in {precision}, batch of {size}",
                lambda n=size: embedders["float32"].embed(crops[:n]),
                lambda n=size, own=embedder: own.embed(crops[:n]),
                5 * pairs,
                size,
            )


def _resnet50(models_dir: Path, pairs: int) -> None:
    """Both sides prepare the crops alike, so that the ratio is that of the network."""
    import torch
    from torchvision.models import resnet50

    from similarity.engine.embedders.resnet50 import _pixels

    network = resnet50(weights=None)
    network.load_state_dict(torch.load(next(models_dir.glob("*.pth")), weights_only=True))
    network.fc = torch.nn.Identity()
    network.eval()

    def plain(crops: Sequence[Image.Image]) -> Any:
        with torch.no_grad():
            features = network(torch.from_numpy(np.stack([_pixels(crop) for crop in crops])))
            return torch.nn.functional.normalize(features).numpy()

    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (32, 400, 300, 3), dtype=np.uint8)
    crops = [Image.fromarray(pixels) for pixels in noise]
    for precision in dict.fromkeys(["float32", pick_precision()]):
        embedder = load(
            "embedder", "resnet50", models_dir=models_dir, device="cpu", precision=precision
        )
        cosine = (plain(crops[:8]) * embedder.embed(crops[:8])).sum(axis=1).min()
        print(f"resnet50 in {precision}: least cosine to torchvision's {cosine:.6f}")
        for size in (1, 8, 32):
            compare(
                f"resnet50 in {precision}, batch of {size}",
                lambda n=size: plain(crops[:n]),
                lambda n=size, own=embedder: own.embed(crops[:n]),
                pairs,
                size,
            )


def _write_groundingdino(models_dir: Path) -> None:
    prepare_torch()
    write_true_groundingdino(models_dir, WORDS)


def _groundingdino(models_dir: Path, pairs: int) -> None:
    """Against the loop of the library's README: `predict`, its configuration as published."""
    import torch
    from groundingdino.util.inference import predict

    from similarity.engine.detectors import groundingdino

    published = {**groundingdino.SWIN_T, "use_checkpoint": True, "use_transformer_ckpt": True}
    model = groundingdino.build(published, models_dir / "bert-base-uncased").eval()
    tensors = torch.load(models_dir / CHECKPOINT, weights_only=True, mmap=True)
    model.load_state_dict(tensors["model"])
    detector = groundingdino.GroundingDinoDetector(
        models_dir, prompt=WORDS, box_threshold=NOTHING, device="cpu"
    )
    noise = np.random.default_rng(3).integers(0, 256, (480, 800, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)

    def plain() -> None:
        canvas, _ = detector._canvas(picture)
        predict(model, torch.from_numpy(canvas), ". ".join(WORDS), NOTHING, 0.25, "cpu")

    compare(
        "groundingdino Swin-T, 480 x 800",
        plain,
        lambda: detector.detect(picture),
        max(3, pairs // 2),
    )
