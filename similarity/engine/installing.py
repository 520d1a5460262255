"""Weights put into the folder of models, and looked at: nothing lies there that does not load."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from similarity.engine.device import read_tensors
from similarity.engine.downloading import Progress, download
from similarity.engine.errors import DownloadFailed, EngineError, UnknownWeights, WrongWeights
from similarity.engine.published import CATALOGUE, File, Weights, place
from similarity.engine.registry import load
from similarity.engine.weights import sha256

SUFFIXES = frozenset({".safetensors", ".pth", ".pt", ".bin"})
"""Of files that hold tensors by name."""

Options = Callable[[str], Mapping[str, object]]
"""The options that a backend of that name is constructed with here."""


def fetch(
    weights: Weights,
    models_dir: Path,
    *,
    mirrors: Sequence[str] = (),
    hashes: Mapping[str, str],
    begin: Callable[[File], Progress],
) -> list[File]:
    """Fetch what is missing of a model, from a mirror or where it was published; gives what came.

    `hashes` has the SHA-256, by name, of files that are not pinned. Raises DownloadFailed.
    """
    absent = [file for file, path in weights.places(models_dir).items() if path is None]
    if any(not file.url for file in absent):
        names = ", ".join(file.name for file in absent)
        raise DownloadFailed(f"{weights.name} is not to be fetched: make {names} yourself.")
    expected = {file: file.sha256 or hashes.get(file.name, "") for file in absent}
    if unpinned := [file.name for file, value in expected.items() if not value]:
        wanted = " ".join(f"--sha256 {name}=..." for name in unpinned)
        raise DownloadFailed(
            f"Nobody has pinned {', '.join(unpinned)}: look up what to expect, and say {wanted}"
        )
    for file in absent:
        urls = [f"{mirror.rstrip('/')}/{file.path}" for mirror in mirrors] + [file.url]
        download(urls, models_dir / file.path, expected[file], begin(file))
    return absent


def import_file(
    source: Path, models_dir: Path, options: Options, weights: Weights | None = None
) -> Path:
    """Copy a file of weights into the folder of models once it is known to load; gives its place.

    With `weights`, as a file of that model; without, as the file of the catalogue that has its
    name, or else under its own name, for a setting to name. Raises WrongWeights, and leaves the
    folder as it was, for what holds other than tensors, does not fit the model, or bears the name
    of a published file without being it.
    """
    weights, file = _meant(source, weights)
    target = models_dir / (file.path if file else source.name)
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".import-") as folder:
        copied = Path(folder) / target.relative_to(models_dir)
        copied.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, copied)
            if file is not None:
                _check_hash(copied, file)
            if copied.suffix in SUFFIXES:
                read_tensors(copied)
            if weights is not None:
                _try_with(weights, Path(folder), models_dir, options)
        except OSError as error:
            raise WrongWeights(f"{source} cannot be copied to {models_dir}: {error}") from error
        except WrongWeights as error:
            raise WrongWeights(str(error).replace(str(copied), str(source))) from error
        _make_durable(copied)
        target.parent.mkdir(parents=True, exist_ok=True)
        copied.replace(target)
    return target


def import_folder(
    source: Path, models_dir: Path, options: Options, weights: Weights | None = None
) -> list[Path]:
    """Copy a model of several files in, once it is known to load; gives the files' places.

    With `weights`, that model's files, by their names; what the folder lacks has to be in
    `models_dir`. Without, the folder is a model of open_clip, and goes under its own name. Raises
    WrongWeights, UnknownWeights, and leaves the folder of models as it was.
    """
    copies = _of_catalogue(source, weights) if weights else _of_open_clip(source)
    models_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".import-") as name:
        folder = Path(name)
        try:
            for path, original in copies.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(original, folder / path)
        except OSError as error:
            raise WrongWeights(f"{source} cannot be copied to {models_dir}: {error}") from error
        if weights:
            for file in weights.files:
                if file.path in copies:
                    _check_hash(folder / file.path, file)
            _try_with(weights, folder, models_dir, options)
        else:
            _verify_own(folder / source.name, folder, options)
        for path in copies:
            _make_durable(folder / path)
        for path in copies:
            (models_dir / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).replace(models_dir / path)
    return [models_dir / path for path in copies]


def _of_catalogue(source: Path, weights: Weights) -> dict[str, Path]:
    """Those of a model's files that a folder has, by their path below the folder of models."""
    found = {}
    for file in weights.files:
        places = (source / file.path, source / file.name)
        if (path := next(filter(Path.is_file, places), None)) is not None:
            found[file.path] = path
    if not found:
        names = ", ".join(file.name for file in weights.files)
        raise WrongWeights(f"{source} has none of {names}.")
    return found


def _of_open_clip(source: Path) -> dict[str, Path]:
    """The files of a folder that is a model of open_clip; what lies in folders of it is not."""
    if not (source / "open_clip_config.json").is_file():
        raise UnknownWeights(f"{source} is no model of open_clip: say with --name which it is.")
    if _is_of_catalogue(source.name):
        raise UnknownWeights(
            f"{source.name} is a model of the catalogue: say --name with its name."
        )
    return {f"{source.name}/{path.name}": path for path in source.iterdir() if path.is_file()}


def _is_of_catalogue(name: str) -> bool:
    """Whether models of the catalogue lie in a folder of that name."""
    return any(file.path.startswith(f"{name}/") for w in CATALOGUE.values() for file in w.files)


def _meant(source: Path, weights: Weights | None) -> tuple[Weights | None, File | None]:
    """Which file of which model a file is."""
    if not source.is_file():
        raise WrongWeights(f"There is no file {source}.")
    for entry in [weights] if weights else CATALOGUE.values():
        for file in entry.files:
            # Many models have a config.json: whose it is then has to be said, or shown by a hash.
            tells = weights or file.sha256 or "/" not in file.path
            if file.name == source.name and tells:
                return entry, file
    if weights is None:
        if source.suffix not in SUFFIXES:
            raise WrongWeights(f"{source} is none of {', '.join(sorted(SUFFIXES))}.")
        return None, None
    tensors = [file for file in weights.files if Path(file.path).suffix in SUFFIXES]
    if len(tensors) != 1 or source.suffix not in SUFFIXES:
        names = ", ".join(file.name for file in weights.files)
        raise UnknownWeights(f"{weights.name} is made of {names}: {source.name} is none of them.")
    return weights, tensors[0]


def _check_hash(path: Path, file: File) -> None:
    if file.sha256 and sha256(path) != file.sha256:
        raise WrongWeights(
            f"{path.name} is not the published file: its SHA-256 is {sha256(path)} and not "
            f"{file.sha256}. Weights of your own go under a name of their own."
        )


def _try_with(weights: Weights, folder: Path, models_dir: Path, options: Options) -> None:
    """Try a model out, of what a folder has and `models_dir` has of the rest, if that is all."""
    for file, path in weights.places(models_dir).items():
        beside = folder / file.path
        if path is not None and not beside.exists():
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.symlink_to(path.resolve())
    if all((folder / file.path).is_file() for file in weights.files):
        try_out(weights, folder, options)


def _make_durable(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def try_out(weights: Weights, models_dir: Path, options: Options) -> None:
    """Load a model and show it a picture. Raises what keeps it from working."""
    chosen = {**options(weights.backend), **weights.options, "models_dir": models_dir}
    _show_a_picture(load(weights.kind, weights.backend, **chosen))


def _show_a_picture(backend: Any) -> None:
    picture = Image.new("RGB", (64, 96), "tan")
    if hasattr(backend, "embed"):
        backend.embed([picture])
    else:
        backend.detect(picture)
    if hasattr(backend, "embed_texts"):
        backend.embed_texts(["dress"])


def verified(models_dir: Path, options: Options) -> Iterator[tuple[str, str | EngineError]]:
    """For everything that is installed its name, and what it is or what is wrong with it."""
    for weights in CATALOGUE.values():
        if weights.is_installed(models_dir):
            yield weights.name, _verdict(partial(_verify, weights, models_dir, options))
    for path in strangers(models_dir):
        yield path.name, _verdict(partial(_verify_own, path, models_dir, options))


def strangers(models_dir: Path) -> list[Path]:
    """Weights in the folder of models that are not of the catalogue: files, and open_clip's
    folders."""
    of_catalogue = {file.path.split("/")[0] for w in CATALOGUE.values() for file in w.files}
    found = sorted(models_dir.iterdir()) if models_dir.is_dir() else []
    return [
        path
        for path in found
        if path.name not in of_catalogue
        and (path.suffix in SUFFIXES or (path / "open_clip_config.json").is_file())
    ]


def _verdict(verify: Callable[[], str]) -> str | EngineError:
    try:
        return verify()
    except EngineError as error:
        return error


def _verify(weights: Weights, models_dir: Path, options: Options) -> str:
    for file in weights.files:
        path = place(file, models_dir)
        assert path is not None
        _check_hash(path, file)
    try_out(weights, models_dir, options)
    pinned = all(file.sha256 for file in weights.files)
    return "loads, and is the published one" if pinned else "loads"


def _verify_own(path: Path, models_dir: Path, options: Options) -> str:
    if path.is_dir():
        chosen = {**options("open_clip"), "models_dir": models_dir, "model": path.name}
        _show_a_picture(load("embedder", "open_clip", **chosen))
        return "loads as a model of open_clip"
    return f"holds {len(read_tensors(path))} tensors; SHA-256 {sha256(path)}"
