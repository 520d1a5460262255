"""How well vectors find their like: recall@k, mAP, MRR and nDCG.

For a query, the gallery is ranked by cosine. Items with the query's label are relevant. Items of
its group are not in its gallery, and so neither is the query itself. Of equally similar items the
irrelevant ones come first: a model that cannot tell things apart earns nothing by luck, and no
figure depends on the gallery's order.

- recall@k: share of queries with a relevant item among the first k, as metric learning counts it
  (Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011; Oh Song
  et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016).
- Average precision: the mean, over all relevant items in the gallery, of the precision at their
  ranks; mAP is its mean over queries, MRR that of 1 / rank of the first relevant item (Manning,
  Raghavan and Schütze, "Introduction to information retrieval", 2008, chapter 8).
- nDCG@10 with a gain of 1 for a relevant item and a discount of log2(1 + rank), against the best
  order possible (Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques",
  TOIS 2002).
- Precision at a level of recall is the highest precision at that recall or a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from similarity.engine.contracts import Vectors

Hits = NDArray[np.bool_]
"""Whether the item at each rank is relevant, best first."""

DEPTH = 10
"""Ranks that nDCG looks at."""

LEVELS = tuple(np.linspace(0, 1, 21).round(2).tolist())
"""Levels of recall that precision is told at."""

BLOCK = 256
"""Queries that are compared with the gallery at once; it bounds the memory."""

DECIMALS = 6
"""Of a similarity that count: the rest is rounding and depends on an item's place in a matrix."""


@dataclass(frozen=True)
class Items:
    """Described pictures: unit rows (n, dim), and of each its label and its group."""

    vectors: Vectors
    labels: Sequence[str]
    groups: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.vectors) == len(self.labels) == len(self.groups):
            raise ValueError("There must be one label and one group for each vector.")


@dataclass(frozen=True)
class Figures:
    """Means over queries, 0 to 1, the higher the better; all 0 without queries."""

    queries: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    mean_average_precision: float
    mean_reciprocal_rank: float
    ndcg_at_10: float


@dataclass(frozen=True)
class Retrieval:
    """What searching with every query came to."""

    overall: Figures
    left_out: int
    """Queries without any relevant item in their gallery: no search could have found one."""
    by_label: Mapping[str, Figures]
    precision: tuple[float, ...]
    """The mean precision at each of LEVELS."""
    average_precisions: NDArray[np.float64] = field(repr=False)
    """Of each query, in their order; NaN for those left out."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all but the single queries."""
        return {
            **asdict(self.overall),
            "left_out": self.left_out,
            "by_label": {label: asdict(figures) for label, figures in self.by_label.items()},
            "precision_recall": [list(point) for point in zip(LEVELS, self.precision, strict=True)],
        }


def evaluate(queries: Items, gallery: Items | None = None) -> Retrieval:
    """Search with every query among the gallery; by default among the queries themselves."""
    average_precisions = np.full(len(queries.labels), np.nan)
    scores, curves, labels = [], [], []
    for row, (_, hits) in enumerate(rankings(queries, gallery or queries)):
        if hits.any():
            scores.append(_scores(hits))
            curves.append(precision_at_levels(hits))
            labels.append(queries.labels[row])
            average_precisions[row] = average_precision(hits)
    table, names = np.array(scores).reshape(len(scores), 6), np.array(labels, dtype=object)
    return Retrieval(
        overall=_mean(table),
        left_out=len(queries.labels) - len(scores),
        by_label={label: _mean(table[names == label]) for label in sorted(set(labels))},
        precision=tuple(np.mean(curves, axis=0).tolist()) if curves else (0.0,) * len(LEVELS),
        average_precisions=average_precisions,
    )


def rankings(queries: Items, gallery: Items) -> Iterator[tuple[NDArray[np.int64], Hits]]:
    """For each query the rows of its gallery, best first, and which of them are relevant."""
    labels, groups = (np.array(names, dtype=object) for names in (gallery.labels, gallery.groups))
    for start in range(0, len(queries.vectors), BLOCK):
        block = queries.vectors[start : start + BLOCK] @ gallery.vectors.T
        for row, similarities in enumerate(np.round(block, DECIMALS), start):
            among = np.flatnonzero(groups != queries.groups[row])
            relevant = labels[among] == queries.labels[row]
            order = np.lexsort((relevant, -similarities[among]))
            yield among[order], relevant[order]


def average_precision(hits: Hits) -> float:
    """The mean precision at the ranks of the relevant items; there must be one."""
    ranks = np.flatnonzero(hits) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def reciprocal_rank(hits: Hits) -> float:
    """One by the rank of the first relevant item; there must be one."""
    return 1.0 / (int(hits.argmax()) + 1)


def ndcg(hits: Hits, depth: int = DEPTH) -> float:
    """Discounted gain of the first `depth` ranks as a share of what the best order would gain."""
    gains = 1 / np.log2(np.arange(min(depth, len(hits))) + 2)
    best = gains[: int(hits.sum())].sum()
    return float(gains[hits[:depth]].sum() / best)


def precision_at_levels(hits: Hits) -> NDArray[np.float64]:
    """The interpolated precision at each of LEVELS; there must be a relevant item."""
    ranks = np.flatnonzero(hits) + 1
    precision = np.arange(1, len(ranks) + 1) / ranks
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    needed = np.ceil(np.array(LEVELS) * len(ranks) - 1e-9).astype(int)  # relevant items by then
    return np.asarray(highest[np.maximum(needed, 1) - 1], dtype=np.float64)


def _scores(hits: Hits) -> tuple[float, ...]:
    """A query's own figures, in the order in which `Figures` has their means."""
    found = (float(hits[:k].any()) for k in (1, 5, 10))
    return (*found, average_precision(hits), reciprocal_rank(hits), ndcg(hits))


def _mean(scores: NDArray[np.float64]) -> Figures:
    means = scores.mean(axis=0).tolist() if len(scores) else [0.0] * 6
    return Figures(len(scores), *means)
