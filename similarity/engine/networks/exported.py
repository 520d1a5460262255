"""A torch network handed over to ONNX Runtime, which runs convolutions faster on most processors.

The network is exported once for each file of weights and kept beside them; `docs/performance.md`
has what it gives. A copy is believed only if it makes of a fixed batch what torch made of it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.weights import not_installed

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]

PROBES = 2
AGREEMENT = 0.9999
"""The least cosine between torch's features of a probe and ONNX Runtime's."""

logger = logging.getLogger("similarity.engine")


class NotUsable(Exception):
    """An exported network that cannot be made or read, or does not agree with its original."""


def exported(
    make: Callable[[], torch.nn.Module], folder: Path, key: str, shape: tuple[int, ...]
) -> Run | None:
    """The network that `make` gives, as ONNX Runtime runs it; None, with a reason in the log, if
    it cannot be had: a warning, unless the packages are just not installed.

    `key` names what the weights are, `shape` is that of one input. What lies in `folder` under that
    key is taken, and made anew once if it is of no use; only making it needs `make`.
    """
    if lacking := not_installed("onnxruntime", "onnx", "onnxscript"):
        logger.info("torch runs the network, not ONNX Runtime: %s", " ".join(lacking))
        return None
    file = folder / f"{key}.onnx"
    try:
        try:
            return _verified(file, shape)
        except NotUsable as error:
            if file.exists():
                logger.warning("%s is made anew: %s", file, error)
            _export(make(), file, shape)
            return _verified(file, shape)
    except (NotUsable, OSError) as error:
        logger.warning("torch runs the network, not ONNX Runtime: %s", error)
        return None


def _verified(file: Path, shape: tuple[int, ...]) -> Run:
    """The network in a file, after it has passed its probe."""
    try:
        answer = _probe_file(file)
        expected = np.load(answer, allow_pickle=False)
        run = _session(file)
        found = run(_probe(shape))
    except Exception as error:  # ONNX Runtime's own errors share no base but this
        raise NotUsable(f"{file.name} cannot be used: {error}") from error
    if found.shape != expected.shape or not agree(found, expected):
        raise NotUsable(f"{file.name} gives other features than torch.")
    return run


def agree(found: Floats, expected: Floats, least: float = AGREEMENT) -> bool:
    """Whether the rows' cosines all are at least so much."""
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return bool(np.all((found * expected).sum(axis=1) >= least * lengths))


def _session(file: Path) -> Run:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait take the time of the machine's other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(pixels: Floats) -> Floats:
        features: Floats = session.run(["features"], {"pixels": pixels})[0]
        return features

    return run


def _export(network: torch.nn.Module, file: Path, shape: tuple[int, ...]) -> None:
    """Write the network and what torch makes of the probe; each file is whole or not there."""
    import torch

    probe = torch.from_numpy(_probe(shape))
    with torch.inference_mode():
        expected = network(probe).numpy()
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(_probe_file(file), lambda path: _save(path, expected))
    try:
        _write(file, lambda path: _to_onnx(network, probe, path))
    except OSError:
        raise
    except Exception as error:  # the exporter's errors are of many kinds
        raise NotUsable(f"{file.name} cannot be exported: {error}") from error


def _to_onnx(network: torch.nn.Module, probe: torch.Tensor, path: Path) -> None:
    import torch

    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            network,
            (probe,),
            str(path),
            dynamo=True,
            verbose=False,  # stdout belongs to our commands
            external_data=False,
            input_names=["pixels"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("crops", min=1)},),
        )


def _save(path: Path, vectors: Floats) -> None:
    with path.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)


def _write(target: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file that then takes its name; workers that do so at once do no harm."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    os.close(handle)
    path = Path(name)
    try:
        write(path)
        path.replace(target)
    finally:
        path.unlink(missing_ok=True)


def _probe(shape: tuple[int, ...]) -> Floats:
    """The same noise each time, as bright and as varied as normalised photos are."""
    noise = np.random.default_rng(0).normal(size=(PROBES, *shape))
    return noise.astype(np.float32)


def _probe_file(file: Path) -> Path:
    return file.with_suffix(".npy")
