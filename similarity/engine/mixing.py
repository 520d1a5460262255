"""Several wishes made into one: vectors added up, rankings merged."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np

from similarity.engine.contracts import Vectors

Item = TypeVar("Item", bound=Hashable)

LIKE, UNLIKE = 0.75, 0.25
"""What the examples weigh against what is searched with (beta and gamma; alpha is 1): Salton and
Buckley, "Improving retrieval performance by relevance feedback", JASIS 41(4), 1990."""

WITHOUT = 0.5
"""What is to be left out weighs more: it is said in so many words."""

K = 60
"""How little the first places count above the next; the value of Cormack et al."""

LEAST = 1e-6
"""A sum of unit vectors shorter than that points nowhere."""


def moved(
    wanted: Sequence[Vectors],
    *,
    like: Sequence[Vectors] = (),
    unlike: Sequence[Vectors] = (),
    without: Sequence[Vectors] = (),
) -> Vectors | None:
    """What is searched with, moved towards some examples and away from others.

    Rocchio's formula on unit vectors, shape (dim,): q + 0.75 mean(like) - 0.25 mean(unlike), less
    0.5 mean(without) for words to be left out; q is the mean of `wanted`. Every mean is brought to
    length 1, and so is the outcome. Rocchio, "Relevance feedback in information retrieval", in
    Salton (ed.), The SMART Retrieval System, 1971.

    None if nothing is left: there is nothing to search with, or all of it cancels out.
    """
    parts = [(1.0, wanted), (LIKE, like), (-UNLIKE, unlike), (-WITHOUT, without)]
    total = sum(weight * _mean(vectors) for weight, vectors in parts if len(vectors))
    return None if isinstance(total, int) else _unit(total)


def _mean(vectors: Sequence[Vectors]) -> Vectors:
    """The direction of some unit vectors together; zero if they cancel out."""
    mean = _unit(np.sum(np.asarray(vectors, dtype=np.float64), axis=0))
    return np.zeros_like(vectors[0]) if mean is None else mean


def _unit(vector: Vectors) -> Vectors | None:
    length = float(np.linalg.norm(vector))
    return None if length < LEAST else np.asarray(vector / length, dtype=np.float32)


def fused(*rankings: Sequence[Item]) -> list[Item]:
    """All items of some rankings, best first, by reciprocal rank: the sum of 1 / (60 + place).

    Places count from 1; a ranking that lacks an item adds nothing. What is equal stands in the
    order in which it first appears. Cormack, Clarke and Buettcher, "Reciprocal rank fusion
    outperforms Condorcet and individual rank learning methods", SIGIR 2009.
    """
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for place, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (K + place)
    return sorted(scores, key=lambda item: -scores[item])
