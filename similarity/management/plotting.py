"""The picture that `benchmark_index` draws. matplotlib is imported with it, so on use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from similarity.engine.trials import Trial


def draw(trials: Sequence[Trial], title: str, path: Path) -> None:
    """Time, recall and space of each engine, as SVG, PNG or PDF by the file's suffix.

    ValueError for a suffix that is none of those.
    """
    figure = Figure(figsize=(11, 0.9 + 0.5 * len(trials)), layout="constrained")
    figure.suptitle(title)
    panels: Sequence[Axes] = figure.subplots(1, 4, sharey=True)
    names = [trial.engine for trial in trials]
    columns = {
        "a search, ms (median)": [trial.p50_ms for trial in trials],
        "recall@10 missed, %": [100 * (1 - trial.recall) for trial in trials],
        "build, s": [trial.build_s for trial in trials],
        "files, MB": [trial.bytes / 2**20 for trial in trials],
    }
    for axes, (label, values) in zip(panels, columns.items(), strict=True):
        axes.bar_label(axes.barh(names, values), fmt="%.3g", padding=3)
        axes.set_xlabel(label)
        axes.set_xlim(0, 1.3 * max(values) or 1)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_xscale("log")  # engines are magnitudes apart
    panels[0].set_xlim(min(t.p50_ms for t in trials) / 2, 8 * max(t.p50_ms for t in trials))
    panels[0].invert_yaxis()
    figure.savefig(path)
