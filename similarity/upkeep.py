"""Keeping the index true to the database: updates of a live one, and checks of any.

The rows are the truth. A live index hears of each change once it is committed; what it missed,
because the service was down or a process died, costs a garment its place among the results and
shows nothing wrong, and is found and repaired here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from catalog.models import Segment
from similarity import indexing
from similarity.engine import Keys, LiveIndex, Vectors
from similarity.engine.errors import EngineError, NothingServes
from similarity.models import Embedder, Embedding, IndexBuild

logger = logging.getLogger("similarity.index")

DIFFERENCE = 1e-6
"""How far a stored number may be from the row's: engines keep float32, as the rows do."""


# --- After commits --------------------------------------------------------------------------


def added(embedder: Embedder, segments: Sequence[Segment]) -> None:
    """Let a live index know of garments that are being described, once that is committed."""
    if (index := indexing.live_index(embedder)) is None:
        return
    described = [segment.pk for segment in segments]

    def tell() -> None:
        rows = Embedding.objects.filter(embedder=embedder, segment__in=described).order_by("pk")
        _add(index, rows.values_list("pk", "vector"))

    transaction.on_commit(lambda: _try(tell), robust=True)


def removed(sender: Any, instance: Embedding, **_: Any) -> None:
    """Let it know of a vector that is being deleted, whichever embedder's (a signal's receiver)."""
    connection = transaction.get_connection()
    hooks = connection.run_on_commit
    latest = hooks[-1] if hooks else (None, None)
    # One call for all that one transaction deletes.
    if isinstance(latest[1], _Removal) and latest[0] == set(connection.savepoint_ids):
        latest[1].keys[instance.embedder_id].append(instance.pk)
    else:
        removal = _Removal()
        removal.keys[instance.embedder_id].append(instance.pk)
        transaction.on_commit(removal, robust=True)


@dataclass(eq=False)
class _Removal:
    keys: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By the key of the embedder."""

    def __call__(self) -> None:
        for embedder in Embedder.objects.filter(pk__in=self.keys):
            if index := indexing.live_index(embedder):
                keys = np.array(sorted(self.keys[embedder.pk]), np.int64)
                _try(lambda index=index, keys=keys: index.remove(None, keys))


def _try(tell: Any) -> None:
    """The change is made, whether the index hears of it or not."""
    try:
        tell()
    except NothingServes:  # whoever fills its first collection reads the rows
        pass
    except EngineError as error:
        logger.warning("The index has missed a change: %s Run: manage.py index_check", error)


def _add(index: LiveIndex, rows: Iterable[Any]) -> None:
    """Add rows of key and vector, by ascending key."""
    if found := list(rows):
        keys = np.array([pk for pk, _ in found], np.int64)
        index.add(None, keys, np.stack([vector for _, vector in found]))


# --- Checks ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """How the index that serves differs from the database."""

    serving: str | None
    compared: int
    """Vectors that both have, and that were compared."""
    missing: Keys
    """Keys of rows that the index lacks. Of a build on disk these are scanned: none is missed."""
    surplus: Keys
    """Keys that the index has and no row. Searches pass them over."""
    wrong: Keys
    """Keys whose vector is another than the row's."""
    is_live: bool

    @property
    def is_sound(self) -> bool:
        """Whether searches answer as the rows would have them."""
        return not len(self.wrong) and not (self.is_live and len(self.missing))

    @property
    def told(self) -> str:
        """In numbers, as people read it."""
        lacking = "are missing" if self.is_live else "are newer, and scanned"
        return (
            f"{self.compared} vectors compared with the database, {len(self.wrong)} are wrong, "
            f"{len(self.missing)} {lacking}, {len(self.surplus)} have gone from the database, and "
            "are passed over."
        )

    @property
    def is_none(self) -> bool:
        return not (len(self.wrong) or len(self.missing) or len(self.surplus))


def check(embedder: Embedder) -> Difference:
    """Compare each vector of the index that serves with its row, and note the outcome.

    Raises IndexUnavailable, BrokenBuild.
    """
    found = _compared(embedder)
    IndexBuild.objects.filter(embedder=embedder, name=found.serving or "-").update(
        checked_at=timezone.now(), finding=found.told
    )
    return found


def _compared(embedder: Embedder) -> Difference:
    index = indexing.live_index(embedder)
    serving = index.serving() if index else indexing.status(embedder).serving
    held = indexing.held_vectors(embedder) if serving else iter(())
    rows = _Rows(embedder)
    wrong, surplus, compared = [], [], 0
    for keys, vectors in held:
        known, theirs = rows.take(keys)
        surplus.append(keys[~known])
        differs = np.abs(vectors[known] - theirs).max(axis=1, initial=0) > DIFFERENCE
        wrong.append(keys[known][differs])
        compared += int(known.sum())
    return Difference(
        serving=serving,
        compared=compared,
        missing=rows.untaken(),
        surplus=_joined(surplus),
        wrong=_joined(wrong),
        is_live=index is not None,
    )


def repair(embedder: Embedder, difference: Difference) -> None:
    """Put right in a live index what `check` has found; what is newer is not touched."""
    index = indexing.live_index(embedder)
    assert index is not None
    index.remove(None, difference.surplus)
    lacking = np.sort(np.concatenate([difference.missing, difference.wrong]))
    for start in range(0, len(lacking), indexing.BATCH):
        rows = Embedding.objects.filter(pk__in=lacking[start : start + indexing.BATCH].tolist())
        _add(index, rows.order_by("pk").values_list("pk", "vector"))


class _Rows:
    """An embedder's rows, from which those that the index holds are taken batch by batch."""

    def __init__(self, embedder: Embedder) -> None:
        self._keys: Keys = np.fromiter(
            Embedding.objects.filter(embedder=embedder)
            .order_by("pk")
            .values_list("pk", flat=True)
            .iterator(),
            np.int64,
        )
        self._is_taken = np.zeros(len(self._keys), bool)
        self._embedder = embedder

    def take(self, keys: Keys) -> tuple[Any, Vectors]:
        """Which of some ascending keys have rows, and those rows' vectors."""
        places = np.searchsorted(self._keys, keys)
        known = np.isin(keys, self._keys)
        self._is_taken[places[known]] = True
        found: dict[int, Vectors] = {}
        if known.any():
            first, last = int(keys[known][0]), int(keys[known][-1])
            for batch, vectors in indexing.stored_vectors(
                self._embedder, after=first - 1, upto=last
            ):
                found |= zip(batch.tolist(), vectors, strict=True)
        still = np.array([key in found for key in keys.tolist()], bool)  # not deleted meanwhile
        theirs = [found[key] for key in keys[still].tolist()]
        return still, np.array(theirs, np.float32).reshape(-1, self._embedder.dim)

    def untaken(self) -> Keys:
        missing: Keys = self._keys[~self._is_taken]
        return missing


def _joined(parts: Sequence[Keys]) -> Keys:
    return np.concatenate([np.empty(0, np.int64), *parts])
