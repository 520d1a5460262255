"""Index engines compared on the same vectors, each in processes of its own.

    python -m similarity.engine.trials build|search FOLDER ENGINE OPTIONS RECALL

is what such a process runs; it prints JSON. One builds and another searches, so that the memory of
the two is told apart, and no engine's libraries or threads are another's.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from similarity.engine.builds import BuildStore
from similarity.engine.contracts import Keys, Vectors
from similarity.engine.errors import EngineError
from similarity.engine.tuning import Queries

QUERIES = 512
CLUSTER = 300
"""Synthetic vectors to a cluster, on average."""
BATCH = 5000


class TrialFailed(EngineError):
    """An engine's process ended without a result."""

    code = "trial_failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """What one engine took and gave."""

    engine: str
    parameters: dict[str, int]
    recall: float
    """Of the 10 nearest, by queries that its tuning has not seen."""
    p50_ms: float
    p95_ms: float
    build_s: float
    bytes: int
    build_mb: float
    """Peak memory of the process that built; that of a bare Python with numpy is in it."""
    private_mb: float
    """By how much opening and searching made the memory grow that a process has for itself."""
    mapped_mb: float
    """The same for pages of mapped files, which all processes share."""


def synthetic(
    count: int, dim: int, seed: int = 1, spread: float = 1.0
) -> Iterator[tuple[Keys, Vectors]]:
    """Unit vectors around random centres, in batches.

    `spread` is the length of what parts each from its centre: they are at a cosine of about 0.71
    with 1 and 0.89 with 0.5.
    """
    random = np.random.default_rng(seed)
    centres = _unit(random.standard_normal((count // CLUSTER + 1, dim), np.float32))
    for start in range(0, count, BATCH):
        keys = np.arange(start, min(start + BATCH, count), dtype=np.int64)
        noise = random.standard_normal((len(keys), dim), np.float32)
        noise *= np.float32(spread / dim**0.5)
        yield keys, _unit(centres[random.integers(len(centres), size=len(keys))] + noise)


def _unit(rows: Vectors) -> Vectors:
    units: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units


def prepare(batches: Iterable[tuple[Keys, Vectors]], folder: Path) -> tuple[int, int]:
    """Write vectors, and queries with their truth, for all engines to be tried on: (n, dim).

    ValueError if there are no vectors.
    """
    parts = list(batches)
    if not parts:
        raise ValueError("There are no vectors to compare engines on.")
    keys = np.concatenate([keys for keys, _ in parts])
    vectors = np.concatenate([rows for _, rows in parts])
    queries = Queries.drawn(vectors, QUERIES, seed=5)
    arrays = {"keys": keys, "vectors": vectors, **_arrays(queries)}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return len(keys), vectors.shape[1]


def _arrays(queries: Queries) -> dict[str, Any]:
    return {"queries": queries.vectors, "own": queries.own, "bar": queries.bar}


def run(engine: str, options: Mapping[str, Any], folder: Path, recall: float) -> Trial:
    """Try one engine on what `prepare` has put there. Raises TrialFailed with its last words."""
    built = _in_its_own_process("build", folder, engine, options, recall)
    searched = _in_its_own_process("search", folder, engine, options, recall)
    return Trial(engine=engine, **built, **searched)


def _in_its_own_process(step: str, folder: Path, engine: str, *rest: Any) -> dict[str, Any]:
    arguments = [step, str(folder), engine, *map(json.dumps, rest)]
    command = [sys.executable, "-m", __name__, *arguments]
    done = subprocess.run(  # noqa: S603  (this module's own command)
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise TrialFailed(f"{engine} failed to {step}: {last}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# --- In the engine's process ----------------------------------------------------------------


def _build(
    store: BuildStore, folder: Path, engine: str, options: dict[str, Any], recall: float
) -> dict[str, Any]:
    keys, vectors = (_mapped(folder, name) for name in ("keys", "vectors"))
    starts = range(0, len(keys), BATCH)
    batches = ((keys[i : i + BATCH], np.array(vectors[i : i + BATCH])) for i in starts)
    with store.lock():
        manifest = store.write(
            engine,
            options,
            dim=vectors.shape[1],
            batches=batches,
            about={},
            recall=recall,
        )
        store.activate(manifest.name)
    return {
        "parameters": manifest.parameters,
        "build_s": manifest.seconds,
        "bytes": manifest.bytes,
        "build_mb": _memory("VmHWM"),
    }


def _search(store: BuildStore, folder: Path) -> dict[str, Any]:
    queries = Queries(*(np.array(_mapped(folder, name)) for name in ("queries", "own", "bar")))
    keys = _mapped(folder, "keys")
    private, mapped = _memory("RssAnon"), _memory("RssFile")
    build = store.open(str(store.current()))
    measured = asdict(queries.measure(build.index, keys))
    return {name: measured[name] for name in ("recall", "p50_ms", "p95_ms")} | {
        "private_mb": round(_memory("RssAnon") - private, 1),
        "mapped_mb": round(_memory("RssFile") - mapped, 1),
    }


def _mapped(folder: Path, name: str) -> Any:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))


def _memory(what: str) -> float:
    """Megabytes, by Linux's account of this process; 0 elsewhere."""
    status = Path("/proc/self/status")
    found = re.search(rf"{what}:\s+(\d+)", status.read_text()) if status.exists() else None
    return round(int(found[1]) / 1024, 1) if found else 0.0


def main(step: str, folder: str, engine: str, options: str, recall: str) -> None:
    store = BuildStore(Path(folder) / engine.replace(":", "-"), engines=[engine])
    if step == "build":
        result = _build(store, Path(folder), engine, json.loads(options), json.loads(recall))
    else:
        result = _search(store, Path(folder))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
