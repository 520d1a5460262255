from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from similarity.engine import BACKENDS
from tests.engine import tiny_models

ROOT = Path(__file__).resolve().parents[2]


def skip_without(package: str) -> None:
    """Skip the test if the package is not installed; unlike pytest's own, without importing it:
    torch has to be prepared first."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed.")


@pytest.fixture(scope="session")
def groundingdino_dir(tmp_path_factory) -> Path:
    """A folder of models with a tiny Grounding DINO in it."""
    pytest.importorskip("groundingdino")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_groundingdino(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def resnet50_dir(tmp_path_factory) -> Path:
    """A folder of models with a randomly initialised ResNet-50 in it."""
    pytest.importorskip("torch")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_resnet50(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def mobilenet_v2_dir(tmp_path_factory) -> Path:
    """A folder of models with a tiny network of MobileNetV2's steps in it."""
    pytest.importorskip("torch")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_mobilenet_v2(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def triplet_dir(tmp_path_factory) -> Path:
    """A folder of models with a randomly initialised triplet network in it."""
    pytest.importorskip("torch")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_triplet(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def vit_b_16_dir(tmp_path_factory) -> Path:
    """A folder of models with a randomly initialised ViT-B/16 in it."""
    pytest.importorskip("torch")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_vit_b_16(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def dinov2_dir(tmp_path_factory) -> Path:
    """A folder of models with a randomly initialised DINOv2 ViT-S/14 in it."""
    skip_without("timm")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_dinov2(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def open_clip_dir(tmp_path_factory) -> Path:
    """A folder of models with a tiny model of open_clip in it."""
    skip_without("open_clip")
    models_dir = tmp_path_factory.mktemp("models")
    tiny_models.write_open_clip(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A person as a child paints one: something for detectors and embedders to look at."""
    image = Image.new("RGB", (200, 300), (230, 225, 215))
    image.paste((180, 30, 40), (60, 70, 140, 170))
    image.paste((30, 40, 110), (65, 170, 135, 280))
    image.paste((240, 200, 170), (80, 20, 120, 70))
    return image


WITH_WEIGHTS = {"mobilenet_v2", "resnet50", "triplet", "vit_b_16", "dinov2", "open_clip"}
NEEDS_TORCH = {"compact", "groundingdino", *WITH_WEIGHTS}


def every(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each registered backend of a kind, by its name."""
    names = [
        pytest.param(name, marks=pytest.mark.ml if name in NEEDS_TORCH else ())
        for name in BACKENDS[kind]
    ]
    return pytest.mark.parametrize("name", names)


@pytest.fixture
def options(request, tmp_path):
    """What a backend of that name needs to be constructed here, weights in place."""

    def of(name: str) -> dict[str, Any]:
        if name == "groundingdino":
            return tiny_models.groundingdino_options(request.getfixturevalue("groundingdino_dir"))
        if name in WITH_WEIGHTS:
            return {"models_dir": request.getfixturevalue(f"{name}_dir"), "device": "cpu"}
        if name == "compact":  # the shipped weights
            return {"models_dir": tmp_path / "none", "device": "cpu"}
        return {}

    return of


@pytest.fixture
def in_another_process():
    """Run a script in a fresh interpreter; what it prints, parsed as JSON."""

    def run(script: str, *arguments: object) -> Any:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


@pytest.fixture
def packs_halves():
    """Skips where torch packs nothing of bfloat16: it takes AVX-512 or AVX-NE-CONVERT."""
    torch = pytest.importorskip("torch")
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("This processor does not compute in bfloat16.")
