"""Model weights on disk: where they lie, what they are, and loading them once. No torch here."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

from similarity.engine.errors import MissingWeights

T = TypeVar("T")

SHIPPED = Path(__file__).parent / "shipped"
"""The weights that come with the product, each with its model card."""

# One for the whole process: a first load imports libraries, and some of them (torchvision,
# groundingdino) have to be put right meanwhile, which two threads must not do at once.
_LOADING = threading.RLock()


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A file of weights that a model takes."""

    name: str
    hint: str
    """Where to get it, a sentence."""


class Lazy(Generic[T]):
    """A value made on first use: once, however many threads ask for it at the same time.

    A `make` that raises is tried again on the next use, since the weights may be there by then.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []

    def get(self) -> T:
        if not self._made:
            with _LOADING:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]


def find(models_dir: Path, names: Iterable[str], also: Iterable[Path] = ()) -> Path | None:
    """The first of `names` that is a file in `models_dir` or in the folders of `also`.

    An earlier name wins over an earlier folder; an absolute name stands for itself.
    """
    folders = [models_dir, *also]
    paths = (folder / name for name in names for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def own_or_shipped(models_dir: Path, name: str, command: str) -> Path:
    """A shop's own file of weights in `models_dir`, or the shipped one of that name.

    Raises MissingWeights, which names the command that makes such files.
    """
    path = find(models_dir, [name], also=[SHIPPED])
    if path is None:
        raise MissingWeights(
            f"The weights {name} are neither in {models_dir} nor shipped: {command} makes them."
        )
    return path


def torch_hub_checkpoints() -> Path:
    """Where torch.hub keeps the checkpoints it has downloaded, by torch's own rules."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read again only when its size or its time of change differs."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: object) -> str:
    """Hex SHA-256 over the text of all parts, in order: what a fingerprint is made of."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def not_installed(*packages: str, requirements: str = "ml.txt") -> list[str]:
    """A sentence for each of these packages that cannot be imported; imports none of them."""
    return [
        f"The Python package {package} is not installed: see requirements/{requirements}."
        for package in packages
        if find_spec(package) is None
    ]


def lacking(*packages: str, weights: Callable[[], object]) -> list[str]:
    """A sentence for each package that cannot be imported, and one if `weights` raises
    MissingWeights: what a backend's `missing` answers."""
    sentences = not_installed(*packages)
    try:
        weights()
    except MissingWeights as error:
        sentences.append(str(error))
    return sentences
