"""Keeping the index true to the database: updates of a live one, and checks of any.

The rows are the truth. A live index hears of each change once it is committed; what it missed,
because the service was down or a process died, costs a garment its place among the results and
shows nothing wrong, and is found and repaired here.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import Segment
from similarity import backends, indexing
from similarity.engine import Keys, LiveIndex, Vectors
from similarity.engine.errors import EngineError, NothingServes
from similarity.models import Embedder, Embedding, IndexBuild

logger = logging.getLogger("similarity.index")

AT_ONCE = 1000
"""Products, or pictures, whose garments are told of together."""

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
        _add(index, rows.values_list("pk", "vector", indexing.CATEGORY))

    transaction.on_commit(lambda: _try(tell), robust=True)


def removed(sender: Any, instance: Embedding, **_: Any) -> None:
    """Let it know of a vector that is being deleted, whichever embedder's (a signal's receiver)."""
    _note(_Removal, instance.embedder_id, [instance.pk])


def sorted_anew(*, products: Iterable[int] = (), images: Iterable[int] = ()) -> None:
    """Let it know that the garments of these keys may be of another category than before."""
    if backends.is_live():
        _note(_Sorting, "segment__image__product__in", products)
        _note(_Sorting, "segment__image__in", images)


def _note(kind: type[_Changes], of: Any, keys: Iterable[int]) -> None:
    """One call for all changes of a kind that one transaction makes."""
    if not (noted := list(keys)):
        return
    connection = transaction.get_connection()
    hooks = connection.run_on_commit
    latest = hooks[-1] if hooks else (None, None)
    if isinstance(latest[1], kind) and latest[0] == set(connection.savepoint_ids):
        latest[1].keys[of] += noted
    else:
        changes = kind()
        changes.keys[of] += noted
        transaction.on_commit(changes, robust=True)


@dataclass(eq=False)
class _Changes(ABC):
    keys: defaultdict[Any, list[int]] = field(default_factory=lambda: defaultdict(list))

    @abstractmethod
    def __call__(self) -> None: ...


class _Removal(_Changes):
    """Embeddings, by the key of the embedder."""

    def __call__(self) -> None:
        for embedder in Embedder.objects.filter(pk__in=self.keys):
            if index := indexing.live_index(embedder):
                keys = np.array(sorted(self.keys[embedder.pk]), np.int64)
                _try(lambda index=index, keys=keys: index.remove(None, keys))


class _Sorting(_Changes):
    """Products or pictures, by what leads to them from an embedding."""

    def __call__(self) -> None:
        for path, keys in self.keys.items():
            for start in range(0, len(keys), AT_ONCE):
                self._tell(Embedding.objects.filter(**{path: keys[start : start + AT_ONCE]}))

    def _tell(self, embeddings: QuerySet[Embedding]) -> None:
        of: defaultdict[int, list[tuple[int, int | None]]] = defaultdict(list)
        rows = embeddings.values_list("embedder", "pk", indexing.CATEGORY)
        for embedder, key, category in rows:
            of[embedder].append((key, category))
        for one in Embedder.objects.filter(pk__in=of):
            if index := indexing.live_index(one):
                keys = np.array([key for key, _ in of[one.pk]], np.int64)
                sorted_as = indexing.as_categories(category for _, category in of[one.pk])
                _try(lambda i=index, k=keys, c=sorted_as: i.categorise(None, k, c))


def _try(tell: Any) -> None:
    """The change is made, whether the index hears of it or not."""
    try:
        tell()
    except NothingServes:  # whoever fills its first collection reads the rows
        pass
    except EngineError as error:
        logger.warning("The index has missed a change: %s Run: manage.py index_check", error)


def _add(index: LiveIndex, rows: Iterable[Any]) -> None:
    """Add rows of key, vector and category, by ascending key."""
    if found := list(rows):
        keys, vectors, categories = zip(*found, strict=True)
        sorted_as = indexing.as_categories(categories)
        index.add(None, np.array(keys, np.int64), np.stack(vectors), sorted_as)


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
    missorted: Keys
    """Keys whose category a live index has otherwise: filters of categories miss them."""
    is_live: bool
    is_categorised: bool
    """Whether it knows its vectors' categories at all."""

    @property
    def is_sound(self) -> bool:
        """Whether searches answer as the rows would have them."""
        missed = self.is_live and len(self.missing) + len(self.missorted)
        return not len(self.wrong) and not missed

    @property
    def told(self) -> str:
        """In numbers, as people read it."""
        lacking = "are missing" if self.is_live else "are newer, and scanned"
        return (
            f"{self.compared} vectors compared with the database, {len(self.wrong)} are wrong, "
            f"{len(self.missing)} {lacking}, {len(self.surplus)} have gone from the database, and "
            f"are passed over.{self._told_of_categories}"
        )

    @property
    def _told_of_categories(self) -> str:
        if not self.is_live or self.serving is None:
            return ""
        if self.is_categorised:
            return f" {len(self.missorted)} are of another category than the index says."
        return " It was filled before vectors had categories: rebuild_index gives it them."

    @property
    def is_none(self) -> bool:
        return not any(map(len, (self.wrong, self.missing, self.surplus, self.missorted)))


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
    is_categorised = indexing.narrows(embedder)
    missorted = indexing.missorted(embedder, index) if index and is_categorised else ()
    return Difference(
        serving=serving,
        compared=compared,
        missing=rows.untaken(),
        surplus=_joined(surplus),
        wrong=_joined(wrong),
        missorted=_joined([keys for keys, _ in missorted]),
        is_live=index is not None,
        is_categorised=is_categorised,
    )


def repair(embedder: Embedder, difference: Difference) -> None:
    """Put right in a live index what `check` has found; what is newer is not touched."""
    index = indexing.live_index(embedder)
    assert index is not None
    index.remove(None, difference.surplus)
    lacking = np.sort(np.concatenate([difference.missing, difference.wrong]))
    for start in range(0, len(lacking), indexing.BATCH):
        rows = Embedding.objects.filter(pk__in=lacking[start : start + indexing.BATCH].tolist())
        _add(index, rows.order_by("pk").values_list("pk", "vector", indexing.CATEGORY))
    for start in range(0, len(difference.missorted), indexing.BATCH):
        keys = difference.missorted[start : start + indexing.BATCH]
        index.categorise(None, keys, indexing.categories_of(embedder, keys))


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
