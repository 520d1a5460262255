from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from similarity.engine import BACKENDS
from tests.engine import tiny_models

ROOT = Path(__file__).resolve().parents[2]


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
def picture() -> Image.Image:
    """A person as a child paints one: something for detectors and embedders to look at."""
    image = Image.new("RGB", (200, 300), (230, 225, 215))
    image.paste((180, 30, 40), (60, 70, 140, 170))
    image.paste((30, 40, 110), (65, 170, 135, 280))
    image.paste((240, 200, 170), (80, 20, 120, 70))
    return image


NEEDS_TORCH = {"groundingdino", "resnet50"}


def every(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each registered backend of a kind, by its name."""
    names = [
        pytest.param(name, marks=pytest.mark.ml if name in NEEDS_TORCH else ())
        for name in BACKENDS[kind]
    ]
    return pytest.mark.parametrize("name", names)


@pytest.fixture
def options(request):
    """What a backend of that name needs to be constructed here, weights in place."""

    def of(name: str) -> dict[str, Any]:
        if name == "groundingdino":
            return tiny_models.groundingdino_options(request.getfixturevalue("groundingdino_dir"))
        if name == "resnet50":
            return {"models_dir": request.getfixturevalue("resnet50_dir"), "device": "cpu"}
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
