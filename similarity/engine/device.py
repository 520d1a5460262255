"""The one place that imports torch first: it picks the device, makes torchvision importable and
keeps the libraries that know a hub from calling it.

Nothing is imported with this module; call `prepare_torch` before importing torch, torchvision,
timm, transformers or open_clip.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from similarity.engine.errors import WrongWeights

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "float32", "bfloat16"]
Named: TypeAlias = "tuple[str, torch.nn.Module]"
Network = TypeVar("Network", bound="torch.nn.Module")

_PREPARING = threading.Lock()
_KEPT: list[Any] = []  # a torch.library.Library takes its operators with it when collected


def prepare_torch(threads: int | None = None) -> None:
    """Import torch and torchvision, set up for inference; safe to call again, from any thread.

    Numbers are kept the same on every device and run: convolutions on a GPU in full float32
    (cuDNN would take TF32) and by deterministic algorithms, so that vectors agree with those
    made on a CPU. `threads` is how many a CPU operator may use; give each of several workers
    on one machine few. A process that forks may call this, but must not compute before it
    does: torch's threads do not survive a fork, and the child's first parallel operator hangs.
    """
    with _PREPARING:
        _import_once()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def pick_device(choice: str = "auto") -> torch.device:
    """The device of that name; "auto" is the first there is of cuda, mps and cpu.

    Raises ValueError for a device that this machine does not have.
    """
    prepare_torch()
    import torch

    if choice == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if _is_there(name)))
    if not _is_there(choice.partition(":")[0]):
        raise ValueError(f"There is no device {choice!r} here; take auto, cpu, cuda or mps.")
    return torch.device(choice)


MATRIX_UNITS = frozenset({"amx_bf16"})
"""By which a processor multiplies whole matrices of bfloat16: quick at all that networks do."""

ANY_UNITS = MATRIX_UNITS | {"avx512_bf16"}
"""With vectors of it alone it is quick at large products: a batch to learn from, a long sequence.
One crop's convolutions took it longer than in single precision (docs/performance.md)."""

NO_UNITS: frozenset[str] = frozenset()
"""For what has to be the same on every processor."""


def pick_precision(
    choice: Precision = "auto", units: frozenset[str] = MATRIX_UNITS
) -> Literal["float32", "bfloat16"]:
    """What to compute in; "auto" is bfloat16 where the processor has any of those units for it.

    Without, it is many times slower at it than in single precision. Asks no torch. Raises
    ValueError for anything else.
    """
    if choice == "auto":
        return "bfloat16" if units & _processor_flags() else "float32"
    if choice not in ("float32", "bfloat16"):
        raise ValueError(f"There is no precision {choice!r}; take auto, float32 or bfloat16.")
    return choice


def marks(precision: Precision) -> list[str]:
    """What a fingerprint has in it besides, for what was computed in that precision."""
    return ["bfloat16"] if precision == "bfloat16" else []


@cache
def _processor_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, by Linux's names (proc_cpuinfo(5)); empty on other systems."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


BATCH_ON_CPU, BATCH_ON_GPU = 8, 64


def batch_size_on(choice: str) -> int:
    """How many pictures a large network is given at once: a processor gains nothing from more, and
    a GPU is busy with so many."""
    return BATCH_ON_CPU if pick_device(choice).type == "cpu" else BATCH_ON_GPU


def _is_there(kind: str) -> bool:
    import torch

    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    return kind in available and available[kind]()


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors by name in a .safetensors file, or in a .pth that holds nothing but tensors.

    A training checkpoint keeps them under "model", and one of a parallel run puts "module."
    before each name; both are taken off. Raises WrongWeights for anything else: pickled
    objects are never loaded.
    """
    prepare_torch()
    state = _read(path)
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(map(_is_tensor, state.values())):
        raise WrongWeights(f"{path} does not hold tensors by name.")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def read_metadata(path: Path) -> dict[str, str]:
    """What a .safetensors file says of itself beside its tensors.

    Raises WrongWeights for a file that is not one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WrongWeights(f"{path} cannot be read as safetensors: {error}") from error


def _read(path: Path) -> Any:
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # what a damaged file raises is the readers' secret
        raise WrongWeights(f"{path} cannot be read as weights: {error}") from error


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def fill(
    model: torch.nn.Module,
    tensors: dict[str, torch.Tensor],
    source: Path,
    optional: tuple[str, ...] = (),
) -> None:
    """Put `tensors` into the model; raise WrongWeights, naming a few, unless they fit it.

    Names that end with one of `optional` may be absent or too many. Of weights that the model
    shares under several names, one is enough.
    """
    own = model.state_dict()
    filled = {tensor.data_ptr() for name, tensor in own.items() if name in tensors}
    absent = [n for n in own if n not in tensors and own[n].data_ptr() not in filled]
    surplus = [n for n in tensors if n not in own]
    findings = {
        "lacks": [name for name in absent if not name.endswith(optional)],
        "adds": [name for name in surplus if not name.endswith(optional)],
        "misshapes": [n for n in own if n in tensors and own[n].shape != tensors[n].shape],
    }
    complaints = [f"{verb} {_some(names)}" for verb, names in findings.items() if names]
    if complaints:
        raise WrongWeights(f"{source} does not fit the model: it {' and '.join(complaints)}.")
    model.load_state_dict(tensors, strict=False)


def fused(network: Network) -> Network:
    """The network ready to serve: each batch norm put into the convolution before it.

    That is the layer before it in a Sequential, and torchvision's ResNets name the two conv1, bn1.
    It computes the same with fewer passes over memory.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    network.eval()
    for module in list(network.modules()):
        for (name, layer), (after, norm) in _neighbours(module):
            if isinstance(layer, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(layer, norm))
                setattr(module, after, torch.nn.Identity())
    network.requires_grad_(False)
    return channels_last(network)


def _neighbours(module: torch.nn.Module) -> Iterator[tuple[Named, Named]]:
    """The layers of a module, by name, that are known to come one right after the other."""
    import torch

    layers = dict(module.named_children())
    if isinstance(module, torch.nn.Sequential):
        yield from pairwise(layers.items())
    for name, layer in layers.items():
        norm = name.replace("conv", "bn")
        if name.startswith("conv") and norm in layers:
            yield (name, layer), (norm, layers[norm])


def channels_last(network: Network) -> Network:
    """The network with its convolutions laid out as channels last, which are faster."""
    import torch

    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


@cache
def _import_once() -> None:
    _stay_offline()
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    _import_torchvision()


def _stay_offline() -> None:
    """Keep the libraries from asking a hub for what `models_dir` lacks: it must be an error.

    They read this once, when they are imported; processes started from here inherit it.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"


def _import_torchvision() -> None:
    """Import torchvision, also where its compiled operators do not fit this torch.

    pip takes a CPU build of torch where an index offers one ("2.13.0+cpu"), while the
    torchvision of PyPI is built for CUDA. Its operators then cannot be loaded and
    `import torchvision` raises "operator torchvision::nms does not exist". Only then are they
    defined here; compiled ones always win. Decoding by torchvision.io stays unavailable.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _forget("torchvision")
        _define_operators()
        import torchvision

        torchvision.extension._has_ops = lambda: True  # noqa: SLF001 (asked before each nms)


def _forget(package: str) -> None:
    """Drop the modules that a failed import has left half made."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def _define_operators() -> None:
    import torch

    library: Any = torch.library
    operators = library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.impl("nms", greedy_nms, "CPU")
    _KEPT.append(operators)


def greedy_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Non-maximum suppression in plain torch, as torchvision.ops.nms defines it.

    Takes boxes (n, 4) as x0, y0, x1, y1 and scores (n,); gives the indices of those kept, best
    first: each has an IoU of at most `iou_threshold` with every better one that is kept.
    """
    import torch
    from torchvision.ops import box_iou

    order = scores.argsort(descending=True, stable=True)
    overlaps = box_iou(boxes[order], boxes[order]) > iou_threshold
    suppressed = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for rank in range(len(order)):
        if not suppressed[rank]:
            kept.append(rank)
            suppressed |= overlaps[rank]
    return order[torch.tensor(kept, dtype=torch.long)]
