"""Training needs libraries that serving does not."""

from typing import Any

import pytest


def needs_training() -> Any:
    """torch, made ready; the tests of the module are skipped where something is not installed."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("pytorch_metric_learning")
    pytest.importorskip("cv2")
    from similarity.engine.device import prepare_torch

    prepare_torch()
    return torch
