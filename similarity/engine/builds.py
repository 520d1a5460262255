"""The builds of one embedder's index on disk, and the one that a process serves from.

    <root>/CURRENT                   the name of the build to serve
    <root>/<build>/manifest.json     what it is, with a checksum of every other file
    <root>/<build>/keys.npy          which key stands at which position
    <root>/<build>/...               whatever else the index wrote

A build is written beside the others, takes its name when it is complete and on disk, and never
changes afterwards. So a reader needs no lock, and an old build outlives its removal in the
processes that still have it mapped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from similarity.engine import tuning
from similarity.engine.contracts import Hit, Index, IndexInfo, Keys, LiveIndex, Vectors
from similarity.engine.errors import BrokenBuild, BuildInProgress, UnknownBackend
from similarity.engine.registry import BACKENDS, load

CURRENT = "CURRENT"
MANIFEST = "manifest.json"
KEYS_FILE = "keys.npy"
VECTORS_FILE = "vectors.npy"
LOCK = ".lock"
PARTIAL = ".partial"

LONGEST_MANIFEST = 1 << 20
LARGEST_NUMBER = 1 << 48

logger = logging.getLogger("similarity.index")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a build says of itself."""

    name: str
    engine: str
    options: dict[str, Any]
    """What the index's constructor was given, and is given again to open the build."""
    parameters: dict[str, int]
    """What the index says that it used."""
    metric: str
    dim: int
    count: int
    created: str
    """When its writing began: ISO 8601, UTC."""
    seconds: float
    measured: dict[str, float]
    """What searching it gave, as `tuning.Measured` names it; empty if nobody has measured."""
    bytes: int
    """Size of all its files but the manifest."""
    checksums: dict[str, str]
    """SHA-256, in hex, of every file but the manifest."""
    about: dict[str, Any]
    """The caller's own notes: the embedder, its fingerprint, ..."""

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Raises BrokenBuild for anything that `to_json` would not have written."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BrokenBuild(f"The manifest is not JSON: {error}.") from error
        if isinstance(found, dict):
            found.setdefault("measured", {})  # builds from before recall was measured
        if not isinstance(found, dict) or found.keys() != {field.name for field in fields(cls)}:
            raise BrokenBuild("The manifest does not have the fields of a manifest.")
        for field, is_valid in _VALID.items():
            if not is_valid(found[field]):
                raise BrokenBuild(f"The manifest's {field!r} is not valid.")
        return cls(**found)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@dataclass(frozen=True, slots=True, eq=False)
class OpenBuild:
    """A build that was verified and is mapped into this process."""

    manifest: Manifest
    index: Index
    keys: Keys
    """(count,) ascending."""

    def search(self, vectors: Vectors, k: int, *, among: Keys | None = None) -> list[list[Hit]]:
        """As `Index.search`."""
        return self.index.search(vectors, k, among=among)


class BuildStore:
    """The folder that holds the builds of one embedder's vectors.

    Only builds of the named engines are opened, since a manifest's engine is imported.
    """

    def __init__(self, root: Path, engines: Collection[str] = tuple(BACKENDS["index"])) -> None:
        self.root = root
        self.engines = engines
        self._locked = False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One builder at a time among all processes; BuildInProgress for a second.

        The kernel frees the lock of a killed process; what that one left behind is removed here.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / LOCK).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BuildInProgress(f"{self.root.name}: another build is running.") from error
            self._locked = True
            try:
                self._sweep()
                yield
            finally:
                self._locked = False

    def write(
        self,
        engine: str,
        options: Mapping[str, Any],
        *,
        dim: int,
        batches: Iterable[tuple[Keys, Vectors]],
        about: Mapping[str, Any],
        recall: float | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Manifest:
        """Build an index of a stream of vectors, without making it the current one.

        With `recall`, 0 to 1, such options as the index knows and is not given are chosen by
        measuring, to find so much of the truth, and the manifest says what was measured.

        Keys ascend over all batches; `on_progress` hears how many have come. Call it inside
        `lock()`. Nothing stays on disk if it, or the stream, raises: ValueError for
        vectors that an index does not take, UnknownBackend for an engine not in `engines`.
        """
        if not self._locked:
            raise RuntimeError("A build is written inside lock().")
        make = partial(self._index, engine)
        make(options)  # says at once what is wrong with them
        created, started = datetime.now(UTC), time.monotonic()
        name = f"{created:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        with self._workplace(name) as (folder, spool):
            keys, vectors = _spooled(batches, dim, spool, on_progress)
            aim = recall if len(keys) else None
            measured: dict[str, float] = {}
            if aim is None:
                info = make(options).build(keys, vectors, folder)
            else:
                options, info, found = tuning.built(
                    make, options, keys, vectors, into=folder, recall=aim
                )
                measured = asdict(found)
            if not (folder / KEYS_FILE).exists():
                np.save(folder / KEYS_FILE, keys, allow_pickle=False)
            manifest = Manifest(
                name=name,
                engine=engine,
                options=dict(options),
                parameters=info.parameters,
                metric="cosine",
                dim=info.dim,
                count=info.count,
                measured=measured,
                bytes=sum(file.stat().st_size for file in folder.iterdir()),
                checksums={file.name: _digest(file) for file in sorted(folder.iterdir())},
                created=created.isoformat(),
                seconds=round(time.monotonic() - started, 3),
                about=dict(about),
            )
            (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            self._publish(folder, name)
        return manifest

    def activate(self, name: str) -> None:
        """Make it the build that every process serves. BrokenBuild if it cannot be opened."""
        self.open(name)
        pointer = self.root / f".{CURRENT}-{secrets.token_hex(4)}"
        try:
            pointer.write_text(name + "\n", encoding="ascii")
            _sync(pointer)
            pointer.replace(self.root / CURRENT)
        finally:
            pointer.unlink(missing_ok=True)
        _sync(self.root)

    def current(self) -> str | None:
        """What CURRENT says, which may be the name of no build; None if nothing is active."""
        try:
            with (self.root / CURRENT).open("rb") as file:
                return file.read(100).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return None

    def builds(self) -> list[Manifest]:
        """The manifests that can be read, newest first; the files are not verified."""
        manifests = []
        for name in self._names():
            with suppress(BrokenBuild):
                manifests.append(self._manifest(name))
        return manifests

    def verify(self, name: str) -> Manifest:
        """Read every byte of a build. Raises BrokenBuild unless it is what was written."""
        manifest = self._manifest(name)
        try:
            _verify_files(self.root / name, manifest)
            _keys(self.root / name, manifest)
        except (OSError, ValueError) as error:
            raise BrokenBuild(f"Build {name}: {error}") from error
        return manifest

    def open(self, name: str) -> OpenBuild:
        """Verify a build and map it. Raises BrokenBuild if it cannot be served from."""
        manifest = self.verify(name)
        folder = self.root / name
        files = tuple(manifest.checksums)
        info = IndexInfo(manifest.count, manifest.dim, manifest.parameters, files)
        try:
            index = self._index(manifest.engine, manifest.options)
            index.open(folder, info)
        except Exception as error:  # an index of the shop's own may raise anything
            raise BrokenBuild(f"Build {name} cannot be opened: {error}") from error
        return OpenBuild(manifest, index, _keys(folder, manifest))

    def stored(self, name: str, batch: int = 5000) -> Iterator[tuple[Keys, Vectors]]:
        """What an engine of ours has written of a build's vectors, a batch at a time.

        Raises BrokenBuild for an engine that keeps none.
        """
        folder = self._folder(name)
        try:
            keys = np.load(folder / KEYS_FILE, mmap_mode="r", allow_pickle=False)
            vectors = np.load(folder / VECTORS_FILE, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BrokenBuild(f"Build {name}: its vectors cannot be read: {error}") from error
        for start in range(0, len(keys), batch):
            yield np.array(keys[start : start + batch]), np.array(vectors[start : start + batch])

    def remove(self, name: str) -> None:
        """Delete a build, which may be a broken one; ValueError if it is the current one."""
        if name == self.current():
            raise ValueError(f"{name} is the current build: activate another one first.")
        folder, partial = self._folder(name), self._partial(name)
        folder.rename(partial)  # nobody finds half a build, even if this process dies here
        shutil.rmtree(partial)

    def prune(self, keep: int) -> list[str]:
        """Delete all but the newest `keep` that verify and the current one; the names deleted."""
        if keep < 0:
            raise ValueError(f"{keep} builds cannot be kept.")
        names = self._names()
        spared = {self.current(), *islice(filter(self._is_good, names), keep)}
        doomed = [name for name in names if name not in spared]
        for name in doomed:
            self.remove(name)
        return doomed

    def clear(self) -> None:
        """Delete all builds, the current one as well. Call it inside `lock()`."""
        if not self._locked:
            raise RuntimeError("Builds are cleared inside lock().")
        (self.root / CURRENT).unlink(missing_ok=True)
        _sync(self.root)
        for name in self._names():
            self.remove(name)

    def _names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        names = (entry.name for entry in self.root.iterdir())
        return sorted(filter(_is_name, names), reverse=True)

    def _is_good(self, name: str) -> bool:
        try:
            self.verify(name)
        except BrokenBuild:
            return False
        return True

    def _folder(self, name: str) -> Path:
        if not _is_name(name) or not (self.root / name).is_dir():
            raise BrokenBuild(f"There is no build named {name!r}.")
        return self.root / name

    def _partial(self, name: str) -> Path:
        return self.root / f".{name}{PARTIAL}"

    @contextmanager
    def _workplace(self, name: str) -> Iterator[tuple[Path, Path]]:
        partial = self._partial(name)
        try:
            (folder := partial / "build").mkdir(parents=True)
            (spool := partial / "spool").mkdir()
            yield folder, spool
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _manifest(self, name: str) -> Manifest:
        path = self._folder(name) / MANIFEST
        if not _is_plain_file(path):
            raise BrokenBuild(f"Build {name} has no manifest.")
        try:
            with path.open(encoding="utf-8") as file:
                manifest = Manifest.from_json(file.read(LONGEST_MANIFEST))
        except (OSError, UnicodeError) as error:
            raise BrokenBuild(f"Build {name}: its manifest cannot be read: {error}.") from error
        if manifest.name != name:
            raise BrokenBuild(f"Build {name}: its manifest is another build's.")
        return manifest

    def _index(self, engine: str, options: Mapping[str, Any]) -> Index:
        if engine not in self.engines:
            raise UnknownBackend(f"{engine!r} is not an index engine in use here.")
        index = load("index", engine, **options)
        if isinstance(index, LiveIndex):
            raise UnknownBackend(f"{engine!r} is a service, and keeps nothing in folders.")
        return index

    def _publish(self, folder: Path, name: str) -> None:
        for file in folder.iterdir():
            _sync(file)
        _sync(folder)
        folder.rename(self.root / name)
        _sync(self.root)

    def _sweep(self) -> None:
        for leftover in self.root.glob(f".*{PARTIAL}"):
            shutil.rmtree(leftover, ignore_errors=True)


class ServingBuild:
    """The build that a web or worker process answers from; it follows CURRENT by itself.

    Shared by the threads of a process. A build that cannot be opened is refused, once, and
    the last good one goes on serving.
    """

    def __init__(self, store: BuildStore) -> None:
        self.problem: str | None = None
        """Why the current build is not the one being served; None if it is."""
        self._store = store
        self._lock = threading.Lock()
        self._open: OpenBuild | None = None
        self._seen: _Pointer | None = None

    def get(self) -> OpenBuild | None:
        """The build to search now; None if there is no good one. Costs one `stat`."""
        if self._pointer() != self._seen:
            self._follow()
        return self._open

    def _pointer(self) -> _Pointer | None:
        try:
            stat = (self._store.root / CURRENT).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _follow(self) -> None:
        # While one thread opens the new build the others go on with the old one, or wait for
        # the first.
        if not self._lock.acquire(blocking=self._open is None):
            return
        try:
            pointer = self._pointer()
            if pointer != self._seen:
                self._switch()
                self._seen = pointer
        finally:
            self._lock.release()

    def _switch(self) -> None:
        try:
            name = self._store.current()
            if name is not None and not self._serves(name):
                self._open = self._store.open(name)
            self.problem = None
        except (BrokenBuild, OSError) as error:
            self._open = self._open or self._newest_good()
            serving = self._open.manifest.name if self._open else "nothing"
            self.problem = f"{error} Serving {serving} instead."
            logger.warning("%s", self.problem)

    def _serves(self, name: str) -> bool:
        return self._open is not None and self._open.manifest.name == name

    def _newest_good(self) -> OpenBuild | None:
        for manifest in self._store.builds():
            with suppress(BrokenBuild):
                return self._store.open(manifest.name)
        return None


_Pointer = tuple[int, int, int]


def _spooled(
    batches: Iterable[tuple[Keys, Vectors]],
    dim: int,
    into: Path,
    on_progress: Callable[[int], None] | None,
) -> tuple[Keys, Vectors]:
    """The whole stream as two arrays that live on disk."""
    count, last = 0, -math.inf
    with (into / "keys").open("wb") as key_file, (into / "vectors").open("wb") as vector_file:
        for keys, vectors in batches:
            _check_batch(keys, vectors, dim, last)
            keys.tofile(key_file)
            vectors.tofile(vector_file)
            count += len(keys)
            last = int(keys[-1]) if len(keys) else last
            if on_progress:
                on_progress(count)
    if not count:  # an empty file cannot be mapped
        return np.empty(0, np.int64), np.empty((0, dim), np.float32)
    return (
        np.memmap(into / "keys", np.int64, "r", shape=(count,)),
        np.memmap(into / "vectors", np.float32, "r", shape=(count, dim)),
    )


def _check_batch(keys: Keys, vectors: Vectors, dim: int, last: float) -> None:
    if keys.dtype != np.int64 or vectors.dtype != np.float32:
        raise ValueError(f"Keys are int64 and vectors float32, not {keys.dtype}, {vectors.dtype}.")
    if vectors.shape != (len(keys), dim):
        raise ValueError(f"{len(keys)} keys of {dim} dimensions came with {vectors.shape} vectors.")
    if not _ascend(keys) or (len(keys) and keys[0] <= last):
        raise ValueError("The keys are not unique and ascending.")


def _ascend(keys: Keys) -> bool:
    return keys.ndim == 1 and bool(np.all(keys[1:] > keys[:-1]))


def _keys(folder: Path, manifest: Manifest) -> Keys:
    keys: Keys = np.asarray(np.load(folder / KEYS_FILE, mmap_mode="r", allow_pickle=False))
    if keys.dtype != np.int64 or keys.shape != (manifest.count,) or not _ascend(keys):
        raise ValueError(f"{KEYS_FILE} does not hold {manifest.count} ascending keys.")
    return keys


def _verify_files(folder: Path, manifest: Manifest) -> None:
    files = [folder / name for name in manifest.checksums]
    for file in files:
        if not _is_plain_file(file):
            raise ValueError(f"{file.name} is missing or not a plain file.")
    if sum(file.stat().st_size for file in files) != manifest.bytes:
        raise ValueError("its files are not of the size that they were.")
    # Side by side: of a million vectors they are 2 GB, and a starting server waits for them.
    with ThreadPoolExecutor(max(1, len(files))) as pool:
        for file, digest in zip(files, pool.map(_digest, files), strict=True):
            if digest != manifest.checksums[file.name]:
                raise ValueError(f"{file.name} is damaged.")


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_name(value: Any) -> bool:
    pattern = r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST_NUMBER


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < LARGEST_NUMBER


def _is_utc(value: Any) -> bool:
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(value).utcoffset() == timedelta(0)
    return False


def _is_file_name(value: str) -> bool:
    return re.fullmatch(r"\w[\w.-]{0,99}", value, re.ASCII) is not None


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _are_parameters(value: Any) -> bool:
    return isinstance(value, dict) and all(type(number) is int for number in value.values())


def _are_measured(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_checksums(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and KEYS_FILE in value
        and all(map(_is_file_name, value))
        and all(map(_is_digest, value.values()))
    )


_VALID: Mapping[str, Callable[[Any], bool]] = {
    "name": _is_name,
    "engine": lambda value: isinstance(value, str),
    "options": lambda value: isinstance(value, dict),
    "parameters": _are_parameters,
    "metric": lambda value: value == "cosine",
    "dim": lambda value: _is_count(value) and value > 0,
    "count": _is_count,
    "created": _is_utc,
    "seconds": _is_number,
    "measured": _are_measured,
    "bytes": _is_count,
    "checksums": _are_checksums,
    "about": lambda value: isinstance(value, dict),
}
