"""Several embedders side by side: fill another one, compare it with the serving one, go over to
it, go back, take one away. What is asked for; `pipeline.fill` does the describing."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction

from accounts.models import User
from catalog.models import Segment
from similarity import backends, golden, indexing, prototypes, serving
from similarity.engine import BACKENDS, Detector, load
from similarity.engine import Embedder as Backend
from similarity.engine.errors import EngineError, UnknownBackend
from similarity.engine.evaluation import retrieval
from similarity.errors import (
    AlreadyEnded,
    Incomplete,
    ModelNotReady,
    NothingToUndo,
    Serving,
)
from similarity.golden import Figures
from similarity.indexing import IndexStatus
from similarity.models import Embedder, Embedding, GoldenSet, Run, Switch
from similarity.remembering import MINUTE, remembered
from similarity.services import cancel, enqueue

NEAREST = 10
"""Results of a sampled query that are compared."""

SAMPLE = 200
"""Garments that are searched with, to compare two embedders."""

GALLERY = 20_000
"""Garments among which a product's other pictures are looked for: 40 MB at 512 numbers each."""

DROPPED_TOGETHER = 5000


# --- Filling --------------------------------------------------------------------------------


def start_filling(name: str, asked_by: User | None = None, *, queued: bool = True) -> Run:
    """Have the whole catalogue described by another installed embedder, from where it was left.

    A filling that is under way is the one; if its process has died on this machine, it is to be
    had again. `queued=False` leaves it to the caller. Raises UnknownBackend, MissingWeights.
    """
    embedder = serving.installed(name)
    with transaction.atomic():
        serving.lock()  # two who ask take turns
        under_way = Run.objects.under_way(Run.Kind.FILL).filter(embedder=embedder)
        run = under_way.first()
        if run is None:
            run = Run.objects.create(
                kind=Run.Kind.FILL,
                embedder=embedder,
                requested_by=asked_by,
                options={"model": name},
            )
        elif not (_has_died(run) and Run.objects.give_way(run)):
            return run
        if queued:
            enqueue(run)
    return run


def _has_died(run: Run) -> bool:
    """Whether a running run's process was on this machine, and is no more."""
    host, _, rest = run.worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname()[:60] or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and alive
        return False
    return False


def stop_filling(name: str) -> Run:
    """Cancel the filling of an embedder, which is no longer kept filled; what it has stays.

    Raises AlreadyEnded if none is under way.
    """
    run = Run.objects.under_way(Run.Kind.FILL).filter(embedder__name=name).first()
    if run is None:
        raise AlreadyEnded(f"Nothing is being described by {name}.")
    cancel(run)
    return run


def drop(name: str) -> list[Embedder]:
    """Take an embedder's vectors and index away: of that name or key, all but the serving one.

    Gives those dropped. Raises Serving if that one alone is meant, ModelNotReady for a name
    that nothing was described by, AlreadyEnded while it is being filled, BuildInProgress,
    IndexUnavailable.
    """
    known = [row for row in Embedder.objects.order_by("pk") if name in {row.name, row.key}]
    if not known:
        raise ModelNotReady(f"Nothing has been described by an embedder {name!r}.")
    serving_one = serving.serving_embedder()
    if known == [serving_one]:
        raise Serving(f"{serving_one} answers the searches. Go over to another one first.")
    dropped = [embedder for embedder in known if embedder != serving_one]
    for embedder in dropped:
        _drop(embedder)
    return dropped


def _drop(embedder: Embedder) -> None:
    if Run.objects.under_way(Run.Kind.FILL).filter(embedder=embedder).exists():
        raise AlreadyEnded(f"{embedder} is being filled. Cancel that first.")
    with transaction.atomic():
        serving.lock()
        if serving.serving_embedder() == embedder:  # somebody was faster
            raise Serving(f"{embedder} answers the searches. Go over to another one first.")
        Embedder.objects.filter(pk=embedder.pk).update(is_kept=False, is_filled=False)
    rows = Embedding.objects.filter(embedder=embedder).order_by("pk")
    while keys := list(rows.values_list("pk", flat=True)[:DROPPED_TOGETHER]):
        rows.filter(pk__lte=keys[-1]).delete()
    prototypes.rebuild(embedder)  # of nothing, should it be filled again at once
    indexing.remove_all(embedder)


# --- Going over -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two embedders find, over garments that both have described."""

    models: tuple[str, str]
    """The serving one and the candidate."""
    queries: int
    overlap_at_10: float
    """Part of the 10 first results that both have, over the queries; 0 without queries."""
    golden: int
    """Queries by garments of products with several pictures, the others being what is sought."""
    recall_at_1: tuple[float, float]
    recall_at_10: tuple[float, float]
    mean_average_precision: tuple[float, float]
    golden_set: str = ""
    """What people have marked, that both were measured by as well; empty without one."""
    by_golden_set: tuple[Figures, Figures] | None = None


def compare(
    before: Embedder,
    after: Embedder,
    *,
    sample: int = SAMPLE,
    golden_set: GoldenSet | None = None,
) -> Comparison:
    """Search with the same garments by both, as shoppers do, and look for what ought to come.

    With a golden set, also with its queries, for what people have called right. Raises EngineError.
    """
    common = _in_both(before, after)
    queries = _spread(common, sample)
    overlaps = [
        _overlap(_results(before, segment), _results(after, segment))
        for segment in Segment.objects.filter(pk__in=queries).select_related("image")
    ]
    pictures = _golden(common, sample)
    figures = [pictures.evaluated(embedder) for embedder in (before, after)]
    return Comparison(
        models=(before.key, after.key),
        queries=len(overlaps),
        overlap_at_10=float(np.mean(overlaps)) if overlaps else 0.0,
        golden=figures[0].queries,
        recall_at_1=(figures[0].recall_at_1, figures[1].recall_at_1),
        recall_at_10=(figures[0].recall_at_10, figures[1].recall_at_10),
        mean_average_precision=(
            figures[0].mean_average_precision,
            figures[1].mean_average_precision,
        ),
        golden_set="" if golden_set is None else golden_set.name,
        by_golden_set=None
        if golden_set is None
        else (golden.measure(golden_set, before), golden.measure(golden_set, after)),
    )


def _in_both(before: Embedder, after: Embedder) -> list[int]:
    """Keys of the garments that both have described, ascending."""
    segments = Segment.objects.filter(embeddings__embedder=before)
    segments = segments.filter(pk__in=after.embeddings.values("segment"))
    return list(segments.order_by("pk").values_list("pk", flat=True))


def _spread(keys: Sequence[int], count: int) -> list[int]:
    """So many of the keys, evenly spread; the same for the same keys."""
    if len(keys) <= count:
        return list(keys)
    return [keys[n] for n in np.linspace(0, len(keys) - 1, count).round().astype(int)]


def _results(embedder: Embedder, segment: Segment) -> set[indexing.Entry]:
    """What a search by a garment finds: its products, and images that belong to none."""
    vector = Embedding.objects.get(embedder=embedder, segment=segment).vector
    found = indexing.nearest(embedder, vector, limit=NEAREST, leave_out=[segment])
    return indexing.entries_among(found)


def _overlap(one: set[Any], other: set[Any]) -> float:
    return len(one & other) / max(len(one), len(other), 1)


@dataclass(frozen=True, slots=True)
class _Golden:
    """Garments whose product has several pictures, each of which is to find the others."""

    queries: list[int]
    gallery: list[int]
    labels: dict[int, tuple[str, str]]
    """Product and image of each."""

    def evaluated(self, embedder: Embedder) -> retrieval.Figures:
        gallery = self._items(embedder, self.gallery)
        return retrieval.evaluate(self._items(embedder, self.queries), gallery).overall

    def _items(self, embedder: Embedder, keys: Sequence[int]) -> retrieval.Items:
        rows = Embedding.objects.filter(embedder=embedder, segment__in=keys).order_by("segment")
        found = list(rows.values_list("segment", "vector"))
        vectors = np.array([vector for _, vector in found], np.float32)
        return retrieval.Items(
            vectors.reshape(len(found), embedder.dim),
            [self.labels[key][0] for key, _ in found],
            [self.labels[key][1] for key, _ in found],
        )


def _golden(common: Sequence[int], sample: int) -> _Golden:
    """The best garment of each picture of a product stands for it, as in `labelled`."""
    rows = Segment.objects.filter(number=0, image__product__isnull=False).order_by("pk")
    among = set(common)
    labels = {
        pk: (str(product), str(image))
        for pk, product, image in rows.values_list("pk", "image__product", "image")
        if pk in among
    }
    pictures: dict[str, int] = {}
    for product, _ in labels.values():
        pictures[product] = pictures.get(product, 0) + 1
    several = [key for key, (product, _) in labels.items() if pictures[product] > 1]
    queries = _spread(several, sample)
    sought = {labels[key][0] for key in queries}
    needed = [key for key in several if labels[key][0] in sought]
    others = [key for key in labels if labels[key][0] not in sought]
    return _Golden(queries, needed + _spread(others, max(0, GALLERY - len(needed))), labels)


def candidate(name: str) -> Embedder:
    """The embedder of that name, to go over to. Raises UnknownBackend, MissingWeights, Serving."""
    embedder = serving.installed(name)
    if embedder == serving.serving_embedder():
        raise Serving(f"{embedder} answers the searches already.")
    return embedder


def switch(
    embedder: Embedder, *, comparison: Comparison | None = None, force: bool = False
) -> Switch:
    """Let an embedder answer all searches from now on; the one before is kept filled, to go back.

    Raises Incomplete if garments are missing from it, unless `force`; MissingWeights, Serving.
    """
    serving.backend_of(embedder)
    before = serving.serving_embedder()
    with transaction.atomic():
        serving.lock()  # no garment comes in meanwhile, and nobody else goes over
        before = serving.serving_embedder()
        if before == embedder:
            raise Serving(f"{embedder} answers the searches already.")
        missing = serving.lacking(embedder).count()
        if missing and not force:
            raise Incomplete(
                f"{embedder} has not described {missing} garments yet. "
                f"Run: manage.py embed_catalogue --embedder {embedder.name}"
            )
        for row in (before, embedder):
            filled = not serving.lacking(row).exists()
            Embedder.objects.filter(pk=row.pk).update(is_kept=True, is_filled=filled)
        return Switch.objects.create(
            embedder=embedder,
            before=before,
            comparison={} if comparison is None else asdict(comparison),
        )


def last_switch() -> Switch:
    """The latest one. Raises NothingToUndo if there was none."""
    latest = Switch.objects.select_related("embedder", "before").first()
    if latest is None:
        raise NothingToUndo("No other embedder has answered searches before.")
    return latest


# --- Looking --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DetectorState:
    """A detector that this shop could use."""

    name: str
    fingerprint: str | None
    """None if its weights, or libraries, are not there."""
    is_active: bool


@dataclass(frozen=True, slots=True)
class EmbedderState:
    """An embedder that this shop uses, or could use."""

    name: str
    fingerprint: str | None
    """None if its weights, or libraries, are not there and nothing was described by it."""
    dim: int | None
    is_active: bool
    is_installed: bool
    """Whether it can describe pictures here, with these weights."""
    is_kept: bool
    """Whether new garments are described by it."""
    is_filled: bool
    """Whether a search may ask for it."""
    takes_text: bool
    described: int
    total: int
    index: IndexStatus | None
    filling: Run | None
    """The latest, if any."""


def detectors() -> list[DetectorState]:
    """All that there are, the active one first."""
    names = dict.fromkeys([settings.DETECTOR, *BACKENDS["detector"]])
    return [
        DetectorState(name, _fingerprint(_detector(name)), name == settings.DETECTOR)
        for name in names
    ]


def embedders() -> list[EmbedderState]:
    """All that there are or were, the active one first, then those that have described garments.

    Anybody may ask for them, and counting takes a look at all rows: counts are remembered.
    """
    active = serving.serving_name()
    total = remembered("models-garments", MINUTE, Segment.objects.count)
    rows = list(Embedder.objects.order_by("pk"))
    states = [_state(row, active, total) for row in rows]
    known = {(row.name, row.fingerprint) for row in rows}
    for name in dict.fromkeys([active, *BACKENDS["embedder"]]):
        fingerprint = _fingerprint(_backend(name))
        if (name, fingerprint) not in known and (fingerprint or name not in {r.name for r in rows}):
            states.append(_unused(name, fingerprint, active, total))
    return sorted(states, key=lambda state: (not state.is_active, -state.described))


def _state(row: Embedder, active: str, total: int) -> EmbedderState:
    backend = _backend(row.name)
    is_installed = _fingerprint(backend) == row.fingerprint
    described = remembered(f"models-described-{row.pk}", MINUTE, lambda: serving.described(row))
    is_active = is_installed and row.name == active
    return EmbedderState(
        name=row.name,
        fingerprint=row.fingerprint,
        dim=row.dim,
        is_active=is_active,
        is_installed=is_installed,
        is_kept=row.is_kept or is_active,
        is_filled=is_installed and (row.is_filled or is_active),
        takes_text=is_installed and _takes_text(backend),
        described=described,
        total=total,
        index=_index_of(row) if described else None,
        filling=row.runs.filter(kind=Run.Kind.FILL).first(),
    )


def _index_of(row: Embedder) -> IndexStatus:
    return remembered(f"models-index-{row.pk}", MINUTE // 4, lambda: indexing.status(row))


def _unused(name: str, fingerprint: str | None, active: str, total: int) -> EmbedderState:
    backend = _backend(name)
    return EmbedderState(
        name=name,
        fingerprint=fingerprint,
        dim=_dim(backend),
        is_active=name == active,
        is_installed=fingerprint is not None,
        is_kept=name == active,
        is_filled=False,
        takes_text=fingerprint is not None and _takes_text(backend),
        described=0,
        total=total,
        index=None,
        filling=None,
    )


def _backend(name: str) -> Backend | None:
    with suppress(UnknownBackend, TypeError, ValueError):  # the latter two: of its options
        return backends.embedder(name)
    return None


def _detector(name: str) -> Detector | None:
    with suppress(UnknownBackend, TypeError, ValueError):
        if name == settings.DETECTOR:
            return backends.detector()
        return load("detector", name, **backends.options(name))
    return None


def _fingerprint(backend: Backend | Detector | None) -> str | None:
    """Of what is installed; None if it is not, or lacks something."""
    if backend is None or backend.missing():
        return None
    try:
        return backend.fingerprint
    except EngineError:
        return None


def _dim(backend: Backend | None) -> int | None:
    """None for one whose weights would say, and are not there."""
    with suppress(EngineError):
        return None if backend is None else backend.dim
    return None


def _takes_text(backend: Backend | None) -> bool:
    return callable(getattr(backend, "embed_texts", None))
