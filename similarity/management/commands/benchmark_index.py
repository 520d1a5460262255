"""`manage.py benchmark_index`: what each index engine would give."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from similarity import backends, indexing, serving
from similarity.engine import BACKENDS, Keys, LiveIndex, Vectors, load, trials
from similarity.engine.errors import EngineError
from similarity.engine.trials import Trial, TrialFailed

COLUMNS = {
    "engine": 12,
    "recall@10": 9,
    "p50 ms": 8,
    "p95 ms": 8,
    "build s": 8,
    "files MB": 8,
    "build MB": 8,
    "own MB": 8,
    "shared MB": 9,
}
"""The table's heads and widths. The last three are memory: at its peak while building; what a
searching process has for itself; and what all such processes share."""


class Command(BaseCommand):
    help = (
        "Compare the installed index engines on the catalogue's vectors, or on synthetic ones: "
        "recall, time, space. Nothing that serves is touched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--synthetic", type=int, metavar="N", help="so many clustered vectors, no catalogue's"
        )
        parser.add_argument("--dim", type=int, default=128, help="of those (default 128)")
        parser.add_argument(
            "--engines", nargs="+", metavar="ENGINE", help="default: all that are installed"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, and nothing else")
        parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .svg, .png or .pdf")

    def handle(self, *_: Any, **options: Any) -> None:
        if min(options["dim"], 1 if options["synthetic"] is None else options["synthetic"]) < 1:
            raise CommandError("--synthetic and --dim must be at least 1.")
        draw = _drawing(options["plot"]) if options["plot"] else None
        try:
            engines = options["engines"] or [name for name in _known() if not _missing(name)]
            if missing := [sentence for name in engines for sentence in _missing(name)]:
                raise CommandError(" ".join(missing))
            with tempfile.TemporaryDirectory(dir=settings.DATA_DIR) as folder:
                count, dim = trials.prepare(_vectors(options), Path(folder))
                done = list(self._tried(engines, Path(folder), is_table=not options["json"]))
        except (EngineError, ValueError) as error:
            raise CommandError(str(error)) from error
        if draw:
            draw(done, f"{count:,} vectors of {dim} dimensions", options["plot"])
        if options["json"]:
            facts = {
                "source": "synthetic" if options["synthetic"] else "catalogue",
                "count": count,
                "dim": dim,
                "recall_asked_for": settings.INDEX_RECALL,
                "engines": [asdict(trial) for trial in done],
            }
            self.stdout.write(json.dumps(facts))
        if len(done) < len(engines):
            raise CommandError(f"{len(engines) - len(done)} of {len(engines)} engines failed.")

    def _tried(self, engines: Sequence[str], folder: Path, *, is_table: bool) -> Iterator[Trial]:
        """The engines' trials one by one, each a line as it ends; one that fails is said."""
        if is_table:
            self._write_line(tuple(COLUMNS))
        for engine in engines:
            try:
                trial = trials.run(engine, backends.options(engine), folder, settings.INDEX_RECALL)
            except TrialFailed as error:
                self.stderr.write(str(error))
                continue
            if is_table:
                self._write_line(_cells(trial))
            yield trial

    def _write_line(self, cells: Sequence[str]) -> None:
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS.values(), strict=True))
        self.stdout.write("  ".join(padded))


def _cells(trial: Trial) -> tuple[str, ...]:
    return (
        trial.engine,
        f"{trial.recall:.4f}",
        f"{trial.p50_ms:.3f}",
        f"{trial.p95_ms:.3f}",
        f"{trial.build_s:.1f}",
        f"{trial.bytes / 2**20:.1f}",
        f"{trial.build_mb:.0f}",
        f"{trial.private_mb:.0f}",
        f"{trial.mapped_mb:.0f}",
    )


def _known() -> list[str]:
    return list(dict.fromkeys([*BACKENDS["index"], settings.INDEX]))


def _missing(engine: str) -> list[str]:
    """What has to be installed for it. Raises UnknownBackend."""
    index: Any = load("index", engine, **backends.options(engine))
    if isinstance(index, LiveIndex):
        return [f"{engine} is a service, with processes and memory of its own: it is not tried."]
    return list(getattr(index, "missing", list)())


def _vectors(options: dict[str, Any]) -> Iterable[tuple[Keys, Vectors]]:
    if options["synthetic"]:
        return trials.synthetic(options["synthetic"], options["dim"])
    return indexing.stored_vectors(serving.serving_embedder())


def _drawing(path: Path) -> Callable[[Sequence[Trial], str, Path], None]:
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise CommandError("--plot takes a file that ends in .svg, .png or .pdf.")
    try:
        from similarity.management.plotting import draw  # noqa: PLC0415  (matplotlib, on use)
    except ImportError as error:
        raise CommandError(f"--plot needs matplotlib: {error}.") from error
    return draw
